/* typing: who is shown writing, to whom, how long and how often. */
#include "bus/subjects.h"
#include "gateway/channel.h"
#include "gateway/look.h"
#include "gateway/session.h"
#include "gateway/typing_impl.h"
#include "gateway_fake_look.h"
#include "parley/v1/presence.pb-c.h"

#define ROOM "general"
#define THREAD "019b7c00-1111-7222-8333-444455556666"

static struct fake *world(void)
{
        struct fake *f = fake_new();
        struct fake_presence *p;

        fake_start(f);
        fake_put_channel(f, ROOM, true, false);
        p = fake_presence_new(f);
        p->counted = 300;
        return f;
}

static void end(struct fake *f)
{
        fake_presence_free(f->presence);
        fake_free(f);
}

static void focus(struct fake_client *c, const char *channel)
{
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Focus body = PARLEY__V1__FOCUS__INIT;
        char *id = (char *)channel;

        body.channel_ids = &id;
        body.n_channel_ids = channel != NULL;
        frame.ref = ++c->next_ref;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_FOCUS;
        frame.focus = &body;
        fake_client_send(c, &frame);
        fake_run(c->f);
        assert_int_equal(fake_answer(c, frame.ref)->body_case, PARLEY__V1__SERVER_FRAME__BODY_ACK);
}

static struct fake_client *reader(struct fake *f, const char *user)
{
        struct fake_client *c = fake_connect(f, user, ENCODING_PROTO);

        focus(c, ROOM);
        return c;
}

static void type(struct fake_client *c)
{
        assert_int_equal(fake_type(c, ROOM, "", false)->body_case, PARLEY__V1__SERVER_FRAME__BODY_ACK);
}

static void test_shown_and_over(void **state)
{
        struct fake *f = world();
        struct fake_client *a = reader(f, "ada"), *a2 = reader(f, "ada"), *b = reader(f, "bob"),
                           *c = fake_connect(f, "carla", ENCODING_PROTO);

        (void)state;
        type(a);
        fake_advance(f, 150);
        assert_int_equal(fake_count(b, TYPING), 1);
        assert_int_equal(fake_typing(b)->n_user_ids, 1);
        assert_string_equal(fake_typing(b)->user_ids[0], "ada");
        fake_advance(f, 5500); /* repeated once, as he is still shown */
        assert_int_equal(fake_count(b, TYPING), 2);
        fake_advance(f, 1500);
        assert_int_equal(fake_count(b, TYPING), 3);
        assert_int_equal(fake_typing(b)->n_user_ids, 0);
        assert_int_equal(fake_count(a, TYPING) + fake_count(a2, TYPING), 0); /* never to himself */
        assert_int_equal(fake_count(c, TYPING), 0);                          /* nor where it is not in focus */
        end(f);
}

static void test_ends(void **state)
{
        struct fake *f = world();
        struct fake_client *a = reader(f, "ada"), *b = reader(f, "bob");
        char id[37];

        (void)state;
        type(a);
        fake_advance(f, 1100);
        fake_type(a, ROOM, "", true);
        fake_advance(f, 1100);
        assert_int_equal(fake_typing(b)->n_user_ids, 0);
        fake_advance(f, 3000);
        type(a);
        fake_advance(f, 1100);
        assert_int_equal(fake_typing(b)->n_user_ids, 1);
        fake_uuid(f, id);
        fake_client_message(a, ROOM, id, "done", false);
        fake_run(f);
        fake_advance(f, 1100);
        assert_int_equal(fake_typing(b)->n_user_ids, 0);
        assert_int_equal(fake_count(b, TYPING), 4);
        assert_int_equal(fake_count(a, TYPING), 0);
        end(f);
}

