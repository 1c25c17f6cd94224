/* Streams and buckets against a real nats-server. */
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

/* Calls, and waits for the one answer in r */
#define call(expression) env_call(&e, &r, expression)

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

static void test_ensure(void **state)
{
        struct bus_stream_config c = {
                .name = "ENSURE",
                .subject = "ensure.>",
                .first_seq = 4294967296,
                .epoch = 77,
                .dedupe_window_ms = 5000,
                .replicas = 1,
                .discard_new = true,
                .allow_direct = true,
        };

        (void)state;
        call(bus_stream_info(e.bus, "ENSURE", got_stream, &r));
        assert_int_equal(r.error, BUS_E_NOT_FOUND);
        call(bus_stream_ensure(e.bus, &c, got_stream, &r));
        assert_int_equal(r.error, 0);
        assert_true(r.info.created && r.info.first_seq == 4294967296 && r.info.epoch == 77);
        call(bus_stream_ensure(e.bus, &c, got_stream, &r));
        assert_int_equal(r.error, 0);
        assert_false(r.info.created);
        call(bus_publish_stream(e.bus, "ensure.a", NULL, "x", 1, NULL, got_ack, &r));
        assert_true(r.error == 0 && r.ack.seq == 4294967296);

        /* what may change changes; first_seq and epoch stay */
        c.first_seq = 1;
        c.epoch = 99;
        c.republish_from = "ensure.>";
        c.republish_to = "ensured.>";
        call(bus_stream_ensure(e.bus, &c, got_stream, &r));
        assert_true(r.error == 0 && !r.info.created && r.info.epoch == 77 && r.info.first_seq == 4294967296 &&
                    r.info.messages == 1);
        struct got live = {0};
        struct bus_sub *s;
        assert_int_equal(bus_subscribe(e.bus, "ensured.>", NULL, got_msg, &live, &s), 0);
        call(bus_publish_stream(e.bus, "ensure.a", "id-1", "hello", 5, "trace", got_ack, &r));
        env_until(&e, live.n, 1, 2000);
        assert_string_equal(live.subject, "ensured.a");
        assert_string_equal(live.msg_id, "id-1");
        assert_string_equal(live.trace_id, "trace");
        assert_true(live.msg.seq == 4294967297 && live.msg.prev == 4294967296 && live.msg.time_ns > 0);
        bus_unsubscribe(s);

        /* several subjects */
        c.subject = "ensure.>,ensure-more";
        call(bus_stream_ensure(e.bus, &c, got_stream, &r));
        assert_int_equal(r.error, 0);
        call(bus_publish_stream(e.bus, "ensure-more", NULL, "x", 1, NULL, got_ack, &r));
        assert_true(r.error == 0 && r.ack.seq == 4294967298);

        /* what may not change is refused, with the server's reason */
        c.subject = "*.*.bad..";
        assert_int_equal(bus_stream_ensure(e.bus, &c, got_stream, &r), -EINVAL);
        c.subject = "$JS.API.>";
        call(bus_stream_ensure(e.bus, &c, got_stream, &r));
        assert_int_equal(r.error, BUS_E_REFUSED);
        assert_true(strlen(r.text) > 10);
}

/* One that does not begin at 1 keeps what it acknowledged when its server is killed; also where whoever made it went half way */
static void test_first_seq(void **state)
{
        struct bus_stream_config c = {
                .name = "FIRST", .subject = "first.>", .first_seq = 1000, .epoch = 7, .replicas = 1};
        struct bus_stream_config half = {.name = "FIRST", .subject = "making.FIRST", .epoch = 7, .replicas = 1};
        unsigned connected = e.connected;

        (void)state;
        call(bus_stream_ensure(e.bus, &half, got_stream, &r));
        call(bus_stream_ensure(e.bus, &c, got_stream, &r));
        assert_true(r.error == 0 && !r.info.created && r.info.first_seq == 2 && r.info.last_seq == 1);
        for (uint64_t first = 2; first <= 1000; first += 998) {
                for (uint64_t i = 0; i < 50; i++) {
                        call(bus_publish_stream(e.bus, "first.a", NULL, "x", 1, NULL, got_ack, &r));
                        assert_true(r.error == 0 && r.ack.seq == first + i);
                }
                server_kill(&server, SIGKILL);
                server_again(&server);
                env_until(&e, e.connected, connected + 1, 10000);
                connected = e.connected;
                call(bus_stream_info(e.bus, "FIRST", got_stream, &r));
                assert_true(r.info.messages == 50 && r.info.first_seq == first && r.info.last_seq == first + 49);
                call(bus_request(e.bus, "$JS.API.STREAM.DELETE.FIRST", "", 0, 0, NULL, got_reply, &r));
                call(bus_stream_ensure(e.bus, &c, got_stream, &r));
                assert_true(r.error == 0 && r.info.created && r.info.first_seq == 1000 && r.info.last_seq == 999);
        }
}

