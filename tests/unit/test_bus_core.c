/* Core NATS against a real nats-server: subscriptions, requests, order, limits, the end. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "bus_env.h"

static struct server server;

static int setup(void **state)
{
        (void)state;
        server_start(&server, NULL);
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        server_done(&server);
        return 0;
}

static void test_publish_subscribe(void **state)
{
        struct env e;
        struct got one = {0}, all = {0}, flushed = {0};
        struct bus_sub *s1, *s2;

        (void)state;
        env_init(&e, &server);
        env_open(&e);
        /* made before there is a connection */
        assert_int_equal(bus_subscribe(e.bus, "a.one", NULL, got_msg, &one, &s1), 0);
        assert_int_equal(bus_publish(e.bus, "a.one", "x", 1, NULL), BUS_E_DISCONNECTED);
        assert_int_equal(bus_request(e.bus, "a.one", "x", 1, 0, NULL, got_reply, &one), BUS_E_DISCONNECTED);
        assert_int_equal(bus_publish_stream(e.bus, "a.one", NULL, "x", 1, NULL, got_ack, &one), BUS_E_DISCONNECTED);
        assert_int_equal(bus_flush(e.bus, got_flush, &flushed), BUS_E_DISCONNECTED);
        assert_false(bus_connected(e.bus));
        env_until(&e, e.connected, 1, 5000);
        assert_true(bus_connected(e.bus));
        assert_int_equal(bus_subscribe(e.bus, "a.>", NULL, got_msg, &all, &s2), 0);
        assert_int_equal(bus_publish(e.bus, "a.one", "hello", 5, "trace-7"), 0);
        assert_int_equal(bus_publish(e.bus, "a.two", "", 0, NULL), 0);
        assert_int_equal(all.n, 0); /* never from within a call */
        env_until(&e, all.n, 2, 2000);
        env_until(&e, one.n, 1, 2000);
        assert_string_equal(one.subject, "a.one");
        assert_string_equal(one.trace_id, "trace-7");
        assert_int_equal(one.msg.len, 5);
        assert_memory_equal(one.data, "hello", 5);
        assert_true(one.msg.seq == 0 && one.msg.prev == 0 && one.msg.time_ns == 0);
        assert_string_equal(all.subject, "a.two");
        assert_int_equal(all.msg.len, 0);
        assert_null(all.msg.trace_id);
        assert_true(e.turns > 0);
        assert_int_equal(bus_flush(e.bus, got_flush, &flushed), 0);
        env_until(&e, flushed.n_ok, 1, 2000);
        bus_unsubscribe(s1);
        bus_unsubscribe(NULL);
        assert_int_equal(bus_publish(e.bus, "a.one", "x", 1, NULL), 0);
        env_until(&e, all.n, 3, 2000);
        assert_int_equal(one.n, 1);
        env_close(&e); /* s2 goes with it */
}

static void test_bad_arguments(void **state)
{
        struct env e;
        struct bus_sub *s;
        struct bus *bus;
        struct got g = {0};
        struct bus_options o = {0};

        (void)state;
        assert_int_equal(bus_new(&bus, &o), -EINVAL);
        env_init(&e, &server);
        env_connect(&e);
        assert_int_equal(bus_subscribe(e.bus, "a b", NULL, got_msg, &g, &s), -EINVAL);
        assert_int_equal(bus_subscribe(e.bus, "a", "q *", got_msg, &g, &s), -EINVAL);
        assert_int_equal(bus_publish(e.bus, "a.*", "x", 1, NULL), -EINVAL);
        assert_int_equal(bus_publish(e.bus, "a\r\nPUB b 1", "x", 1, NULL), -EINVAL);
        assert_int_equal(bus_request(e.bus, "", "x", 1, 0, NULL, got_reply, &g), -EINVAL);
        assert_int_equal(bus_stream_get(e.bus, "A.B", 1, true, got_reply, &g), -EINVAL);
        assert_int_equal(bus_stream_get(e.bus, "A", 0, true, got_reply, &g), -EINVAL);
        assert_int_equal(bus_stream_last(e.bus, "A", "a\"b", got_reply, &g), -EINVAL);
        assert_int_equal(bus_kv_get(e.bus, "B", "a b", got_reply, &g), -EINVAL);
        assert_int_equal(bus_kv_put(e.bus, "B", ".a", "x", 1, 0, got_ack, &g), -EINVAL);
        for (int error = -2; error < 12; error++)
                assert_true(bus_error_text(error)[0] != '\0');
        env_run(&e, 50);
        assert_int_equal(g.n, 0);
        assert_int_equal(e.errors, 0);
        env_close(&e);
}

