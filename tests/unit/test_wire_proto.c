/* Protobuf, both ways; and what protobuf-c would let through, cut, or blow up. */
#include "kinds.pb-c.h"
#include "parley/v1/client.pb-c.h"
#include "unit.h"
#include "wire/wire.h"
#include "wire_random.h"

#define ROUNDS 300

static const struct wire_limits wide = {.max_bytes = 1 << 24, .max_depth = 20, .max_elements = 1 << 20};

static void test_round_trip(void **state)
{
        uint64_t seed = 99;

        (void)state;
        for (size_t t = 0; t < wire_n_all_types; t++)
                for (unsigned i = 0; i < ROUNDS; i++) {
                        ProtobufCMessage *message = wire_random_message(wire_all_types[t], 2 + i % 5, &seed),
                                         *back = NULL;
                        struct buf bytes = BUF_INIT(1 << 24);
                        struct wire_error error;

                        assert_int_equal(wire_proto_encode(message, &bytes), 0);
                        int e = wire_proto_decode(wire_all_types[t], bytes.data, bytes.len, &wide, &back, &error);
                        if (e != 0)
                                fail_msg("%s: %s", wire_all_types[t]->name, error.detail);
                        assert_true(wire_equal(message, back));
                        protobuf_c_message_free_unpacked(message, NULL);
                        protobuf_c_message_free_unpacked(back, NULL);
                        buf_done(&bytes);
                }
}

struct bad {
        const char *bytes;
        size_t n;
        int error;
        const char *detail;
        uint32_t ref;
};
#define B(s) (s), sizeof(s) - 1

static void assert_refused(const ProtobufCMessageDescriptor *type, const struct bad *bad,
                           const struct wire_limits *limits)
{
        /* In a block of its own size, so that a sanitizer sees a read beyond the end */
        uint8_t *copy = malloc(bad->n);
        ProtobufCMessage *message = NULL;
        struct wire_error error;
        int e;

        assert_true(copy || bad->n == 0);
        if (bad->n > 0)
                memcpy(copy, bad->bytes, bad->n);
        e = wire_proto_decode(type, copy, bad->n, limits, &message, &error);
        free(copy);
        assert_null(message);
        if (e != bad->error || strcmp(error.detail, bad->detail) != 0 || error.ref != bad->ref)
                fail_msg("error %d (expected %d), ref %u (expected %u)\n        %s\nexpected: %s", e, bad->error,
                         error.ref, bad->ref, error.detail, bad->detail);
}