static void test_threads(void **state)
{
        struct fake *f = world();
        struct fake_client *b = reader(f, "bob");
        char id[37];

        (void)state;
        fake_signal(f, ROOM, "ada", THREAD, false);
        fake_signal(f, ROOM, "carla", "", false);
        fake_advance(f, 200);
        assert_int_equal(fake_count(b, TYPING), 2); /* one of each */
        fake_uuid(f, id);
        fake_message(f, ROOM, "ada", "not in the thread");
        fake_run(f);
        fake_advance(f, 1100);
        assert_int_equal(fake_count(b, TYPING), 2);
        fake_signal(f, ROOM, "ada", THREAD, true);
        fake_advance(f, 1100);
        assert_int_equal(fake_count(b, TYPING), 3);
        assert_string_equal(fake_typing(b)->thread_id, THREAD);
        assert_int_equal(fake_typing(b)->n_user_ids, 0);
        fake_signal(f, ROOM, "carla", THREAD, false); /* he moved: in one place at a time */
        fake_advance(f, 1100);
        assert_int_equal(fake_count(b, TYPING), 5);
        end(f);
}

static void count_signal(const struct bus_msg *msg, void *userdata)
{
        (void)msg;
        ++*(unsigned *)userdata;
}

/* More often than every 3 s it is acknowledged, and goes no further */
static void test_rate(void **state)
{
        struct fake *f = world();
        struct fake_client *a = reader(f, "ada");
        struct bus_sub *sub;
        unsigned n = 0;

        (void)state;
        f->config.rate_limits = false;
        f->core->up.subscribe(f->core->up.self, "typing.0." ROOM, count_signal, &n, &sub);
        for (unsigned i = 0; i < 1000; i++)
                fake_type(a, ROOM, i % 3 ? "" : THREAD, i % 2);
        assert_int_equal(n, 2); /* one, and its end */
        fake_advance(f, 3100);
        type(a);
        type(a);
        assert_int_equal(n, 3);
        f->core->up.unsubscribe(f->core->up.self, sub);
        end(f);
}

/* 200 write in a channel of 200: each reader gets one update a second, of 20 names and the rest, without himself */
static void test_crowd_writes(void **state)
{
        struct fake *f = world();
        struct fake_client *c[200];
        char user[16];

        (void)state;
        f->config.rate_limits = false;
        for (unsigned i = 0; i < 200; i++) {
                snprintf(user, sizeof(user), "w%u", i);
                c[i] = reader(f, user);
        }
        fake_advance(f, 2000);
        for (unsigned k = 0; k < 20; k++) {
                for (unsigned i = k * 10; i < k * 10 + 10; i++)
                        type(c[i]);
                fake_advance(f, 100);
        }
        fake_advance(f, 1000);
        for (unsigned i = 0; i < 200; i++) {
                assert_in_range(fake_count(c[i], TYPING), 2, 4);
                assert_int_equal(fake_typing(c[i])->n_user_ids, 20);
                assert_int_equal(fake_typing(c[i])->more, 179);
                snprintf(user, sizeof(user), "w%u", i);
                for (size_t k = 0; k < 20; k++)
                        assert_string_not_equal(fake_typing(c[i])->user_ids[k], user);
        }
        end(f);
}

/* 200 write in 200 threads: a reader gets a few of them a second, in one message, and each in its turn */
static void test_many_threads(void **state)
{
        struct fake *f = world();
        struct fake_client *c = reader(f, "ada");
        char user[16], thread[37];
        unsigned updates = fake_count(c, TYPING), messages = c->n_messages, seen = 0;

        (void)state;
        fake_advance(f, 1100);
        for (unsigned s = 0; s < 30; s++) {
                for (unsigned i = 0; i < 200 && s % 5 == 0; i++) {
                        snprintf(user, sizeof(user), "w%u", i);
                        snprintf(thread, sizeof(thread), "018f0000-0000-7000-8000-%012u", i);
                        fake_signal(f, ROOM, user, thread, false);
                }
                fake_advance(f, 1000);
                assert_in_range(fake_count(c, TYPING) - updates, 1, 16);
                updates = fake_count(c, TYPING);
        }
        assert_in_range(updates, 200, 8 * 31);
        assert_in_range(c->n_messages - messages, 20, 31);
        for (unsigned i = 0; i < 200; i++) {
                bool found = false;

                snprintf(user, sizeof(user), "w%u", i);
                for (size_t k = 0; k < c->n_frames && !found; k++) {
                        const Parley__V1__ServerFrame *frame = c->frames[k];

                        found = frame->body_case == TYPING && frame->typing->n_user_ids == 1 &&
                                strcmp(frame->typing->user_ids[0], user) == 0;
                }
                seen += found;
        }
        assert_int_equal(seen, 200);
        end(f);
}

