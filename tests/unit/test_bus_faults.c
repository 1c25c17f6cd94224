/* A nats-server that is killed, stopped, started again. */
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <cmocka.h>

#include "bus_env.h"

#define MS UINT64_C(1000000)

static const struct bus_stream_config stream = {
        .name = "CHAT_0",
        .subject = "chat.0.>",
        .republish_from = "chat.0.>",
        .republish_to = "live.0.>",
        .dedupe_window_ms = 120000,
        .replicas = 1,
        .discard_new = true,
};

/* Did the loop's thread wait inside a call? Its processor may be taken away on a busy machine: that is not its fault, and is told by
 * the kernel's count of voluntary switches. */
struct span {
        uint64_t wall, cpu;
        long waits;
};

static uint64_t cpu_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
}

static struct span span_begin(void)
{
        struct rusage u;

        getrusage(RUSAGE_THREAD, &u);
        return (struct span){now_ns(), cpu_ns(), u.ru_nvcsw};
}

struct worst {
        uint64_t wall, cpu, waited; /* the longest; waited: of those that waited inside */
};

static void span_end(const struct span *s, struct worst *w)
{
        struct rusage u;
        uint64_t wall = now_ns() - s->wall, cpu = cpu_ns() - s->cpu;

        getrusage(RUSAGE_THREAD, &u);
        if (wall > w->wall)
                w->wall = wall;
        if (cpu > w->cpu)
                w->cpu = cpu;
        if (u.ru_nvcsw > s->waits && wall > w->waited)
                w->waited = wall;
}

/* What waits is copied whenever its buffer doubles: that time goes with the limit of the buffer. */
static void assert_never_stands_still(const struct worst *w, const char *what, size_t max_send)
{
        print_message("longest %s: %.2f ms (%.2f ms of processor time, %.2f ms with a wait inside)\n", what,
                      (double)w->wall / 1e6, (double)w->cpu / 1e6, (double)w->waited / 1e6);
        assert_true(w->waited < 20 * MS);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        assert_true(w->cpu < 20 * MS * (max_send >> 23));
#else
        (void)max_send;
#endif
}

/* --- kill -9 --- */

struct log_reader {
        struct bus_reader *reader;
        unsigned n;
        uint64_t last;
        char *seen; /* by the number in the payload */
};

static void on_log(const struct bus_msg *msg, void *userdata)
{
        struct log_reader *l = userdata;
        uint32_t number;

        assert_true(msg->seq == l->last + 1); /* nothing was removed: no gap, no repetition */
        l->last = msg->seq;
        memcpy(&number, msg->data, sizeof(number));
        assert_int_equal(l->seen[number], 0);
        l->seen[number] = 1;
        l->n++;
}

static void on_log_end(int error, unsigned n, void *userdata)
{
        struct log_reader *l = userdata;

        (void)error;
        (void)n;
        bus_reader_next(l->reader);
}

enum { NUMBERS = 60000 };
struct publisher {
        unsigned sent, answered, acked, unknown;
        char *acked_of;
};

static struct publisher publisher;

static void on_pub_ack(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        (void)ack;
        (void)text;
        publisher.answered++;
        assert_true(error == 0 || error == BUS_E_TIMEOUT || error == BUS_E_NO_RESPONDERS);
        if (error == 0) {
                publisher.acked++;
                publisher.acked_of[(uintptr_t)userdata] = 1;
        } else {
                publisher.unknown++;
        }
}

static void publish_some(struct env *e, unsigned window)
{
        char id[32], data[128] = {0};

        while (publisher.sent < NUMBERS && publisher.sent - publisher.answered < window) {
                uint32_t number = publisher.sent;

                memcpy(data, &number, sizeof(number));
                snprintf(id, sizeof(id), "general:ann:%u", number);
                int r = bus_publish_stream(e->bus, "chat.0.general", id, data, sizeof(data), "trace", on_pub_ack,
                                           (void *)(uintptr_t)number);
                if (r != 0) {
                        assert_true(r == BUS_E_DISCONNECTED || r == BUS_E_FULL);
                        return;
                }
                publisher.sent++;
        }
}

/* Kills the server while much is under way, and starts it again */
static void kill_round(struct env *e, struct server *s, unsigned round)
{
        struct got pending = {0};

        while (publisher.sent < NUMBERS / 4 * round) {
                publish_some(e, 500);
                uv_run(&e->loop, UV_RUN_ONCE);
        }
        assert_int_equal(bus_request(e->bus, "rpc.mute", "x", 1, 60000, NULL, got_reply, &pending), 0);
        if (round == 2) /* in the other rounds the server may be fast enough to answer all before it dies */
                server_kill(s, SIGSTOP);
        publish_some(e, 500);
        assert_true(publisher.sent > publisher.answered);
        uv_run(&e->loop, UV_RUN_NOWAIT);
        server_kill(s, SIGKILL);
        env_until(e, e->disconnected, round, 5000);
        /* nobody waits for what cannot come */
        env_until(e, pending.n, 1, 2000);
        assert_int_equal(pending.error, BUS_E_DISCONNECTED);
        env_until(e, publisher.answered, publisher.sent, 2000);
        assert_false(bus_connected(e->bus));
        assert_int_equal(bus_publish(e->bus, "a", "x", 1, NULL), BUS_E_DISCONNECTED);
        server_again(s);
        env_until(e, e->connected, round + 1, 5000);
}

