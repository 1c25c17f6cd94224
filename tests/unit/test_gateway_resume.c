/* Resume: every source of a replay, what they have in common, and what cannot be had. */
#include "gateway_fake.h"

#include "gateway/channel.h"

#define ROOM "room"

static struct fake *world_with(unsigned n_tail, bool joined_only)
{
        struct fake *f = fake_new();

        f->config.tail_events = n_tail;
        fake_start(f);
        fake_put_channel(f, ROOM, !joined_only, joined_only);
        return f;
}

static void messages(struct fake *f, unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                fake_message(f, ROOM, "bob", "x");
                if (i % 50 == 0)
                        fake_run(f);
        }
        fake_run(f);
}

static const Parley__V1__Gap *last_gap(struct fake_client *c)
{
        const Parley__V1__ServerFrame *frame = fake_last(c, PARLEY__V1__SERVER_FRAME__BODY_GAP);

        return frame ? frame->gap : NULL;
}

static void test_from_the_tail(void **state)
{
        struct fake *f = world_with(100, false);
        struct fake_client *here = fake_connect(f, "ada", ENCODING_PROTO), *late;

        (void)state;
        messages(f, 60);
        fake_check_complete(here, ROOM);
        late = fake_connect(f, "eve", ENCODING_PROTO);
        fake_client_resume(late, ROOM, FAKE_EPOCH, 10);
        fake_run(f);
        fake_check_complete(late, ROOM);
        assert_int_equal(fake_view(late, ROOM)->n_seqs, 50);
        assert_int_equal(f->n_direct + f->n_history, 0);
        messages(f, 3);
        fake_check_complete(late, ROOM);
        fake_free(f);
}

static void test_from_the_log(void **state)
{
        struct fake *f = world_with(10, false);
        struct fake_client *here = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        messages(f, 60);
        fake_client_resume(here, ROOM, FAKE_EPOCH, 20);
        fake_run(f);
        fake_check_complete(here, ROOM);
        assert_true(f->n_direct > 0);
        assert_int_equal(f->n_history, 0);
        fake_free(f);
}

static void test_from_history(void **state)
{
        struct fake *f = world_with(10, false);
        struct fake_client *here = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        messages(f, 300);
        fake_client_resume(here, ROOM, FAKE_EPOCH, 5);
        fake_run(f);
        fake_check_complete(here, ROOM);
        assert_int_equal(fake_view(here, ROOM)->n_seqs, 295);
        assert_int_equal(f->n_direct, f->config.replay_direct_gets);
        assert_true(f->n_history > 0);
        fake_free(f);
}

/* History lags: what it has not ingested yet is read from the log */
static void test_history_is_behind(void **state)
{
        struct fake *f = world_with(10, false);
        struct fake_client *here = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        messages(f, 300);
        f->ingested_seq = 260;
        fake_client_resume(here, ROOM, FAKE_EPOCH, 5);
        fake_run(f);
        fake_check_complete(here, ROOM);
        fake_free(f);
}

static void test_too_long(void **state)
{
        struct fake *f = world_with(10, false);
        struct fake_client *here = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        messages(f, 700);
        fake_client_resume(here, ROOM, FAKE_EPOCH, 5);
        fake_run(f);
        assert_non_null(last_gap(here));
        assert_string_equal(last_gap(here)->reason, "too_long");
        assert_true(last_gap(here)->from_seq == 5 && last_gap(here)->head_seq == 700);
        messages(f, 3);
        assert_true(fake_view(here, ROOM)->cursor == 703);
        assert_int_equal(fake_view(here, ROOM)->breaks, 0);
        fake_free(f);
}

/* Few events, but larger than what may wait for a session */
static void test_too_large(void **state)
{
        struct fake *f = world_with(100, false);
        struct fake_client *here = fake_connect(f, "ada", ENCODING_PROTO);
        char *big = calloc(1, 16001);

        (void)state;
        memset(big, 'x', 16000);
        for (unsigned i = 0; i < 60; i++) {
                fake_message(f, ROOM, "bob", big);
                fake_run(f);
        }
        fake_client_resume(here, ROOM, FAKE_EPOCH, 1);
        fake_run(f);
        assert_string_equal(last_gap(here)->reason, "too_long");
        assert_int_equal(here->close_code, 0);
        free(big);
        fake_free(f);
}

