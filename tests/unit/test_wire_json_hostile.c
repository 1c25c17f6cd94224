/* JSON that is wrong: each is refused with the right error, which names what was wrong. */
#include "base/text.h"
#include "kinds.pb-c.h"
#include "parley/v1/client.pb-c.h"
#include "unit.h"
#include "wire/wire.h"

struct bad {
        const char *json;
        int error;
        const char *detail; /* exactly, or up to a final * */
        uint32_t ref;
};

static void assert_detail(const struct bad *bad, size_t n, int error, const struct wire_error *got)
{
        size_t len = strlen(bad->detail);
        bool same = len > 0 && bad->detail[len - 1] == '*' ? strncmp(got->detail, bad->detail, len - 1) == 0
                                                           : strcmp(got->detail, bad->detail) == 0;

        if (error != bad->error || !same || got->ref != bad->ref)
                fail_msg("%.*s\n   error %d (expected %d), ref %u: %s\n   expected: %s", (int)n, bad->json, error,
                         bad->error, got->ref, got->detail, bad->detail);
        assert_true(utf8_valid(got->detail, strlen(got->detail)));
}

static void frame_refused_n(const struct bad *bad, size_t n, const struct wire_limits *limits)
{
        ProtobufCMessage *frame = NULL;
        struct wire_error error;
        int e = wire_frame_json_decode(&parley__v1__client_frame__descriptor, bad->json, n, limits, &frame, &error);

        assert_null(frame);
        assert_detail(bad, n, e, &error);
}

