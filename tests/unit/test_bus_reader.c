/* Readers against a real nats-server. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>

#include "bus_env.h"

static struct server server;
static struct env e;
static struct got r;

#define call(expression) env_call(&e, &r, expression)

struct read {
        struct bus_reader *reader;
        unsigned n, batches, in_batch, errors, last_n;
        int error;
        uint64_t last, last_pending;
        bool next;        /* go on by itself */
        unsigned free_at; /* free the reader within the callback of this message */
        bool free_in_end; /* … of the end of a batch */
        struct got got;
};

static void on_read(const struct bus_msg *msg, void *userdata)
{
        struct read *read = userdata;

        assert_true(msg->seq > read->last);
        assert_null(msg->reply);
        read->last = msg->seq;
        read->last_pending = msg->pending;
        read->n++;
        read->in_batch++;
        got_msg(msg, &read->got);
        if (read->n == read->free_at) {
                bus_reader_free(read->reader);
                read->reader = NULL;
        }
}

static void on_batch_end(int error, unsigned n, void *userdata)
{
        struct read *read = userdata;

        assert_int_equal(n, read->in_batch);
        read->last_n = n;
        read->in_batch = 0;
        read->batches++;
        read->error = error;
        read->errors += error != 0;
        if (read->free_in_end) {
                bus_reader_free(read->reader);
                read->reader = NULL;
        } else if (read->next) {
                bus_reader_next(read->reader);
        }
}

static void start(struct read *read, struct bus_reader_options o)
{
        o.handler = on_read;
        o.batch_end = on_batch_end;
        o.userdata = read;
        assert_int_equal(bus_reader_new(&read->reader, e.bus, &o), 0);
}

static int setup(void **state)
{
        (void)state;
        server_start(&server, NULL);
        env_init(&e, &server);
        env_connect(&e);
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        env_close(&e);
        server_done(&server);
        return 0;
}

static void fill(const char *subject, unsigned n, size_t size)
{
        static struct got acks;
        char data[4096] = {0};

        memset(&acks, 0, sizeof(acks));
        for (unsigned i = 0; i < n;) {
                if (i < acks.n + 2000) {
                        assert_int_equal(bus_publish_stream(e.bus, subject, NULL, data, size, NULL, got_ack, &acks), 0);
                        i++;
                } else {
                        uv_run(&e.loop, UV_RUN_ONCE);
                }
        }
        env_until(&e, acks.n_ok, n, 30000);
}

static void test_batches(void **state)
{
        struct bus_stream_config c = {.name = "BATCHES", .subject = "batches.>", .first_seq = 1000, .replicas = 1};
        struct read read = {0};

        (void)state;
        make_stream(&e, &c);
        fill("batches.a", 25, 100);
        start(&read, (struct bus_reader_options){.stream = "BATCHES", .start_seq = 1, .batch = 10, .linger_ms = 50});
        env_until(&e, read.batches, 1, 2000);
        assert_true(read.n == 10 && read.last == 1009 && read.got.msg.time_ns > 0);
        assert_int_equal(read.last_pending, 15);
        assert_string_equal(read.got.subject, "batches.a");
        env_run(&e, 100);
        assert_int_equal(read.n, 10); /* fetches no more before it is told to */
        bus_reader_next(read.reader);
        bus_reader_next(read.reader); /* while one is being filled: nothing */
        env_until(&e, read.batches, 2, 2000);
        assert_int_equal(read.n, 20);
        uint64_t begin = now_ns();
        bus_reader_next(read.reader);
        env_until(&e, read.batches, 3, 2000); /* not full: after the linger time */
        assert_true(read.n == 25 && read.last_n == 5);
        assert_true(now_ns() - begin >= 45000000u && now_ns() - begin < 1000000000u);
        /* what comes between two batches is held, and begins the next one */
        fill("batches.a", 4, 100);
        env_run(&e, 50);
        assert_int_equal(read.n, 25);
        bus_reader_next(read.reader);
        assert_int_equal(read.n, 25); /* never from within a call */
        env_until(&e, read.batches, 4, 2000);
        assert_true(read.n == 29 && read.last == 1028);
        /* live: soon after it was stored */
        bus_reader_next(read.reader);
        env_run(&e, 20);
        fill("batches.a", 1, 100);
        env_until(&e, read.n, 30, 3000);
        env_until(&e, read.batches, 5, 3000);
        /* a quiet time ends an empty batch */
        bus_reader_next(read.reader);
        begin = now_ns();
        env_until(&e, read.batches, 6, 7000);
        assert_true(read.last_n == 0 && now_ns() - begin > 4500000000u);
        /* later than the server waits: the fetch was made again meanwhile */
        bus_reader_next(read.reader);
        fill("batches.a", 1, 100);
        env_until(&e, read.n, 31, 3000);
        assert_int_equal(read.errors, 0);
        bus_reader_free(read.reader);
        bus_reader_free(NULL);
}

