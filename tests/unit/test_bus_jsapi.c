/* Answers are what nats-server 2.10.27 wrote, shortened. */
#include "bus/jsapi.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"

static struct jsapi_result result;

static int ack(const char *json, struct bus_ack *ret)
{
        return jsapi_parse_ack((const uint8_t *)json, strlen(json), ret, &result);
}

static void test_ack(void **state)
{
        struct bus_ack a;

        (void)state;
        assert_int_equal(ack("{\"stream\":\"CHAT_0\", \"seq\":4294967297}", &a), 0);
        assert_true(a.seq == 4294967297 && !a.duplicate);
        assert_string_equal(result.text, "");
        assert_int_equal(ack("{\"stream\":\"CHAT_0\", \"seq\":7,\"duplicate\": true}", &a), 0);
        assert_true(a.seq == 7 && a.duplicate);
        assert_int_equal(ack("{\"stream\":\"CHAT_0\", \"domain\":\"hub\", \"seq\":8}", &a), 0);
        assert_true(a.seq == 8);
}

static void test_ack_refused(void **state)
{
        struct bus_ack a = {.seq = 77};

        (void)state;
        assert_int_equal(
                ack("{\"error\":{\"code\":503,\"err_code\":10077,\"description\":\"maximum bytes exceeded\"},\"stream\":\"S\",\"seq\":0}",
                    &a),
                BUS_E_REFUSED);
        assert_string_equal(result.text, "maximum bytes exceeded");
        assert_int_equal(result.err_code, 10077);
        assert_int_equal(
                ack("{\"error\":{\"code\":400,\"err_code\":10071,\"description\":\"wrong last sequence: 2\"},\"stream\":\"S\",\"seq\":0}",
                    &a),
                BUS_E_CONFLICT);
        assert_int_equal(ack("{\"error\":{}}", &a), BUS_E_REFUSED);
        assert_string_equal(result.text, "refused without a reason");
        assert_int_equal(a.seq, 77);
}

/* Of an id whose message was under way when its leader was lost: neither an ack nor a refusal */
static void test_ack_of_what_is_not_stored(void **state)
{
        struct bus_ack a = {.seq = 77};

        (void)state;
        assert_int_equal(ack("{\"stream\":\"CHAT_0\", \"seq\":0,\"duplicate\": true}", &a), BUS_E_TIMEOUT);
        assert_string_equal(result.text, "the server knows the id, and has not stored it");
        assert_int_equal(a.seq, 77);
}

static void test_ack_bad(void **state)
{
        static const char *const bad[] = {
                "", "{", "null", "[]", "7", "\"x\"", "{}", "{\"seq\":0}", "{\"seq\":-1}", "{\"seq\":\"7\"}", "+OK"};
        struct bus_ack a = {.seq = 77};
        char large[10000];

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                assert_int_equal(ack(bad[i], &a), BUS_E_BAD_REPLY);
                assert_true(result.text[0] != '\0');
        }
        snprintf(large, sizeof(large), "{\"seq\":1,\"x\":\"%*s\"}", 9000, "");
        assert_int_equal(ack(large, &a), BUS_E_BAD_REPLY);
        assert_int_equal(a.seq, 77);
}

static int done(const char *json)
{
        return jsapi_parse_done((const uint8_t *)json, strlen(json), &result);
}

static void test_done(void **state)
{
        (void)state;
        assert_int_equal(done("{\"type\":\"io.nats.jetstream.api.v1.stream_msg_delete_response\",\"success\":true}"),
                         0);
        assert_int_equal(done("{\"error\":{\"code\":404,\"err_code\":10059,\"description\":\"stream not found\"}}"),
                         BUS_E_NOT_FOUND);
        assert_int_equal(done("{\"error\":{\"code\":400,\"err_code\":10043,\"description\":\"sequence 2 not found\"}}"),
                         BUS_E_NOT_FOUND);
        assert_int_equal(done("{\"error\":{\"code\":500,\"err_code\":10057,\"description\":\"no message found\"}}"),
                         BUS_E_NOT_FOUND);
        assert_int_equal(done("{\"error\":{\"code\":500,\"err_code\":10057,\"description\":\"stream store EOF\"}}"),
                         BUS_E_NOT_FOUND);
        assert_int_equal(done("{\"error\":{\"code\":500,\"err_code\":10057,\"description\":\"disk full\"}}"),
                         BUS_E_REFUSED);
        assert_int_equal(done("nothing"), BUS_E_BAD_REPLY);
}

