/* Any bytes as JSON: what is taken is valid, and comes back the same from both encodings. */
#include "fuzz_wire.h"

static int decode(const ProtobufCMessageDescriptor *type, const char *json, size_t n, ProtobufCMessage **ret_message,
                  struct wire_error *ret_error)
{
        bool frame = type == &parley__v1__client_frame__descriptor || type == &parley__v1__server_frame__descriptor;

        return frame ? wire_frame_json_decode(type, json, n, &fuzz_limits, ret_message, ret_error)
                     : wire_json_decode(type, json, n, &fuzz_limits, ret_message, ret_error);
}

static int encode(const ProtobufCMessage *message, struct buf *out)
{
        bool frame = message->descriptor == &parley__v1__client_frame__descriptor ||
                     message->descriptor == &parley__v1__server_frame__descriptor;

        return frame ? wire_frame_json_encode(message, out) : wire_json_encode(message, out);
}

static void check_taken(const ProtobufCMessage *message)
{
        struct buf json = BUF_INIT(1 << 24), again = BUF_INIT(1 << 24), proto = BUF_INIT(1 << 24);
        ProtobufCMessage *back = NULL, *unpacked = NULL;
        const struct wire_limits wide = {.max_bytes = 1 << 24};
        struct wire_error error;

        REQUIRE(encode(message, &json) == 0);
        REQUIRE(utf8_valid((const char *)json.data, json.len));
        REQUIRE(!memchr(json.data, '\n', json.len));
        bool fits = json.len <= fuzz_limits.max_bytes;
        int e = decode(message->descriptor, (const char *)json.data, json.len, &back, &error);
        REQUIRE(fits ? e == 0 : e == WIRE_E_LIMIT);
        if (fits) {
                REQUIRE(encode(back, &again) == 0);
                REQUIRE(fuzz_same(&json, &again));
        }
        REQUIRE(wire_proto_encode(message, &proto) == 0);
        REQUIRE(wire_proto_decode(message->descriptor, proto.data, proto.len, &wide, &unpacked, &error) == 0);
        again.len = 0;
        REQUIRE(encode(unpacked, &again) == 0);
        REQUIRE(fuzz_same(&json, &again));

        protobuf_c_message_free_unpacked(back, NULL);
        protobuf_c_message_free_unpacked(unpacked, NULL);
        buf_done(&json);
        buf_done(&again);
        buf_done(&proto);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        ProtobufCMessage *message = NULL;
        struct wire_error error;

        if (n == 0)
                return 0;
        int e = decode(fuzz_type(data[0]), (const char *)data + 1, n - 1, &message, &error);
        fuzz_check_answer(e, message, &error);
        if (e == 0) {
                REQUIRE(utf8_valid((const char *)data + 1, n - 1));
                check_taken(message);
        }
        protobuf_c_message_free_unpacked(message, NULL);
        return 0;
}
