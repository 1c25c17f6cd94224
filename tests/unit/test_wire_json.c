/* JSON, both ways: what is written is read back the same, and known frames are exactly these bytes. */
#include <errno.h>
#include <float.h>

#include "kinds.pb-c.h"
#include "parley/v1/client.pb-c.h"
#include "unit.h"
#include "wire/wire.h"
#include "wire_random.h"

#define ROUNDS 300

static const struct wire_limits wide = {.max_bytes = 1 << 24, .max_depth = 20, .max_elements = 1 << 20};

static void test_round_trip(void **state)
{
        uint64_t seed = 20260102;

        (void)state;
        for (size_t t = 0; t < wire_n_all_types; t++)
                for (unsigned i = 0; i < ROUNDS; i++) {
                        ProtobufCMessage *message = wire_random_message(wire_all_types[t], 1 + i % 5, &seed),
                                         *back = NULL;
                        struct buf json = BUF_INIT(1 << 24), again = BUF_INIT(1 << 24);
                        struct wire_error error;

                        assert_int_equal(wire_json_encode(message, &json), 0);
                        int e = wire_json_decode(wire_all_types[t], (char *)json.data, json.len, &wide, &back, &error);
                        if (e != 0)
                                fail_msg("%s: %s\n%.*s", wire_all_types[t]->name, error.detail, (int)json.len,
                                         json.data);
                        assert_true(wire_equal(message, back));
                        /* Nothing is lost that packing leaves out: the same text comes again */
                        assert_int_equal(wire_json_encode(back, &again), 0);
                        assert_int_equal(json.len, again.len);
                        assert_memory_equal(json.data, again.data, json.len);
                        protobuf_c_message_free_unpacked(message, NULL);
                        protobuf_c_message_free_unpacked(back, NULL);
                        buf_done(&json);
                        buf_done(&again);
                }
}

static void frame_round_trip(const ProtobufCMessageDescriptor *type, uint64_t *seed)
{
        ProtobufCMessage *frame = wire_random_message(type, 6, seed), *back = NULL;
        struct buf json = BUF_INIT(1 << 24);
        struct wire_error error;

        assert_int_equal(wire_frame_json_encode(frame, &json), 0);
        assert_null(memchr(json.data, '\n', json.len)); /* or lines could not delimit frames */
        int e = wire_frame_json_decode(type, (char *)json.data, json.len, &wide, &back, &error);
        if (e != 0)
                fail_msg("%s: %s\n%.*s", type->name, error.detail, (int)json.len, json.data);
        assert_true(wire_equal(frame, back));
        assert_int_equal(error.ref, type == &parley__v1__client_frame__descriptor
                                            ? ((Parley__V1__ClientFrame *)frame)->ref
                                            : ((Parley__V1__ServerFrame *)frame)->ref);
        protobuf_c_message_free_unpacked(frame, NULL);
        protobuf_c_message_free_unpacked(back, NULL);
        buf_done(&json);
}

static void test_frame_round_trip(void **state)
{
        uint64_t seed = 7;

        (void)state;
        for (unsigned i = 0; i < ROUNDS; i++) {
                frame_round_trip(&parley__v1__client_frame__descriptor, &seed);
                frame_round_trip(&parley__v1__server_frame__descriptor, &seed);
        }
}

static void assert_frame(const Parley__V1__ServerFrame *frame, const char *json)
{
        struct buf out = BUF_INIT(4096);

        assert_int_equal(wire_frame_json_encode(&frame->base, &out), 0);
        assert_int_equal(buf_append(&out, "", 1), 0);
        assert_string_equal((char *)out.data, json);
        buf_done(&out);
}

#define UUID "019b7c00-1111-7222-8333-444455556666"