static void test_nothing_missing(void **state)
{
        struct fake *f = world_with(10, false);
        struct fake_client *here = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        messages(f, 5);
        fake_client_resume(here, ROOM, FAKE_EPOCH, 5);
        fake_run(f);
        assert_int_equal(fake_view(here, ROOM)->replays, 1); /* empty, but an answer */
        assert_int_equal(fake_view(here, ROOM)->n_seqs, 0);
        messages(f, 1);
        fake_check_complete(here, ROOM);
        fake_free(f);
}

static void test_unavailable(void **state)
{
        struct fake *f = world_with(10, false);
        struct fake_client *here = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        messages(f, 300);
        f->history_down = true;
        fake_client_resume(here, ROOM, FAKE_EPOCH, 5);
        fake_run(f);
        assert_string_equal(last_gap(here)->reason, "unavailable");
        fake_free(f);
}

static void test_trimmed_log(void **state)
{
        struct fake *f = world_with(10, false);
        struct fake_client *here = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        messages(f, 60);
        fake_trim(f, 30); /* the gateway does not know of it yet */
        fake_client_resume(here, ROOM, FAKE_EPOCH, 20);
        fake_run(f);
        fake_check_complete(here, ROOM);
        assert_true(f->n_history > 0);
        fake_free(f);
}

static void test_future_cursor(void **state)
{
        struct fake *f = world_with(10, false);
        struct fake_client *here = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        messages(f, 10);
        fake_client_resume(here, ROOM, FAKE_EPOCH, 1000);
        fake_run(f);
        assert_string_equal(last_gap(here)->reason, "cursor_ahead");
        assert_true(last_gap(here)->head_seq == 10);
        messages(f, 1);
        assert_true(fake_view(here, ROOM)->cursor == 11);
        fake_free(f);
}

/* A replay is complete through a sequence of the stream: the cursor may stand above the channel's last event */
static void test_cursor_between_events(void **state)
{
        struct fake *f = world_with(10, false);
        struct fake_client *here = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        messages(f, 10);
        fake_put_channel(f, "other", true, false);
        for (unsigned i = 0; i < 10; i++)
                fake_message(f, "other", "bob", "x");
        fake_run(f);
        fake_client_resume(here, ROOM, FAKE_EPOCH, 15);
        fake_run(f);
        assert_null(last_gap(here));
        assert_int_equal(fake_view(here, ROOM)->replays, 1);
        messages(f, 2);
        fake_check_complete(here, ROOM);
        fake_free(f);
}

static void test_other_epoch(void **state)
{
        struct fake *f = world_with(10, false);
        struct fake_client *here = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        messages(f, 20);
        f->connected = false;
        fake_message(f, ROOM, "bob", "missed, and only in history");
        fake_new_stream(f);
        fake_reconnect(f);
        fake_advance(f, 1000);
        fake_check_complete(here, ROOM); /* although nothing of the channel is in the new log */
        messages(f, 5);
        /* the old epoch's events are in history */
        fake_client_resume(here, ROOM, FAKE_EPOCH, 3);
        fake_run(f);
        fake_check_complete(here, ROOM);
        assert_true(fake_view(here, ROOM)->epoch == f->epoch);
        /* and when it cannot be asked, the reason is said */
        f->history_down = true;
        fake_client_resume(here, ROOM, FAKE_EPOCH, 3);
        fake_run(f);
        assert_string_equal(last_gap(here)->reason, "epoch_changed");
        fake_free(f);
}

/* Everybody comes back at once with the same cursor: the log is asked once, the frames are made once */
static void test_storm(void **state)
{
        struct fake *f = world_with(10, false);
        struct fake_client *c[200];

        (void)state;
        fake_connect(f, "ada", ENCODING_PROTO);
        messages(f, 60);
        for (unsigned i = 0; i < 200; i++)
                c[i] = fake_connect(f, "ada", ENCODING_PROTO);
        f->config.max_connections_per_user = 0;
        f->n_direct = 0;
        for (unsigned i = 0; i < 200; i++)
                if (c[i]->session)
                        fake_client_resume(c[i], ROOM, FAKE_EPOCH, 20);
        fake_run(f);
        for (unsigned i = 0; i < 200; i++)
                if (c[i]->session)
                        fake_check_complete(c[i], ROOM);
        assert_in_range(f->n_direct, 1, 40);
        fake_free(f);
}

