/* What one client may ask for: rates, and what waits for an answer. */
#include "gateway_fake.h"

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

static void test_rate_of_a_user(void **state)
{
        struct fake *f = world();
        struct fake_client *a = fake_connect(f, "ada", ENCODING_PROTO), *a2 = fake_connect(f, "ada", ENCODING_PROTO),
                           *b = fake_connect(f, "bob", ENCODING_PROTO);
        unsigned refused = 0;
        uint32_t hint = 0;
        char id[37];

        (void)state;
        f->config.rate_limits = true;
        f->config.rate_messages_per_user = 5;
        f->config.burst_messages_per_user = 5;
        for (unsigned i = 0; i < 20; i++) {
                struct fake_client *c = i % 2 ? a : a2; /* one bucket for all his devices */
                uint32_t ref;

                fake_uuid(f, id);
                ref = fake_client_message(c, ROOM, id, "x", false);
                fake_run(f);
                if (strcmp(code_of(c, ref), "ack") != 0) {
                        assert_string_equal(code_of(c, ref), "rate_limited");
                        /* each is told a later time, at the rate that is allowed */
                        assert_in_range(fake_answer(c, ref)->error->retry_ms, hint + 1, hint + 202);
                        hint = fake_answer(c, ref)->error->retry_ms;
                        refused++;
                }
        }
        assert_int_equal(refused, 15);
        fake_uuid(f, id);
        refused = fake_client_message(b, ROOM, id, "x", false);
        fake_run(f);
        assert_string_equal(code_of(b, refused), "ack");
        fake_free(f);
}

static void test_frames_of_a_connection(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_JSON);
        unsigned n = 0;

        (void)state;
        f->config.rate_limits = true;
        f->config.rate_frames_per_connection = 10;
        f->config.burst_frames_per_connection = 20;
        while (!c->close_code) {
                fake_client_text(c, "{\"type\":\"resume\"}");
                if (++n == 21) {
                        fake_run(f);
                        assert_non_null(strstr(c->last_text, "rate_limited"));
                        /* a heartbeat is answered all the same */
                        fake_client_text(c, "{\"type\":\"ping\",\"ref\":7}");
                        fake_run(f);
                        assert_string_equal(c->last_text, "{\"type\":\"pong\",\"ref\":7}");
                }
                assert_true(n < 1000);
        }
        assert_int_equal(c->close_code, 4009);
        fake_free(f);
}

/* How long a client lives that sends so many every 100 ms, in ms, of a minute */
static unsigned lives(unsigned frames)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_JSON);
        unsigned ms = 0;

        f->config.rate_limits = true;
        f->config.rate_frames_per_connection = 10;
        f->config.burst_frames_per_connection = 20;
        for (; !c->close_code && ms < 60000; ms += 100) {
                for (unsigned i = 0; i < frames && !c->close_code; i++)
                        fake_client_text(c, "{\"type\":\"resume\"}");
                fake_advance(f, 100);
        }
        if (c->close_code)
                assert_int_equal(c->close_code, 4009);
        fake_free(f);
        return ms;
}

/* A frame that gets through now and then forgives not all that did not */
static void test_too_fast_for_long(void **state)
{
        (void)state;
        assert_in_range(lives(6), 3000, 8000);
        assert_int_equal(lives(1), 60000);
        assert_int_equal(lives(2), 60000); /* one of them too many, each time */
}