/* Two at once: both get it, one has made it */
static void test_ensure_race(void **state)
{
        struct bus_stream_config c = {.name = "RACE", .subject = "race.>", .epoch = 5, .replicas = 1};
        struct bus_stream_config d = {.name = "RACE", .subject = "race.>", .epoch = 6, .replicas = 1};
        struct got a = {0}, b = {0};

        (void)state;
        assert_int_equal(bus_stream_ensure(e.bus, &c, got_stream, &a), 0);
        assert_int_equal(bus_stream_ensure(e.bus, &d, got_stream, &b), 0);
        env_until(&e, a.n, 1, 5000);
        env_until(&e, b.n, 1, 5000);
        assert_true(a.error == 0 && b.error == 0);
        assert_int_equal(a.info.created + b.info.created, 1);
        assert_int_equal(a.info.epoch, b.info.epoch);
}

static void test_publish(void **state)
{
        struct bus_stream_config c = {.name = "PUB", .subject = "pub.>", .dedupe_window_ms = 60000, .replicas = 1};

        (void)state;
        make_stream(&e, &c);
        call(bus_publish_stream(e.bus, "pub.a", "general:ann:1", "x", 1, "t", got_ack, &r));
        assert_true(r.error == 0 && r.ack.seq == 1 && !r.ack.duplicate);
        call(bus_publish_stream(e.bus, "pub.a", "general:ann:2", "x", 1, "t", got_ack, &r));
        assert_true(r.error == 0 && r.ack.seq == 2 && !r.ack.duplicate);
        call(bus_publish_stream(e.bus, "pub.a", "general:ann:1", "another", 7, "t", got_ack, &r));
        assert_true(r.error == 0 && r.ack.seq == 1 && r.ack.duplicate);
        call(bus_publish_stream(e.bus, "nowhere.a", "general:ann:1", "x", 1, NULL, got_ack, &r));
        assert_int_equal(r.error, BUS_E_NO_RESPONDERS);
}

static void test_full(void **state)
{
        struct bus_stream_config c = {
                .name = "FULL", .subject = "full.>", .max_bytes = 64 * 1024, .discard_new = true, .replicas = 1};
        char data[4096] = {0};
        unsigned stored = 0;

        (void)state;
        make_stream(&e, &c);
        for (;;) {
                call(bus_publish_stream(e.bus, "full.a", NULL, data, sizeof(data), NULL, got_ack, &r));
                if (r.error != 0)
                        break;
                stored++;
                assert_true(stored < 20);
        }
        assert_int_equal(r.error, BUS_E_REFUSED);
        assert_non_null(strstr(r.text, "maximum bytes"));
        assert_true(stored > 10);
        call(bus_stream_info(e.bus, "FULL", got_stream, &r));
        assert_true(r.info.messages == stored && r.info.first_seq == 1); /* nothing was evicted */
        assert_int_equal(r.info.max_bytes, 64 * 1024);
        call(bus_stream_trim(e.bus, "FULL", 6, got_done, &r));
        assert_int_equal(r.error, 0);
        call(bus_publish_stream(e.bus, "full.a", NULL, data, sizeof(data), NULL, got_ack, &r));
        assert_int_equal(r.error, 0);
}

/* Refusals ("no stream") come without a name on the fast way: they must find those whom they are for, among many that are stored */
static void test_refused_among_stored(void **state)
{
        struct bus_stream_config c = {.name = "MIXED", .subject = "mixed.>", .replicas = 1};
        enum { N = 3000 };
        static struct got acks[N];

        (void)state;
        make_stream(&e, &c);
        memset(acks, 0, sizeof(acks));
        for (unsigned i = 0; i < N; i++) {
                const char *subject = i % 7 == 3 || (i > 1000 && i < 1100) ? "absent.a" : "mixed.a";

                assert_int_equal(bus_publish_stream(e.bus, subject, NULL, "x", 1, NULL, got_ack, &acks[i]), 0);
                if (i % 50 == 49)
                        uv_run(&e.loop, UV_RUN_NOWAIT);
        }
        for (unsigned i = 0; i < N; i++) {
                int expected = i % 7 == 3 || (i > 1000 && i < 1100) ? BUS_E_NO_RESPONDERS : 0;

                env_until(&e, acks[i].n, 1, 3000); /* far below the 5 s of a time-out */
                assert_int_equal(acks[i].error, expected);
        }
        env_run(&e, 20);
        for (unsigned i = 0; i < N; i++)
                assert_int_equal(acks[i].n, 1);
        /* and the fast way is open again */
        call(bus_publish_stream(e.bus, "mixed.a", NULL, "x", 1, NULL, got_ack, &r));
        assert_int_equal(r.error, 0);
}

