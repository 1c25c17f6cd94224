/* The life of a session, from the connection to its close code. */
#include "gateway_fake.h"

#include "base/close_codes.h"
#include "bus/subjects.h"
#include "gateway/digest.h"

static struct fake *world(void)
{
        struct fake *f = fake_new();

        fake_start(f);
        fake_put_channel(f, "general", true, false);
        return f;
}

static void hello(struct fake_client *c, const char *token, uint32_t ref)
{
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Hello body = PARLEY__V1__HELLO__INIT;

        body.token = (char *)token;
        frame.ref = ref;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_HELLO;
        frame.hello = &body;
        fake_client_send(c, &frame);
}

static void assert_error(const struct fake_client *c, uint32_t ref, const char *code, const char *names)
{
        const Parley__V1__ServerFrame *frame = ref ? fake_answer(c, ref)
                                                   : fake_last(c, PARLEY__V1__SERVER_FRAME__BODY_ERROR);

        assert_non_null(frame);
        assert_int_equal(frame->body_case, PARLEY__V1__SERVER_FRAME__BODY_ERROR);
        assert_string_equal(frame->error->code, code);
        if (!strstr(frame->error->message, names))
                fail_msg("\"%s\" does not name %s", frame->error->message, names);
}

static void test_hello_opens(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect_raw(f, ENCODING_PROTO, false);
        char *token = fake_token(f, "ada");
        const Parley__V1__ServerFrame *ready;

        (void)state;
        hello(c, token, 7);
        fake_run(f);
        ready = fake_answer(c, 7);
        assert_non_null(ready);
        assert_int_equal(ready->body_case, PARLEY__V1__SERVER_FRAME__BODY_READY);
        assert_string_equal(ready->ready->user_id, "ada");
        assert_int_equal(ready->ready->n_channels, 1);
        assert_string_equal(ready->ready->channels[0]->channel->id, "general");
        assert_int_equal(ready->ready->channels[0]->role, PARLEY__V1__ROLE__member);
        assert_true(ready->ready->channels[0]->epoch == FAKE_EPOCH);
        /* a second hello violates the protocol */
        hello(c, token, 8);
        fake_run(f);
        assert_error(c, 8, "bad_request", "hello");
        assert_int_equal(c->close_code, PARLEY_CLOSE_PROTOCOL_ERROR);
        free(token);
        fake_free(f);
}

static void test_token_of_the_upgrade_then_hello(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        assert_int_equal(fake_count(c, PARLEY__V1__SERVER_FRAME__BODY_READY), 1);
        hello(c, "", 5);
        fake_run(f);
        assert_int_equal(fake_count(c, PARLEY__V1__SERVER_FRAME__BODY_READY), 2);
        assert_int_equal(fake_answer(c, 5)->body_case, PARLEY__V1__SERVER_FRAME__BODY_READY);
        fake_free(f);
}

static void test_bad_tokens(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect_raw(f, ENCODING_PROTO, false);
        char *token = fake_token(f, "ada");

        (void)state;
        hello(c, "a.b.c", 1);
        fake_run(f);
        assert_error(c, 1, "unauthenticated", "token");
        assert_int_equal(c->close_code, PARLEY_CLOSE_UNAUTHENTICATED);

        c = fake_connect_raw(f, ENCODING_PROTO, false);
        hello(c, "", 1);
        fake_run(f);
        assert_int_equal(c->close_code, PARLEY_CLOSE_UNAUTHENTICATED);

        f->wall_ns += INT64_C(7200) * 1000000000;
        c = fake_connect_raw(f, ENCODING_PROTO, false);
        hello(c, token, 1);
        fake_run(f);
        assert_error(c, 1, "token_expired", "expired");
        assert_int_equal(c->close_code, PARLEY_CLOSE_TOKEN_EXPIRED);
        free(token);
        fake_free(f);
}

static void test_says_nothing(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect_raw(f, ENCODING_PROTO, false);

        (void)state;
        fake_advance(f, f->config.handshake_timeout_ms - 200);
        assert_int_equal(c->close_code, 0);
        fake_advance(f, 400);
        assert_int_equal(c->close_code, PARLEY_CLOSE_HELLO_TIMEOUT);
        assert_null(c->session);
        fake_free(f);
}

static void test_before_ready(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect_raw(f, ENCODING_PROTO, false);
        char *token = fake_token(f, "ada"), id[37];
        uint32_t ref;

        (void)state;
        fake_uuid(f, id);
        ref = fake_client_message(c, "general", id, "x", false);
        fake_run(f);
        assert_error(c, ref, "unauthenticated", "hello");
        f->silent = true; /* memberships are being read */
        hello(c, token, 100);
        fake_run(f);
        ref = fake_client_message(c, "general", id, "x", false);
        fake_run(f);
        assert_error(c, ref, "unavailable", "ready");
        f->silent = false;
        fake_run(f);
        assert_non_null(fake_answer(c, 100));
        ref = fake_client_message(c, "general", id, "x", false);
        fake_run(f);
        assert_int_equal(fake_answer(c, ref)->body_case, PARLEY__V1__SERVER_FRAME__BODY_ACK);
        free(token);
        fake_free(f);
}