static unsigned n_threads(const struct fake_client *c)
{
        const struct place *p = c->session->look->focus[0].place;
        unsigned n = 0;

        for (const struct typing_thread *thread = p->typing ? p->typing->threads : NULL; thread; thread = thread->next)
                n++;
        return n;
}

/* Those who write in another thread each time leave nothing behind, and take nobody's turn */
static void test_ever_new_threads(void **state)
{
        struct fake *f = world();
        struct fake_client *c = reader(f, "ada");
        char user[16], thread[37];
        unsigned next = 0;

        (void)state;
        fake_advance(f, 1100);
        for (unsigned s = 0; s < 15; s += 3) {
                for (unsigned i = 0; i < 100; i++) {
                        snprintf(user, sizeof(user), "w%u", i);
                        snprintf(thread, sizeof(thread), "018f0000-0000-7000-8000-%012u", next++);
                        fake_signal(f, ROOM, user, thread, false);
                }
                assert_in_range(n_threads(c), 100, 100 + 2 * 8 * 6); /* the writers', and those whose end is not told */
                fake_advance(f, 3000);
        }
        for (unsigned i = 0; i < 100; i++) {
                snprintf(user, sizeof(user), "w%u", i);
                snprintf(thread, sizeof(thread), "018f0000-0000-7000-8000-%012u", next++);
                fake_signal(f, ROOM, user, thread, false);
        }
        fake_signal(f, ROOM, "bob", "", false);
        fake_advance(f, 2000);
        for (size_t k = 0; k < c->n_frames; k++) {
                const Parley__V1__ServerFrame *frame = c->frames[k];

                if (frame->body_case == TYPING && frame->typing->n_user_ids && !*frame->typing->thread_id)
                        next = 0;
        }
        assert_int_equal(next, 0); /* bob was shown */
        fake_advance(f, 12000);
        assert_int_equal(n_threads(c), 0);
        end(f);
}

static void test_refused(void **state)
{
        struct fake *f = world();
        struct fake_client *a = reader(f, "ada");

        (void)state;
        assert_string_equal(fake_type(a, "elsewhere", "", false)->error->code, "not_a_member");
        assert_string_equal(fake_type(a, "a.b", "", false)->error->code, "bad_request");
        assert_string_equal(fake_type(a, ROOM, "a thread", false)->error->code, "bad_request");
        end(f);
}

static void test_removed(void **state)
{
        struct fake *f = world();
        struct fake_client *a = reader(f, "ada"), *b = reader(f, "bob");

        (void)state;
        fake_signal(f, ROOM, "carla", "", false);
        type(a);
        fake_advance(f, 1100);
        assert_int_equal(fake_typing(b)->n_user_ids, 2);
        fake_left(f, ROOM, "ada", 2);
        fake_run(f);
        fake_advance(f, 1100);
        assert_int_equal(fake_typing(b)->n_user_ids, 1);
        assert_string_equal(fake_type(a, ROOM, "", false)->error->code, "not_a_member");
        fake_signal(f, ROOM, "ada", "", false); /* it was under way */
        fake_signal(f, ROOM, "dora", "", false);
        fake_advance(f, 1100);
        assert_int_equal(fake_typing(b)->n_user_ids, 2);
        assert_int_equal(fake_typing(a)->n_user_ids, 1); /* only carla, from before */
        assert_int_equal(a->session->look->n_focus, 1);
        assert_int_equal(fake_count(a, TYPING), 1);
        end(f);
}

