/* focus: who of a channel is there. */
#include "gateway/look.h"
#include "gateway_fake.h"

#define ONLINE PARLEY__V1__USER_PRESENCE__AVAILABILITY__online
#define OFFLINE PARLEY__V1__USER_PRESENCE__AVAILABILITY__offline
#define AWAY PARLEY__V1__USER_PRESENCE__AVAILABILITY__away
#define PRESENCE PARLEY__V1__SERVER_FRAME__BODY_PRESENCE
#define CHANNEL_PRESENCE PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_PRESENCE
#define ROOM "general"

static void member(struct fake_presence *p, const char *user, Parley__V1__UserPresence__Availability availability)
{
        strcpy(p->members[p->n_members++], user);
        fake_presence_set(p, user, availability, false);
}

static struct fake *world(struct fake_presence **ret_presence)
{
        struct fake *f = fake_new();

        fake_start(f);
        fake_put_channel(f, ROOM, true, false);
        fake_put_channel(f, "news", true, false);
        *ret_presence = fake_presence_new(f);
        member(*ret_presence, "ada", ONLINE);
        member(*ret_presence, "bob", ONLINE);
        member(*ret_presence, "carla", OFFLINE);
        return f;
}

static void end(struct fake *f)
{
        fake_presence_free(f->presence);
        fake_free(f);
}

static const Parley__V1__ServerFrame *focus_list(struct fake_client *c, const char *const *ids, size_t n)
{
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Focus body = PARLEY__V1__FOCUS__INIT;

        body.channel_ids = (char **)ids;
        body.n_channel_ids = n;
        frame.ref = ++c->next_ref;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_FOCUS;
        frame.focus = &body;
        fake_client_send(c, &frame);
        fake_run(c->f);
        fake_advance(c->f, 150);
        return fake_answer(c, frame.ref);
}

#define focus(c, ...)                                                                                                  \
        focus_list(c, (const char *[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *))

static const Parley__V1__ChannelPresence *last(const struct fake_client *c)
{
        const Parley__V1__ServerFrame *frame = fake_last(c, CHANNEL_PRESENCE);

        assert_non_null(frame);
        return frame->channel_presence;
}

static void test_list_then_changes(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO), *b = fake_connect(f, "bob", ENCODING_PROTO);
        const Parley__V1__Presence *told;

        (void)state;
        assert_int_equal(focus(c, ROOM)->body_case, PARLEY__V1__SERVER_FRAME__BODY_ACK);
        assert_int_equal(fake_count(c, CHANNEL_PRESENCE), 1);
        assert_true(last(c)->members == 3 && last(c)->online == 2 && !last(c)->counted && last(c)->n_users == 2);
        p->n_queries = 0;
        focus(b, ROOM); /* it is known already */
        assert_int_equal(fake_count(b, CHANNEL_PRESENCE), 1);
        assert_int_equal(p->n_queries, 0);
        fake_presence_set(p, "carla", AWAY, true);
        fake_advance(f, 1200);
        told = fake_last(c, PRESENCE)->presence;
        assert_true(!told->snapshot && told->n_users == 1);
        assert_string_equal(told->users[0]->user_id, "carla");
        assert_int_equal(fake_count(c, CHANNEL_PRESENCE), 1);
        for (unsigned i = 0; i < 50; i++)
                focus(c, ROOM); /* however often: a description is due every 5 s */
        assert_in_range(fake_count(c, CHANNEL_PRESENCE), 2, 3);
        assert_int_equal(last(c)->online, 3);
        focus_list(c, NULL, 0);
        fake_presence_set(p, "carla", OFFLINE, true);
        fake_advance(f, 1200);
        assert_int_equal(fake_count(c, PRESENCE), 1);
        assert_int_equal(fake_count(b, PRESENCE), 2);
        end(f);
}

static void test_members_change(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        focus(c, ROOM);
        fake_advance(f, 5000);
        fake_left(f, ROOM, "bob", 2);
        fake_run(f);
        fake_presence_set(p, "bob", AWAY, true); /* from the removal on he is not told of */
        fake_advance(f, 500);
        assert_int_equal(fake_count(c, PRESENCE), 0);
        memcpy(p->members[1], p->members[2], sizeof(p->members[1]));
        p->n_members = 2;
        fake_advance(f, 1500);
        assert_int_equal(fake_count(c, PRESENCE), 0);
        assert_int_equal(fake_count(c, CHANNEL_PRESENCE), 2);
        assert_true(last(c)->members == 2 && last(c)->online == 1 && last(c)->n_users == 1);
        member(p, "dora", ONLINE);
        fake_joined(f, ROOM, "dora", 1);
        fake_advance(f, 6500);
        assert_true(last(c)->members == 3 && last(c)->n_users == 2);
        end(f);
}