static void test_message(void **state)
{
        static const char json[] =
                "{\"type\":\"io.nats.jetstream.api.v1.stream_msg_get_response\",\"message\":{\"subject\":\"chat.0.a\",\"seq\":12,"
                "\"hdrs\":\"TkFUUy8xLjANClBhcmxleS1UcmFjZS1JZDogdDENCk5hdHMtTXNnLUlkOiBtMQ0KDQo=\",\"data\":\"aGVsbG8=\","
                "\"time\":\"2024-01-02T03:04:05.123456789Z\"}}";
        static const char *const bad[] = {
                "{}",
                "{\"message\":{}}",
                "{\"message\":{\"subject\":\"a\"}}",
                "{\"message\":{\"seq\":1}}",
                "{\"message\":{\"subject\":\"a\",\"seq\":1,\"data\":\"!\"}}",
                "{\"message\":{\"subject\":\"a\",\"seq\":1,\"hdrs\":\"!\"}}",
        };
        struct jsapi_message m = {0};

        (void)state;
        assert_int_equal(jsapi_parse_message((const uint8_t *)json, sizeof(json) - 1, &m, &result), 0);
        assert_string_equal(m.subject, "chat.0.a");
        assert_string_equal(m.msg_id, "m1");
        assert_string_equal(m.trace_id, "t1");
        assert_int_equal(m.len, 5);
        assert_memory_equal(m.data, "hello", 5);
        assert_int_equal(m.seq, 12);
        assert_int_equal(m.time_ns, INT64_C(1704164645123456789));
        assert_false(m.deleted);
        jsapi_message_done(&m);
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(jsapi_parse_message((const uint8_t *)bad[i], strlen(bad[i]), &m, &result),
                                 BUS_E_BAD_REPLY);

        /* an empty message without headers, and a deletion mark */
        const char *bare = "{\"message\":{\"subject\":\"a\",\"seq\":1,\"time\":\"2024-01-02T03:04:05Z\"}}";
        assert_int_equal(jsapi_parse_message((const uint8_t *)bare, strlen(bare), &m, &result), 0);
        assert_true(m.len == 0 && m.msg_id == NULL && m.trace_id == NULL && !m.deleted);
        jsapi_message_done(&m);
        const char *mark =
                "{\"message\":{\"subject\":\"a\",\"seq\":1,\"hdrs\":\"TkFUUy8xLjANCktWLU9wZXJhdGlvbjogREVMDQoNCg==\"}}";
        assert_int_equal(jsapi_parse_message((const uint8_t *)mark, strlen(mark), &m, &result), 0);
        assert_true(m.deleted);
        jsapi_message_done(&m);
}

static const char info[] =
        "{\"type\":\"io.nats.jetstream.api.v1.stream_info_response\",\"total\":0,\"config\":{\"name\":\"CHAT_0\",\"subjects\":[\"chat.0.>\"],"
        "\"retention\":\"limits\",\"max_consumers\":-1,\"max_msgs\":-1,\"max_bytes\":-1,\"max_age\":0,\"max_msgs_per_subject\":-1,"
        "\"max_msg_size\":-1,\"discard\":\"new\",\"storage\":\"file\",\"num_replicas\":1,\"duplicate_window\":120000000000,"
        "\"compression\":\"none\",\"allow_direct\":true,\"first_seq\":1000,\"metadata\":{\"parley_epoch\":\"77\",\"other\":\"kept\"}},"
        "\"state\":{\"messages\":3,\"bytes\":120,\"first_seq\":1000,\"last_seq\":1002,\"consumer_count\":0}}";

static const struct bus_stream_config config = {
        .name = "CHAT_0",
        .subject = "chat.0.>",
        .first_seq = 1,
        .epoch = 99,
        .dedupe_window_ms = 120000,
        .replicas = 1,
        .discard_new = true,
        .allow_direct = true,
};

static void test_stream(void **state)
{
        struct bus_stream_info i;

        (void)state;
        assert_int_equal(jsapi_parse_stream((const uint8_t *)info, sizeof(info) - 1, &i, &result), 0);
        assert_true(i.first_seq == 1000 && i.last_seq == 1002 && i.messages == 3 && i.bytes == 120 &&
                    i.max_bytes == 0 && i.epoch == 77 && !i.created);
        assert_int_equal(jsapi_parse_stream((const uint8_t *)"{}", 2, &i, &result), BUS_E_BAD_REPLY);
        const char *foreign = "{\"config\":{\"metadata\":{\"parley_epoch\":\"soon\"}},\"state\":{}}";
        assert_int_equal(jsapi_parse_stream((const uint8_t *)foreign, strlen(foreign), &i, &result), BUS_E_BAD_REPLY);
}