static void test_loading_ends(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect_raw(f, ENCODING_PROTO, false);
        char *token = fake_token(f, "ada");

        (void)state;
        f->silent = true;
        hello(c, token, 1);
        fake_advance(f, f->config.loading_timeout_ms + 100);
        assert_error(c, 1, "unavailable", "memberships");
        assert_int_equal(c->close_code, PARLEY_CLOSE_TRY_AGAIN_LATER);
        free(token);
        fake_free(f);
}

static void test_token_expires_and_is_renewed(void **state)
{
        struct fake *f = world();
        struct fake_client *a = fake_connect(f, "ada", ENCODING_PROTO), *b = fake_connect(f, "bob", ENCODING_PROTO);
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Auth auth = PARLEY__V1__AUTH__INIT;
        char *mine, *his;

        (void)state;
        f->config.heartbeat_ms = 3600 * 1000;
        f->wall_ns += INT64_C(3500) * 1000000000;
        mine = fake_token(f, "ada");
        his = fake_token(f, "bob");
        frame.ref = 1;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_AUTH;
        frame.auth = &auth;
        auth.token = his;
        fake_client_send(a, &frame);
        fake_run(f);
        assert_error(a, 1, "forbidden", "user");
        frame.ref = 2;
        auth.token = mine;
        fake_client_send(a, &frame);
        fake_run(f);
        assert_int_equal(fake_answer(a, 2)->body_case, PARLEY__V1__SERVER_FRAME__BODY_AUTHENTICATED);
        /* the clock of the wall has jumped: bob's session notices with its next look, at the latest after a period */
        fake_advance(f, 3600 * 1000);
        assert_int_equal(b->close_code, PARLEY_CLOSE_TOKEN_EXPIRED);
        free(mine);
        free(his);
        fake_free(f);
}

static void test_idle(void **state)
{
        struct fake *f = world();
        struct fake_client *silent = fake_connect(f, "ada", ENCODING_PROTO),
                           *busy = fake_connect(f, "bob", ENCODING_PROTO);

        (void)state;
        for (unsigned i = 0; i < 7; i++) {
                fake_advance(f, f->config.heartbeat_ms / 3);
                session_heard(busy->session);
        }
        assert_int_equal(silent->close_code, PARLEY_CLOSE_IDLE);
        assert_int_equal(busy->close_code, 0);
        fake_free(f);
}

static void test_bad_frames(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_JSON);

        (void)state;
        fake_client_text(c, "{\"type\":\"ping\",\"ref\":3}\n");
        fake_run(f);
        assert_string_equal(c->last_text, "{\"type\":\"pong\",\"ref\":3}");
        fake_client_text(c, "{\"type\":\"dance\",\"ref\":4}");
        fake_run(f);
        assert_non_null(strstr(c->last_text, "\"ref\":4"));
        assert_non_null(strstr(c->last_text, "unknown_type"));
        fake_client_text(c, "{\"type\":\"ping\",\"ref\":5,\"x\":1}\n{\"type\":\"ping\",\"ref\":6}");
        fake_run(f);
        assert_non_null(strstr(c->last_text, "bad_request"));
        assert_non_null(strstr(c->last_text, "{\"type\":\"pong\",\"ref\":6}"));
        for (unsigned i = 0; i < 20; i++) {
                assert_int_equal(c->close_code, 0);
                fake_client_text(c, "{");
        }
        assert_int_equal(c->close_code, PARLEY_CLOSE_PROTOCOL_ERROR);
        fake_free(f);
}

static void test_wrong_kind_of_message(void **state)
{
        struct fake *f = world();
        struct fake_client *text = fake_connect(f, "ada", ENCODING_JSON),
                           *binary = fake_connect(f, "bob", ENCODING_PROTO);

        (void)state;
        session_receive(text->session, (const uint8_t *)"\x02\x12\x00", 3, true);
        assert_int_equal(text->close_code, PARLEY_CLOSE_PROTOCOL_ERROR);
        /* a length beyond the end */
        session_receive(binary->session, (const uint8_t *)"\x7f\x00", 2, true);
        assert_int_equal(binary->close_code, PARLEY_CLOSE_PROTOCOL_ERROR);
        fake_free(f);
}

static void test_text_that_is_none(void **state)
{
        struct fake *f = world();
        struct fake_client *nul = fake_connect(f, "ada", ENCODING_JSON), *bad = fake_connect(f, "ada", ENCODING_JSON);

        (void)state;
        session_receive(nul->session, (const uint8_t *)"{\"type\":\"p\0ng\"}", 15, false);
        fake_run(f);
        assert_int_equal(nul->close_code, 0); /* bad JSON, but text */
        assert_non_null(strstr(nul->last_text, "\"code\":\"bad_"));
        session_receive(bad->session, (const uint8_t *)"{\"type\":\"\xff\"}", 12, false);
        assert_int_equal(bad->close_code, PARLEY_CLOSE_PROTOCOL_ERROR);
        fake_free(f);
}