static void test_get(void **state)
{
        struct bus_stream_config c = {.name = "GET", .subject = "get.>", .allow_direct = true, .replicas = 1};
        char data[3000];

        (void)state;
        make_stream(&e, &c);
        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (char)(i * 7);
        call(bus_publish_stream(e.bus, "get.a", "id-1", data, sizeof(data), "trace", got_ack, &r));
        call(bus_publish_stream(e.bus, "get.b", NULL, "", 0, NULL, got_ack, &r));
        call(bus_publish_stream(e.bus, "get.a", NULL, "third", 5, NULL, got_ack, &r));
        for (int direct = 0; direct < 2; direct++) {
                call(bus_stream_get(e.bus, "GET", 1, direct, got_reply, &r));
                assert_int_equal(r.error, 0);
                assert_string_equal(r.subject, "get.a");
                assert_string_equal(r.msg_id, "id-1");
                assert_string_equal(r.trace_id, "trace");
                assert_int_equal(r.msg.len, sizeof(data));
                assert_memory_equal(r.data, data, sizeof(data));
                assert_true(r.msg.seq == 1 && r.msg.time_ns > INT64_C(1600000000000000000));
                call(bus_stream_get(e.bus, "GET", 2, direct, got_reply, &r));
                assert_true(r.error == 0 && r.msg.len == 0 && r.msg.msg_id == NULL && r.msg.trace_id == NULL);
                call(bus_stream_get(e.bus, "GET", 9, direct, got_reply, &r));
                assert_int_equal(r.error, BUS_E_NOT_FOUND);
        }
        call(bus_stream_get(e.bus, "ABSENT", 1, false, got_reply, &r));
        assert_int_equal(r.error, BUS_E_NOT_FOUND);
        call(bus_stream_last(e.bus, "GET", "get.a", got_reply, &r));
        assert_true(r.error == 0 && r.msg.seq == 3);
        call(bus_stream_last(e.bus, "GET", "get.c", got_reply, &r));
        assert_int_equal(r.error, BUS_E_NOT_FOUND);
        call(bus_stream_next(e.bus, "GET", "get.a", 0, got_reply, &r));
        assert_true(r.error == 0 && r.msg.seq == 1);
        call(bus_stream_next(e.bus, "GET", "get.a", 2, got_reply, &r));
        assert_true(r.error == 0 && r.msg.seq == 3);
        assert_string_equal(r.subject, "get.a");
        call(bus_stream_next(e.bus, "GET", "get.a", 4, got_reply, &r));
        assert_int_equal(r.error, BUS_E_NOT_FOUND);
}

static void test_remove(void **state)
{
        struct bus_stream_config c = {.name = "REMOVE", .subject = "remove.>", .allow_direct = true, .replicas = 1};

        (void)state;
        make_stream(&e, &c);
        for (int i = 0; i < 10; i++)
                call(bus_publish_stream(e.bus, "remove.a", NULL, "secret", 6, NULL, got_ack, &r));
        for (int secure = 0; secure < 2; secure++) {
                uint64_t seq = secure ? 5 : 7;

                call(bus_stream_delete(e.bus, "REMOVE", seq, secure, got_done, &r));
                assert_int_equal(r.error, 0);
                call(bus_stream_get(e.bus, "REMOVE", seq, true, got_reply, &r));
                assert_int_equal(r.error, BUS_E_NOT_FOUND);
                call(bus_stream_delete(e.bus, "REMOVE", seq, secure, got_done, &r));
                assert_int_equal(r.error, BUS_E_NOT_FOUND);
        }
        call(bus_stream_delete(e.bus, "REMOVE", 500, true, got_done, &r));
        assert_int_equal(r.error, BUS_E_NOT_FOUND);
        call(bus_stream_trim(e.bus, "REMOVE", 1, got_done, &r)); /* nothing is below 1: not everything */
        assert_int_equal(r.error, 0);
        call(bus_stream_info(e.bus, "REMOVE", got_stream, &r));
        assert_true(r.info.messages == 8 && r.info.first_seq == 1);
        call(bus_stream_trim(e.bus, "REMOVE", 4, got_done, &r));
        assert_int_equal(r.error, 0);
        call(bus_stream_info(e.bus, "REMOVE", got_stream, &r));
        assert_true(r.info.messages == 5 && r.info.first_seq == 4 && r.info.last_seq == 10);
        call(bus_stream_trim(e.bus, "REMOVE", 11, got_done, &r));
        call(bus_publish_stream(e.bus, "remove.a", NULL, "x", 1, NULL, got_ack, &r));
        assert_true(r.error == 0 && r.ack.seq == 11);
        call(bus_stream_trim(e.bus, "ABSENT", 4, got_done, &r));
        assert_int_equal(r.error, BUS_E_NOT_FOUND);
        call(bus_stream_trim(e.bus, "ABSENT", 1, got_done, &r));
        assert_int_equal(r.error, BUS_E_NOT_FOUND);
}