/* Coming and going again and again: each opening costs a `ready`. */
static void test_rate_of_openings(void **state)
{
        struct fake *f = world();
        struct fake_client *c;

        (void)state;
        f->config.rate_limits = true;
        f->config.rate_sessions_per_user = 1;
        f->config.burst_sessions_per_user = 5;
        f->config.linger_ms = 0; /* leaving does not fill the bucket */
        for (unsigned i = 0; i < 5; i++) {
                c = fake_connect(f, "ada", ENCODING_PROTO);
                assert_int_equal(fake_count(c, PARLEY__V1__SERVER_FRAME__BODY_READY), 1);
                fake_client_drop(c);
                fake_advance(f, 10);
        }
        c = fake_connect(f, "ada", ENCODING_PROTO);
        assert_int_equal(c->close_code, 4009);
        assert_string_equal(fake_last(c, PARLEY__V1__SERVER_FRAME__BODY_ERROR)->error->code, "rate_limited");
        assert_in_range(fake_last(c, PARLEY__V1__SERVER_FRAME__BODY_ERROR)->error->retry_ms, 1, 1000);
        c = fake_connect(f, "bob", ENCODING_PROTO);
        assert_int_equal(c->close_code, 0);
        fake_advance(f, 1100);
        c = fake_connect(f, "ada", ENCODING_PROTO);
        assert_int_equal(c->close_code, 0);
        fake_free(f);
}

/* Messages without a frame, and pongs, are not free. */
static void test_empty_messages(void **state)
{
        struct fake *f = world();
        struct fake_client *lines = fake_connect(f, "ada", ENCODING_JSON),
                           *pongs = fake_connect(f, "bob", ENCODING_JSON),
                           *calm = fake_connect(f, "cyd", ENCODING_JSON);

        (void)state;
        f->config.rate_limits = true;
        f->config.rate_frames_per_connection = 10;
        f->config.burst_frames_per_connection = 20;
        for (unsigned i = 0; i < 219; i++) {
                fake_client_text(lines, i % 2 ? "" : "\n\n\n");
                session_pong(pongs->session);
        }
        assert_int_equal(lines->close_code, 0);
        assert_int_equal(pongs->close_code, 0);
        fake_client_text(lines, "\n");
        session_pong(pongs->session);
        assert_int_equal(lines->close_code, 4009);
        assert_int_equal(pongs->close_code, 4009);
        /* a message with a frame is charged for the frame alone */
        for (unsigned i = 0; i < 20; i++)
                fake_client_text(calm, "{\"type\":\"resume\"}\n");
        fake_run(f);
        assert_null(strstr(calm->last_text, "rate_limited"));
        fake_client_text(calm, "{\"type\":\"resume\"}\n");
        fake_run(f);
        assert_non_null(strstr(calm->last_text, "rate_limited"));
        fake_free(f);
}

/* Frames that cannot be read, or of no known type, are dear as well, and there is an end to them. */
static void test_frames_that_mean_nothing(void **state)
{
        Parley__V1__ClientFrame nothing = PARLEY__V1__CLIENT_FRAME__INIT, ping = nothing;
        Parley__V1__Ping body = PARLEY__V1__PING__INIT;
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO), *many = fake_connect(f, "bob", ENCODING_JSON);

        (void)state;
        ping.body_case = PARLEY__V1__CLIENT_FRAME__BODY_PING;
        ping.ping = &body;
        f->config.max_bad_frames = 5;
        for (unsigned i = 0; i < 40; i++) {
                nothing.ref = i + 1;
                fake_client_send(c, i % 5 == 4 ? &ping : &nothing); /* four in a row at most */
        }
        fake_run(f);
        assert_int_equal(c->close_code, 0);
        assert_string_equal(code_of(c, 1), "unknown_type");
        for (unsigned i = 0; i < 4; i++)
                fake_client_send(c, &nothing);
        assert_int_equal(c->close_code, 0);
        fake_client_send(c, &nothing);
        assert_int_equal(c->close_code, 4000);
        /* 0: no end, but for the rate */
        f->config.max_bad_frames = 0;
        f->config.rate_limits = true;
        f->config.rate_frames_per_connection = 10;
        f->config.burst_frames_per_connection = 20;
        for (unsigned i = 0; i < 11; i++)
                fake_client_text(many,
                                 "{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n");
        assert_int_equal(many->close_code, 4009);
        fake_free(f);
}

static void test_pending_is_bounded(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        char id[37];
        unsigned refused = 0;

        (void)state;
        f->config.session_max_pending = 10;
        f->silent = true;
        for (unsigned i = 0; i < 30; i++) {
                uint32_t ref;

                fake_uuid(f, id);
                ref = fake_client_message(c, ROOM, id, "x", false);
                fake_run(f);
                refused += fake_answer(c, ref) != NULL;
        }
        assert_int_equal(refused, 20);
        assert_int_equal(f->core->n_pending, 10);
        f->silent = false;
        fake_run(f);
        fake_free(f);
}

