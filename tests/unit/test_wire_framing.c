/* Several frames in one message, and compression. */
#include <errno.h>
#include <zlib.h>

#include "parley/v1/client.pb-c.h"
#include "unit.h"
#include "wire/wire.h"

static void test_lines(void **state)
{
        static const char text[] = "\n{a}\n\r\n{bc}\r\n\n{d}";
        const char *line;
        size_t at = 0, n;

        (void)state;
        assert_int_equal(wire_next_line(text, strlen(text), &at, &line, &n), 1);
        assert_int_equal(n, 3);
        assert_memory_equal(line, "{a}", 3);
        assert_int_equal(wire_next_line(text, strlen(text), &at, &line, &n), 1);
        assert_int_equal(n, 4);
        assert_memory_equal(line, "{bc}", 4);
        assert_int_equal(wire_next_line(text, strlen(text), &at, &line, &n), 1);
        assert_int_equal(n, 3);
        assert_memory_equal(line, "{d}", 3);
        assert_int_equal(wire_next_line(text, strlen(text), &at, &line, &n), 0);
        assert_int_equal(wire_next_line(text, strlen(text), &at, &line, &n), 0);
        at = 0;
        assert_int_equal(wire_next_line("", 0, &at, &line, &n), 0);
        assert_int_equal(wire_next_line("\r\n", 2, &at, &line, &n), 0);
}

static int next(const char *data, size_t n, size_t *at, size_t *ret_n)
{
        const uint8_t *frame;

        return wire_next_delimited((const uint8_t *)data, n, at, &frame, ret_n);
}

static void test_delimited(void **state)
{
        size_t at = 0, n = 99;

        (void)state;
        assert_int_equal(next("", 0, &at, &n), 0);
        assert_int_equal(next("\x01", 1, &at, &n), -EBADMSG);                 /* beyond the end */
        assert_int_equal(next("\x80", 1, &at, &n), -EBADMSG);                 /* cut */
        assert_int_equal(next("\xff\xff\xff\xff\x0f", 5, &at, &n), -EBADMSG); /* 4 GiB */
        assert_int_equal(next("\x80\x80\x80\x80\x00", 5, &at, &n), -EBADMSG);
        assert_int_equal(at, 0);
        assert_int_equal(n, 99);
        assert_int_equal(next("\x00\x01x", 3, &at, &n), 1);
        assert_int_equal(n, 0);
        assert_int_equal(next("\x00\x01x", 3, &at, &n), 1);
        assert_int_equal(n, 1);
        assert_int_equal(at, 3);
        assert_int_equal(next("\x00\x01x", 3, &at, &n), 0);
}

/* Lengths on both sides of each size of the prefix come back as they went in */
static void test_delimited_round_trip(void **state)
{
        static const size_t lengths[] = {0, 1, 100, 127, 128, 129, 16383, 16384, 20000};
        struct buf out = BUF_INIT(1 << 20);
        const uint8_t *frame;
        size_t at = 0, n;

        (void)state;
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
                Parley__V1__Auth auth = PARLEY__V1__AUTH__INIT;
                char *token = malloc(lengths[i] + 1);

                assert_non_null(token);
                memset(token, 't', lengths[i]);
                token[lengths[i]] = '\0';
                auth.token = token;
                assert_int_equal(wire_proto_encode_delimited(&auth.base, &out), 0);
                free(token);
        }
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
                ProtobufCMessage *message = NULL;
                struct wire_error error;

                assert_int_equal(wire_next_delimited(out.data, out.len, &at, &frame, &n), 1);
                assert_int_equal(wire_proto_decode(&parley__v1__auth__descriptor, frame, n, NULL, &message, &error), 0);
                assert_int_equal(strlen(((Parley__V1__Auth *)message)->token), lengths[i]);
                protobuf_c_message_free_unpacked(message, NULL);
        }
        assert_int_equal(wire_next_delimited(out.data, out.len, &at, &frame, &n), 0);
        out.max = out.len + 1;
        Parley__V1__Auth auth = PARLEY__V1__AUTH__INIT;
        auth.token = (char *)"abc";
        n = out.len;
        assert_int_equal(wire_proto_encode_delimited(&auth.base, &out), BUF_E_FULL);
        assert_int_equal(wire_proto_encode(&auth.base, &out), BUF_E_FULL);
        assert_int_equal(out.len, n);
        buf_done(&out);
}

static void test_deflate(void **state)
{
        char text[5000], back[5001];
        struct buf out = BUF_INIT(4096);
        uint64_t seed = 3;
        size_t n;

        (void)state;
        for (size_t i = 0; i < sizeof(text); i++)
                text[i] = "hello world\n"[unit_random(&seed) % 12];
        assert_int_equal(buf_append_str(&out, "x"), 0);
        assert_int_equal(wire_deflate(text, sizeof(text), &out), 0);
        assert_true(out.len < sizeof(text));

        z_stream z = {.next_in = out.data + 1,
                      .avail_in = (uInt)out.len - 1,
                      .next_out = (Bytef *)back,
                      .avail_out = sizeof(back)};
        assert_int_equal(inflateInit2(&z, -15), Z_OK);
        assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
        assert_int_equal(z.avail_in, 0);
        assert_int_equal(z.total_out, sizeof(text));
        inflateEnd(&z);
        assert_memory_equal(back, text, sizeof(text));

        /* What does not get smaller, or does not fit, changes nothing */
        n = out.len;
        for (size_t i = 0; i < sizeof(text); i++)
                text[i] = (char)unit_random(&seed);
        assert_int_equal(wire_deflate(text, 1000, &out), BUF_E_FULL);
        assert_int_equal(wire_deflate("a", 1, &out), BUF_E_FULL);
        assert_int_equal(wire_deflate("", 0, &out), BUF_E_FULL);
        memset(text, 'a', sizeof(text));
        out.max = n + 5;
        assert_int_equal(wire_deflate(text, sizeof(text), &out), BUF_E_FULL);
        assert_int_equal(out.len, n);
        buf_done(&out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lines),
                cmocka_unit_test(test_delimited),
                cmocka_unit_test(test_delimited_round_trip),
                cmocka_unit_test(test_deflate),
        };
        return cmocka_run_group_tests_name("wire/framing", tests, NULL, NULL);
}