static void test_too_large(void **state)
{
        struct env e;
        struct got g = {0};
        size_t n = (1 << 20) + 1; /* nats-server's max_payload */
        char *data = calloc(1, n);

        (void)state;
        env_init(&e, &server);
        env_connect(&e);
        assert_int_equal(bus_publish(e.bus, "a", data, n, NULL), BUS_E_REFUSED);
        assert_int_equal(bus_publish_stream(e.bus, "a", NULL, data, n, NULL, got_ack, &g), BUS_E_REFUSED);
        assert_int_equal(bus_publish(e.bus, "a", data, n - 1, NULL), 0);
        env_run(&e, 50);
        assert_true(g.n == 0 && e.disconnected == 0);
        env_close(&e);
        free(data);
}

static void echo(const struct bus_msg *msg, void *userdata)
{
        struct env *e = userdata;

        if (msg->reply != NULL)
                assert_int_equal(bus_publish(e->bus, msg->reply, msg->data, msg->len, msg->trace_id), 0);
}

static void swallow(const struct bus_msg *msg, void *userdata)
{
        (void)msg;
        (void)userdata;
}

static void test_request(void **state)
{
        struct env e;
        struct got g = {0};
        struct bus_sub *s1, *s2;

        (void)state;
        env_init(&e, &server);
        env_connect(&e);
        assert_int_equal(bus_subscribe(e.bus, "rpc.echo", "q", echo, &e, &s1), 0);
        assert_int_equal(bus_subscribe(e.bus, "rpc.mute", "q", swallow, &e, &s2), 0);
        assert_int_equal(bus_request(e.bus, "rpc.echo", "hi", 2, 0, "t9", got_reply, &g), 0);
        env_until(&e, g.n, 1, 2000);
        assert_int_equal(g.error, 0);
        assert_memory_equal(g.data, "hi", 2);
        assert_string_equal(g.trace_id, "t9");

        assert_int_equal(bus_request(e.bus, "rpc.none", "hi", 2, 0, NULL, got_reply, &g), 0);
        env_until(&e, g.n, 2, 2000);
        assert_int_equal(g.error, BUS_E_NO_RESPONDERS);

        uint64_t before = now_ns();
        assert_int_equal(bus_request(e.bus, "rpc.mute", "hi", 2, 300, NULL, got_reply, &g), 0);
        env_until(&e, g.n, 3, 2000);
        assert_int_equal(g.error, BUS_E_TIMEOUT);
        assert_true(now_ns() - before >= 300000000u - 25000000u);
        assert_true(now_ns() - before < 3000000000u);
        env_close(&e);
}

static void test_gather(void **state)
{
        struct env e;
        struct got g = {0};
        struct bus_sub *s[3];
        struct bus_gather *gather;

        (void)state;
        env_init(&e, &server);
        env_connect(&e);
        for (int i = 0; i < 3; i++)
                assert_int_equal(bus_subscribe(e.bus, "rpc.all", NULL, echo, &e, &s[i]), 0);
        assert_int_equal(bus_request_many(e.bus, "rpc.all", "hi", 2, 200, got_reply, &g, &gather), 0);
        env_until(&e, g.n, 4, 2000);
        assert_int_equal(g.n_ok, 3);
        assert_int_equal(g.error, BUS_E_TIMEOUT);

        memset(&g, 0, sizeof(g));
        assert_int_equal(bus_request_many(e.bus, "rpc.nobody", "hi", 2, 200, got_reply, &g, &gather), 0);
        env_until(&e, g.n, 1, 2000);
        assert_int_equal(g.error, BUS_E_NO_RESPONDERS);

        memset(&g, 0, sizeof(g));
        assert_int_equal(bus_request_many(e.bus, "rpc.all", "hi", 2, 200, got_reply, &g, &gather), 0);
        env_until(&e, g.n, 1, 2000);
        unsigned n = g.n; /* the three may come in one turn */
        bus_request_end(gather);
        env_run(&e, 300);
        assert_int_equal(g.n, n);
        env_close(&e);
}