/* Few large ones count as many small ones. */
static void test_pending_bytes_are_bounded(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        char id[37], content[10001];
        unsigned refused = 0;

        (void)state;
        memset(content, 'x', sizeof(content) - 1);
        content[sizeof(content) - 1] = '\0';
        f->config.max_pending_bytes = 100000;
        f->silent = true;
        for (unsigned i = 0; i < 20; i++) {
                uint32_t ref;

                fake_uuid(f, id);
                ref = fake_client_message(c, ROOM, id, content, false);
                fake_run(f);
                if (fake_answer(c, ref)) {
                        assert_string_equal(code_of(c, ref), "unavailable");
                        refused++;
                }
        }
        assert_in_range(refused, 10, 19);
        assert_in_range(f->core->pending_bytes, 100000, 130000);
        f->silent = false;
        fake_run(f);
        fake_free(f);
}

static void test_cursors_are_in_the_same_budget(void **state)
{
        static const char hello[] = "{\"type\":\"hello\",\"cursors\":[{\"channelId\":\"room\",\"epoch\":1,\"seq\":1}]}";
        struct fake *f = world();
        struct fake_client *c = fake_connect_raw(f, ENCODING_JSON, false);

        (void)state;
        f->config.max_pending_bytes = 1;
        fake_client_text(c, hello);
        fake_run(f);
        assert_int_equal(c->close_code, 1013);
        f->config.max_pending_bytes = 1 << 20;
        c = fake_connect_raw(f, ENCODING_JSON, false);
        fake_client_text(c, hello); /* is kept, and refused as it has no token: given back */
        fake_run(f);
        assert_int_equal(c->close_code, 4001);
        assert_int_equal(f->core->pending_bytes, 0);
        fake_free(f);
}

/* What history would not take is not acknowledged. */
static void test_size_of_an_event(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        size_t before = f->n_log;
        char id[37];
        uint32_t ref;

        (void)state;
        f->config.max_event_bytes = 100;
        fake_uuid(f, id);
        ref = fake_client_message(c, ROOM, id, "x", false);
        fake_run(f);
        assert_string_equal(code_of(c, ref), "too_large");
        assert_int_equal(f->n_log, before);
        assert_int_equal(f->core->n_pending, 0);
        assert_int_equal(f->core->pending_bytes, 0);
        fake_free(f);
}

static void test_contradictions(void **state)
{
        struct fake *f = world();
        struct gateway_config config = f->config;
        char error[256];

        (void)state;
        assert_int_equal(gateway_config_check(&config, error, sizeof(error)), 0);
        config.max_content_bytes = 524288;
        assert_true(gateway_config_check(&config, error, sizeof(error)) < 0);
        assert_non_null(strstr(error, "PARLEY_MAX_EVENT_BYTES=262144"));
        config.max_event_bytes = 1 << 20;
        assert_true(gateway_config_check(&config, error, sizeof(error)) < 0);
        assert_non_null(strstr(error, "PARLEY_MAX_FRAME_BYTES=131072"));
        config.max_frame_bytes = 4 << 20;
        assert_int_equal(gateway_config_check(&config, error, sizeof(error)), 0);
        fake_free(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rate_of_a_user),
                cmocka_unit_test(test_frames_of_a_connection),
                cmocka_unit_test(test_too_fast_for_long),
                cmocka_unit_test(test_pending_is_bounded),
                cmocka_unit_test(test_size_of_an_event),
                cmocka_unit_test(test_pending_bytes_are_bounded),
                cmocka_unit_test(test_cursors_are_in_the_same_budget),
                cmocka_unit_test(test_contradictions),
                cmocka_unit_test(test_rate_of_openings),
                cmocka_unit_test(test_empty_messages),
                cmocka_unit_test(test_frames_that_mean_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
