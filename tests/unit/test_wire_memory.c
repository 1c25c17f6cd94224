/* Every allocation of the codec fails once: the answer is -ENOMEM, nothing is left behind (the sanitizer looks), nothing is half done.
 * Linked with --wrap, which reaches our own code and yyjson; protobuf-c may be a shared library. */
#include <errno.h>

#include "kinds.pb-c.h"
#include "parley/v1/client.pb-c.h"
#include "unit.h"
#include "wire/event.h"
#include "wire_random.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static unsigned countdown; /* the allocation that fails; 0: none */

static bool fails_now(void)
{
        return countdown > 0 && --countdown == 0;
}

void *__wrap_malloc(size_t n)
{
        return fails_now() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
        return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
        return fails_now() ? NULL : __real_realloc(p, n);
}

/* Runs until no allocation failed. Returns how many were tried. */
static unsigned fail_each(int (*run)(void *arg), void *arg)
{
        for (unsigned i = 1;; i++) {
                int r;

                countdown = i;
                r = run(arg);
                if (countdown > 0) {
                        countdown = 0;
                        assert_int_equal(r, 0);
                        return i - 1;
                }
                assert_int_equal(r, -ENOMEM);
        }
}

struct input {
        const ProtobufCMessage *message;
        struct buf json;
};

static int run_decode(void *arg)
{
        struct input *in = arg;
        ProtobufCMessage *message = NULL;
        struct wire_error error;
        int r = wire_json_decode(&parley__test__kinds__descriptor, (char *)in->json.data, in->json.len, NULL, &message,
                                 &error);

        assert_true(r != 0 ? !message : !!message);
        protobuf_c_message_free_unpacked(message, NULL);
        return r;
}

static int run_encode(void *arg)
{
        struct input *in = arg;
        struct buf out = BUF_INIT(1 << 20);
        int r = wire_json_encode(in->message, &out);

        assert_int_equal(out.len, r == 0 ? in->json.len : 0);
        buf_done(&out);
        return r;
}

static int run_encode_proto(void *arg)
{
        struct input *in = arg;
        struct buf out = BUF_INIT(1 << 20);
        int r = wire_proto_encode_delimited(in->message, &out);

        assert_true(r == 0 || out.len == 0);
        buf_done(&out);
        return r;
}

static void test_codec(void **state)
{
        uint64_t seed = 4;
        ProtobufCMessage *message = wire_random_message(&parley__test__kinds__descriptor, 3, &seed);
        struct input in = {.message = message, .json = BUF_INIT(1 << 20)};

        (void)state;
        assert_int_equal(wire_json_encode(message, &in.json), 0);
        assert_in_range(fail_each(run_decode, &in), 20, 10000);
        assert_in_range(fail_each(run_encode, &in), 1, 100);
        assert_in_range(fail_each(run_encode_proto, &in), 1, 100);
        protobuf_c_message_free_unpacked(message, NULL);
        buf_done(&in.json);
}

static int run_frame(void *arg)
{
        static const char json[] =
                "{\"type\":\"resume\",\"ref\":3,\"cursors\":[{\"channelId\":\"a\"},{\"channelId\":\"b\",\"seq\":5}]}";
        ProtobufCMessage *message = NULL;
        struct wire_error error;
        int r = wire_frame_json_decode(&parley__v1__client_frame__descriptor, json, strlen(json), NULL, &message,
                                       &error);

        (void)arg;
        protobuf_c_message_free_unpacked(message, NULL);
        return r;
}

/* A process that has not seen the type yet: its plan is made here, too */
static void test_first_frame(void **state)
{
        (void)state;
        assert_in_range(fail_each(run_frame, NULL), 8, 100);
}

static int run_fingerprint(void *arg)
{
        uint8_t ret[FINGERPRINT_LEN] = {0};
        static const uint8_t zero[FINGERPRINT_LEN];
        int r = event_fingerprint(arg, ret);

        assert_int_equal(memcmp(ret, zero, sizeof(ret)) == 0, r != 0);
        return r;
}

static int run_deflate(void *arg)
{
        static char text[10000];
        struct buf out = BUF_INIT(sizeof(text));
        int r = wire_deflate(text, sizeof(text), &out);

        (void)arg;
        assert_true(r == 0 || out.len == 0);
        buf_done(&out);
        return r;
}

static void test_rest(void **state)
{
        Parley__V1__Message message = PARLEY__V1__MESSAGE__INIT;
        Parley__V1__Event event = PARLEY__V1__EVENT__INIT;

        (void)state;
        event.body_case = PARLEY__V1__EVENT__BODY_MESSAGE;
        event.message = &message;
        message.content =
                (char *)"a text that does not fit into the first allocation of the buffer, which is small: it has to grow";
        assert_in_range(fail_each(run_fingerprint, &event), 2, 100);
        assert_in_range(fail_each(run_deflate, NULL), 1, 100);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_first_frame),
                cmocka_unit_test(test_codec),
                cmocka_unit_test(test_rest),
        };
        return cmocka_run_group_tests_name("wire/memory", tests, NULL, NULL);
}