static void test_queue_group(void **state)
{
        struct env e;
        struct got g = {0}, flushed = {0};
        struct bus_sub *s[4];

        (void)state;
        env_init(&e, &server);
        env_connect(&e);
        for (int i = 0; i < 4; i++)
                assert_int_equal(bus_subscribe(e.bus, "work", "workers", got_msg, &g, &s[i]), 0);
        for (int i = 0; i < 100; i++)
                assert_int_equal(bus_publish(e.bus, "work", "x", 1, NULL), 0);
        assert_int_equal(bus_flush(e.bus, got_flush, &flushed), 0);
        env_until(&e, flushed.n_ok, 1, 2000);
        env_until(&e, g.n, 100, 2000);
        assert_int_equal(g.n, 100);
        env_close(&e);
}

struct stop {
        unsigned n, at;
        struct bus_sub *sub;
};

static void stop_at(const struct bus_msg *msg, void *userdata)
{
        struct stop *s = userdata;

        (void)msg;
        if (++s->n == s->at) {
                bus_unsubscribe(s->sub);
                s->sub = NULL;
        }
}

static void test_unsubscribe_within_callback(void **state)
{
        struct env e;
        struct stop stop = {.at = 10};
        struct got other = {0};
        struct bus_sub *s;

        (void)state;
        env_init(&e, &server);
        env_connect(&e);
        assert_int_equal(bus_subscribe(e.bus, "burst", NULL, stop_at, &stop, &stop.sub), 0);
        assert_int_equal(bus_subscribe(e.bus, "burst", NULL, got_msg, &other, &s), 0);
        for (int i = 0; i < 1000; i++)
                assert_int_equal(bus_publish(e.bus, "burst", "x", 1, NULL), 0);
        env_until(&e, other.n, 1000, 2000);
        assert_int_equal(stop.n, 10);
        env_close(&e);
}

struct ordered {
        unsigned n;
        uint64_t next;
};

static void in_order(const struct bus_msg *msg, void *userdata)
{
        struct ordered *o = userdata;
        uint64_t number;

        assert_int_equal(msg->len, sizeof(number));
        memcpy(&number, msg->data, sizeof(number));
        assert_true(number == o->next++);
        o->n++;
}

static void test_order_under_load(void **state)
{
        struct env e;
        struct ordered o = {0};
        struct bus_sub *s;
        /* A subscription of nats.c drops what is more than 65,536 messages behind. Its thread is that late when the machine has other things to
         * do, and a loss that is told (as test_slow_consumer has it) is not a break of the order. */
        const unsigned total = 100000, under_way = 50000;

        (void)state;
        env_init(&e, &server);
        env_connect(&e);
        assert_int_equal(bus_subscribe(e.bus, "load", NULL, in_order, &o, &s), 0);
        uint64_t begin = now_ns();
        for (uint64_t i = 0; i < total;) {
                int r = bus_publish(e.bus, "load", &i, sizeof(i), NULL);
                assert_true(r == 0 || r == BUS_E_FULL);
                i += r == 0;
                if (r == BUS_E_FULL || i % 1000 == 0)
                        uv_run(&e.loop, UV_RUN_NOWAIT);
                if (i > under_way)
                        env_until(&e, o.n, (unsigned)i - under_way, 20000);
        }
        env_until(&e, o.n, total, 20000);
        print_message("%u messages out and in: %.0f/s\n", total, total / ((double)(now_ns() - begin) / 1e9));
        assert_int_equal(e.losses, 0);
        env_close(&e);
}