/* What comes while messages follow one another is fetched together, when the time of a batch is over; after a pause each is there at once */
static void test_gathered(void **state)
{
        struct bus_stream_config c = {.name = "GATHERED", .subject = "gathered.>", .replicas = 1};
        struct read read = {0};
        uint64_t begin;

        (void)state;
        make_stream(&e, &c);
        start(&read, (struct bus_reader_options){.stream = "GATHERED", .start_seq = 1, .batch = 10, .linger_ms = 300});
        env_run(&e, 50);
        for (unsigned round = 0; round < 2; round++) { /* both after a pause */
                begin = now_ns();
                fill("gathered.a", 1, 10);
                env_until(&e, read.n, 4 * round + 1, 200);
                fill("gathered.a", 1, 10);
                env_run(&e, 50);
                assert_int_equal(read.n, 4 * round + 1);
                env_until(&e, read.batches, 2 * round + 1, 2000);
                assert_true(read.last_n == 2 && now_ns() - begin >= 295000000u);
                begin = now_ns();
                bus_reader_next(read.reader);
                fill("gathered.a", 2, 10);
                env_run(&e, 50);
                assert_int_equal(read.n, 4 * round + 2);
                env_until(&e, read.batches, 2 * round + 2, 2000);
                assert_true(read.last_n == 2 && now_ns() - begin >= 295000000u && now_ns() - begin < 1000000000u);
                bus_reader_next(read.reader);
                env_run(&e, 400);
        }
        assert_int_equal(read.errors, 0);
        /* what is more than one batch does not wait */
        begin = now_ns();
        fill("gathered.a", 25, 10);
        for (unsigned n = 5; n <= 6; n++) {
                env_until(&e, read.batches, n, 2000);
                assert_int_equal(read.last_n, 10);
                bus_reader_next(read.reader);
        }
        assert_true(now_ns() - begin < 600000000u);
        /* without the server what has come is a batch, and nothing is lost */
        env_until(&e, read.batches, 7, 2000);
        assert_true(read.n == 33 && read.last == 33);
        bus_reader_next(read.reader);
        unsigned connected = e.connected;
        server_kill(&server, SIGKILL);
        env_until(&e, read.batches, 8, 7000);
        assert_int_equal(read.last_n, 0);
        server_again(&server);
        bus_reader_next(read.reader);
        env_until(&e, e.connected, connected + 1, 10000);
        fill("gathered.a", 3, 10);
        env_until(&e, read.n, 36, 5000);
        bus_reader_free(read.reader);
}

static void test_start_filter_removed(void **state)
{
        struct bus_stream_config c = {.name = "PART", .subject = "part.>", .allow_direct = true, .replicas = 1};
        struct read read = {.next = true}, only = {.next = true};

        (void)state;
        make_stream(&e, &c);
        for (int i = 0; i < 10; i++) {
                fill("part.a", 1, 10);
                fill("part.b", 1, 10);
        }
        call(bus_stream_trim(e.bus, "PART", 4, got_done, &r));
        call(bus_stream_delete(e.bus, "PART", 10, true, got_done, &r));
        start(&read, (struct bus_reader_options){.stream = "PART", .start_seq = 1, .batch = 100, .linger_ms = 10});
        env_until(&e, read.n, 16, 2000); /* 4 to 20 without 10 */
        start(&only, (struct bus_reader_options){
                             .stream = "PART", .filter = "part.b", .start_seq = 9, .batch = 100, .linger_ms = 10});
        env_until(&e, only.n, 5, 2000); /* 12, 14, 16, 18, 20 */
        env_run(&e, 100);
        assert_true(read.n == 16 && only.n == 5 && only.last == 20);
        bus_reader_free(read.reader);
        bus_reader_free(only.reader);
}

