/* Mutations that wait for others before they are published: what is known may have changed by then. */
#include "gateway_fake.h"

#include "auth/attachment.h"
#include "gateway/channel.h"

#define ROOM "room"

static const char secret[] = "0123456789abcdef0123456789abcdef";

static struct fake *world(void)
{
        struct fake *f = fake_new();
        struct fake_membership m = {ROOM, PARLEY__V1__ROLE__member, 1, 0, 0, false};

        f->config.upload_secret = strdup(secret);
        fake_start(f);
        fake_put_channel(f, ROOM, false, false);
        fake_put_members(f, "ada", 1, &m, 1, false);
        fake_put_members(f, "eve", 1, &m, 1, false);
        return f;
}

static const char *code_of(const struct fake_client *c, uint32_t ref)
{
        const Parley__V1__ServerFrame *answer = fake_answer(c, ref);

        assert_non_null(answer);
        return answer->body_case == PARLEY__V1__SERVER_FRAME__BODY_ERROR ? answer->error->code : "ack";
}

/* token: of a file it carries, or NULL */
static uint32_t send_message(struct fake_client *c, const char *id, char *token, bool retry, uint32_t age_ms)
{
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Send send = PARLEY__V1__SEND__INIT;
        Parley__V1__OutgoingMessage message = PARLEY__V1__OUTGOING_MESSAGE__INIT;

        message.id = (char *)id;
        message.content = (char *)"x";
        message.attachments = &token;
        message.n_attachments = token != NULL;
        send.channel_id = (char *)ROOM;
        send.message = &message;
        send.retry = retry;
        send.retry_age_ms = age_ms;
        frame.ref = ++c->next_ref;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_SEND;
        frame.send = &send;
        fake_client_send(c, &frame);
        fake_run(c->f);
        return frame.ref;
}

static uint32_t change(struct fake_client *c, const char *id, uint64_t target, const char *content)
{
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Edit edit = PARLEY__V1__EDIT__INIT;
        Parley__V1__Delete delete = PARLEY__V1__DELETE__INIT;

        edit.channel_id = delete.channel_id = (char *)ROOM;
        edit.id = delete.id = (char *)id;
        edit.target_seq = delete.target_seq = target;
        edit.content = (char *)content;
        frame.ref = ++c->next_ref;
        frame.body_case = content ? PARLEY__V1__CLIENT_FRAME__BODY_EDIT : PARLEY__V1__CLIENT_FRAME__BODY_DELETE;
        if (content)
                frame.edit = &edit;
        else
                frame.delete_ = &delete;
        fake_client_send(c, &frame);
        return frame.ref;
}

static void remove_eve(struct fake *f)
{
        fake_announce(f, ROOM, "eve", PARLEY__V1__ROLE__none, f->next_seq, 2);
}

/* Her removal was confirmed while her message waited for history's answer */
static void test_removed_meanwhile(void **state)
{
        struct fake *f = world();
        struct fake_client *eve = fake_connect(f, "eve", ENCODING_PROTO);
        char id[37];
        uint32_t ref;

        (void)state;
        fake_uuid(f, id);
        f->silent = true;
        ref = send_message(eve, id, NULL, true, 0);
        remove_eve(f);
        f->silent = false;
        fake_run(f);
        assert_string_equal(code_of(eve, ref), "not_a_member");
        assert_int_equal(f->n_published, 0);
        fake_free(f);
}

/* The same for an edit whose target was looked for, and when her connection is gone, too */
static void test_removed_while_the_target_is_looked_for(void **state)
{
        struct fake *f = world();
        struct fake_client *eve;
        uint64_t target = fake_message(f, ROOM, "eve", "x");
        char id[37];

        (void)state;
        fake_run(f);
        eve = fake_connect(f, "eve", ENCODING_PROTO); /* the target is in no tail */
        fake_uuid(f, id);
        f->silent = true;
        change(eve, id, target, "y");
        remove_eve(f);
        fake_client_drop(eve);
        f->silent = false;
        fake_run(f);
        assert_int_equal(f->n_published, 0);
        assert_int_equal(f->core->n_pending, 0);
        fake_free(f);
}

