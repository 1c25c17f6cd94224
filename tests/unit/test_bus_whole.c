/* Readers of whole streams, against a real nats-server. A copy with a hole is one message of a subject that the consumer is not to see, while the
 * stream has it: the filter stands for what such a copy lacks. */
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
        unsigned n, batches, in_batch, empty;
        uint64_t last;
        char seen[64]; /* the last letter of each subject, in the order in which they came */
};

static void on_read(const struct bus_msg *msg, void *userdata)
{
        struct read *read = userdata;

        assert_true(msg->seq > read->last);
        read->last = msg->seq;
        read->seen[read->n++] = msg->subject[strlen(msg->subject) - 1];
        read->in_batch++;
}

static void on_batch_end(int error, unsigned n, void *userdata)
{
        struct read *read = userdata;

        (void)error;
        assert_int_equal(n, read->in_batch);
        read->in_batch = 0;
        read->batches++;
        read->empty += n == 0;
        bus_reader_next(read->reader);
}

static void fill(const char *letters)
{
        char subject[] = "whole.?";

        for (const char *c = letters; *c; c++) {
                subject[6] = *c;
                call(bus_publish_stream(e.bus, subject, NULL, c, 1, NULL, got_ack, &r));
                assert_int_equal(r.error, 0);
        }
}

static void start(struct read *read, uint64_t start_seq, unsigned batch, unsigned linger_ms, bool whole)
{
        struct bus_reader_options o = {.stream = "WHOLE",
                                       .filter = "whole.a",
                                       .start_seq = start_seq,
                                       .batch = batch,
                                       .linger_ms = linger_ms,
                                       .whole = whole,
                                       .handler = on_read,
                                       .batch_end = on_batch_end,
                                       .userdata = read};

        assert_int_equal(bus_reader_new(&read->reader, e.bus, &o), 0);
}

static int setup(void **state)
{
        struct bus_stream_config c = {.name = "WHOLE", .subject = "whole.>", .replicas = 1};

        (void)state;
        server_start(&server, NULL);
        env_init(&e, &server);
        env_connect(&e);
        make_stream(&e, &c);
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        env_close(&e);
        server_done(&server);
        return 0;
}

/* At the beginning, in the middle, two in a row, at the end; and what was removed is no hole */
static void expect_all(unsigned batch, unsigned linger_ms)
{
        struct read read = {0}, lacking = {0};

        start(&lacking, 1, batch, linger_ms, false);
        start(&read, 1, batch, linger_ms, true);
        env_until(&e, read.n, 12, 12000);
        env_run(&e, 300);
        assert_string_equal(read.seen, "baabbaaabaab");
        assert_string_equal(lacking.seen, "aaaaaaa");
        bus_reader_free(read.reader);
        bus_reader_free(lacking.reader);
}

static void test_holes(void **state)
{
        (void)state;
        fill("xbaabbaxaabxaab"); /* 1 to 15 */
        call(bus_stream_trim(e.bus, "WHOLE", 2, got_done, &r));
        call(bus_stream_delete(e.bus, "WHOLE", 8, true, got_done, &r));
        call(bus_stream_delete(e.bus, "WHOLE", 12, true, got_done, &r));
        expect_all(100, 10);
        expect_all(100, 0);
        expect_all(1, 10);
        expect_all(3, 10);
        expect_all(2, 0);
}

/* What the consumer does not bring is there once it is quiet, all of it */
static void test_end(void **state)
{
        struct read read = {0};

        (void)state;
        start(&read, 16, 4, 10, true);
        fill("a");
        env_until(&e, read.n, 1, 2000);
        fill("bbbbbb");
        env_until(&e, read.n, 7, 12000);
        assert_string_equal(read.seen, "abbbbbb");
        fill("ab"); /* and it goes on */
        fill("a");
        env_until(&e, read.n, 10, 2000);
        assert_string_equal(read.seen, "abbbbbbaba");
        bus_reader_free(read.reader);
}

/* The leader is not there when it is asked: nothing is skipped, and it is asked again */
static void test_server_goes(void **state)
{
        struct read read = {0};
        unsigned connected = e.connected;

        (void)state;
        start(&read, 26, 10, 10, true);
        fill("a");
        env_until(&e, read.n, 1, 2000);
        fill("bba");
        server_kill(&server, SIGKILL);
        env_run(&e, 300);
        server_again(&server);
        env_until(&e, e.connected, connected + 1, 10000);
        env_until(&e, read.n, 4, 12000);
        assert_string_equal(read.seen, "abba");
        bus_reader_free(read.reader);
        read = (struct read){0};
        start(&read, 26, 10, 10, true);
        bus_reader_free(read.reader); /* with whatever is under way */
        env_run(&e, 100);
        assert_int_equal(read.n, 0);
}

/* Where nothing comes and nothing is there, batches end empty as ever */
static void test_nothing(void **state)
{
        struct read read = {0};

        (void)state;
        start(&read, 1000, 10, 10, true);
        env_until(&e, read.empty, 2, 13000);
        assert_int_equal(read.n, 0);
        bus_reader_free(read.reader);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_holes),
                cmocka_unit_test(test_end),
                cmocka_unit_test(test_server_goes),
                cmocka_unit_test(test_nothing),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
