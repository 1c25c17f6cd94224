/* What the session fuzzer and the allocation failures have found, each as a test of its own. */
#include "gateway_fake_impl.h"

#include "bus/subjects.h"
#include "gateway/shard.h"

#define ROOM "room"

static struct fake *world(uint64_t tail_events)
{
        struct fake *f = fake_new();
        const struct fake_membership m = {.channel = ROOM, .role = PARLEY__V1__ROLE__member, .version = 1};

        f->config.tail_events = tail_events;
        fake_start(f);
        fake_put_channel(f, ROOM, false, false);
        fake_put_members(f, "ada", 1, &m, 1, false);
        return f;
}

/* A cursor above what the gateway knows: while the stream is asked the channel passes it, and the tail keeps nothing. The replay must
 * not say that it is complete through where the channel is now. */
static void test_a_cursor_that_is_passed_while_it_is_looked_at(void **state)
{
        struct fake *f = world(0);
        struct fake_client *c;

        (void)state;
        fake_message(f, ROOM, "bob", "1");
        fake_run(f);
        c = fake_connect(f, "ada", ENCODING_PROTO);
        for (unsigned i = 2; i <= 5; i++)
                fake_message(f, ROOM, "bob", "more");
        fake_client_resume(c, ROOM, FAKE_EPOCH, 2);
        fake_run(f);
        fake_check_view_from(c, ROOM, 2, 3);
        assert_int_equal(fake_view(c, ROOM)->gaps, 0);
        fake_free(f);
}

/* Membership first, description later: the channel is tried again, also when somebody else has come meanwhile */
static void test_a_missing_description_is_looked_for_again(void **state)
{
        struct fake *f = world(8);
        const struct fake_membership m = {.channel = "late", .role = PARLEY__V1__ROLE__member, .version = 1};
        struct fake_client *one, *two;

        (void)state;
        fake_put_members(f, "bob", 1, &m, 1, false);
        one = fake_connect(f, "bob", ENCODING_PROTO);
        two = fake_connect(f, "bob", ENCODING_PROTO);
        assert_null(fake_last(one, PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_ADDED));
        fake_put_channel(f, "late", false, false);
        fake_advance(f, 6000);
        assert_non_null(fake_last(one, PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_ADDED));
        assert_non_null(fake_last(two, PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_ADDED));
        fake_free(f);
}

/* What cannot be read has its place in a replay, as it has live */
static void test_rubbish_does_not_stop_replays(void **state)
{
        struct fake *f = world(8);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        const Parley__V1__ServerFrame *last;

        (void)state;
        fake_message(f, ROOM, "bob", "1");
        fake_log(f, ROOM, NULL, "\xff\xff\xff", 3);
        fake_message(f, ROOM, "bob", "3");
        fake_run(f);
        fake_client_resume(c, ROOM, FAKE_EPOCH, 1);
        fake_run(f);
        fake_check_view_from(c, ROOM, 1, 2);
        assert_int_equal(fake_view(c, ROOM)->gaps, 0);
        last = fake_last(c, PARLEY__V1__SERVER_FRAME__BODY_REPLAY);
        assert_int_equal(last->replay->events[0]->body_case, PARLEY__V1__EVENT__BODY_REMOVED);
        assert_int_equal(last->replay->events[0]->prev, 1);
        fake_free(f);
}

/* The first event of a channel is lost on its way, and the log is made anew before anybody noticed: what comes next has no predecessor,
 * and is not the first all the same */
static void test_the_first_of_a_new_log_is_not_the_first_ever(void **state)
{
        struct fake *f = world(8);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        f->lose = 100;
        fake_message(f, ROOM, "bob", "lost");
        f->lose = 0;
        fake_new_stream(f);
        fake_message(f, ROOM, "bob", "next");
        fake_run(f);
        fake_advance(f, 1000);
        assert_true(fake_saw(c, ROOM, 1));
        assert_true(fake_saw(c, ROOM, f->next_seq - 1));
        fake_free(f);
}

/* What was missed below the beginning of the log comes from history, which does not answer yet: until it does, what comes next is kept */
static void check_kept_until_history_answers(struct fake *f, struct fake_client *c)
{
        uint64_t next;

        f->history_down = true;
        fake_reconnect(f);
        fake_message(f, ROOM, "bob", "next");
        next = f->next_seq - 1;
        fake_advance(f, 3000);
        assert_false(fake_saw(c, ROOM, next));
        f->history_down = false;
        fake_advance(f, 3000);
        assert_true(fake_saw(c, ROOM, 1));
        assert_true(fake_saw(c, ROOM, next));
        assert_int_equal(fake_view(c, ROOM)->gaps, 0);
        fake_free(f);
}

static void test_the_first_of_a_new_log_waits_for_history(void **state)
{
        struct fake *f = world(8);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        f->lose = 100;
        fake_message(f, ROOM, "bob", "lost");
        f->lose = 0;
        fake_new_stream(f);
        check_kept_until_history_answers(f, c);
}

static void test_the_first_after_an_unseen_trim_waits_for_history(void **state)
{
        struct fake *f = world(8);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        f->connected = false;
        fake_message(f, ROOM, "bob", "missed");
        fake_message(f, "other", "bob", "x");
        fake_trim(f, f->next_seq);
        check_kept_until_history_answers(f, c);
}