/* What was made for one who came before is not given to one who comes after more has happened */
static void test_shared_frames_are_of_now(void **state)
{
        struct fake *f = world_with(100, false);
        struct fake_client *first = fake_connect(f, "ada", ENCODING_PROTO),
                           *second = fake_connect(f, "eve", ENCODING_PROTO);

        (void)state;
        messages(f, 20);
        fake_client_resume(first, ROOM, FAKE_EPOCH, 10);
        fake_run(f);
        fake_check_complete(first, ROOM);
        messages(f, 1);
        fake_client_resume(second, ROOM, FAKE_EPOCH, 10);
        fake_run(f);
        fake_check_complete(second, ROOM);
        assert_int_equal(fake_view(second, ROOM)->n_seqs, 11);
        fake_free(f);
}

/* While a replay is being fetched live events go on; nobody gets a break */
static void test_live_meanwhile(void **state)
{
        struct fake *f = world_with(10, false);
        struct fake_client *here = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        messages(f, 60);
        fake_client_resume(here, ROOM, FAKE_EPOCH, 20);
        /* more than the tail holds, before the fetch is answered */
        for (unsigned i = 0; i < 30; i++) {
                char subject[] = "live.0." ROOM;
                uint64_t seq = fake_message(f, ROOM, "bob", "meanwhile");
                const struct fake_event *e = &f->log[f->n_log - 1];

                chain_offer(channel_find(f->core, ROOM),
                            &(struct bus_msg){
                                    .subject = subject, .data = e->data, .len = e->len, .seq = seq, .prev = seq - 1});
        }
        fake_run(f);
        fake_check_complete(here, ROOM);
        assert_int_equal(fake_view(here, ROOM)->n_seqs, 70);
        fake_free(f);
}

/* historyVisibility joined: what lies in an absence only history may tell */
static void test_absence(void **state)
{
        struct fake *f = world_with(100, true);
        struct fake_client *late;
        struct fake_membership m = {ROOM, PARLEY__V1__ROLE__member, 1, 0, 0, false};
        uint64_t left;

        (void)state;
        fake_put_members(f, "ada", 1, &m, 1, false);
        fake_connect(f, "ada", ENCODING_PROTO);
        messages(f, 10);
        left = fake_left(f, ROOM, "eve", 2);
        messages(f, 8);
        m.version = 3;
        m.since_seq = fake_joined(f, ROOM, "eve", 3);
        m.had_absence = true;
        assert_true(left == 11 && m.since_seq == 20);
        messages(f, 10);
        fake_put_members(f, "eve", 3, &m, 1, false);
        late = fake_connect(f, "eve", ENCODING_PROTO);
        fake_client_resume(late, ROOM, FAKE_EPOCH, 5);
        fake_run(f);
        assert_true(f->n_history > 0); /* although the tail has everything */
        assert_int_equal(fake_view(late, ROOM)->n_seqs, 25 - 8);
        for (uint64_t seq = 6; seq <= 30; seq++)
                assert_int_equal(fake_saw(late, ROOM, seq), seq <= left || seq >= m.since_seq);
        assert_int_equal(fake_view(late, ROOM)->breaks + fake_view(late, ROOM)->gaps, 0);
        f->history_down = true;
        fake_client_resume(late, ROOM, FAKE_EPOCH, 5);
        fake_run(f);
        assert_string_equal(last_gap(late)->reason, "unavailable");
        /* behind the absence nobody needs to be asked */
        fake_client_resume(late, ROOM, FAKE_EPOCH, 20);
        fake_run(f);
        fake_check_view_from(late, ROOM, 20, 10);
        fake_free(f);
}

/* Who was never a member before sees nothing from before he joined, whatever cursor he names */
static void test_before_joining(void **state)
{
        struct fake *f = world_with(100, true);
        struct fake_client *late;
        struct fake_membership m = {ROOM, PARLEY__V1__ROLE__member, 1, 0, 0, false};

        (void)state;
        fake_put_members(f, "ada", 1, &m, 1, false);
        fake_connect(f, "ada", ENCODING_PROTO);
        messages(f, 30);
        m.since_seq = 20;
        fake_put_members(f, "eve", 1, &m, 1, false);
        late = fake_connect(f, "eve", ENCODING_PROTO);
        fake_client_resume(late, ROOM, FAKE_EPOCH, 0);
        fake_run(f);
        fake_check_view_from(late, ROOM, 19, 11);
        fake_free(f);
}

