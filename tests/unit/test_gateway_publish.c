/* Mutations: acked only when stored, stored once, and exactly one answer for each ref. */
#include "gateway_fake.h"

#include "gateway/channel.h"
#include "gateway/mutation.h"

#define ROOM "room"

static struct fake *world(void)
{
        struct fake *f = fake_new();

        fake_start(f);
        fake_put_channel(f, ROOM, true, false);
        return f;
}

static const char *code_of(const struct fake_client *c, uint32_t ref)
{
        const Parley__V1__ServerFrame *answer = fake_answer(c, ref);

        assert_non_null(answer);
        if (answer->body_case == PARLEY__V1__SERVER_FRAME__BODY_ACK)
                return "ack";
        assert_int_equal(answer->body_case, PARLEY__V1__SERVER_FRAME__BODY_ERROR);
        return answer->error->code;
}

static uint32_t edit(struct fake_client *c, const char *id, uint64_t target, const char *content, bool retry)
{
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Edit body = PARLEY__V1__EDIT__INIT;

        body.channel_id = (char *)ROOM;
        body.id = (char *)id;
        body.target_seq = target;
        body.content = (char *)content;
        body.retry = retry;
        frame.ref = ++c->next_ref;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_EDIT;
        frame.edit = &body;
        fake_client_send(c, &frame);
        fake_run(c->f);
        return frame.ref;
}

static uint32_t delete (struct fake_client *c, const char *id, uint64_t target, bool retry)
{
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Delete body = PARLEY__V1__DELETE__INIT;

        body.channel_id = (char *)ROOM;
        body.id = (char *)id;
        body.target_seq = target;
        body.retry = retry;
        frame.ref = ++c->next_ref;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_DELETE;
        frame.delete_ = &body;
        fake_client_send(c, &frame);
        fake_run(c->f);
        return frame.ref;
}

static void test_acked_only_when_stored(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        char id[37];
        uint32_t ref;
        const Parley__V1__Ack *ack;

        (void)state;
        fake_uuid(f, id);
        f->silent = true;
        ref = fake_client_message(c, ROOM, id, "x", false);
        fake_run(f);
        assert_null(fake_answer(c, ref));
        f->silent = false;
        fake_fail_tasks(f, BUS_E_TIMEOUT); /* no ack within the time */
        fake_run(f);
        assert_string_equal(code_of(c, ref), "unavailable");
        assert_true(fake_answer(c, ref)->error->retry_ms > 0);
        ref = fake_client_message(c, ROOM, id, "x", false);
        fake_run(f);
        ack = fake_answer(c, ref)->ack;
        assert_string_equal(ack->id, id);
        assert_true(ack->seq == 1 && !ack->duplicate && ack->created_at->seconds == f->wall_ns / 1000000000);
        assert_true(fake_last(c, PARLEY__V1__SERVER_FRAME__BODY_EVENT)->event->message->seq == 1);
        assert_string_equal(fake_last(c, PARLEY__V1__SERVER_FRAME__BODY_EVENT)->event->message->sender_name, "ada");
        fake_free(f);
}

static void test_same_id_three_times(void **state)
{
        struct fake *f = world();
        struct fake_client *a = fake_connect(f, "ada", ENCODING_PROTO), *b = fake_connect(f, "ada", ENCODING_PROTO);
        char id[37];
        uint32_t ref[4];

        (void)state;
        fake_uuid(f, id);
        ref[0] = fake_client_message(a, ROOM, id, "x", false);
        ref[1] = fake_client_message(b, ROOM, id, "x", false);
        ref[2] = fake_client_message(a, ROOM, id, "x", false);
        fake_run(f);
        f->wall_ns += INT64_C(600) * 1000000000; /* beyond the window of the log */
        ref[3] = fake_client_message(a, ROOM, id, "x", true);
        fake_run(f);
        for (unsigned i = 0; i < 4; i++) {
                const Parley__V1__ServerFrame *answer = fake_answer(i == 1 ? b : a, ref[i]);

                assert_int_equal(answer->body_case, PARLEY__V1__SERVER_FRAME__BODY_ACK);
                assert_true(answer->ack->seq == 1);
                assert_true(answer->ack->created_at->seconds == fake_answer(a, ref[0])->ack->created_at->seconds);
                assert_int_equal(answer->ack->duplicate, i > 0);
        }
        assert_int_equal(f->n_log, 1);
        assert_int_equal(f->n_lookups, 1);
        fake_free(f);
}