static const struct bad bad_frames[] = {
        {B(""), WIRE_E_TYPE, "the frame's body is missing or of an unknown type", 0},
        {B("\x08\x07"), WIRE_E_TYPE, "the frame's body is missing or of an unknown type", 7},
        {B("\x08\x07\xfa\x01\x00"), WIRE_E_TYPE, "the frame's body is missing or of an unknown type", 7},
        /* the wire format */
        {B("\x08"), WIRE_E_SYNTAX, "not protobuf: a number is cut short or has more than 64 bits", 0},
        {B("\x08\x80"), WIRE_E_SYNTAX, "not protobuf: a number is cut short or has more than 64 bits", 0},
        {B("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), WIRE_E_SYNTAX,
         "not protobuf: a number is cut short or has more than 64 bits", 0},
        {B("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), WIRE_E_SYNTAX,
         "not protobuf: a number is cut short or has more than 64 bits", 0},
        {B("\x80"), WIRE_E_SYNTAX, "not protobuf: a field's tag is cut short or too long", 0},
        {B("\x88\x80\x80\x80\x80\x00\x07"), WIRE_E_SYNTAX, "not protobuf: a field's tag is cut short or too long", 0},
        {B("\xff\xff\xff\xff\x1f\x07"), WIRE_E_SYNTAX, "not protobuf: a field's tag is cut short or too long", 0},
        {B("\x08\x07\x00"), WIRE_E_SYNTAX, "not protobuf: a field's number is 0", 7},
        {B("\x08\x07\x82\x00\x00"), WIRE_E_SYNTAX, "not protobuf: a field's number is 0", 7},
        {B("\x08\x07\x2b\x2c"), WIRE_E_SYNTAX, "not protobuf: groups and unknown wire types are not taken", 7},
        {B("\x08\x07\x2f"), WIRE_E_SYNTAX, "not protobuf: groups and unknown wire types are not taken", 7},
        {B("\x08\x07\x2a\x01"), WIRE_E_SYNTAX, "not protobuf: a length points beyond the end", 7},
        {B("\x08\x07\x2a\xff\xff\xff\xff\x0f"), WIRE_E_SYNTAX, "not protobuf: a length is cut short or too long", 7},
        {B("\x08\x07\x2a\xff\xff\xff\xff\x07"), WIRE_E_SYNTAX, "not protobuf: a length points beyond the end", 7},
        {B("\x08\x07\x2a\x80\x80\x80\x80\x80\x00"), WIRE_E_SYNTAX, "not protobuf: a length is cut short or too long",
         7},
        {B("\x08\x07\x2a\x02\x0a\x01"), WIRE_E_SYNTAX, "send: not protobuf: a length points beyond the end", 7},
        {B("\x08\x07\xf9\x01\x01\x02"), WIRE_E_SYNTAX, "not protobuf: a number is cut short", 7},
        {B("\x08\x07\xfd\x01\x01\x02"), WIRE_E_SYNTAX, "not protobuf: a number is cut short", 7},
        /* the fields */
        {B("\x0a\x01"
           "7"),
         WIRE_E_FIELD, "ref: wrong wire type 2, expected 0", 0},
        {B("\x08\x80\x80\x80\x80\x10\x42\x00"), WIRE_E_FIELD, "ref: the number is out of range", 0},
        {B("\x08\x07\x08\x07\x42\x00"), WIRE_E_FIELD, "ref: given twice", 7},
        {B("\x42\x00\x42\x00\x08\x07"), WIRE_E_FIELD, "ping: given twice", 7},
        {B("\x42\x00\x08\x07\x2a\x00"), WIRE_E_FIELD, "send: cannot stand beside \"ping\"", 7},
        {B("\x08\x07\x28\x00"), WIRE_E_FIELD, "send: wrong wire type 0, expected 2", 7},
        {B("\x08\x07\x2a\x02\x08\x07"), WIRE_E_FIELD, "send.channelId: wrong wire type 0, expected 2", 7},
        {B("\x08\x07\x2a\x04\x12\x02\x32\x00\x08"), WIRE_E_SYNTAX,
         "not protobuf: a number is cut short or has more than 64 bits", 7},
        {B("\x08\x07\x2a\x04\x12\x02\x30\x01"), WIRE_E_FIELD, "send.message.mentions: wrong wire type 0, expected 2",
         7},
        {B("\x08\x07\x2a\x08\x12\x06\x18\xff\xff\xff\xff\x0f"), WIRE_E_FIELD,
         "send.message.type: the number is out of range", 7},
        {B("\x08\x07\x2a\x04\x12\x02\x18\x04"), WIRE_E_FIELD,
         "send.message.type: expected one of text, image, file, system", 7},
        {B("\x08\x07\x2a\x06\x0a\x01"
           "a\x0a\x01"
           "b"),
         WIRE_E_FIELD, "send.channelId: given twice", 7},
        /* the text */
        {B("\x08\x07\x2a\x07\x12\x05\x12\x03"
           "a\0b"),
         WIRE_E_TEXT, "send.message.content: a NUL is not allowed", 7},
        {B("\x08\x07\x2a\x05\x12\x03\x12\x01\xff"), WIRE_E_TEXT, "send.message.content: invalid UTF-8", 7},
        {B("\x08\x07\x2a\x07\x12\x05\x32\x03\xed\xa0\x80"), WIRE_E_TEXT, "send.message.mentions: invalid UTF-8", 7},
};

static void test_frames(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(bad_frames) / sizeof(bad_frames[0]); i++)
                assert_refused(&parley__v1__client_frame__descriptor, &bad_frames[i], NULL);
}

static const struct bad bad_kinds[] = {
        {B("\xaa\x01\x02\x01\x80"), WIRE_E_SYNTAX,
         "int32s: not protobuf: a number is cut short or has more than 64 bits", 0},
        {B("\xba\x01\x03\x01\x02\x03"), WIRE_E_SYNTAX, "sfixed32s: not protobuf: a number is cut short", 0},
        {B("\xd2\x01\x07\x01\x02\x03\x04\x05\x06\x07"), WIRE_E_SYNTAX, "sfixed64s: not protobuf: a number is cut short",
         0},
        {B("\xda\x01\x05\xff\xff\xff\xff\x1f"), WIRE_E_FIELD, "uint32s: the number is out of range", 0},
        {B("\xba\x02\x05\xff\xff\xff\xff\x1f"), WIRE_E_FIELD, "unpacked: the number is out of range", 0},
        {B("\xd9\x01\x01\x02\x03\x04\x05\x06\x07\x08"), WIRE_E_FIELD, "uint32s: wrong wire type 1, expected 0", 0},
        {B("\x68\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02"), WIRE_E_SYNTAX,
         "not protobuf: a number is cut short or has more than 64 bits", 0},
        {B("\xc8\x02\x05\xd0\x02\x06"), WIRE_E_FIELD, "oneUint64: cannot stand beside \"oneInt32\"", 0},
        /* times: nanos -1, 10^9; seconds of the year 10000 */
        {B("\x92\x01\x0b\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), WIRE_E_FIELD, "at: the time is out of range",
         0},
        {B("\x92\x01\x06\x10\x80\x94\xeb\xdc\x03"), WIRE_E_FIELD, "at: the time is out of range", 0},
        {B("\x92\x01\x07\x08\x80\xe0\xfe\xfa\xd7\x07"), WIRE_E_FIELD, "at: the time is out of range", 0},
        {B("\xb2\x02\x02\x08\x80"), WIRE_E_SYNTAX,
         "times: not protobuf: a number is cut short or has more than 64 bits", 0},
};

static void test_kinds(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(bad_kinds) / sizeof(bad_kinds[0]); i++)
                assert_refused(&parley__test__kinds__descriptor, &bad_kinds[i], NULL);
        assert_refused(&google__protobuf__timestamp__descriptor,
                       &(struct bad){B("\x10\x80\x94\xeb\xdc\x03"), WIRE_E_FIELD, "the time is out of range", 0}, NULL);
}

static Parley__Test__Kinds *read_kinds(const char *bytes, size_t n)
{
        ProtobufCMessage *message = NULL;
        struct wire_error error;
        int e = wire_proto_decode(&parley__test__kinds__descriptor, (const uint8_t *)bytes, n, NULL, &message, &error);

        if (e != 0)
                fail_msg("%s", error.detail);
        return (Parley__Test__Kinds *)message;
}

/* What is unusual but right */
static void test_taken(void **state)
{
        Parley__Test__Kinds *k;

        (void)state;
        /* a negative int32 in ten bytes, an enum value of a newer sender, packed and single numbers of one field, a field of a newer sender */
        k = read_kinds(B(
                "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x70\x63\xd8\x01\x01\xda\x01\x02\x02\x03\xba\x02\x01\x04\xd0\x3e\x05"));
        assert_int_equal(k->an_int32, -1);
        assert_int_equal(k->a_colour, 99);
        assert_int_equal(k->n_uint32s, 3);
        assert_int_equal(k->uint32s[2], 3);
        assert_int_equal(k->n_unpacked, 1);
        assert_int_equal(k->base.n_unknown_fields, 1);
        protobuf_c_message_free_unpacked(&k->base, NULL);

        /* a tag with more bytes than it needs; an empty submessage; empty packed numbers; empty bytes */
        k = read_kinds(B("\x88\x80\x00\x05\x8a\x01\x00\xaa\x01\x00\x82\x01\x00"));
        assert_int_equal(k->an_int32, 5);
        assert_non_null(k->child);
        assert_int_equal(k->n_int32s, 0);
        protobuf_c_message_free_unpacked(&k->base, NULL);
}

static void test_depth(void **state)
{
        uint8_t bytes[64];
        struct bad bad = {(const char *)bytes, 0, WIRE_E_LIMIT,
                          "child.child.child: nested too deeply: at most 3 levels", 0};
        const struct wire_limits limits = {.max_depth = 3};
        ProtobufCMessage *message = NULL;
        struct wire_error error;

        (void)state;
        for (uint8_t level = 0; level < 3; level++)
                memcpy(bytes + level * 3, (const uint8_t[]){0x8a, 0x01, (uint8_t)(6 - level * 3)}, 3);
        bytes[2] = 6, bytes[5] = 3, bytes[8] = 0;
        bad.n = 9;
        assert_refused(&parley__test__kinds__descriptor, &bad, &limits);
        bytes[2] = 3, bytes[5] = 0;
        assert_int_equal(wire_proto_decode(&parley__test__kinds__descriptor, bytes, 6, &limits, &message, &error), 0);
        protobuf_c_message_free_unpacked(message, NULL);
}

static void test_elements(void **state)
{
        const struct wire_limits limits = {.max_elements = 3};
        ProtobufCMessage *message = NULL;
        struct wire_error error;

        (void)state;
        assert_int_equal(wire_proto_decode(&parley__test__kinds__descriptor,
                                           (const uint8_t *)"\xda\x01\x03\x01\x02\x03", 6, &limits, &message, &error),
                         0);
        protobuf_c_message_free_unpacked(message, NULL);
        const struct bad table[] = {
                {B("\xda\x01\x04\x01\x02\x03\x04"), WIRE_E_LIMIT, "uint32s: too many elements: at most 3 in a frame",
                 0},
                {B("\xba\x01\x10\x01\x02\x03\x04\x01\x02\x03\x04\x01\x02\x03\x04\x01\x02\x03\x04"), WIRE_E_LIMIT,
                 "sfixed32s: too many elements: at most 3 in a frame", 0},
                {B("\x9a\x02\x00\x9a\x02\x00\x9a\x02\x00\x9a\x02\x00"), WIRE_E_LIMIT,
                 "strings: too many elements: at most 3 in a frame", 0},
                {B("\xd0\x3e\x05\xd0\x3e\x05\xd0\x3e\x05\xd0\x3e\x05"), WIRE_E_LIMIT,
                 "too many elements: at most 3 in a frame", 0},
                {B("\xaa\x02\x05\xda\x01\x02\x01\x02\xaa\x02\x00"), WIRE_E_LIMIT,
                 "children: too many elements: at most 3 in a frame", 0},
        };
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
                assert_refused(&parley__test__kinds__descriptor, &table[i], &limits);
        assert_refused(
                &parley__v1__client_frame__descriptor,
                &(struct bad){B("\x08\x07\x42\x00"), WIRE_E_LIMIT, "4 bytes are too many: at most 3 are taken", 0},
                &(struct wire_limits){.max_bytes = 3});
}

/* Cut and changed bytes of good frames: an answer, no crash, and never a message that breaks a promise */
static void test_damaged(void **state)
{
        uint64_t seed = 5;

        (void)state;
        for (unsigned i = 0; i < 4000; i++) {
                ProtobufCMessage *message = wire_random_message(&parley__test__kinds__descriptor, 3, &seed),
                                 *back = NULL;
                struct buf bytes = BUF_INIT(1 << 20);
                struct wire_error error;

                assert_int_equal(wire_proto_encode(message, &bytes), 0);
                protobuf_c_message_free_unpacked(message, NULL);
                for (unsigned k = 0; k < 3 && bytes.len > 0; k++)
                        bytes.data[unit_random(&seed) % bytes.len] = (uint8_t)unit_random(&seed);
                if (bytes.len > 0 && i % 2)
                        bytes.len = unit_random(&seed) % bytes.len;
                int e = wire_proto_decode(&parley__test__kinds__descriptor, bytes.data, bytes.len, &wide, &back,
                                          &error);
                assert_true(e >= 0);
                if (e == 0) {
                        struct buf json = BUF_INIT(1 << 20);
                        /* Whatever was taken can be written */
                        assert_int_equal(wire_json_encode(back, &json), 0);
                        buf_done(&json);
                        protobuf_c_message_free_unpacked(back, NULL);
                }
                buf_done(&bytes);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip), cmocka_unit_test(test_frames), cmocka_unit_test(test_kinds),
                cmocka_unit_test(test_taken),      cmocka_unit_test(test_depth),  cmocka_unit_test(test_elements),
                cmocka_unit_test(test_damaged),
        };
        return cmocka_run_group_tests_name("wire/proto", tests, NULL, NULL);
}