static void test_no_stream(void **state)
{
        struct bus_stream_config c = {.name = "LATE", .subject = "late.>", .replicas = 1};
        struct read read = {.next = true};

        (void)state;
        start(&read, (struct bus_reader_options){.stream = "LATE", .start_seq = 1, .batch = 10, .linger_ms = 10});
        env_until(&e, read.errors, 3, 3000);
        assert_int_equal(read.error, BUS_E_NOT_FOUND);
        unsigned before = read.errors;
        env_run(&e, 1000);
        assert_true(read.errors - before <= 4); /* not as fast as it can */
        make_stream(&e, &c);
        fill("late.a", 3, 10);
        env_until(&e, read.n, 3, 2000);
        bus_reader_free(read.reader);

        struct bus_reader_options o = {.stream = "a b", .batch = 1, .handler = on_read, .batch_end = on_batch_end};
        assert_int_equal(bus_reader_new(&read.reader, e.bus, &o), -EINVAL);
        o.stream = "LATE";
        o.batch = 0;
        assert_int_equal(bus_reader_new(&read.reader, e.bus, &o), -EINVAL);
        o.batch = 4097;
        assert_int_equal(bus_reader_new(&read.reader, e.bus, &o), -EINVAL);
}

/* Batches limited in bytes; a message larger than a whole batch comes alone */
static void test_batch_bytes(void **state)
{
        struct bus_stream_config c = {.name = "BYTES", .subject = "bytes.>", .replicas = 1};
        struct read read = {.next = true};

        (void)state;
        make_stream(&e, &c);
        fill("bytes.a", 50, 1000);
        fill("bytes.a", 1, 4000);
        fill("bytes.a", 50, 100);
        start(&read, (struct bus_reader_options){
                             .stream = "BYTES", .start_seq = 1, .batch = 100, .batch_bytes = 3000, .linger_ms = 20});
        env_until(&e, read.n, 101, 10000);
        assert_true(read.batches >= 17 && read.last == 101);
        bus_reader_free(read.reader);
}

/* The consumer is lost: deleted by somebody, or forgotten by the server */
static void test_consumer_lost(void **state)
{
        struct bus_stream_config c = {.name = "LOST", .subject = "lost.>", .replicas = 1};
        struct read read = {.next = true};
        struct got names = {0};

        (void)state;
        make_stream(&e, &c);
        fill("lost.a", 100, 10);
        start(&read, (struct bus_reader_options){.stream = "LOST", .start_seq = 1, .batch = 7, .linger_ms = 5});
        env_until(&e, read.n, 100, 2000);
        for (unsigned round = 1; round <= 3; round++) {
                memset(&names, 0, sizeof(names));
                assert_int_equal(bus_request(e.bus, "$JS.API.CONSUMER.NAMES.LOST", "", 0, 0, NULL, got_reply, &names),
                                 0);
                env_until(&e, names.n_ok, 1, 2000);
                char *name = strstr((char *)names.data, "parley-");
                assert_non_null(name);
                *strchr(name, '"') = '\0';
                char subject[256];
                snprintf(subject, sizeof(subject), "$JS.API.CONSUMER.DELETE.LOST.%s", name);
                memset(&names, 0, sizeof(names));
                assert_int_equal(bus_request(e.bus, subject, "", 0, 0, NULL, got_reply, &names), 0);
                env_until(&e, names.n_ok, 1, 2000);
                fill("lost.a", 100, 10);
                env_until(&e, read.n, 100 + 100 * round, 3000);
        }
        env_run(&e, 100);
        assert_true(read.n == 400 && read.last == 400 && read.errors == 0);
        bus_reader_free(read.reader);
}

