/* A bus is closed at any moment: nothing is left, nothing is called afterwards, every callback that was promised came once. */
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

static const struct bus_stream_config stream = {
        .name = "CLOSE", .subject = "close.>", .allow_direct = true, .replicas = 1};
static const struct bus_stream_config bucket = {
        .name = "KV_CLOSE",
        .subject = "$KV.CLOSE.>",
        .max_per_subject = 1,
        .replicas = 1,
        .kv = true,
};

static int setup(void **state)
{
        struct env e;
        struct got g = {0};

        (void)state;
        server_start(&server, NULL);
        env_init(&e, &server);
        env_connect(&e);
        make_stream(&e, &stream);
        make_stream(&e, &bucket);
        for (unsigned i = 1; i <= 50; i++)
                assert_int_equal(bus_publish_stream(e.bus, "close.a", NULL, "x", 1, NULL, got_ack, &g), 0);
        env_until(&e, g.n_ok, 50, 5000);
        env_close(&e);
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        server_done(&server);
        return 0;
}

static void test_before_connected(void **state)
{
        (void)state;
        for (unsigned turns = 0; turns < 12; turns++) {
                struct env e;

                env_init(&e, &server);
                env_open(&e);
                for (unsigned i = 0; i < turns; i++)
                        uv_run(&e.loop, UV_RUN_NOWAIT);
                env_close(&e);
        }
}

/* One of everything that may be under way */
struct load {
        struct got acks, replies, gathered, streams, done, flushed, gets, puts, live;
        unsigned expected_acks, expected_replies, expected_streams, expected_done, expected_flushed, expected_gets,
                expected_puts;
        struct bus_reader *reader;
        struct bus_gather *gather;
        bool gathering;
        unsigned read;
};

static void on_read(const struct bus_msg *msg, void *userdata)
{
        (void)msg;
        ((struct load *)userdata)->read++;
}

static void on_end(int error, unsigned n, void *userdata)
{
        (void)error;
        (void)n;
        bus_reader_next(((struct load *)userdata)->reader);
}

static void load_start(struct env *e, struct load *l)
{
        struct bus_sub *sub;
        struct bus_reader_options o = {.stream = "CLOSE",
                                       .start_seq = 1,
                                       .batch = 7,
                                       .linger_ms = 1,
                                       .handler = on_read,
                                       .batch_end = on_end,
                                       .userdata = l};

        assert_int_equal(bus_subscribe(e->bus, "live.a", NULL, got_msg, &l->live, &sub), 0);
        assert_int_equal(bus_subscribe(e->bus, "rpc.mute", NULL, got_msg, &l->live, &sub), 0);
        assert_int_equal(bus_reader_new(&l->reader, e->bus, &o), 0);
        for (int i = 0; i < 20; i++) {
                l->expected_acks += bus_publish_stream(e->bus, "close.a", NULL, "x", 1, "t", got_ack, &l->acks) == 0;
                l->expected_acks += bus_publish_stream(e->bus, "absent.a", NULL, "x", 1, "t", got_ack, &l->acks) == 0;
                l->expected_replies += bus_request(e->bus, "rpc.mute", "x", 1, 0, NULL, got_reply, &l->replies) == 0;
                bus_publish(e->bus, "live.a", "x", 1, NULL);
        }
        l->gathering = bus_request_many(e->bus, "rpc.mute", "x", 1, 0, got_reply, &l->gathered, &l->gather) == 0;
        l->expected_streams += bus_stream_ensure(e->bus, &stream, got_stream, &l->streams) == 0;
        l->expected_streams += bus_stream_info(e->bus, "CLOSE", got_stream, &l->streams) == 0;
        l->expected_done += bus_stream_delete(e->bus, "CLOSE", 3, true, got_done, &l->done) == 0;
        l->expected_flushed += bus_flush(e->bus, got_flush, &l->flushed) == 0;
        l->expected_gets += bus_stream_get(e->bus, "CLOSE", 5, true, got_reply, &l->gets) == 0;
        l->expected_gets += bus_kv_get(e->bus, "CLOSE", "k", got_reply, &l->gets) == 0;
        l->expected_puts += bus_kv_put(e->bus, "CLOSE", "k", "v", 1, 0, got_ack, &l->puts) == 0;
        l->expected_puts += bus_kv_delete(e->bus, "CLOSE", "k", BUS_KV_ANY, got_ack, &l->puts) == 0;
        l->expected_puts += bus_kv_put(e->bus, "CLOSE", "k", "v", 1, 0, got_ack, &l->puts) == 0;
}

