/* Any bytes as protobuf: protobuf-c unpacks whatever the scan let through, and what is taken can be written in both encodings. */
#include "fuzz_wire.h"

static void check_framing(const uint8_t *data, size_t n)
{
        const uint8_t *frame;
        const char *line;
        size_t at = 0, len;

        while (wire_next_delimited(data, n, &at, &frame, &len) == 1)
                REQUIRE(frame > data && frame + len == data + at);
        REQUIRE(at <= n);
        at = 0;
        while (wire_next_line((const char *)data, n, &at, &line, &len) == 1)
                REQUIRE(len > 0 && !memchr(line, '\n', len));
        REQUIRE(at == n);
}

static void check_taken(const ProtobufCMessage *message)
{
        struct buf json = BUF_INIT(1 << 24), proto = BUF_INIT(1 << 24), again = BUF_INIT(1 << 24);
        ProtobufCMessage *back = NULL;
        const struct wire_limits wide = {.max_bytes = 1 << 24};
        struct wire_error error;
        int e;

        REQUIRE(wire_proto_encode(message, &proto) == 0);
        REQUIRE(wire_proto_decode(message->descriptor, proto.data, proto.len, &wide, &back, &error) == 0);
        REQUIRE(wire_proto_encode(back, &again) == 0);
        REQUIRE(fuzz_same(&proto, &again));
        protobuf_c_message_free_unpacked(back, NULL);

        REQUIRE(wire_json_encode(message, &json) == 0);
        REQUIRE(utf8_valid((const char *)json.data, json.len));
        back = NULL;
        e = wire_json_decode(message->descriptor, (const char *)json.data, json.len, &wide, &back, &error);
        fuzz_check_answer(e, back, &error);
        REQUIRE(e == 0 || strstr(error.detail, "expected one of")); /* an enum value of a newer sender */
        protobuf_c_message_free_unpacked(back, NULL);
        buf_done(&json);
        buf_done(&proto);
        buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        ProtobufCMessage *message = NULL;
        struct wire_error error;

        if (n == 0)
                return 0;
        check_framing(data + 1, n - 1);
        int e = wire_proto_decode(fuzz_type(data[0]), data + 1, n - 1, &fuzz_limits, &message, &error);
        fuzz_check_answer(e, message, &error);
        if (e == 0)
                check_taken(message);
        protobuf_c_message_free_unpacked(message, NULL);
        return 0;
}