static void test_known_server_frames(void **state)
{
        Parley__V1__ServerFrame frame = PARLEY__V1__SERVER_FRAME__INIT;
        Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        Parley__V1__Ack ack = PARLEY__V1__ACK__INIT;
        Parley__V1__Event event = PARLEY__V1__EVENT__INIT;
        Parley__V1__Message message = PARLEY__V1__MESSAGE__INIT;
        Parley__V1__Error error = PARLEY__V1__ERROR__INIT;
        Parley__V1__Pong pong = PARLEY__V1__PONG__INIT;

        (void)state;
        at.seconds = 1767323045;
        at.nanos = 678000000;
        frame.body_case = PARLEY__V1__SERVER_FRAME__BODY_PONG;
        frame.pong = &pong;
        assert_frame(&frame, "{\"type\":\"pong\"}");

        frame.ref = 7;
        frame.body_case = PARLEY__V1__SERVER_FRAME__BODY_ERROR;
        frame.error = &error;
        error.code = (char *)"not_a_member";
        error.message = (char *)"Not a \"member\"";
        assert_frame(
                &frame,
                "{\"type\":\"error\",\"ref\":7,\"code\":\"not_a_member\",\"message\":\"Not a \\\"member\\\"\",\"retryMs\":0}");

        frame.body_case = PARLEY__V1__SERVER_FRAME__BODY_ACK;
        frame.ack = &ack;
        ack.id = (char *)UUID;
        ack.channel_id = (char *)"general";
        ack.seq = 42;
        ack.created_at = &at;
        assert_frame(&frame, "{\"type\":\"ack\",\"ref\":7,\"id\":\"" UUID "\",\"channelId\":\"general\",\"seq\":42,"
                             "\"createdAt\":\"2026-01-02T03:04:05.678Z\",\"duplicate\":false}");

        frame.ref = 0;
        frame.body_case = PARLEY__V1__SERVER_FRAME__BODY_EVENT;
        frame.event = &event;
        event.channel_id = message.channel_id = (char *)"general";
        event.seq = message.seq = 9007199254740993; /* above 2^53: still a number */
        event.prev = 41;
        event.id = message.id = (char *)UUID;
        event.actor_id = message.sender_id = (char *)"anna";
        message.content = (char *)"hi\n\x01";
        message.type = PARLEY__V1__MESSAGE__TYPE__image;
        event.body_case = PARLEY__V1__EVENT__BODY_MESSAGE;
        event.message = &message;
        assert_frame(
                &frame,
                "{\"type\":\"event\",\"channelId\":\"general\",\"seq\":9007199254740993,\"prev\":41,\"id\":\"" UUID
                "\",\"actorId\":\"anna\",\"message\":{\"id\":\"" UUID
                "\",\"channelId\":\"general\",\"senderId\":\"anna\",\"senderName\":\"\",\"content\":\"hi\\n\\u0001\","
                "\"type\":\"image\",\"threadId\":\"\",\"replyTo\":\"\",\"mentions\":[],\"seq\":9007199254740993,"
                "\"deleted\":false,\"attachments\":[]}}");
}

static Parley__V1__ClientFrame *read_frame(const char *json)
{
        ProtobufCMessage *frame = NULL;
        struct wire_error error;
        int e = wire_frame_json_decode(&parley__v1__client_frame__descriptor, json, strlen(json), NULL, &frame, &error);

        if (e != 0)
                fail_msg("%s: %s", json, error.detail);
        return (Parley__V1__ClientFrame *)frame;
}