static void test_other_content_under_the_id(void **state)
{
        struct fake *f = world();
        struct fake_client *a = fake_connect(f, "ada", ENCODING_PROTO), *b = fake_connect(f, "bob", ENCODING_PROTO);
        char id[37];
        uint32_t ref;

        (void)state;
        fake_put_channel(f, "other", true, false);
        fake_uuid(f, id);
        fake_client_message(a, ROOM, id, "x", false);
        fake_run(f);
        ref = fake_client_message(a, ROOM, id, "y", false);
        fake_run(f);
        assert_string_equal(code_of(a, ref), "id_conflict");
        ref = fake_client_message(a, ROOM, id, "y", true);
        fake_run(f);
        assert_string_equal(code_of(a, ref), "id_conflict");
        ref = edit(a, id, 1, "x", false);
        assert_string_equal(code_of(a, ref), "id_conflict");
        /* elsewhere, or of somebody else, it is another one */
        ref = fake_client_message(a, "other", id, "y", false);
        fake_run(f);
        assert_string_equal(code_of(a, ref), "ack");
        ref = fake_client_message(b, ROOM, id, "y", false);
        fake_run(f);
        assert_string_equal(code_of(b, ref), "ack");
        assert_int_equal(f->n_log, 3);
        fake_free(f);
}

/* The log stored it, the ack and the live copy were lost: the retry is acked, and everybody sees it */
static void test_duplicate_is_fanned_out(void **state)
{
        struct fake *f = world();
        struct fake_client *a = fake_connect(f, "ada", ENCODING_PROTO), *b = fake_connect(f, "bob", ENCODING_PROTO);
        char id[37];
        uint32_t ref;

        (void)state;
        fake_uuid(f, id);
        f->lose_acks = true;
        f->lose = 100;
        ref = fake_client_message(a, ROOM, id, "x", false);
        fake_run(f);
        assert_string_equal(code_of(a, ref), "unavailable");
        f->lose_acks = false;
        f->lose = 0;
        ref = fake_client_message(a, ROOM, id, "x", false);
        fake_run(f);
        assert_true(fake_answer(a, ref)->ack->duplicate && fake_answer(a, ref)->ack->seq == 1);
        fake_advance(f, 1000);
        fake_check_complete(b, ROOM);
        assert_int_equal(fake_view(b, ROOM)->n_seqs, 1);
        fake_free(f);
}

static void test_retries(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        char id[37];
        uint32_t ref;

        (void)state;
        /* never stored, and history has ingested far enough to know */
        fake_uuid(f, id);
        ref = fake_client_message(c, ROOM, id, "x", true);
        fake_run(f);
        assert_string_equal(code_of(c, ref), "ack");
        assert_int_equal(f->n_lookups, 1);
        /* history is down: it is not guessed */
        f->history_down = true;
        fake_uuid(f, id);
        ref = fake_client_message(c, ROOM, id, "x", true);
        fake_run(f);
        assert_string_equal(code_of(c, ref), "unavailable");
        assert_int_equal(f->n_log, 1);
        /* unless the window of the log covers its age */
        {
                Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
                Parley__V1__Send send = PARLEY__V1__SEND__INIT;
                Parley__V1__OutgoingMessage message = PARLEY__V1__OUTGOING_MESSAGE__INIT;

                message.id = id;
                message.content = (char *)"x";
                send.channel_id = (char *)ROOM;
                send.message = &message;
                send.retry = true;
                send.retry_age_ms = 5000;
                frame.ref = ++c->next_ref;
                frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_SEND;
                frame.send = &send;
                fake_client_send(c, &frame);
                fake_run(f);
                assert_string_equal(code_of(c, frame.ref), "ack");
                fake_uuid(f, id);
                send.retry_age_ms = (uint32_t)f->config.dedupe_window_ms;
                frame.ref = ++c->next_ref;
                fake_client_send(c, &frame);
                fake_run(f);
                assert_string_equal(code_of(c, frame.ref), "unavailable");
        }
        /* history is there, but behind */
        f->history_down = false;
        f->ingested_seq = 0;
        ref = fake_client_message(c, ROOM, id, "x", true);
        fake_run(f);
        assert_string_equal(code_of(c, ref), "unavailable");
        fake_free(f);
}