static void test_bucket(void **state)
{
        struct bus_stream_config c = {
                .name = "KV_USERS", .subject = "$KV.USERS.>", .max_per_subject = 1, .replicas = 1, .kv = true};

        (void)state;
        make_stream(&e, &c);
        call(bus_kv_get(e.bus, "USERS", "ann", got_reply, &r));
        assert_int_equal(r.error, BUS_E_NOT_FOUND);
        call(bus_kv_put(e.bus, "USERS", "ann", "one", 3, 0, got_ack, &r));
        assert_true(r.error == 0 && r.ack.seq == 1);
        call(bus_kv_put(e.bus, "USERS", "ann", "two", 3, 0, got_ack, &r));
        assert_int_equal(r.error, BUS_E_CONFLICT);
        call(bus_kv_put(e.bus, "USERS", "ann", "two", 3, 9, got_ack, &r));
        assert_int_equal(r.error, BUS_E_CONFLICT);
        call(bus_kv_put(e.bus, "USERS", "ann", "two", 3, 1, got_ack, &r));
        assert_true(r.error == 0 && r.ack.seq == 2);
        call(bus_kv_put(e.bus, "USERS", "ann", "three", 5, BUS_KV_ANY, got_ack, &r));
        assert_true(r.error == 0 && r.ack.seq == 3);
        call(bus_kv_get(e.bus, "USERS", "ann", got_reply, &r));
        assert_true(r.error == 0 && r.msg.seq == 3 && r.msg.len == 5 && memcmp(r.data, "three", 5) == 0);
        assert_string_equal(r.subject, "$KV.USERS.ann");

        call(bus_kv_delete(e.bus, "USERS", "ann", 2, got_ack, &r));
        assert_int_equal(r.error, BUS_E_CONFLICT);
        call(bus_kv_delete(e.bus, "USERS", "ann", 3, got_ack, &r));
        assert_true(r.error == 0 && r.ack.seq == 4);
        call(bus_kv_get(e.bus, "USERS", "ann", got_reply, &r));
        assert_int_equal(r.error, BUS_E_NOT_FOUND);
        /* a deleted key does not exist: it may be created, once */
        call(bus_kv_put(e.bus, "USERS", "ann", "again", 5, 0, got_ack, &r));
        assert_true(r.error == 0 && r.ack.seq == 5);
        call(bus_kv_put(e.bus, "USERS", "ann", "twice", 5, 0, got_ack, &r));
        assert_int_equal(r.error, BUS_E_CONFLICT);
        call(bus_kv_get(e.bus, "USERS", "ann", got_reply, &r));
        assert_true(r.error == 0 && r.msg.len == 5 && memcmp(r.data, "again", 5) == 0);
        call(bus_kv_put(e.bus, "ABSENT", "ann", "x", 1, BUS_KV_ANY, got_ack, &r));
        assert_int_equal(r.error, BUS_E_NO_RESPONDERS);
}