/* Every acked one is in the log, once, and the reader gave it; of the unknown ones some are */
static void check_log(struct env *e, struct log_reader *l)
{
        struct got info = {0};

        assert_int_equal(bus_stream_info(e->bus, "CHAT_0", got_stream, &info), 0);
        env_until(e, info.n_ok, 1, 2000);
        env_until(e, l->n, (unsigned)info.info.messages, 10000);
        for (unsigned i = 0; i < NUMBERS; i++)
                assert_true(l->seen[i] >= publisher.acked_of[i]);
        print_message("killed three times: %u acked, %u unknown, %u read\n", publisher.acked, publisher.unknown, l->n);
        assert_true(publisher.unknown > 0);
}

static void test_killed(void **state)
{
        struct server s;
        struct env e;
        struct log_reader l = {.seen = calloc(1, NUMBERS)};
        struct got live = {0}, mute = {0}, ack = {0};
        struct bus_sub *sub, *sub2;
        struct bus_reader_options o = {.stream = "CHAT_0",
                                       .start_seq = 1,
                                       .batch = 500,
                                       .linger_ms = 20,
                                       .handler = on_log,
                                       .batch_end = on_log_end,
                                       .userdata = &l};

        (void)state;
        publisher = (struct publisher){.acked_of = calloc(1, NUMBERS)};
        server_start(&s, NULL);
        env_init(&e, &s);
        env_connect(&e);
        make_stream(&e, &stream);
        assert_int_equal(bus_subscribe(e.bus, "live.0.>", NULL, got_msg, &live, &sub), 0);
        assert_int_equal(bus_subscribe(e.bus, "rpc.mute", NULL, got_msg, &mute, &sub2), 0);
        assert_int_equal(bus_reader_new(&l.reader, e.bus, &o), 0);
        for (unsigned round = 1; round <= 3; round++)
                kill_round(&e, &s, round);
        while (publisher.answered < NUMBERS) {
                publish_some(&e, 500);
                uv_run(&e.loop, UV_RUN_ONCE);
        }
        check_log(&e, &l);
        bus_reader_free(l.reader);
        /* subscriptions are there again */
        unsigned before = live.n;
        assert_true(before > 0);
        assert_int_equal(bus_publish_stream(e.bus, "chat.0.general", NULL, "x", 1, NULL, got_ack, &ack), 0);
        env_until(&e, ack.n_ok, 1, 2000);
        env_until(&e, live.n, before + 1, 2000);
        env_close(&e);
        server_done(&s);
        free(l.seen);
        free(publisher.acked_of);
}

static void test_down_at_start(void **state)
{
        struct server s;
        struct env e;
        struct got g = {0};
        struct bus_sub *sub;

        (void)state;
        server_start(&s, NULL);
        server_kill(&s, SIGTERM);
        env_init(&e, &s);
        env_open(&e);
        assert_int_equal(bus_subscribe(e.bus, "a", NULL, got_msg, &g, &sub), 0);
        env_until(&e, e.errors, 2, 5000);
        server_again(&s);
        env_until(&e, e.connected, 1, 5000);
        assert_int_equal(bus_publish(e.bus, "a", "x", 1, NULL), 0);
        env_until(&e, g.n, 1, 2000);
        /* an orderly end of the server is a disconnection like any other */
        server_kill(&s, SIGTERM);
        env_until(&e, e.disconnected, 1, 5000);
        env_close(&e);
        server_done(&s);
}

/* --- SIGSTOP --- */

enum { CHUNK = 10000, CHUNKS = 3000 }; /* 30 MB */
static struct got stopped_acks[CHUNKS];

/* Publishes 30 MB, evenly, while the server is stopped. Returns how many were taken. */
static unsigned flood(struct env *e, unsigned duration_ms, struct worst *calls, struct worst *turns, unsigned *ret_full)
{
        static char data[CHUNK];
        uint64_t begin = now_ns();
        unsigned n = 0, tried = 0;

        *ret_full = 0;
        while (now_ns() - begin < duration_ms * MS) {
                unsigned due = (unsigned)((now_ns() - begin) * CHUNKS / (duration_ms / 2 * MS));

                for (; tried < due && tried < CHUNKS; tried++) {
                        struct span s = span_begin();
                        int r = bus_publish_stream(e->bus, "chat.0.general", NULL, data, sizeof(data), "trace", got_ack,
                                                   &stopped_acks[n]);
                        span_end(&s, calls);
                        assert_true(r == 0 || r == BUS_E_FULL || r == BUS_E_DISCONNECTED);
                        n += r == 0;
                        *ret_full += r == BUS_E_FULL;
                }
                struct span s = span_begin();
                uv_run(&e->loop, UV_RUN_NOWAIT);
                span_end(&s, turns);
                struct timespec pause = {.tv_nsec = 200000};
                nanosleep(&pause, NULL);
        }
        return n;
}