/* The log was made anew: it knows nothing of the ids of before */
static void test_retry_across_a_new_stream(void **state)
{
        struct fake *f = world();
        struct fake_client *ada = fake_connect(f, "ada", ENCODING_PROTO);
        char id[37], other[37];
        uint32_t ref, first;

        (void)state;
        fake_uuid(f, id);
        first = fake_client_message(ada, ROOM, id, "x", false);
        fake_run(f);
        f->connected = false;
        fake_new_stream(f);
        fake_reconnect(f);
        fake_advance(f, 10000);
        ref = send_message(ada, id, NULL, true, 20000);
        assert_string_equal(code_of(ada, ref), "ack");
        assert_true(fake_answer(ada, ref)->ack->seq == fake_answer(ada, first)->ack->seq);
        assert_int_equal(f->n_lookups, 1);
        /* history has not ingested what was stored until then */
        f->ingested_seq = 0;
        ref = send_message(ada, id, NULL, true, 20000);
        assert_string_equal(code_of(ada, ref), "unavailable");
        assert_int_equal(f->n_published, 1);
        /* what was first sent to the new stream needs nobody */
        fake_uuid(f, other);
        fake_advance(f, 10000);
        ref = send_message(ada, other, NULL, true, 1000);
        assert_string_equal(code_of(ada, ref), "ack");
        assert_int_equal(f->n_lookups, 2);
        fake_free(f);
}

/* The log knows the id, and nobody has the event any more: published again it would be a duplicate for ever */
static void test_duplicate_of_nothing(void **state)
{
        struct fake *f = world();
        struct fake_client *ada = fake_connect(f, "ada", ENCODING_PROTO);
        char id[37];
        uint32_t ref;

        (void)state;
        fake_uuid(f, id);
        fake_client_message(ada, ROOM, id, "x", false);
        fake_run(f);
        fake_remove(f, 1);
        f->history_empty = true;
        ref = fake_client_message(ada, ROOM, id, "x", false);
        for (unsigned i = 0; f->tasks; i++) {
                assert_true(i < 50);
                fake_step(f);
        }
        fake_run(f);
        assert_string_equal(code_of(ada, ref), "unavailable");
        assert_int_equal(f->n_published, 2);
        fake_free(f);
}

/* An edit was accepted while the deletion was under way, and came into the log behind it */
static void test_edit_behind_the_deletion(void **state)
{
        struct fake *f = world();
        struct fake_client *ada = fake_connect(f, "ada", ENCODING_PROTO), *eve = fake_connect(f, "eve", ENCODING_PROTO);
        uint64_t target;
        char id[37];
        uint32_t ref;
        const Parley__V1__Replay *replay;

        (void)state;
        target = fake_message(f, ROOM, "ada", "secret");
        fake_run(f);
        fake_uuid(f, id);
        change(ada, id, target, NULL);
        fake_uuid(f, id);
        ref = change(ada, id, target, "still secret");
        fake_run(f);
        assert_string_equal(code_of(ada, ref), "ack");
        fake_check_complete(eve, ROOM);
        for (size_t i = 0; i < eve->n_frames; i++)
                if (eve->frames[i]->body_case == PARLEY__V1__SERVER_FRAME__BODY_EVENT)
                        assert_int_not_equal(eve->frames[i]->event->body_case, PARLEY__V1__EVENT__BODY_MESSAGE_EDITED);
        fake_client_resume(eve, ROOM, FAKE_EPOCH, target + 1);
        fake_run(f);
        replay = fake_last(eve, PARLEY__V1__SERVER_FRAME__BODY_REPLAY)->replay;
        assert_int_equal(replay->n_events, 1);
        assert_int_equal(replay->events[0]->body_case, PARLEY__V1__EVENT__BODY_REMOVED);
        assert_string_equal(replay->events[0]->actor_id, "ada");
        fake_free(f);
}

/* --- what carries files, for as long as their descriptors hold --- */

enum { VALID_S = 60 };

static void sign(const struct fake *f, const char *user, const char *name, char ret[ATTACHMENT_TOKEN_MAX + 1])
{
        const struct attachment_terms terms = {
                .user_id = user, .channel_id = ROOM, .expires_at_s = f->wall_ns / 1000000000 + VALID_S};
        Parley__V1__Attachment a = PARLEY__V1__ATTACHMENT__INIT;

        a.id = (char *)"019b7c00-1111-7222-8333-444455556666";
        a.name = (char *)name;
        a.size = 5;
        a.content_type = (char *)"text/plain";
        assert_int_equal(attachment_sign(secret, &a, &terms, ret), 0);
}