static void load_check(const struct load *l)
{
        assert_int_equal(l->acks.n, l->expected_acks);
        assert_int_equal(l->replies.n, l->expected_replies);
        assert_int_equal(l->gathered.n, l->gathering ? 1 : 0);
        assert_int_equal(l->streams.n, l->expected_streams);
        assert_int_equal(l->done.n, l->expected_done);
        assert_int_equal(l->flushed.n, l->expected_flushed);
        assert_int_equal(l->gets.n, l->expected_gets);
        assert_int_equal(l->puts.n, l->expected_puts);
}

static void test_under_load(void **state)
{
        (void)state;
        for (unsigned turns = 0; turns < 40; turns++) {
                struct env e;
                static struct load l;

                memset(&l, 0, sizeof(l));
                env_init(&e, &server);
                env_connect(&e);
                load_start(&e, &l);
                assert_int_equal(l.expected_acks, 40);
                for (unsigned i = 0; i < turns; i++)
                        uv_run(&e.loop, UV_RUN_ONCE);
                env_close(&e);
                load_check(&l);
                assert_true(l.replies.error == BUS_E_DISCONNECTED && l.gathered.error == BUS_E_DISCONNECTED);
        }
}

/* --- closed from within a callback --- */

struct within {
        struct env e;
        struct load l;
        unsigned calls_after;
        bool closing, closed;
};

static void within_closed(void *userdata)
{
        ((struct within *)userdata)->closed = true;
}

static void close_now(struct within *w)
{
        if (w->closing) {
                w->calls_after++;
                return;
        }
        w->closing = true;
        bus_close(w->e.bus, within_closed, w);
        w->e.bus = NULL;
}

static void close_in_handler(const struct bus_msg *msg, void *userdata)
{
        (void)msg;
        close_now(userdata);
}

static void close_in_reply(int error, const struct bus_msg *msg, void *userdata)
{
        struct within *w = userdata;

        (void)error;
        (void)msg;
        if (!w->closing)
                close_now(w);
}

static void close_in_ack(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        struct within *w = userdata;

        (void)error;
        (void)ack;
        (void)text;
        if (!w->closing)
                close_now(w);
}

static void close_in_end(int error, unsigned n, void *userdata)
{
        (void)error;
        (void)n;
        close_now(userdata);
}

static void ignore(const struct bus_msg *msg, void *userdata)
{
        (void)msg;
        (void)userdata;
}

static void ignore_end(int error, unsigned n, void *userdata)
{
        (void)error;
        (void)n;
        (void)userdata;
}

static void close_in_option(void *userdata)
{
        close_now(userdata);
}

static void close_in_error(const char *text, void *userdata)
{
        (void)text;
        close_now(userdata);
}

static void within_begin(struct within *w)
{
        memset(w, 0, sizeof(*w));
        env_init(&w->e, &server);
}

static void within_finish(struct within *w)
{
        uint64_t deadline = now_ns() + UINT64_C(10000000000);

        while (!w->closed && now_ns() < deadline)
                uv_run(&w->e.loop, UV_RUN_NOWAIT);
        assert_true(w->closed);
        assert_int_equal(w->calls_after, 0);
        env_close(&w->e);
        load_check(&w->l);
}

/* With a connection, and much under way */
static void within_load(struct within *w)
{
        within_begin(w);
        env_connect(&w->e);
        load_start(&w->e, &w->l);
}