static void run_stopped(unsigned duration_ms, size_t max_send, bool breaks)
{
        struct server s;
        struct env e;
        struct worst calls = {0}, turns = {0};
        unsigned full = 0;
        struct got ack = {0};
        static struct got heard;
        struct bus_sub *sub;

        heard = (struct got){0};
        memset(stopped_acks, 0, sizeof(stopped_acks));
        server_start(&s, NULL);
        env_init(&e, &s);
        e.options.max_send_bytes = max_send;
        env_connect(&e);
        make_stream(&e, &stream);
        assert_int_equal(bus_subscribe(e.bus, "heard.again", NULL, got_msg, &heard, &sub), 0);
        server_kill(&s, SIGSTOP);
        unsigned n = flood(&e, duration_ms, &calls, &turns, &full);
        print_message("server stopped for %u ms: %u publishes taken, %u refused as full, %zu bytes wait\n", duration_ms,
                      n, full, bus_send_backlog(e.bus));
        assert_never_stands_still(&calls, "publish", max_send);
        assert_never_stands_still(&turns, "turn of the loop", max_send);
        assert_true(bus_send_backlog(e.bus) <= max_send);
        assert_true((full > 0) == (max_send < (size_t)CHUNK * CHUNKS));
        assert_int_equal(e.disconnected, breaks);
        server_kill(&s, SIGCONT);
        if (breaks)
                env_until(&e, e.connected, 2, 10000);
        /* each is answered, once: it was stored, or nobody knows */
        unsigned stored = 0;
        for (unsigned i = 0; i < n; i++) {
                env_until(&e, stopped_acks[i].n, 1, 10000);
                assert_true(stopped_acks[i].error == 0 || stopped_acks[i].error == BUS_E_TIMEOUT);
                stored += stopped_acks[i].error == 0;
        }
        env_run(&e, 50);
        for (unsigned i = 0; i < n; i++)
                assert_int_equal(stopped_acks[i].n, 1);
        print_message("afterwards %u of them acked\n", stored);
        assert_int_equal(bus_publish_stream(e.bus, "chat.0.general", NULL, "x", 1, NULL, got_ack, &ack), 0);
        env_until(&e, ack.n_ok, 1, 5000);
        /* what was subscribed to outlives the connection, which here a thread of nats.c gave up */
        assert_int_equal(bus_publish(e.bus, "heard.again", "x", 1, NULL), 0);
        env_until(&e, heard.n, 1, 5000);
        env_close(&e);
        server_done(&s);
}

static void test_stopped(void **state)
{
        (void)state;
        run_stopped(6000, 8u << 20, false);
}

static void test_stopped_unlimited(void **state)
{
        (void)state;
        run_stopped(3500, 64u << 20, false);
}

/* So long that it is given up; then every try to connect waits for a greeting that does not come */
static void test_stopped_long(void **state)
{
        (void)state;
        run_stopped(18000, 8u << 20, true);
}

/* --- several servers --- */

/* One that is there but has no JetStream, as one that is cut off from its cluster, is left for the next */
static void test_without_jetstream(void **state)
{
        (void)state;
        struct server bad, good;
        struct env e;
        struct got ack = {0};
        char urls[160];

        server_start(&bad, "jetstream: false");
        server_start(&good, NULL);
        for (unsigned i = 0; i < 2; i++) { /* whichever is tried first */
                env_init(&e, &good);
                snprintf(urls, sizeof(urls), "%s,%s", i == 0 ? bad.url : good.url, i == 0 ? good.url : bad.url);
                e.options.url = urls;
                e.options.request_timeout_ms = 500;
                env_connect(&e);
                uint64_t begin = now_ns();
                while (ack.n_ok == 0) {
                        unsigned before = ack.n;
                        struct got made = {0};

                        assert_true(now_ns() - begin < 20000 * MS);
                        if (bus_stream_ensure(e.bus, &stream, got_stream, &made) == 0)
                                env_until(&e, made.n, 1, 10000);
                        if (made.n_ok > 0 &&
                            bus_publish_stream(e.bus, "chat.0.general", NULL, "x", 1, NULL, got_ack, &ack) == 0)
                                env_until(&e, ack.n, before + 1, 10000);
                        else
                                env_run(&e, 100);
                }
                print_message("stored after %.1f s, %u times left\n", (double)(now_ns() - begin) / 1e9, e.disconnected);
                unsigned left = e.disconnected;
                env_run(&e, 9000); /* and there it stays */
                assert_int_equal(e.disconnected, left);
                memset(&ack, 0, sizeof(ack));
                env_close(&e);
        }
        server_done(&good);
        server_done(&bad);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_killed),       cmocka_unit_test(test_down_at_start),
                cmocka_unit_test(test_stopped),      cmocka_unit_test(test_stopped_unlimited),
                cmocka_unit_test(test_stopped_long), cmocka_unit_test(test_without_jetstream),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