static const struct bad bad_frames[] = {
        /* not JSON */
        {"", WIRE_E_SYNTAX, "not JSON: it is empty", 0},
        {" ", WIRE_E_SYNTAX, "not JSON: *", 0},
        {"{", WIRE_E_SYNTAX, "not JSON: *", 0},
        {"{\"type\":\"ping\"", WIRE_E_SYNTAX, "not JSON: *", 0},
        {"{\"type\":\"ping\"} x", WIRE_E_SYNTAX, "not JSON: *", 0},
        {"{\"type\":\"ping\"}{\"type\":\"ping\"}", WIRE_E_SYNTAX, "not JSON: *", 0},
        {"{\"type\":\"ping\",}", WIRE_E_SYNTAX, "not JSON: *", 0},
        {"{type:\"ping\"}", WIRE_E_SYNTAX, "not JSON: *", 0},
        {"{\"type\":\"ping\"/**/}", WIRE_E_SYNTAX, "not JSON: *", 0},
        {"{\"ref\":NaN}", WIRE_E_SYNTAX, "not JSON: *", 0},
        {"{\"ref\":01}", WIRE_E_SYNTAX, "not JSON: *", 0},
        {"{\"ref\":1e999}", WIRE_E_SYNTAX, "not JSON: *", 0},
        {"{\"type\":\"a\nb\"}", WIRE_E_SYNTAX, "not JSON: *", 0},
        {"{\"type\":\"\\ud800\"}", WIRE_E_SYNTAX, "not JSON: *", 0},
        {"\xef\xbb\xbf{\"type\":\"ping\"}", WIRE_E_SYNTAX, "not JSON: *", 0},
        /* not a frame */
        {"null", WIRE_E_FIELD, "expected an object, got null", 0},
        {"[]", WIRE_E_FIELD, "expected an object, got an array", 0},
        {"\"ping\"", WIRE_E_FIELD, "expected an object, got a string", 0},
        {"{}", WIRE_E_TYPE, "type: missing: it names the frame", 0},
        {"{\"ref\":9}", WIRE_E_TYPE, "type: missing: it names the frame", 9},
        {"{\"ref\":9,\"type\":null}", WIRE_E_TYPE, "type: missing: it names the frame", 9},
        {"{\"ref\":9,\"type\":5}", WIRE_E_FIELD, "type: expected a string, got a number", 9},
        {"{\"ref\":9,\"type\":\"Ping\"}", WIRE_E_TYPE, "Ping: there is no frame of this type", 9},
        {"{\"ref\":9,\"type\":\"\"}", WIRE_E_TYPE, "there is no frame of this type", 9},
        {"{\"ref\":9,\"type\":\"ref\"}", WIRE_E_TYPE, "ref: there is no frame of this type", 9},
        {"{\"ref\":9,\"type\":\"ack\"}", WIRE_E_TYPE, "ack: there is no frame of this type", 9},
        {"{\"ref\":9,\"type\":\"ping\\u0000\"}", WIRE_E_TEXT, "type: a NUL (\\u0000) is not allowed", 9},
        {"{\"type\":\"ping\",\"type\":\"ping\"}", WIRE_E_FIELD, "type: given twice", 0},
        {"{\"ref\":1,\"type\":\"ping\",\"ref\":1}", WIRE_E_FIELD, "ref: given twice", 0},
        {"{\"type\":\"ping\",\"ref\":-1}", WIRE_E_FIELD, "ref: expected a whole number from 0 to 4294967295", 0},
        {"{\"type\":\"ping\",\"ref\":4294967296}", WIRE_E_FIELD, "ref: expected a whole number from 0 to 4294967295",
         0},
        {"{\"type\":\"ping\",\"ref\":1.5}", WIRE_E_FIELD, "ref: expected a whole number from 0 to 4294967295", 0},
        {"{\"type\":\"ping\",\"ref\":\"1\"}", WIRE_E_FIELD,
         "ref: expected a whole number from 0 to 4294967295, got a string", 0},
        /* wrong fields; the ref is known wherever it stands */
        {"{\"type\":\"ping\",\"x\":1,\"ref\":9}", WIRE_E_FIELD, "x: there is no such field", 9},
        {"{\"type\":\"send\",\"ref\":9,\"channel_id\":\"a\"}", WIRE_E_FIELD, "channel_id: there is no such field", 9},
        {"{\"type\":\"send\",\"ref\":9,\"channelId\":7}", WIRE_E_FIELD, "channelId: expected a string, got a number",
         9},
        {"{\"type\":\"send\",\"ref\":9,\"channelId\":\"a\",\"channelId\":\"b\"}", WIRE_E_FIELD,
         "channelId: given twice", 9},
        {"{\"type\":\"send\",\"ref\":9,\"channelId\":null,\"channelId\":\"b\"}", WIRE_E_FIELD, "channelId: given twice",
         9},
        {"{\"type\":\"send\",\"ref\":9,\"channelId\":\"a\",\"channelId\":null}", WIRE_E_FIELD, "channelId: given twice",
         9},
        {"{\"type\":\"send\",\"ref\":9,\"message\":[]}", WIRE_E_FIELD, "message: expected an object, got an array", 9},
        {"{\"type\":\"send\",\"ref\":9,\"message\":{\"content\":{}}}", WIRE_E_FIELD,
         "message.content: expected a string, got an object", 9},
        {"{\"type\":\"send\",\"ref\":9,\"message\":{\"content\":5}}", WIRE_E_FIELD,
         "message.content: expected a string, got a number", 9},
        {"{\"type\":\"send\",\"ref\":9,\"message\":{\"seq\":5}}", WIRE_E_FIELD, "message.seq: there is no such field",
         9},
        {"{\"type\":\"send\",\"ref\":9,\"message\":{\"type\":\"video\"}}", WIRE_E_FIELD,
         "message.type: expected one of text, image, file, system", 9},
        {"{\"type\":\"send\",\"ref\":9,\"message\":{\"type\":4}}", WIRE_E_FIELD,
         "message.type: expected one of text, image, file, system", 9},
        {"{\"type\":\"send\",\"ref\":9,\"message\":{\"mentions\":\"bob\"}}", WIRE_E_FIELD,
         "message.mentions: expected an array, got a string", 9},
        {"{\"type\":\"send\",\"ref\":9,\"message\":{\"mentions\":[\"bob\",null]}}", WIRE_E_FIELD,
         "message.mentions[1]: expected a string, got null", 9},
        {"{\"type\":\"send\",\"ref\":9,\"retry\":1}", WIRE_E_FIELD, "retry: expected true or false, got a number", 9},
        {"{\"type\":\"send\",\"ref\":9,\"retryAgeMs\":-5}", WIRE_E_FIELD,
         "retryAgeMs: expected a whole number from 0 to 4294967295", 9},
        {"{\"type\":\"edit\",\"ref\":9,\"targetSeq\":-5}", WIRE_E_FIELD,
         "targetSeq: expected a whole number of 64 bits, 0 or more", 9},
        {"{\"type\":\"edit\",\"ref\":9,\"targetSeq\":1.5}", WIRE_E_FIELD,
         "targetSeq: expected a whole number of 64 bits, 0 or more", 9},
        {"{\"type\":\"edit\",\"ref\":9,\"targetSeq\":18446744073709551616}", WIRE_E_FIELD,
         "targetSeq: expected a whole number of 64 bits, 0 or more", 9},
        {"{\"type\":\"edit\",\"ref\":9,\"targetSeq\":\"18446744073709551616\"}", WIRE_E_FIELD,
         "targetSeq: expected a whole number of 64 bits, 0 or more", 9},
        {"{\"type\":\"edit\",\"ref\":9,\"targetSeq\":\" 5\"}", WIRE_E_FIELD,
         "targetSeq: expected a whole number of 64 bits, 0 or more", 9},
        {"{\"type\":\"edit\",\"ref\":9,\"targetSeq\":\"\"}", WIRE_E_FIELD,
         "targetSeq: expected a whole number of 64 bits, 0 or more", 9},
        {"{\"type\":\"edit\",\"ref\":9,\"targetSeq\":true}", WIRE_E_FIELD,
         "targetSeq: expected a whole number of 64 bits, 0 or more, got a boolean", 9},
        {"{\"type\":\"resume\",\"ref\":9,\"cursors\":[{},{\"seq\":\"x\"}]}", WIRE_E_FIELD,
         "cursors[1].seq: expected a whole number of 64 bits, 0 or more", 9},
        {"{\"type\":\"resume\",\"ref\":9,\"cursors\":[[]]}", WIRE_E_FIELD,
         "cursors[0]: expected an object, got an array", 9},
        /* text */
        {"{\"type\":\"send\",\"ref\":9,\"message\":{\"content\":\"a\\u0000b\"}}", WIRE_E_TEXT,
         "message.content: a NUL (\\u0000) is not allowed", 9},
        {"{\"type\":\"send\",\"ref\":9,\"message\":{\"content\":\"a\xff\"}}", WIRE_E_TEXT,
         "message.content: invalid UTF-8", 9},
        {"{\"type\":\"send\",\"ref\":9,\"message\":{\"content\":\"\xc0\x80\"}}", WIRE_E_TEXT,
         "message.content: invalid UTF-8", 9},
        {"{\"type\":\"send\",\"ref\":9,\"message\":{\"content\":\"\xed\xa0\x80\"}}", WIRE_E_TEXT,
         "message.content: invalid UTF-8", 9},
        {"{\"type\":\"send\",\"ref\":9,\"message\":{\"mentions\":[\"\xf5\x80\x80\x80\"]}}", WIRE_E_TEXT,
         "message.mentions[0]: invalid UTF-8", 9},
        {"{\"type\":\"send\",\"ref\":9,\"message\":{\"\xff\":1}}", WIRE_E_TEXT, "message: invalid UTF-8", 9},
        {"{\"type\":\"send\",\"ref\":9,\"a\\u0000\":1}", WIRE_E_TEXT, "a NUL (\\u0000) is not allowed", 9},
        /* names that were sent are shown, but cut and without controls */
        {"{\"type\":\"ping\",\"\\u001b[31m\\u0022\":1}", WIRE_E_FIELD, "?[31m?: there is no such field", 0},
        {"{\"type\":\"ping\",\"01234567890123456789012345678901234567890123456789\":1}", WIRE_E_FIELD,
         "0123456789012345678901234567890123456789...: there is no such field", 0},
        {"{\"type\":\"ping\",\"012345678901234567890123456789012345678\xc3\xa4x\":1}", WIRE_E_FIELD,
         "012345678901234567890123456789012345678...: there is no such field", 0},
};

