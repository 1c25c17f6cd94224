/* What is made ready while the log stores it is what would have been made afterwards, whatever comes instead. */
#include "gateway_fake.h"

#include "gateway/channel.h"

#define ROOM "room"

struct room {
        struct fake *f;
        struct fake_client *ada, *eve;
};

static void room_begin(struct room *r)
{
        r->f = fake_new();
        fake_start(r->f);
        fake_put_channel(r->f, ROOM, true, false);
        r->ada = fake_connect(r->f, "ada", ENCODING_PROTO);
        r->eve = fake_connect(r->f, "eve", ENCODING_PROTO);
        fake_message(r->f, ROOM, "bob", "first");
        fake_run(r->f);
}

static void room_end(struct room *r)
{
        fake_check_complete(r->ada, ROOM);
        fake_check_complete(r->eve, ROOM);
        fake_free(r->f);
}

static uint32_t say(struct room *r, const char *content)
{
        char id[37];

        fake_uuid(r->f, id);
        return fake_client_message(r->ada, ROOM, id, content, false);
}

static const Parley__V1__Event *heard(const struct fake_client *c)
{
        const Parley__V1__ServerFrame *last = fake_last(c, PARLEY__V1__SERVER_FRAME__BODY_EVENT);

        assert_non_null(last);
        return last->event;
}

static void check_heard(const struct fake_client *c, const char *content, uint64_t seq, uint64_t prev)
{
        const Parley__V1__Event *e = heard(c);

        assert_string_equal(e->message->content, content);
        assert_true(e->seq == seq && e->message->seq == seq && e->prev == prev);
}

static struct foresight *foresight(struct room *r)
{
        return &r->f->core->foresight;
}

static void test_guessed(void **state)
{
        struct room r;
        uint32_t ref;

        (void)state;
        room_begin(&r);
        ref = say(&r, "hello");
        core_foresee(r.f->core);
        assert_non_null(foresight(&r)->event);
        assert_non_null(foresight(&r)->frames[ENCODING_PROTO]);
        assert_null(foresight(&r)->frames[ENCODING_JSON]); /* nobody here would get it */
        fake_run(r.f);
        assert_null(foresight(&r)->event);
        assert_null(foresight(&r)->frames[ENCODING_PROTO]);
        check_heard(r.ada, "hello", 2, 1);
        check_heard(r.eve, "hello", 2, 1);
        assert_true(fake_answer(r.ada, ref)->ack->seq == 2);
        room_end(&r);
}

/* Somebody at another gateway was faster: another event is in the place that was guessed */
static void test_another_was_first(void **state)
{
        struct room r;
        uint64_t other;

        (void)state;
        room_begin(&r);
        r.f->silent = r.f->lose_acks = true; /* what is published now is not stored */
        say(&r, "hello!");
        core_foresee(r.f->core);
        r.f->silent = r.f->lose_acks = false;
        other = fake_message(r.f, ROOM, "ada", "faster");
        assert_true(foresight(&r)->event && foresight(&r)->seq == other);
        fake_run(r.f);
        check_heard(r.eve, "faster", other, 1);
        assert_string_equal(foresight(&r)->event->message->content, "hello!");
        room_end(&r);
}

/* The same event, in another place than was guessed */
static void test_wrong_place(void **state)
{
        struct room r;
        const struct foresight *f;

        (void)state;
        room_begin(&r);
        f = foresight(&r);
        say(&r, "hello");
        core_foresee(r.f->core);
        assert_non_null(f->frames[ENCODING_PROTO]);
        foresight(&r)->seq++; /* as if the guess had been another one */
        fake_run(r.f);
        assert_null(f->event);
        check_heard(r.eve, "hello", 2, 1);
        room_end(&r);
}

/* With two under way nothing is guessed, and of a stopped log not again and again */
static void test_alone_only(void **state)
{
        struct room r;

        (void)state;
        room_begin(&r);
        say(&r, "one");
        say(&r, "two");
        core_foresee(r.f->core);
        assert_null(foresight(&r)->event);
        fake_run(r.f);
        check_heard(r.eve, "two", 3, 2);
        room_end(&r);
}

/* An edit may be told to nobody any more when it comes: nothing is made of it before */
static void test_messages_only(void **state)
{
        struct room r;
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Edit edit = PARLEY__V1__EDIT__INIT;
        char id[37];

        (void)state;
        room_begin(&r);
        say(&r, "one");
        fake_run(r.f);
        fake_uuid(r.f, id);
        edit.channel_id = (char *)ROOM;
        edit.id = id;
        edit.target_seq = 2;
        edit.content = (char *)"two";
        frame.ref = 77;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_EDIT;
        frame.edit = &edit;
        fake_client_send(r.ada, &frame);
        for (unsigned i = 0; i < 8 && r.f->tasks; i++) { /* its target is read first */
                core_foresee(r.f->core);
                assert_null(foresight(&r)->event);
                fake_step(r.f);
        }
        fake_run(r.f);
        assert_string_equal(heard(r.eve)->message_edited->content, "two");
        room_end(&r);
}

/* What was never stored is kept until the next one, and ends with the core */
static void test_never_stored(void **state)
{
        struct room r;

        (void)state;
        room_begin(&r);
        r.f->silent = true;
        say(&r, "lost");
        fake_run(r.f);
        assert_non_null(foresight(&r)->event);
        r.f->silent = false;
        fake_fail_tasks(r.f, BUS_E_TIMEOUT);
        say(&r, "found");
        fake_run(r.f);
        check_heard(r.eve, "found", 2, 1);
        r.f->silent = true;
        say(&r, "lost again");
        fake_run(r.f);
        assert_non_null(foresight(&r)->event);
        fake_fail_tasks(r.f, BUS_E_TIMEOUT);
        room_end(&r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_guessed),       cmocka_unit_test(test_another_was_first),
                cmocka_unit_test(test_wrong_place),   cmocka_unit_test(test_alone_only),
                cmocka_unit_test(test_messages_only), cmocka_unit_test(test_never_stored),
        };

        return cmocka_run_group_tests_name("gateway/foresight", tests, NULL, NULL);
}