/* The content of what was deleted since is in no replay */
static void test_deleted_content(void **state)
{
        struct fake *f = world_with(100, false);
        struct fake_client *here = fake_connect(f, "ada", ENCODING_PROTO);
        Parley__V1__Event event = PARLEY__V1__EVENT__INIT;
        Parley__V1__MessageDeleted deleted = PARLEY__V1__MESSAGE_DELETED__INIT;
        const Parley__V1__Replay *replay;
        char id[37];

        (void)state;
        for (unsigned round = 0; round < 2; round++) {
                deleted.target_seq = fake_message(f, ROOM, "bob", "secret");
                fake_uuid(f, id);
                event.channel_id = (char *)ROOM;
                event.id = id;
                event.actor_id = (char *)"bob";
                event.body_case = PARLEY__V1__EVENT__BODY_MESSAGE_DELETED;
                event.message_deleted = &deleted;
                fake_store(f, &event);
                fake_run(f);
                if (round == 1) /* out of the tail: read from the log, where the original still is */
                        while (channel_find(f->core, ROOM)->tail_base < deleted.target_seq + 1)
                                messages(f, 10);
                fake_client_resume(here, ROOM, FAKE_EPOCH, deleted.target_seq - 1);
                fake_run(f);
                replay = fake_last(here, PARLEY__V1__SERVER_FRAME__BODY_REPLAY)->replay;
                assert_true(replay->events[0]->seq == deleted.target_seq);
                assert_int_equal(replay->events[0]->body_case, PARLEY__V1__EVENT__BODY_REMOVED);
                assert_int_equal(replay->events[1]->body_case, PARLEY__V1__EVENT__BODY_MESSAGE_DELETED);
        }
        fake_free(f);
}

/* Cursors of hello: replayed where they are behind, silent where they stand at the head */
static void test_cursors_of_hello(void **state)
{
        struct fake *f = world_with(100, false);
        struct fake_client *c = fake_connect_raw(f, ENCODING_PROTO, false);
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Hello hello = PARLEY__V1__HELLO__INIT;
        Parley__V1__Cursor cursor[3], *cursors[] = {&cursor[0], &cursor[1], &cursor[2]};
        char *token;

        (void)state;
        fake_put_channel(f, "quiet", true, false);
        fake_connect(f, "ada", ENCODING_PROTO);
        messages(f, 10);
        fake_message(f, "quiet", "bob", "x");
        fake_run(f);
        token = fake_token(f, "eve");
        for (unsigned i = 0; i < 3; i++) {
                parley__v1__cursor__init(&cursor[i]);
                cursor[i].epoch = FAKE_EPOCH;
        }
        cursor[0].channel_id = (char *)ROOM;
        cursor[0].seq = 4;
        cursor[1].channel_id = (char *)"quiet";
        cursor[1].seq = 11;
        cursor[2].channel_id = (char *)"not-mine";
        hello.token = token;
        hello.cursors = cursors;
        hello.n_cursors = 3;
        frame.ref = 1;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_HELLO;
        frame.hello = &hello;
        fake_view(c, ROOM)->cursor = fake_view(c, ROOM)->start = 4;
        fake_client_send(c, &frame);
        fake_run(f);
        assert_int_equal(fake_count(c, PARLEY__V1__SERVER_FRAME__BODY_REPLAY), 1);
        assert_string_equal(fake_last(c, PARLEY__V1__SERVER_FRAME__BODY_REPLAY)->replay->channel_id, ROOM);
        assert_int_equal(fake_count(c, PARLEY__V1__SERVER_FRAME__BODY_ERROR), 0);
        fake_check_complete(c, ROOM);
        free(token);
        fake_free(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_from_the_tail),
                cmocka_unit_test(test_from_the_log),
                cmocka_unit_test(test_from_history),
                cmocka_unit_test(test_history_is_behind),
                cmocka_unit_test(test_too_long),
                cmocka_unit_test(test_too_large),
                cmocka_unit_test(test_nothing_missing),
                cmocka_unit_test(test_unavailable),
                cmocka_unit_test(test_trimmed_log),
                cmocka_unit_test(test_future_cursor),
                cmocka_unit_test(test_cursor_between_events),
                cmocka_unit_test(test_other_epoch),
                cmocka_unit_test(test_storm),
                cmocka_unit_test(test_shared_frames_are_of_now),
                cmocka_unit_test(test_live_meanwhile),
                cmocka_unit_test(test_absence),
                cmocka_unit_test(test_before_joining),
                cmocka_unit_test(test_deleted_content),
                cmocka_unit_test(test_cursors_of_hello),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