static void test_edit_and_delete(void **state)
{
        struct fake *f = world();
        struct fake_client *a = fake_connect(f, "ada", ENCODING_PROTO), *b = fake_connect(f, "bob", ENCODING_PROTO);
        char message[37], id[37];
        uint32_t ref, first;
        const Parley__V1__Event *event;

        (void)state;
        fake_uuid(f, message);
        fake_client_message(a, ROOM, message, "teh first", false);
        fake_run(f);
        fake_uuid(f, id);
        assert_string_equal(code_of(b, edit(b, id, 1, "not bob's", false)), "forbidden");
        assert_string_equal(code_of(b, delete (b, id, 1, false)), "forbidden");
        assert_string_equal(code_of(a, edit(a, id, 99, "x", false)), "not_found");
        first = edit(a, id, 1, "the first", false);
        assert_string_equal(code_of(a, first), "ack");
        event = fake_last(b, PARLEY__V1__SERVER_FRAME__BODY_EVENT)->event;
        assert_string_equal(event->message_edited->target_id, message);
        assert_string_equal(event->message_edited->content, "the first");
        /* the target of an edit is a message, not an edit */
        fake_uuid(f, id);
        assert_string_equal(code_of(a, edit(a, id, 2, "x", false)), "bad_request");
        ref = delete (a, id, 1, false);
        assert_string_equal(code_of(a, ref), "ack");
        assert_string_equal(fake_last(b, PARLEY__V1__SERVER_FRAME__BODY_EVENT)->event->message_deleted->target_id,
                            message);
        /* again: the same ack, although the target is gone */
        first = delete (a, id, 1, true);
        assert_true(fake_answer(a, first)->ack->seq == fake_answer(a, ref)->ack->seq);
        fake_uuid(f, id);
        assert_string_equal(code_of(a, edit(a, id, 1, "too late", false)), "conflict");
        fake_free(f);
}

/* What was before the join is not shown: nor is it told whether it is there, and whose it is. */
static void test_target_before_the_join(void **state)
{
        struct fake *f = fake_new();
        struct fake_membership m = {.channel = ROOM, .role = PARLEY__V1__ROLE__member, .version = 1, .since_seq = 2};
        struct fake_client *bob;
        char id[37];

        (void)state;
        fake_start(f);
        fake_put_channel(f, ROOM, false, true);
        assert_int_equal(fake_message(f, ROOM, "ada", "not for bob"), 1);
        assert_int_equal(fake_joined(f, ROOM, "bob", 1), 2);
        assert_int_equal(fake_message(f, ROOM, "ada", "for bob"), 3);
        fake_put_members(f, "bob", 1, &m, 1, false);
        bob = fake_connect(f, "bob", ENCODING_PROTO);
        fake_uuid(f, id);
        assert_string_equal(code_of(bob, edit(bob, id, 1, "x", false)), "not_found");
        assert_string_equal(code_of(bob, delete (bob, id, 1, false)), "not_found");
        assert_string_equal(code_of(bob, edit(bob, id, 3, "x", false)), "forbidden");
        m.role = PARLEY__V1__ROLE__moderator;
        m.version = 2;
        fake_put_members(f, "bob", 2, &m, 1, true);
        fake_run(f);
        assert_string_equal(code_of(bob, delete (bob, id, 1, false)), "not_found");
        assert_string_equal(code_of(bob, delete (bob, id, 3, false)), "ack");
        fake_free(f);
}

/* Its target is not in the tail: from the log, else from history, else unavailable */
static void test_sources_of_the_target(void **state)
{
        struct fake *f = fake_new();
        struct fake_client *a;
        char id[37];

        (void)state;
        f->config.tail_events = 2;
        fake_start(f);
        fake_put_channel(f, ROOM, true, false);
        a = fake_connect(f, "ada", ENCODING_PROTO);
        for (unsigned i = 0; i < 5; i++)
                fake_message(f, ROOM, "ada", "x");
        fake_run(f);
        fake_uuid(f, id);
        assert_string_equal(code_of(a, edit(a, id, 1, "from the log", false)), "ack");
        fake_remove(f, 1);
        fake_uuid(f, id);
        assert_string_equal(code_of(a, edit(a, id, 1, "from history", false)), "ack");
        f->history_down = true;
        fake_uuid(f, id);
        assert_string_equal(code_of(a, edit(a, id, 1, "from nowhere", false)), "unavailable");
        fake_free(f);
}