static void test_bucket(void **state)
{
        struct bus_stream_config c = {
                .name = "KV_READ", .subject = "$KV.READ.>", .max_per_subject = 1, .replicas = 1, .kv = true};
        struct read read = {0}, empty = {0};
        char key[16];

        (void)state;
        make_stream(&e, &c);
        uint64_t begin = now_ns();
        start(&empty, (struct bus_reader_options){
                              .stream = "KV_READ", .batch = 100, .linger_ms = 10, .last_per_subject = true});
        env_until(&e, empty.batches, 1, 2000); /* at once, not after the quiet time */
        assert_true(empty.n == 0 && empty.error == 0 && now_ns() - begin < 1000000000u);
        bus_reader_free(empty.reader);

        for (int i = 0; i < 60; i++) {
                snprintf(key, sizeof(key), "user-%d", i % 20);
                call(bus_kv_put(e.bus, "READ", key, &i, sizeof(i), BUS_KV_ANY, got_ack, &r));
        }
        call(bus_kv_delete(e.bus, "READ", "user-3", BUS_KV_ANY, got_ack, &r)); /* revision 61 */
        start(&read, (struct bus_reader_options){
                             .stream = "KV_READ", .batch = 100, .linger_ms = 10, .last_per_subject = true});
        env_until(&e, read.batches, 1, 2000);
        assert_true(read.n == 20 && read.last == 61 && read.last_pending == 0);
        assert_string_equal(read.got.subject, "$KV.READ.user-3");
        assert_true(read.got.msg.deleted && read.got.msg.len == 0);
        /* and then every change */
        bus_reader_next(read.reader);
        call(bus_kv_put(e.bus, "READ", "user-3", "x", 1, 0, got_ack, &r));
        env_until(&e, read.n, 21, 2000);
        assert_true(!read.got.msg.deleted && read.got.msg.seq == 62);
        bus_reader_free(read.reader);
}

static void test_free_within_callbacks(void **state)
{
        struct bus_stream_config c = {.name = "FREE", .subject = "free.>", .replicas = 1};
        struct bus_reader_options o = {.stream = "FREE", .start_seq = 1, .batch = 10, .linger_ms = 10};

        (void)state;
        make_stream(&e, &c);
        fill("free.a", 50, 10);
        for (unsigned at = 1; at <= 10; at++) {
                struct read read = {.free_at = at};

                start(&read, o);
                env_until(&e, read.n, at, 2000);
                env_run(&e, 10);
                assert_true(read.n == at && read.batches == 0);
        }
        struct read end = {.free_in_end = true};
        start(&end, o);
        env_until(&e, end.batches, 1, 2000);
        env_run(&e, 20);
        assert_true(end.n == 10 && end.batches == 1);
        /* held messages go with it */
        struct read held = {0};
        start(&held, o);
        env_until(&e, held.batches, 1, 2000);
        bus_reader_next(held.reader);
        bus_reader_free(held.reader);
        env_run(&e, 20);
        assert_int_equal(held.n, 10);
}