static void test_update(void **state)
{
        struct bus_stream_config c = config;
        char *body = (char *)1;

        (void)state;
        assert_int_equal(jsapi_stream_update((const uint8_t *)info, sizeof(info) - 1, &c, &body), 0);
        assert_null(body); /* nothing differs: first_seq and epoch do not count */
        c.max_bytes = 4096;
        c.republish_from = "chat.0.>";
        c.republish_to = "live.0.>";
        assert_int_equal(jsapi_stream_update((const uint8_t *)info, sizeof(info) - 1, &c, &body), 0);
        assert_non_null(body);
        assert_non_null(strstr(body, "\"max_bytes\":4096"));
        assert_non_null(strstr(body, "\"republish\":{\"src\":\"chat.0.>\",\"dest\":\"live.0.>\"}"));
        assert_non_null(strstr(body, "\"first_seq\":1000"));
        assert_non_null(strstr(body, "\"parley_epoch\":\"77\",\"other\":\"kept\""));
        free(body);
        assert_int_equal(jsapi_stream_update((const uint8_t *)"[]", 2, &c, &body), BUS_E_BAD_REPLY);
}

static void test_create(void **state)
{
        struct bus_stream_config c = config;

        (void)state;
        c.first_seq = 4294967296;
        _cleanup_free_ char *body = jsapi_stream_create(&c);
        assert_non_null(body);
        assert_non_null(strstr(body, "\"first_seq\":4294967296"));
        assert_non_null(strstr(body, "\"metadata\":{\"parley_epoch\":\"99\"}"));
        assert_non_null(strstr(body, "\"duplicate_window\":120000000000"));
        assert_non_null(strstr(body, "\"discard\":\"new\""));
        assert_null(strstr(body, "republish"));
        assert_null(strstr(body, "deny_delete"));
        c.kv = true;
        c.discard_new = false;
        c.max_per_subject = 1;
        _cleanup_free_ char *bucket = jsapi_stream_create(&c);
        assert_non_null(strstr(bucket, "\"deny_delete\":true"));
        assert_non_null(strstr(bucket, "\"allow_rollup_hdrs\":true"));
        assert_non_null(strstr(bucket, "\"discard\":\"new\""));
        assert_non_null(strstr(bucket, "\"max_msgs_per_subject\":1"));
}

static void test_consumer(void **state)
{
        uint64_t pending = 0;
        const char *answer = "{\"type\":\"x\",\"stream_name\":\"S\",\"name\":\"C\",\"num_pending\":5}";

        (void)state;
        _cleanup_free_ char *from = jsapi_consumer_create(
                &(struct jsapi_consumer){.stream = "S", .name = "C", .start_seq = 9, .inactive_ms = 30000});
        assert_string_equal(
                from,
                "{\"stream_name\":\"S\",\"config\":{\"name\":\"C\",\"ack_policy\":\"none\",\"replay_policy\":\"instant\","
                "\"inactive_threshold\":30000000000,\"num_replicas\":1,\"mem_storage\":true,"
                "\"deliver_policy\":\"by_start_sequence\",\"opt_start_seq\":9}}");
        _cleanup_free_ char *last = jsapi_consumer_create(
                &(struct jsapi_consumer){.stream = "S", .name = "C", .last_per_subject = true, .inactive_ms = 30000});
        assert_non_null(strstr(last, "\"deliver_policy\":\"last_per_subject\",\"filter_subject\":\">\""));
        assert_int_equal(jsapi_parse_consumer((const uint8_t *)answer, strlen(answer), &pending, &result), 0);
        assert_int_equal(pending, 5);
        assert_int_equal(jsapi_parse_consumer((const uint8_t *)"{}", 2, &pending, &result), BUS_E_BAD_REPLY);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ack),
                cmocka_unit_test(test_ack_refused),
                cmocka_unit_test(test_ack_of_what_is_not_stored),
                cmocka_unit_test(test_ack_bad),
                cmocka_unit_test(test_done),
                cmocka_unit_test(test_message),
                cmocka_unit_test(test_stream),
                cmocka_unit_test(test_update),
                cmocka_unit_test(test_create),
                cmocka_unit_test(test_consumer),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