/* Who comes is told who writes; a channel that nobody has in focus is not listened to */
static void test_focus(void **state)
{
        struct fake *f = world();
        struct fake_client *b = reader(f, "bob"), *c;

        (void)state;
        fake_signal(f, ROOM, "ada", "", false);
        fake_advance(f, 200);
        c = reader(f, "carla");
        assert_int_equal(fake_count(c, TYPING), 1);
        focus(b, NULL);
        focus(c, NULL);
        fake_signal(f, ROOM, "dora", "", false);
        fake_advance(f, 8000);
        assert_int_equal(fake_count(c, TYPING), 1);
        focus(c, ROOM);
        assert_int_equal(fake_count(c, TYPING), 1);
        end(f);
}

/* Out of focus and in again while presence is still asked about the channel */
static void test_focus_while_asked(void **state)
{
        struct fake *f = world();
        struct fake_client *b = fake_connect(f, "bob", ENCODING_PROTO);

        (void)state;
        f->silent = true;
        focus(b, ROOM);
        focus(b, NULL);
        focus(b, ROOM);
        f->silent = false;
        fake_run(f);
        fake_signal(f, ROOM, "ada", "", false);
        fake_advance(f, 200);
        assert_int_equal(fake_count(b, TYPING), 1);
        end(f);
}

static void test_large_channel(void **state)
{
        struct fake *f = world();
        struct fake_client *a = reader(f, "ada"), *b = reader(f, "bob");

        (void)state;
        f->config.typing_max_members = 299; /* it has 300 */
        type(a);
        fake_signal(f, ROOM, "carla", "", false);
        fake_advance(f, 1100);
        assert_int_equal(fake_count(b, TYPING), 0);
        end(f);
}

/* With an eighth of its queue filled a session gets none */
/* Other gateways tell of more than the channel may have: the table does not grow */
static void test_more_than_may(void **state)
{
        struct fake *f = world();
        const struct channel *c;
        char user[16];

        (void)state;
        f->config.typing_max_members = 300;
        reader(f, "ada");
        for (unsigned i = 0; i < 400; i++) {
                snprintf(user, sizeof(user), "u%u", i);
                fake_signal(f, ROOM, user, "", false);
        }
        fake_run(f);
        c = channel_find(f->core, ROOM);
        assert_non_null(c->place->typing);
        assert_int_equal(HASH_COUNT(c->place->typing->writers), 300);
        end(f);
}

static void test_dropped_first(void **state)
{
        struct fake *f = world();
        struct fake_client *b = reader(f, "bob");
        char big[8001];

        (void)state;
        memset(big, 'x', 8000);
        big[8000] = '\0';
        b->stuck = true;
        for (unsigned i = 0; i < 20; i++)
                fake_message(f, ROOM, "eve", big);
        fake_run(f);
        fake_signal(f, ROOM, "ada", "", false);
        fake_advance(f, 1100);
        b->stuck = false;
        fake_run(f);
        assert_int_equal(fake_count(b, TYPING), 0);
        fake_advance(f, 4500); /* until it is repeated */
        assert_int_equal(fake_count(b, TYPING), 1);
        end(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_shown_and_over),    cmocka_unit_test(test_ends),
                cmocka_unit_test(test_threads),           cmocka_unit_test(test_rate),
                cmocka_unit_test(test_crowd_writes),      cmocka_unit_test(test_many_threads),
                cmocka_unit_test(test_ever_new_threads),  cmocka_unit_test(test_refused),
                cmocka_unit_test(test_removed),           cmocka_unit_test(test_focus),
                cmocka_unit_test(test_focus_while_asked), cmocka_unit_test(test_large_channel),
                cmocka_unit_test(test_more_than_may),     cmocka_unit_test(test_dropped_first),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