static void test_frames(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(bad_frames) / sizeof(bad_frames[0]); i++)
                frame_refused_n(&bad_frames[i], strlen(bad_frames[i].json), NULL);
        frame_refused_n(&(struct bad){"{\"type\":\"ping\"}\0", WIRE_E_SYNTAX, "not JSON: *", 0}, 16, NULL);
        frame_refused_n(&(struct bad){"{\"ty\0pe\":\"ping\"}", WIRE_E_TYPE, "type: missing: it names the frame", 0}, 16,
                        NULL);
        frame_refused_n(
                &(struct bad){"{\"type\":\"ping\",\"a\0\":1}", WIRE_E_TEXT, "a NUL (\\u0000) is not allowed", 0}, 22,
                NULL);
}

static const struct bad bad_kinds[] = {
        {"{\"anInt32\":2147483648}", WIRE_E_FIELD, "anInt32: expected a whole number from -2147483648 to 2147483647",
         0},
        {"{\"aSint32\":-2147483649}", WIRE_E_FIELD, "aSint32: expected a whole number from -2147483648 to 2147483647",
         0},
        {"{\"anInt64\":9223372036854775808}", WIRE_E_FIELD, "anInt64: expected a whole number of 64 bits", 0},
        {"{\"anInt64\":\"-9223372036854775809\"}", WIRE_E_FIELD, "anInt64: expected a whole number of 64 bits", 0},
        {"{\"anInt64\":\"--1\"}", WIRE_E_FIELD, "anInt64: expected a whole number of 64 bits", 0},
        {"{\"aFloat\":1e39}", WIRE_E_FIELD, "aFloat: the number is too large", 0},
        {"{\"aFloat\":-3.4028235678e38}", WIRE_E_FIELD, "aFloat: the number is too large", 0},
        {"{\"aFloat\":\"1\"}", WIRE_E_FIELD, "aFloat: expected a number, got a string", 0},
        {"{\"aBool\":\"true\"}", WIRE_E_FIELD, "aBool: expected true or false, got a string", 0},
        {"{\"aColour\":2}", WIRE_E_FIELD, "aColour: expected one of below_zero, red, green, dark_blue", 0},
        {"{\"aColour\":\"red\\u0000\"}", WIRE_E_TEXT, "aColour: a NUL (\\u0000) is not allowed", 0},
        {"{\"aColour\":[]}", WIRE_E_FIELD, "aColour: expected a name, got an array", 0},
        {"{\"someBytes\":\"a\"}", WIRE_E_FIELD, "someBytes: not base64", 0},
        {"{\"someBytes\":\"a===\"}", WIRE_E_FIELD, "someBytes: not base64", 0},
        {"{\"someBytes\":\"ab=\"}", WIRE_E_FIELD, "someBytes: not base64", 0},
        {"{\"someBytes\":\"ab c\"}", WIRE_E_FIELD, "someBytes: not base64", 0},
        {"{\"someBytes\":1}", WIRE_E_FIELD, "someBytes: expected a base64 string, got a number", 0},
        {"{\"byteStrings\":[\"AQ==\",\"!\"]}", WIRE_E_FIELD, "byteStrings[1]: not base64", 0},
        {"{\"at\":5}", WIRE_E_FIELD, "at: expected a time as a string, got a number", 0},
        {"{\"at\":\"yesterday\"}", WIRE_E_FIELD, "at: expected a time such as 2026-01-02T03:04:05.678Z", 0},
        {"{\"at\":\"2026-02-30T00:00:00Z\"}", WIRE_E_FIELD, "at: expected a time such as *", 0},
        {"{\"times\":[\"2026-01-01T00:00:00Z\",{}]}", WIRE_E_FIELD,
         "times[1]: expected a time as a string, got an object", 0},
        {"{\"oneInt32\":1,\"oneString\":\"a\"}", WIRE_E_FIELD, "oneString: cannot stand beside \"oneInt32\"", 0},
        {"{\"oneChild\":{},\"oneBytes\":\"\"}", WIRE_E_FIELD, "oneBytes: cannot stand beside \"oneChild\"", 0},
        {"{\"oneChild\":{\"anInt32\":\"\"}}", WIRE_E_FIELD, "oneChild.anInt32: expected a whole number *", 0},
        {"{\"oneString\":5}", WIRE_E_FIELD, "oneString: expected a string, got a number", 0},
        {"{\"children\":[{\"child\":{\"children\":[{},{\"strings\":[1]}]}}]}", WIRE_E_FIELD,
         "children[0].child.children[1].strings[0]: expected a string, got a number", 0},
};