static void says(const struct fake_client *c, uint32_t ref, const char *code, const char *part)
{
        assert_string_equal(code_of(c, ref), code);
        assert_non_null(strstr(fake_answer(c, ref)->error->message, part));
}

/* It was stored while its descriptor held: however late the answer is asked for again, it is the same */
static void test_stored_before_it_expired(void **state)
{
        struct fake *f = world();
        struct fake_client *ada = fake_connect(f, "ada", ENCODING_PROTO);
        char token[ATTACHMENT_TOKEN_MAX + 1], other[ATTACHMENT_TOKEN_MAX + 1], id[37];
        uint32_t first, ref;
        uint64_t seq;

        (void)state;
        sign(f, "ada", "a.txt", token);
        sign(f, "ada", "b.txt", other);
        fake_uuid(f, id);
        first = send_message(ada, id, token, false, 0);
        assert_string_equal(code_of(ada, first), "ack");
        seq = fake_answer(ada, first)->ack->seq;
        fake_advance(f, VALID_S * 1000);
        ada = fake_connect(f, "ada", ENCODING_PROTO);
        for (uint32_t age_ms = 0; age_ms <= VALID_S * 1000; age_ms += VALID_S * 1000) {
                ref = send_message(ada, id, token, true, age_ms); /* the second within the log's own memory */
                assert_string_equal(code_of(ada, ref), "ack");
                assert_true(fake_answer(ada, ref)->ack->duplicate && fake_answer(ada, ref)->ack->seq == seq);
        }
        says(ada, send_message(ada, id, other, true, 0), "id_conflict", "before");
        assert_int_equal(f->n_published, 1);
        fake_free(f);
}

/* It was not: then it is not now, and nothing is said as long as that is not known */
static void test_not_stored_before_it_expired(void **state)
{
        struct fake *f = world();
        struct fake_client *ada;
        char token[ATTACHMENT_TOKEN_MAX + 1], theirs[ATTACHMENT_TOKEN_MAX + 1], id[37];

        (void)state;
        sign(f, "ada", "a.txt", token);
        sign(f, "eve", "a.txt", theirs);
        fake_uuid(f, id);
        (void)fake_message(f, ROOM, "eve", "x");
        fake_advance(f, VALID_S * 1000);
        ada = fake_connect(f, "ada", ENCODING_PROTO);
        says(ada, send_message(ada, id, token, false, 0), "bad_request", "message.attachments[0] has expired");
        assert_int_equal(f->n_lookups, 0);
        says(ada, send_message(ada, id, theirs, true, 0), "bad_request", "another user");
        assert_int_equal(f->n_lookups, 0);
        f->ingested_seq = 0;
        says(ada, send_message(ada, id, token, true, 0), "unavailable", "behind");
        says(ada, send_message(ada, id, token, true, VALID_S * 1000), "unavailable", "behind");
        f->ingested_seq = UINT64_MAX;
        says(ada, send_message(ada, id, token, true, 0), "bad_request", "message.attachments[0] has expired");
        says(ada, send_message(ada, id, token, true, VALID_S * 1000), "bad_request",
             "message.attachments[0] has expired");
        assert_int_equal(f->n_lookups, 4);
        assert_int_equal(f->n_published, 0);
        /* with another descriptor it goes on under the same id */
        sign(f, "ada", "a.txt", token);
        assert_string_equal(code_of(ada, send_message(ada, id, token, true, VALID_S * 1000)), "ack");
        assert_int_equal(f->n_published, 1);
        fake_free(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_removed_meanwhile),
                cmocka_unit_test(test_removed_while_the_target_is_looked_for),
                cmocka_unit_test(test_retry_across_a_new_stream),
                cmocka_unit_test(test_duplicate_of_nothing),
                cmocka_unit_test(test_edit_behind_the_deletion),
                cmocka_unit_test(test_stored_before_it_expired),
                cmocka_unit_test(test_not_stored_before_it_expired),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