static void test_within_handlers(void **state)
{
        static struct within w;
        struct bus_sub *sub;
        struct bus_reader *reader;
        struct bus_reader_options o = {.stream = "CLOSE", .start_seq = 1, .batch = 10, .linger_ms = 10, .userdata = &w};

        (void)state;
        within_load(&w);
        assert_int_equal(bus_subscribe(w.e.bus, "close.now", NULL, close_in_handler, &w, &sub), 0);
        for (int i = 0; i < 5; i++)
                assert_int_equal(bus_publish(w.e.bus, "close.now", "x", 1, NULL), 0);
        within_finish(&w);

        within_load(&w);
        assert_int_equal(bus_stream_get(w.e.bus, "CLOSE", 5, false, close_in_reply, &w), 0);
        within_finish(&w);

        within_load(&w);
        for (int i = 0; i < 5; i++)
                assert_int_equal(bus_publish_stream(w.e.bus, "close.a", NULL, "x", 1, NULL, close_in_ack, &w), 0);
        within_finish(&w);

        /* a time-out: from within the wheel */
        within_load(&w);
        assert_int_equal(bus_request(w.e.bus, "rpc.mute", "x", 1, 50, NULL, close_in_reply, &w), 0);
        within_finish(&w);

        within_load(&w);
        o.handler = close_in_handler;
        o.batch_end = ignore_end;
        assert_int_equal(bus_reader_new(&reader, w.e.bus, &o), 0);
        within_finish(&w);

        within_load(&w);
        o.handler = ignore;
        o.batch_end = close_in_end;
        assert_int_equal(bus_reader_new(&reader, w.e.bus, &o), 0);
        within_finish(&w);
}

static void test_within_options(void **state)
{
        static struct within w;

        (void)state;
        within_begin(&w);
        w.e.options.on_connected = close_in_option;
        w.e.options.userdata = &w;
        env_open(&w.e);
        within_finish(&w);

        within_begin(&w);
        w.e.options.turn_end = close_in_option;
        w.e.options.userdata = &w;
        env_open(&w.e);
        within_finish(&w);

        within_begin(&w);
        w.e.options.url = "nats://127.0.0.1:1";
        w.e.options.on_error = close_in_error;
        w.e.options.userdata = &w;
        env_open(&w.e);
        within_finish(&w);
}

/* --- closed while the server is gone, or stands still --- */

static void test_disconnected(void **state)
{
        static struct within w;
        struct server own;

        (void)state;
        server_start(&own, NULL);
        within_begin(&w);
        w.e.options.url = own.url;
        env_open(&w.e);
        env_until(&w.e, w.e.connected, 1, 5000);
        w.e.options.userdata = &w;
        load_start(&w.e, &w.l);
        server_kill(&own, SIGKILL);
        for (int i = 0; i < 3; i++)
                uv_run(&w.e.loop, UV_RUN_NOWAIT);
        close_now(&w);
        within_finish(&w);

        /* from within on_disconnected */
        server_again(&own);
        within_begin(&w);
        w.e.options.url = own.url;
        w.e.options.on_disconnected = close_in_option;
        w.e.options.on_connected = NULL;
        w.e.options.userdata = &w;
        env_open(&w.e);
        while (!bus_connected(w.e.bus))
                uv_run(&w.e.loop, UV_RUN_ONCE);
        load_start(&w.e, &w.l);
        server_kill(&own, SIGKILL);
        within_finish(&w);
        server_done(&own);
}

static void test_server_stopped(void **state)
{
        struct server own;
        struct env e;
        static struct load l;
        static char data[500000];

        (void)state;
        memset(&l, 0, sizeof(l));
        server_start(&own, NULL);
        env_init(&e, &own);
        env_connect(&e);
        make_stream(&e, &stream);
        server_kill(&own, SIGSTOP);
        for (int i = 0; i < 12; i++) /* more than the socket takes */
                l.expected_acks += bus_publish_stream(e.bus, "close.a", NULL, data, sizeof(data), NULL, got_ack,
                                                      &l.acks) == 0;
        env_run(&e, 20);
        uint64_t begin = now_ns();
        env_close(&e);
        assert_true(now_ns() - begin < UINT64_C(3000000000));
        load_check(&l);
        /* and while it connects to it: a try takes 2 s at most */
        env_init(&e, &own);
        env_open(&e);
        env_run(&e, 50);
        begin = now_ns();
        env_close(&e);
        assert_true(now_ns() - begin < UINT64_C(4000000000));
        server_done(&own);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_before_connected), cmocka_unit_test(test_under_load),
                cmocka_unit_test(test_within_handlers),  cmocka_unit_test(test_within_options),
                cmocka_unit_test(test_disconnected),     cmocka_unit_test(test_server_stopped),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