/* Presence hears of a new member long after the channel's log said so, and after it was asked for that */
static void test_presence_hears_late(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        focus(c, ROOM);
        fake_advance(f, 5000);
        p->n_queries = 0;
        fake_joined(f, ROOM, "dora", 1);
        fake_advance(f, 10000);
        assert_in_range(p->n_queries, 1, 2);
        assert_int_equal(last(c)->members, 3);
        member(p, "dora", ONLINE);
        fake_presence_speak(p, "dora");
        fake_advance(f, 6500);
        assert_int_equal(last(c)->members, 4);
        assert_int_equal(last(c)->n_users, 3);
        end(f);
}

/* A count is told at most every 5 s, but for the one behind the first */
static void test_counted(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        p->counted = 1000;
        p->online = 10;
        focus(c, ROOM);
        assert_true(last(c)->counted && last(c)->members == 1000 && last(c)->online == 10 && last(c)->n_users == 0);
        focus(c, ROOM);
        fake_presence_count(p, ROOM, 1000, 11); /* with himself, of whom it had not heard */
        fake_advance(f, 500);
        assert_int_equal(last(c)->online, 10);
        fake_advance(f, 500);
        assert_int_equal(last(c)->online, 11);
        for (uint32_t i = 0; i < 100; i++) {
                fake_presence_count(p, ROOM, 1000, 12 + i);
                focus(c, ROOM);
        }
        fake_advance(f, 5100);
        assert_int_equal(last(c)->online, 111);
        assert_in_range(fake_count(c, CHANNEL_PRESENCE), 5, 6); /* 15 s, and twice at first; in 20.1 s */
        assert_int_equal(fake_count(c, PRESENCE), 0);
        end(f);
}

/* No room for a list is no reason to tell nothing */
static void test_no_room_for_list(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        p->online = 2;
        f->config.max_watch_bytes = 1000; /* the place itself, and some of its members */
        focus(c, ROOM);
        assert_true(last(c)->counted && last(c)->members == 3 && last(c)->online == 2 && last(c)->n_users == 0);
        assert_in_range(f->core->looks->bytes, 1, 1000);
        f->config.max_watch_bytes = 1 << 20;
        fake_advance(f, 11000);
        assert_true(!last(c)->counted && last(c)->n_users == 2);
        fake_client_drop(c);
        assert_int_equal(f->core->looks->bytes, 0);
        end(f);
}

static void test_refused(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        const Parley__V1__ServerFrame *answer;
        const char *many[17];

        (void)state;
        focus(c, ROOM, ROOM, "news");
        assert_int_equal(c->session->look->n_focus, 2);
        answer = focus(c, "news", "plans");
        assert_string_equal(answer->error->code, "not_a_member");
        assert_non_null(strstr(answer->error->message, "plans"));
        answer = focus(c, "a.b");
        assert_string_equal(answer->error->code, "bad_request");
        for (unsigned i = 0; i < 17; i++)
                many[i] = ROOM;
        answer = focus_list(c, many, 17);
        assert_string_equal(answer->error->code, "too_large");
        assert_int_equal(c->session->look->n_focus, 2); /* nothing has changed */
        end(f);
}

/* Who is removed sees nothing of the channel any more */
static void test_removed(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        unsigned n;

        (void)state;
        focus(c, ROOM);
        fake_left(f, ROOM, "ada", 2);
        fake_run(f);
        n = fake_count(c, CHANNEL_PRESENCE);
        fake_presence_set(p, "bob", AWAY, true);
        fake_advance(f, 7000);
        assert_int_equal(fake_count(c, PRESENCE), 0);
        assert_int_equal(fake_count(c, CHANNEL_PRESENCE), n);
        assert_null(f->core->looks->places); /* nobody has it in focus */
        assert_null(f->core->looks->seen);
        end(f);
}