static void test_known_client_frames(void **state)
{
        Parley__V1__ClientFrame *frame;

        (void)state;
        frame = read_frame("{\"type\":\"send\",\"ref\":7,\"channelId\":\"general\",\"message\":{\"id\":\"" UUID
                           "\",\"content\":\"h\\u00e4\\ud83d\\ude00\",\"threadId\":null,\"mentions\":[\"\",\"bob\"]}}");
        assert_int_equal(frame->ref, 7);
        assert_int_equal(frame->body_case, PARLEY__V1__CLIENT_FRAME__BODY_SEND);
        assert_string_equal(frame->send->channel_id, "general");
        assert_string_equal(frame->send->message->id, UUID);
        assert_string_equal(frame->send->message->content, "hä😀");
        assert_ptr_equal(frame->send->message->thread_id, protobuf_c_empty_string);
        assert_int_equal(frame->send->message->n_mentions, 2);
        assert_string_equal(frame->send->message->mentions[1], "bob");
        protobuf_c_message_free_unpacked(&frame->base, NULL);

        frame = read_frame(" {\"type\":\"ping\"}\r\n");
        assert_int_equal(frame->ref, 0);
        assert_int_equal(frame->body_case, PARLEY__V1__CLIENT_FRAME__BODY_PING);
        protobuf_c_message_free_unpacked(&frame->base, NULL);

        /* The order of names is free, numbers may be text where they have 64 bits */
        frame = read_frame(
                "{\"cursors\":[{\"seq\":\"18446744073709551615\",\"channelId\":\"a\"},{\"epoch\":7.0}],\"compress\":true,"
                "\"ref\":4294967295,\"type\":\"hello\"}");
        assert_int_equal(frame->ref, UINT32_MAX);
        assert_true(frame->hello->compress);
        assert_int_equal(frame->hello->n_cursors, 2);
        assert_true(frame->hello->cursors[0]->seq == UINT64_MAX);
        assert_int_equal(frame->hello->cursors[1]->epoch, 7);
        protobuf_c_message_free_unpacked(&frame->base, NULL);
}

static Parley__Test__Kinds *read_kinds(const char *json)
{
        ProtobufCMessage *kinds = NULL;
        struct wire_error error;
        int e = wire_json_decode(&parley__test__kinds__descriptor, json, strlen(json), NULL, &kinds, &error);

        if (e != 0)
                fail_msg("%s: %s", json, error.detail);
        return (Parley__Test__Kinds *)kinds;
}

static void test_values(void **state)
{
        Parley__Test__Kinds *k;

        (void)state;
        k = read_kinds(
                "{\"anInt32\":-2147483648,\"aSint32\":2147483647,\"anInt64\":\"-9223372036854775808\",\"aFixed32\":4.294967295e9,"
                "\"aUint64\":18446744073709551615,\"aFloat\":\"-Infinity\",\"aDouble\":3,\"aColour\":\"dark_blue\","
                "\"someBytes\":\"-_-_AQ\",\"at\":\"2026-01-02T04:04:05.5+01:00\",\"colours\":[-5,\"red\",1]}");
        assert_int_equal(k->an_int32, INT32_MIN);
        assert_int_equal(k->a_sint32, INT32_MAX);
        assert_true(k->an_int64 == INT64_MIN);
        assert_true(k->a_fixed32 == UINT32_MAX);
        assert_true(k->a_uint64 == UINT64_MAX);
        assert_true(k->a_float == -1.0f / 0.0f);
        assert_true(k->a_double == 3.0);
        assert_int_equal(k->a_colour, PARLEY__TEST__KINDS__COLOUR__dark_blue);
        assert_int_equal(k->some_bytes.len, 4);
        assert_memory_equal(k->some_bytes.data, "\xfb\xff\xbf\x01", 4);
        assert_int_equal(k->at->seconds, 1767323045);
        assert_int_equal(k->at->nanos, 500000000);
        assert_int_equal(k->colours[0], PARLEY__TEST__KINDS__COLOUR__below_zero);
        assert_int_equal(k->colours[2], PARLEY__TEST__KINDS__COLOUR__green);
        protobuf_c_message_free_unpacked(&k->base, NULL);

        /* The largest float as it is written, which as a double lies above it */
        k = read_kinds("{\"aFloat\":3.40282347e+38,\"floats\":[-3.4028235677e+38]}");
        assert_true(k->a_float == FLT_MAX);
        assert_true(k->floats[0] == -FLT_MAX);
        protobuf_c_message_free_unpacked(&k->base, NULL);

        /* An empty text in a oneof is set, and is still so on the wire */
        k = read_kinds("{\"oneString\":\"\",\"oneInt32\":null,\"theLastField\":\"x\"}");
        assert_int_equal(k->choice_case, PARLEY__TEST__KINDS__CHOICE_ONE_STRING);
        assert_int_equal(protobuf_c_message_get_packed_size(&k->base), 3 + 7);
        protobuf_c_message_free_unpacked(&k->base, NULL);

        k = read_kinds("{\"oneTime\":\"0001-01-01T00:00:00Z\"}");
        assert_true(k->one_time->seconds == -62135596800);
        protobuf_c_message_free_unpacked(&k->base, NULL);
}