static void test_kinds(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(bad_kinds) / sizeof(bad_kinds[0]); i++) {
                ProtobufCMessage *message = NULL;
                struct wire_error error;
                size_t n = strlen(bad_kinds[i].json);
                int e = wire_json_decode(&parley__test__kinds__descriptor, bad_kinds[i].json, n, NULL, &message,
                                         &error);

                assert_null(message);
                assert_detail(&bad_kinds[i], n, e, &error);
        }
}

/* {"child":{"child":…{}…}} with n levels */
static char *nested(unsigned n)
{
        char *json = calloc(1, n * 12 + 1);

        assert_non_null(json);
        for (unsigned i = 1; i < n; i++)
                strcat(json, "{\"child\":");
        strcat(json, "{}");
        for (unsigned i = 1; i < n; i++)
                strcat(json, "}");
        return json;
}

static void test_depth(void **state)
{
        const struct wire_limits limits = {.max_depth = 4};
        ProtobufCMessage *message = NULL;
        struct wire_error error;
        char *json = nested(4);

        (void)state;
        assert_int_equal(
                wire_json_decode(&parley__test__kinds__descriptor, json, strlen(json), &limits, &message, &error), 0);
        protobuf_c_message_free_unpacked(message, NULL);
        message = NULL;
        free(json);

        json = nested(5);
        assert_int_equal(
                wire_json_decode(&parley__test__kinds__descriptor, json, strlen(json), &limits, &message, &error),
                WIRE_E_LIMIT);
        assert_string_equal(error.detail, "child.child.child.child: nested too deeply: at most 4 levels");
        free(json);

        /* A frame is level 1, its body 2 */
        frame_refused_n(&(struct bad){"{\"type\":\"send\",\"message\":{}}", WIRE_E_LIMIT,
                                      "message: nested too deeply: at most 2 levels", 0},
                        28, &(struct wire_limits){.max_depth = 2});

        /* Deep nonsense ends at the first name that is not known, and costs no stack */
        json = malloc(1000000);
        assert_non_null(json);
        memcpy(json, "{\"type\":\"ping\",\"x\":", 19);
        memset(json + 19, '[', 400000);
        memset(json + 400019, ']', 400000);
        json[800019] = '}';
        frame_refused_n(&(struct bad){json, WIRE_E_FIELD, "x: there is no such field", 0}, 800020, NULL);
        free(json);
}