/* A reader beside what the server itself can do */
static void test_throughput(void **state)
{
        struct bus_stream_config c = {.name = "FAST", .subject = "fast.>", .replicas = 1};
        const unsigned total = 200000;
        struct read read = {.next = true};

        (void)state;
        make_stream(&e, &c);
        fill("fast.a", total, 200);
        uint64_t begin = now_ns();
        start(&read, (struct bus_reader_options){.stream = "FAST", .start_seq = 1, .batch = 500, .linger_ms = 20});
        env_until(&e, read.n, total, 30000);
        double per_second = total / ((double)(now_ns() - begin) / 1e9);
        assert_true(read.last == total);
        bus_reader_free(read.reader);

        /* the server pushes all to a core subscription as fast as it can */
        struct bus_sub *sub;
        struct got pushed = {0};
        assert_int_equal(bus_subscribe(e.bus, "raw.push", NULL, got_msg, &pushed, &sub), 0);
        const char *body =
                "{\"stream_name\":\"FAST\",\"config\":{\"name\":\"raw\",\"deliver_subject\":\"raw.push\",\"ack_policy\":\"none\","
                "\"deliver_policy\":\"all\",\"replay_policy\":\"instant\",\"inactive_threshold\":5000000000,\"mem_storage\":true}}";
        begin = now_ns();
        call(bus_request(e.bus, "$JS.API.CONSUMER.CREATE.FAST.raw", body, strlen(body), 0, NULL, got_reply, &r));
        env_until(&e, pushed.n, total, 30000);
        double limit = total / ((double)(now_ns() - begin) / 1e9);
        bus_unsubscribe(sub);
        print_message(
                "reader: %.0f messages/s of 200 bytes in batches of 500; pushed by the server without fetches: %.0f/s\n",
                per_second, limit);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        assert_true(per_second >= 40000);
#endif
}

/* Without a server nothing comes: that is no empty bucket */
static void test_bucket_while_down(void **state)
{
        struct bus_stream_config c = {
                .name = "KV_DOWN", .subject = "$KV.DOWN.>", .max_per_subject = 1, .replicas = 1, .kv = true};
        struct read read = {0};
        unsigned disconnected = e.disconnected, connected = e.connected;

        (void)state;
        make_stream(&e, &c);
        call(bus_kv_put(e.bus, "DOWN", "key", "x", 1, BUS_KV_ANY, got_ack, &r));
        server_kill(&server, SIGTERM);
        env_until(&e, e.disconnected, disconnected + 1, 5000);
        start(&read, (struct bus_reader_options){
                             .stream = "KV_DOWN", .batch = 100, .linger_ms = 10, .last_per_subject = true});
        env_until(&e, read.batches, 1, 10000);
        assert_true(read.n == 0 && read.error == BUS_E_DISCONNECTED);
        bus_reader_next(read.reader);
        server_again(&server);
        env_until(&e, e.connected, connected + 1, 5000);
        env_until(&e, read.n, 1, 10000);
        bus_reader_free(read.reader);
}

/* The bucket is lost and made anew, with fewer revisions than were read */
static void test_bucket_made_anew(void **state)
{
        struct bus_stream_config c = {
                .name = "KV_ANEW", .subject = "$KV.ANEW.>", .max_per_subject = 1, .replicas = 1, .kv = true};
        struct read read = {.next = true};

        (void)state;
        make_stream(&e, &c);
        for (int i = 0; i < 5; i++)
                call(bus_kv_put(e.bus, "ANEW", "key", &i, sizeof(i), BUS_KV_ANY, got_ack, &r));
        start(&read, (struct bus_reader_options){
                             .stream = "KV_ANEW", .batch = 100, .linger_ms = 10, .last_per_subject = true});
        env_until(&e, read.n, 1, 5000);
        assert_true(read.last == 5);
        call(bus_request(e.bus, "$JS.API.STREAM.DELETE.KV_ANEW", "", 0, 0, NULL, got_reply, &r));
        read.last = 0;
        make_stream(&e, &c);
        call(bus_kv_put(e.bus, "ANEW", "other", "x", 1, BUS_KV_ANY, got_ack, &r));
        env_until(&e, read.n, 2, 10000);
        assert_true(read.last == 1);
        assert_string_equal(read.got.subject, "$KV.ANEW.other");
        bus_reader_free(read.reader);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_batches),
                cmocka_unit_test(test_gathered),
                cmocka_unit_test(test_start_filter_removed),
                cmocka_unit_test(test_no_stream),
                cmocka_unit_test(test_batch_bytes),
                cmocka_unit_test(test_consumer_lost),
                cmocka_unit_test(test_bucket),
                cmocka_unit_test(test_bucket_while_down),
                cmocka_unit_test(test_bucket_made_anew),
                cmocka_unit_test(test_free_within_callbacks),
                cmocka_unit_test(test_throughput),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