static void test_connections_of_a_user(void **state)
{
        struct fake *f = fake_new();
        struct fake_client *c[3];

        (void)state;
        f->config.max_connections_per_user = 2;
        fake_start(f);
        for (unsigned i = 0; i < 3; i++)
                c[i] = fake_connect(f, "ada", ENCODING_PROTO);
        assert_int_equal(c[1]->close_code, 0);
        assert_int_equal(c[2]->close_code, PARLEY_CLOSE_TOO_MANY);
        fake_client_drop(c[0]);
        assert_int_equal(fake_connect(f, "ada", ENCODING_PROTO)->close_code, 0);
        fake_free(f);
}

static void on_alive(const struct bus_msg *msg, void *userdata)
{
        Parley__V1__GatewayAlive *m = parley__v1__gateway_alive__unpack(NULL, msg->len, msg->data);

        assert_non_null(m);
        assert_true(m->epoch > 0);
        *(int *)userdata = m->stopping;
        parley__v1__gateway_alive__free_unpacked(m, NULL);
}

/* Who has sessions answers for them: history waits for a gateway that drains, and no more for one that has */
static void test_drain_is_waited_for(void **state)
{
        struct fake *f = world();
        struct bus_sub *sub;
        int stopping = -1;

        (void)state;
        assert_int_equal(f->core->up.subscribe(f, SUBJECT_GATEWAY_ALIVE, on_alive, &stopping, &sub), 0);
        for (unsigned i = 0; i < 10; i++)
                assert_non_null(fake_connect(f, "ada", ENCODING_PROTO)->session);
        f->config.drain_ms = 10000;
        core_drain(f->core);
        fake_advance(f, 2100);
        assert_int_equal(stopping, 0);
        fake_advance(f, f->config.drain_ms + 200);
        assert_true(core_drained(f->core));
        alive_send(f->core);
        fake_run(f);
        assert_int_equal(stopping, 1);
        f->core->up.unsubscribe(f, sub);
        fake_free(f);
}

static void test_drain(void **state)
{
        struct fake *f = world();
        struct fake_client *c[20];
        unsigned gone = 0, different = 0;

        (void)state;
        for (unsigned i = 0; i < 20; i++)
                c[i] = fake_connect(f, "ada", ENCODING_PROTO);
        core_drain(f->core);
        assert_false(core_ready(f->core));
        fake_run(f);
        for (unsigned i = 0; i < 20; i++) {
                const Parley__V1__ServerFrame *frame = fake_last(c[i], PARLEY__V1__SERVER_FRAME__BODY_RECONNECT);

                assert_non_null(frame);
                assert_true(frame->reconnect->after_ms < f->config.drain_ms);
                if (i)
                        different += frame->reconnect->after_ms !=
                                     fake_last(c[0], PARLEY__V1__SERVER_FRAME__BODY_RECONNECT)->reconnect->after_ms;
        }
        assert_true(different > 0);
        fake_advance(f, f->config.drain_ms / 2);
        for (unsigned i = 0; i < 20; i++)
                gone += c[i]->close_code == PARLEY_CLOSE_SERVICE_RESTART;
        assert_in_range(gone, 5, 15);
        assert_false(core_drained(f->core));
        fake_advance(f, f->config.drain_ms / 2 + 200);
        assert_true(core_drained(f->core));
        fake_free(f);
}

static void test_users_and_channels_are_let_go(void **state)
{
        struct fake *f = world();
        struct fake_client *c;

        (void)state;
        fake_put_channel(f, "room", false, false);
        fake_put_members(f, "ada", 1, &(struct fake_membership){"room", PARLEY__V1__ROLE__member, 1, 0, 0, false}, 1,
                         false);
        c = fake_connect(f, "ada", ENCODING_PROTO);
        assert_non_null(c->session);
        fake_client_drop(c);
        fake_advance(f, f->config.linger_ms + 1000);
        assert_null(f->core->users);
        fake_advance(f, f->config.linger_ms + 1000);
        /* the one for everyone stays known, but is not listened to any more */
        assert_int_equal(fake_connect(f, "ada", ENCODING_PROTO)->close_code, 0);
        fake_free(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_hello_opens),
                cmocka_unit_test(test_token_of_the_upgrade_then_hello),
                cmocka_unit_test(test_bad_tokens),
                cmocka_unit_test(test_says_nothing),
                cmocka_unit_test(test_before_ready),
                cmocka_unit_test(test_loading_ends),
                cmocka_unit_test(test_token_expires_and_is_renewed),
                cmocka_unit_test(test_idle),
                cmocka_unit_test(test_bad_frames),
                cmocka_unit_test(test_wrong_kind_of_message),
                cmocka_unit_test(test_text_that_is_none),
                cmocka_unit_test(test_connections_of_a_user),
                cmocka_unit_test(test_drain),
                cmocka_unit_test(test_drain_is_waited_for),
                cmocka_unit_test(test_users_and_channels_are_let_go),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