/* The loop stands still while messages come */
static void slow(const struct bus_msg *msg, void *userdata)
{
        struct timespec pause = {.tv_nsec = 2000000};

        (void)msg;
        (*(unsigned *)userdata)++;
        nanosleep(&pause, NULL);
}

static void test_slow_consumer(void **state)
{
        struct env e;
        unsigned n = 0;
        struct bus_sub *s;
        char data[256] = {0};

        (void)state;
        env_init(&e, &server);
        e.options.max_inbox_bytes = 8192;
        env_connect(&e);
        assert_int_equal(bus_subscribe(e.bus, "flood", NULL, slow, &n, &s), 0);
        for (int i = 0; i < 2000; i++)
                assert_int_equal(bus_publish(e.bus, "flood", data, sizeof(data), NULL), 0);
        env_until(&e, e.losses, 1, 10000);
        env_run(&e, 200);
        assert_true(n > 0 && n < 2000);
        assert_true(bus_connected(e.bus)); /* it goes on */
        unsigned before = n;
        assert_int_equal(bus_publish(e.bus, "flood", data, sizeof(data), NULL), 0);
        env_until(&e, n, before + 1, 5000);
        env_close(&e);
}

static void test_no_server(void **state)
{
        struct env e;
        struct server nobody = {.url = "nats://127.0.0.1:1"};

        (void)state;
        env_init(&e, &nobody);
        env_open(&e);
        env_until(&e, e.errors, 3, 5000); /* it tries again and again */
        assert_true(e.last_error[0] != '\0');
        assert_int_equal(e.connected, 0);
        env_close(&e);

        /* several addresses: the one that works is found */
        char urls[128];
        snprintf(urls, sizeof(urls), "nats://127.0.0.1:1,%s", server.url);
        env_init(&e, &server);
        e.options.url = urls;
        env_connect(&e);
        env_close(&e);
}

static void test_permissions(void **state)
{
        struct server own;
        struct env e;
        struct bus_sub *s;
        struct got g = {0};

        (void)state;
        server_start(&own,
                     "authorization { users: [ { user: ann, password: secret, permissions: { publish: [\"ok.>\"], "
                     "subscribe: [\"ok.>\", \"_INBOX.ann.>\"] } } ] }");
        env_init(&e, &own);
        env_open(&e);
        env_until(&e, e.errors, 1, 5000);
        assert_non_null(strstr(e.last_error, "uthorization")); /* "Authorization Violation" */
        assert_int_equal(e.connected, 0);
        env_close(&e);

        env_init(&e, &own);
        e.options.user = "ann";
        e.options.password = "secret";
        env_connect(&e);
        assert_int_equal(bus_subscribe(e.bus, "forbidden.x", NULL, got_msg, &g, &s), 0);
        env_until(&e, e.errors, 1, 5000);
        assert_non_null(strstr(e.last_error, "forbidden.x"));
        assert_int_equal(bus_publish(e.bus, "forbidden.y", "x", 1, NULL), 0);
        env_until(&e, e.errors, 2, 5000);
        assert_non_null(strstr(e.last_error, "forbidden.y"));
        /* Answers are heard where the user may hear them */
        assert_int_equal(bus_request(e.bus, "ok.none", "x", 1, 0, NULL, got_reply, &g), 0);
        env_until(&e, g.n, 1, 2000);
        assert_int_equal(g.error, BUS_E_NO_RESPONDERS);
        assert_int_equal(e.errors, 2);
        assert_true(bus_connected(e.bus));
        env_close(&e);
        server_done(&own);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_publish_subscribe),
                cmocka_unit_test(test_bad_arguments),
                cmocka_unit_test(test_too_large),
                cmocka_unit_test(test_request),
                cmocka_unit_test(test_gather),
                cmocka_unit_test(test_queue_group),
                cmocka_unit_test(test_unsubscribe_within_callback),
                cmocka_unit_test(test_order_under_load),
                cmocka_unit_test(test_slow_consumer),
                cmocka_unit_test(test_no_server),
                cmocka_unit_test(test_permissions),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