static void assert_kinds(const Parley__Test__Kinds *k, const char *part)
{
        struct buf out = BUF_INIT(4096);

        assert_int_equal(wire_json_encode(&k->base, &out), 0);
        assert_int_equal(buf_append(&out, "", 1), 0);
        if (!strstr((char *)out.data, part))
                fail_msg("%s is not in %s", part, out.data);
        buf_done(&out);
}

static void test_values_written(void **state)
{
        Parley__Test__Kinds k = PARLEY__TEST__KINDS__INIT;
        uint8_t bytes[] = {0xfb, 0xff, 0xbf, 1};

        (void)state;
        k.an_int64 = INT64_MIN;
        k.a_double = 0.1;
        k.a_float = 0.1f;
        k.a_bool = 1;
        k.a_colour = 99; /* from a newer service: its number */
        k.some_bytes = (ProtobufCBinaryData){.len = 4, .data = bytes};
        k.a_string = NULL; /* a service may leave it so; protobuf-c packs it as empty */
        assert_kinds(&k, "\"anInt64\":-9223372036854775808,");
        assert_kinds(
                &k,
                "\"aFloat\":0.1,\"aDouble\":0.1,\"aBool\":true,\"aColour\":99,\"aString\":\"\",\"someBytes\":\"+/+/AQ==\"");
        k.a_double = -0.0;
        k.a_float = 0.0f / 0.0f;
        assert_kinds(&k, "\"aFloat\":\"NaN\",\"aDouble\":-0.0,");
        k.a_double = 5e-324;
        assert_kinds(&k, "\"aDouble\":4.9406564584125e-324,");
}

static void test_encode_refuses(void **state)
{
        Parley__V1__ServerFrame frame = PARLEY__V1__SERVER_FRAME__INIT;
        Parley__V1__Authenticated authenticated = PARLEY__V1__AUTHENTICATED__INIT;
        Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        struct buf out = BUF_INIT(60);

        (void)state;
        assert_int_equal(buf_append_str(&out, "before"), 0);
        assert_int_equal(wire_frame_json_encode(&frame.base, &out), -EINVAL);
        assert_int_equal(wire_frame_json_encode(&at.base, &out), -EINVAL);
        frame.body_case = PARLEY__V1__SERVER_FRAME__BODY_AUTHENTICATED;
        frame.authenticated = &authenticated;
        authenticated.token_expires_at = &at;
        at.nanos = -1;
        assert_int_equal(wire_frame_json_encode(&frame.base, &out), -ERANGE);
        at.nanos = 0;
        assert_int_equal(wire_frame_json_encode(&frame.base, &out), BUF_E_FULL);
        assert_int_equal(out.len, 6); /* all or nothing */
        out.max = 100;
        assert_int_equal(wire_frame_json_encode(&frame.base, &out), 0);
        buf_done(&out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_frame_round_trip),
                cmocka_unit_test(test_known_server_frames),
                cmocka_unit_test(test_known_client_frames),
                cmocka_unit_test(test_values),
                cmocka_unit_test(test_values_written),
                cmocka_unit_test(test_encode_refuses),
        };
        return cmocka_run_group_tests_name("wire/json", tests, NULL, NULL);
}