static void test_bad_input(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        char id[37], *big = calloc(1, 16386);
        static const char *const channels[] = {
                "", "a.b", "*", ">", "a b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
        uint32_t ref;

        (void)state;
        memset(big, 'x', 16385);
        fake_uuid(f, id);
        for (unsigned i = 0; i < sizeof(channels) / sizeof(channels[0]); i++) {
                ref = fake_client_message(c, channels[i], id, "x", false);
                fake_run(f);
                assert_string_equal(code_of(c, ref), "bad_request");
                assert_non_null(strstr(fake_answer(c, ref)->error->message, "channelId"));
        }
        ref = fake_client_message(c, ROOM, "42", "x", false);
        fake_run(f);
        assert_string_equal(code_of(c, ref), "bad_request");
        ref = fake_client_message(c, ROOM, id, "", false);
        fake_run(f);
        assert_string_equal(code_of(c, ref), "bad_request");
        ref = fake_client_message(c, ROOM, id, big, false);
        fake_run(f);
        assert_string_equal(code_of(c, ref), "too_large");
        big[16384] = 0;
        ref = fake_client_message(c, ROOM, id, big, false);
        fake_run(f);
        assert_string_equal(code_of(c, ref), "ack");
        ref = fake_client_message(c, "somebody-elses", id, "x", false);
        fake_run(f);
        assert_string_equal(code_of(c, ref), "not_a_member");
        assert_non_null(strstr(fake_answer(c, ref)->error->message, "somebody-elses"));
        assert_string_equal(code_of(c, edit(c, id, 0, "x", false)), "bad_request");
        assert_int_equal(f->n_log, 1);
        free(big);
        fake_free(f);
}

static void test_archived(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        Parley__V1__Event event = PARLEY__V1__EVENT__INIT;
        Parley__V1__ChannelChanged changed = PARLEY__V1__CHANNEL_CHANGED__INIT;
        Parley__V1__Channel channel = PARLEY__V1__CHANNEL__INIT;
        char id[37];
        uint32_t ref;

        (void)state;
        channel.id = (char *)ROOM;
        channel.everyone = channel.archived = true;
        channel.version = 2;
        changed.channel = &channel;
        event.channel_id = (char *)ROOM;
        event.id = event.actor_id = (char *)"x";
        event.body_case = PARLEY__V1__EVENT__BODY_CHANNEL_CHANGED;
        event.channel_changed = &changed;
        fake_store(f, &event);
        fake_run(f);
        fake_uuid(f, id);
        ref = fake_client_message(c, ROOM, id, "x", false);
        fake_run(f);
        assert_string_equal(code_of(c, ref), "archived");
        fake_free(f);
}

/* Whatever is answered when and however: one answer for each ref, and the log holds what was acked */
static void pairs(uint64_t seed)
{
        struct fake *f = world();
        struct fake_client *c[4];
        char ids[16][37];

        f->seed = seed;
        f->config.session_max_pending = 40;
        for (unsigned i = 0; i < 16; i++)
                fake_uuid(f, ids[i]);
        for (unsigned i = 0; i < 4; i++)
                c[i] = fake_connect(f, "ada", ENCODING_PROTO);
        for (unsigned i = 0; i < 500; i++) {
                uint64_t dice = unit_random(&f->seed);
                struct fake_client *who = c[dice % 4];
                const char *id = ids[dice / 4 % 16];

                f->lose = (unsigned)(dice >> 20) % 3 * 20;
                f->lose_acks = (dice >> 24) % 8 == 0;
                f->history_down = (dice >> 28) % 4 == 0;
                if (!who->session)
                        continue;
                switch ((dice >> 32) % 6) {
                case 0:
                        edit(who, id, 1 + (dice >> 40) % (f->next_seq), "edited", (dice >> 50) % 2);
                        break;
                case 1:
                        delete (who, id, 1 + (dice >> 40) % (f->next_seq), (dice >> 50) % 2);
                        break;
                case 2:
                        fake_fail_tasks(f, BUS_E_DISCONNECTED);
                        break;
                case 3:
                        fake_run(f);
                        break;
                default:
                        fake_client_message(who, ROOM, id, (dice >> 51) % 8 ? "same" : "other", (dice >> 50) % 2);
                        break;
                }
                if (i == 250)
                        fake_client_drop(c[3]); /* with unanswered mutations */
        }
        f->lose = 0;
        f->lose_acks = f->history_down = false;
        fake_run(f);
        fake_reconnect(f);
        fake_advance(f, 6000);
        assert_int_equal(f->core->n_pending, 0);
        for (unsigned i = 0; i < 3; i++) {
                for (uint32_t ref = 1; ref <= c[i]->next_ref; ref++) {
                        const Parley__V1__ServerFrame *answer = fake_answer(c[i], ref);

                        assert_non_null(answer);
                        if (answer->body_case != PARLEY__V1__SERVER_FRAME__BODY_ACK)
                                continue;
                        assert_in_range(answer->ack->seq, 1, f->next_seq - 1);
                        assert_non_null(strstr(f->log[answer->ack->seq - 1].msg_id, answer->ack->id));
                }
                assert_int_equal(c[i]->session->n_pending, 0);
        }
        fake_free(f);
}

static void test_pairs(void **state)
{
        (void)state;
        for (uint64_t seed = 1; seed <= 30; seed++)
                pairs(seed);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_acked_only_when_stored),
                cmocka_unit_test(test_same_id_three_times),
                cmocka_unit_test(test_other_content_under_the_id),
                cmocka_unit_test(test_duplicate_is_fanned_out),
                cmocka_unit_test(test_retries),
                cmocka_unit_test(test_edit_and_delete),
                cmocka_unit_test(test_target_before_the_join),
                cmocka_unit_test(test_sources_of_the_target),
                cmocka_unit_test(test_bad_input),
                cmocka_unit_test(test_archived),
                cmocka_unit_test(test_pairs),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