/* Of one key, and only what was seen: a mark of a deletion goes as if the key had never been, and what is newer stays */
static void test_purge_of_a_key(void **state)
{
        struct bus_stream_config c = {
                .name = "KV_MARKS", .subject = "$KV.MARKS.>", .max_per_subject = 1, .replicas = 1, .kv = true};

        (void)state;
        make_stream(&e, &c);
        call(bus_kv_put(e.bus, "MARKS", "file.a", "one", 3, 0, got_ack, &r));
        call(bus_kv_put(e.bus, "MARKS", "file.b", "two", 3, 0, got_ack, &r));
        call(bus_kv_delete(e.bus, "MARKS", "file.a", BUS_KV_ANY, got_ack, &r));
        assert_true(r.error == 0 && r.ack.seq == 3);
        call(bus_kv_put(e.bus, "MARKS", "file.a", "x", 1, BUS_KV_NEVER, got_ack, &r));
        assert_int_equal(r.error, BUS_E_CONFLICT);
        call(bus_kv_purge(e.bus, "MARKS", "file.a", 1, got_done, &r)); /* older than the mark */
        assert_int_equal(r.error, 0);
        call(bus_kv_put(e.bus, "MARKS", "file.a", "x", 1, BUS_KV_NEVER, got_ack, &r));
        assert_int_equal(r.error, BUS_E_CONFLICT);
        call(bus_kv_purge(e.bus, "MARKS", "file.a", 3, got_done, &r));
        assert_int_equal(r.error, 0);
        call(bus_stream_info(e.bus, "KV_MARKS", got_stream, &r));
        assert_int_equal(r.info.messages, 1);
        call(bus_kv_put(e.bus, "MARKS", "file.a", "x", 1, BUS_KV_NEVER, got_ack, &r));
        assert_true(r.error == 0 && r.ack.seq == 4);
        call(bus_kv_get(e.bus, "MARKS", "file.b", got_reply, &r));
        assert_true(r.error == 0 && r.msg.seq == 2);
        assert_int_equal(bus_kv_purge(e.bus, "MARKS", "file.b", 0, got_done, &r), -EINVAL);
        call(bus_kv_purge(e.bus, "ABSENT", "file.b", 3, got_done, &r));
        assert_int_equal(r.error, BUS_E_NOT_FOUND);
}

enum { SERIAL = 2000, MEDIAN = SERIAL / 2, P99 = SERIAL / 100 * 99, PIPELINED = 50000, WINDOW = 2000 };
static unsigned n_timed;
static uint64_t sent_ns[PIPELINED], took_ns[PIPELINED];

static void on_timed(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        size_t i = (uintptr_t)userdata;

        (void)ack;
        (void)text;
        assert_int_equal(error, 0);
        took_ns[i] = now_ns() - sent_ns[i];
        n_timed++;
}

static void timed_publish(unsigned i, const char *actor)
{
        char id[64], data[200] = {0};

        snprintf(id, sizeof(id), "general:%s:%u", actor, i);
        sent_ns[i] = now_ns();
        assert_int_equal(bus_publish_stream(e.bus, "speed.general", id, data, sizeof(data), "trace", on_timed,
                                            (void *)(uintptr_t)i),
                         0);
}

static int by_time(const void *a, const void *b)
{
        const uint64_t *x = a, *y = b;

        return *x < *y ? -1 : *x > *y;
}

/* With republication, deduplication and a subscriber of the live copies, as the log has them */
static void test_speed(void **state)
{
        struct bus_stream_config c = {.name = "SPEED",
                                      .subject = "speed.>",
                                      .republish_from = "speed.>",
                                      .republish_to = "fast.>",
                                      .dedupe_window_ms = 120000,
                                      .replicas = 1};
        struct bus_sub *s;
        struct got live = {0};

        (void)state;
        make_stream(&e, &c);
        assert_int_equal(bus_subscribe(e.bus, "fast.>", NULL, got_msg, &live, &s), 0);
        n_timed = 0;
        for (unsigned i = 0; i < SERIAL; i++) {
                timed_publish(i, "serial");
                env_until(&e, n_timed, i + 1, 5000);
        }
        qsort(took_ns, SERIAL, sizeof(took_ns[0]), by_time);
        print_message("serial ack: p50 %.0f us, p99 %.0f us; ", (double)took_ns[MEDIAN] / 1e3,
                      (double)took_ns[P99] / 1e3);
        n_timed = 0;
        uint64_t begin = now_ns();
        for (unsigned i = 0; i < PIPELINED;) {
                if (i < n_timed + WINDOW)
                        timed_publish(i++, "pipelined");
                else
                        uv_run(&e.loop, UV_RUN_ONCE);
        }
        env_until(&e, n_timed, PIPELINED, 20000);
        print_message("%d in flight: %.0f acks/s\n", WINDOW, PIPELINED / ((double)(now_ns() - begin) / 1e9));
        env_until(&e, live.n, SERIAL + PIPELINED, 10000);
        bus_unsubscribe(s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ensure),      cmocka_unit_test(test_first_seq),
                cmocka_unit_test(test_ensure_race), cmocka_unit_test(test_publish),
                cmocka_unit_test(test_full),        cmocka_unit_test(test_refused_among_stored),
                cmocka_unit_test(test_get),         cmocka_unit_test(test_remove),
                cmocka_unit_test(test_bucket),      cmocka_unit_test(test_purge_of_a_key),
                cmocka_unit_test(test_speed),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