/* A log that is trimmed in the sight of the gateway takes nothing with it: a quiet channel does not need history */
static void test_a_quiet_channel_goes_on_without_history(void **state)
{
        struct fake *f = world(8);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        for (unsigned i = 0; i < 5; i++)
                fake_message(f, "other", "bob", "x");
        fake_run(f);
        fake_trim(f, f->next_seq);
        shard_refresh(shard_of(f->core, ROOM));
        fake_run(f);
        f->history_down = true;
        fake_message(f, ROOM, "bob", "first");
        fake_run(f);
        assert_true(fake_saw(c, ROOM, f->next_seq - 1));
        fake_free(f);
}

/* Half a list is not told: who connects waits until it can be read */
static void test_memberships_that_cannot_be_read_are_not_none(void **state)
{
        struct fake *f = world(8);
        struct fake_key *key = (struct fake_key *)fake_key_find(f, BUCKET_MEMBERS, "ada");
        const struct fake_membership m = {.channel = ROOM, .role = PARLEY__V1__ROLE__member, .version = 1};
        struct fake_client *c;

        (void)state;
        memset(key->data, 0xff, key->len);
        c = fake_connect(f, "ada", ENCODING_PROTO);
        fake_advance(f, 1000);
        assert_null(fake_last(c, PARLEY__V1__SERVER_FRAME__BODY_READY));
        fake_put_members(f, "ada", 1, &m, 1, false);
        fake_advance(f, 1000);
        assert_int_equal(fake_last(c, PARLEY__V1__SERVER_FRAME__BODY_READY)->ready->n_channels, 1);
        fake_free(f);
}

static struct fake_client *writer(struct fake *f, char id[37])
{
        fake_uuid(f, id);
        return fake_connect(f, "ada", ENCODING_PROTO);
}

static uint32_t send_retry(struct fake_client *c, const char *id, uint32_t age_ms)
{
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Send send = PARLEY__V1__SEND__INIT;
        Parley__V1__OutgoingMessage message = PARLEY__V1__OUTGOING_MESSAGE__INIT;

        message.id = (char *)id;
        message.content = (char *)"x";
        send.channel_id = (char *)ROOM;
        send.message = &message;
        send.retry = true;
        send.retry_age_ms = age_ms;
        frame.ref = ++c->next_ref;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_SEND;
        frame.send = &send;
        fake_client_send(c, &frame);
        return frame.ref;
}

/* The log was made anew, and this gateway has not heard of it: by the epoch that it knows the log would know the id */
static void test_a_retry_into_a_log_that_is_new(void **state)
{
        struct fake *f = world(8);
        char id[37];
        struct fake_client *c = writer(f, id);
        uint32_t ref;

        (void)state;
        fake_client_message(c, ROOM, id, "x", false);
        fake_run(f);
        fake_advance(f, 10000);
        fake_new_stream(f);
        ref = send_retry(c, id, 10000);
        fake_run(f);
        assert_int_equal(fake_answer(c, ref)->body_case, PARLEY__V1__SERVER_FRAME__BODY_ACK);
        assert_int_equal(fake_answer(c, ref)->ack->seq, 1);
        assert_int_equal(f->n_published, 1);
        fake_free(f);
}

/* History was asked before the first copy was stored, and answers when the log that has it is gone */
static void test_an_answer_from_before_the_log_was_new(void **state)
{
        struct fake *f = world(8);
        char id[37];
        struct fake_client *c = writer(f, id), *other = fake_connect(f, "ada", ENCODING_PROTO);
        uint32_t first, ref = send_retry(other, id, 0);

        (void)state;
        first = fake_client_message(c, ROOM, id, "x", false);
        fake_new_stream(f);
        fake_run(f);
        assert_int_equal(fake_answer(c, first)->ack->seq, 1);
        assert_int_equal(fake_answer(other, ref)->body_case, PARLEY__V1__SERVER_FRAME__BODY_ERROR);
        assert_string_equal(fake_answer(other, ref)->error->code, "unavailable");
        assert_int_equal(f->n_published, 1);
        fake_advance(f, 10000);
        ref = send_retry(other, id, 0);
        fake_run(f);
        assert_int_equal(fake_answer(other, ref)->ack->seq, 1);
        fake_free(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_cursor_that_is_passed_while_it_is_looked_at),
                cmocka_unit_test(test_a_missing_description_is_looked_for_again),
                cmocka_unit_test(test_rubbish_does_not_stop_replays),
                cmocka_unit_test(test_the_first_of_a_new_log_is_not_the_first_ever),
                cmocka_unit_test(test_the_first_of_a_new_log_waits_for_history),
                cmocka_unit_test(test_the_first_after_an_unseen_trim_waits_for_history),
                cmocka_unit_test(test_a_quiet_channel_goes_on_without_history),
                cmocka_unit_test(test_memberships_that_cannot_be_read_are_not_none),
                cmocka_unit_test(test_a_retry_into_a_log_that_is_new),
                cmocka_unit_test(test_an_answer_from_before_the_log_was_new),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