static void test_elements(void **state)
{
        static const struct wire_limits limits = {.max_elements = 3};
        static const char three[] = "{\"type\":\"send\",\"message\":{\"mentions\":[\"a\",\"b\",\"c\"]}}";
        static const char four[] = "{\"type\":\"send\",\"message\":{\"mentions\":[\"a\",\"b\",\"c\",\"d\"]}}";
        static const char spread[] = "{\"children\":[{\"strings\":[\"a\"]},{\"strings\":[\"a\"]}]}";
        ProtobufCMessage *message = NULL;
        struct wire_error error;

        (void)state;
        assert_int_equal(wire_frame_json_decode(&parley__v1__client_frame__descriptor, three, strlen(three), &limits,
                                                &message, &error),
                         0);
        protobuf_c_message_free_unpacked(message, NULL);
        frame_refused_n(
                &(struct bad){four, WIRE_E_LIMIT, "message.mentions: too many elements: at most 3 in a frame", 0},
                strlen(four), &limits);
        message = NULL;
        assert_int_equal(
                wire_json_decode(&parley__test__kinds__descriptor, spread, strlen(spread), &limits, &message, &error),
                WIRE_E_LIMIT);
        assert_string_equal(error.detail, "children[1].strings: too many elements: at most 3 in a frame");
        assert_null(message);
}

static void test_size(void **state)
{
        (void)state;
        frame_refused_n(
                &(struct bad){"{\"type\":\"ping\"}", WIRE_E_LIMIT, "15 bytes are too many: at most 14 are taken", 0},
                15, &(struct wire_limits){.max_bytes = 14});
}

/* A long path leaves room for what was expected, and the whole is valid text */
static void test_long_path(void **state)
{
        char json[400] = "";
        ProtobufCMessage *message = NULL;
        struct wire_error error;

        (void)state;
        for (unsigned i = 0; i < 20; i++)
                strcat(json, "{\"children\":[");
        strcat(json, "5");
        for (unsigned i = 0; i < 20; i++)
                strcat(json, "]}");
        assert_int_equal(wire_json_decode(&parley__test__kinds__descriptor, json, strlen(json),
                                          &(struct wire_limits){.max_depth = 50}, &message, &error),
                         WIRE_E_FIELD);
        assert_true(strlen(error.detail) < sizeof(error.detail));
        assert_non_null(strstr(error.detail, ": expected an object, got a number"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_frames),   cmocka_unit_test(test_kinds), cmocka_unit_test(test_depth),
                cmocka_unit_test(test_elements), cmocka_unit_test(test_size),  cmocka_unit_test(test_long_path),
        };
        return cmocka_run_group_tests_name("wire/json hostile", tests, NULL, NULL);
}