/* The last one who looked goes while it is asked, and looks again before the answer: what was known is not told, time has passed */
static void test_left_while_asked(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        focus(c, ROOM);
        fake_advance(f, 5000);
        fake_presence_set(p, "bob", OFFLINE, false);
        p->hold = true;
        fake_joined(f, ROOM, "dora", 1); /* which has it asked again */
        fake_advance(f, 1500);
        assert_int_equal(p->n_held, 1);
        focus_list(c, NULL, 0);
        assert_null(f->core->looks->seen);
        focus(c, ROOM);
        assert_int_equal(fake_count(c, CHANNEL_PRESENCE), 1);
        p->hold = false;
        fake_presence_release(p, 1, 0);
        fake_advance(f, 5500);
        assert_int_equal(fake_count(c, CHANNEL_PRESENCE), 2);
        assert_int_equal(last(c)->online, 1);
        end(f);
}

/* Out of focus and in again, as fast as he may: presence is asked each time for a while, then once a second */
static void test_in_and_out(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        focus(c, ROOM);
        fake_advance(f, 5000);
        p->n_queries = 0;
        for (unsigned i = 0; i < 60; i++) { /* 300 ms each */
                focus_list(c, NULL, 0);
                focus(c, ROOM);
        }
        assert_in_range(p->n_queries, 18, 32);
        fake_presence_set(p, "bob", OFFLINE, false);
        fake_advance(f, 5500);
        assert_int_equal(last(c)->online, 1); /* and the list is true in the end */
        end(f);
}

static void test_presence_down(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        p->down = true;
        assert_int_equal(focus(c, ROOM)->body_case, PARLEY__V1__SERVER_FRAME__BODY_ACK);
        fake_advance(f, 12000);
        assert_int_equal(fake_count(c, CHANNEL_PRESENCE), 0);
        p->down = false;
        fake_presence_speak(p, NULL); /* it is back, and says so */
        fake_advance(f, 500);
        assert_int_equal(fake_count(c, CHANNEL_PRESENCE), 1);
        end(f);
}

/* Who goes from channel to channel is told of each for a while, then so often as is good for the others, and of the last one in the end */
static void test_from_channel_to_channel(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        for (unsigned i = 0; i < 30; i++)
                focus(c, i % 2 ? ROOM : "news");
        assert_in_range(fake_count(c, CHANNEL_PRESENCE), 28, 30);
        for (unsigned i = 0; i < 60; i++)
                focus(c, i % 2 ? ROOM : "news");
        assert_in_range(fake_count(c, CHANNEL_PRESENCE), 50, 80); /* in 13.5 s */
        fake_advance(f, 2000);
        assert_string_equal(last(c)->channel_id, ROOM);
        end(f);
}

/* A client that is told how much it may name has nothing refused */
static void test_ready_names_limits(void **state)
{
        static const uint64_t limits[][2] = {{500, 16}, {1, 0}};

        (void)state;
        for (size_t i = 0; i < 2; i++) {
                struct fake_presence *p;
                struct fake *f = world(&p);
                const Parley__V1__Ready *ready;

                f->config.max_watch = limits[i][0];
                f->config.max_focus = limits[i][1];
                ready = fake_last(fake_connect(f, "ada", ENCODING_PROTO), PARLEY__V1__SERVER_FRAME__BODY_READY)->ready;
                assert_int_equal(ready->max_watch, limits[i][0]);
                assert_int_equal(ready->max_focus, limits[i][1]);
                end(f);
        }
}

/* Also where presence need not be asked, as somebody else has them in focus all the time */
static void test_descriptions_of_known_channels(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO), *b = fake_connect(f, "bob", ENCODING_PROTO);

        (void)state;
        focus(b, ROOM, "news");
        for (unsigned i = 0; i < 200; i++) /* 150 ms each */
                focus(c, i % 2 ? ROOM : "news");
        assert_in_range(fake_count(c, CHANNEL_PRESENCE), 120, 140); /* 32 at once, then three a second */
        end(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_list_then_changes),
                cmocka_unit_test(test_members_change),
                cmocka_unit_test(test_presence_hears_late),
                cmocka_unit_test(test_descriptions_of_known_channels),
                cmocka_unit_test(test_counted),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_removed),
                cmocka_unit_test(test_no_room_for_list),
                cmocka_unit_test(test_in_and_out),
                cmocka_unit_test(test_presence_down),
                cmocka_unit_test(test_left_while_asked),
                cmocka_unit_test(test_from_channel_to_channel),
                cmocka_unit_test(test_ready_names_limits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
