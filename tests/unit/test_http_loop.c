/* The server over time: later answers, slow and vanishing clients, limits. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "http_fixture.h"

#define GET(target) "GET " target " HTTP/1.1\r\nHost: x\r\n\r\n"

static void expect_on(int fd, unsigned status, const char *body)
{
        struct answer a = client_read(fd, false);

        assert_int_equal(a.status, status);
        if (body)
                assert_string_equal(a.body, body);
        answer_done(&a);
}

static uint64_t now_ms(void)
{
        return uv_hrtime() / 1000000;
}

static bool two_held(struct fixture *f)
{
        return f->n_held == 2;
}

static bool two_contexts_freed(struct fixture *f)
{
        return f->n_contexts_freed == 2;
}

static bool fifty_contexts_freed(struct fixture *f)
{
        return f->n_contexts_freed == 50;
}

static void test_keep_alive(void **state)
{
        struct fixture f;
        char request[128], body[64];
        int fd;

        (void)state;
        fixture_start(&f, NULL);
        fd = client_connect(&f);
        for (int i = 0; i < 10000; i++) {
                snprintf(request, sizeof(request), GET("/api/things/%d"), i);
                snprintf(body, sizeof(body), "%d|-|-|-|127.0.0.1|", i);
                client_send_str(fd, request);
                expect_on(fd, 200, body);
        }
        close(fd);
        fixture_stop(&f);
        assert_int_equal(f.n_reports, 10000);
}

static void test_pipelined(void **state)
{
        struct fixture f;
        char all[20000] = "", body[64];
        int fd;

        (void)state;
        fixture_start(&f, NULL);
        fd = client_connect(&f);
        for (int i = 0; i < 100; i++)
                sprintf(all + strlen(all), GET("/api/things/%d"), i);
        client_send_str(fd, all);
        for (int i = 0; i < 100; i++) {
                snprintf(body, sizeof(body), "%d|-|-|-|127.0.0.1|", i);
                expect_on(fd, 200, body);
        }
        /* In order also when the first is answered last */
        client_send_str(fd, GET("/api/held") GET("/api/things/second"));
        assert_true(fixture_wait(&f, fixture_has_held));
        assert_false(client_closed(fd, 50));
        fixture_call(&f, fixture_release_held);
        expect_on(fd, 200, "released");
        expect_on(fd, 200, "second|-|-|-|127.0.0.1|");
        close(fd);
        fixture_stop(&f);
}

/* A suspended request must not wait for other traffic, or for a timeout, to be sent. */
static void test_later_is_prompt(void **state)
{
        struct fixture f;
        uint64_t begin = now_ms();
        int fd;

        (void)state;
        fixture_start(&f, NULL);
        fd = client_connect(&f);
        for (int i = 0; i < 50; i++) {
                client_send_str(fd, "POST /api/held HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
                assert_true(fixture_wait(&f, fixture_has_held));
                fixture_call(&f, fixture_release_held);
                expect_on(fd, 200, "released");
        }
        assert_in_range(now_ms() - begin, 0, 5000);
        assert_true(fixture_wait(&f, fifty_contexts_freed));
        close(fd);
        fixture_stop(&f);
}

static void test_client_gone(void **state)
{
        struct fixture f;
        int gone, half;

        (void)state;
        fixture_start(&f, NULL);
        gone = client_connect(&f);
        half = client_connect(&f);
        client_send_str(gone, GET("/api/held"));
        client_send_str(half, GET("/api/held"));
        assert_true(fixture_wait(&f, two_held));
        setsockopt(gone, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger)); /* a reset */
        close(gone);
        shutdown(half, SHUT_WR);
        fixture_call(&f, fixture_release_held);
        expect_on(half, 200, "released"); /* who has only ended his side gets his answer */
        assert_true(client_closed(half, 5000));
        assert_true(fixture_wait(&f, two_contexts_freed));
        close(half);
        fixture_stop(&f);
}

static void test_half_close_before_answer(void **state)
{
        struct fixture f;
        int fd;

        (void)state;
        fixture_start(&f, NULL);
        fd = client_connect(&f);
        client_send_str(fd, GET("/api/things/x"));
        shutdown(fd, SHUT_WR);
        expect_on(fd, 200, NULL);
        assert_true(client_closed(fd, 5000));
        close(fd);
        fd = client_connect(&f); /* half a request, then nothing more to come */
        client_send_str(fd, "POST /api/body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
        shutdown(fd, SHUT_WR);
        assert_true(client_closed(fd, 5000));
        close(fd);
        assert_int_equal(f.n_reports, 1);
        fixture_stop(&f);
}

/* Sends text byte by byte, one each interval, until the server has an answer or closes; returns its status */
static unsigned drip(struct fixture *f, const char *begin, char c, unsigned interval_ms, uint64_t *ret_ms)
{
        int fd = client_connect(f);
        uint64_t start = now_ms();
        struct answer a = {0};

        client_send_str(fd, begin);
        while (now_ms() - start < 20000) {
                struct timeval tv = {.tv_usec = (suseconds_t)interval_ms * 1000};
                fd_set set;

                FD_ZERO(&set);
                FD_SET(fd, &set);
                if (select(fd + 1, &set, NULL, NULL, &tv) > 0)
                        break;
                client_send(fd, &c, 1);
        }
        *ret_ms = now_ms() - start;
        a = client_read(fd, false);
        answer_done(&a);
        close(fd);
        return a.status;
}

/* Who sends a byte now and then gains nothing by it: libmicrohttpd's own timeout would begin again with each. */
static void test_slow_clients(void **state)
{
        struct fixture f;
        uint64_t ms;

        (void)state;
        fixture_start(&f, &(struct http_options){.timeout_s = 1});
        assert_int_equal(drip(&f, "", 'G', 100, &ms), 0); /* no request line: closed without a word */
        assert_in_range(ms, 900, 4000);
        assert_int_equal(drip(&f, "GET /", 'a', 100, &ms), 0);
        assert_in_range(ms, 900, 4000);
        assert_int_equal(drip(&f, "GET / HTTP/1.1\r\nHost: x\r\nX: ", 'a', 100, &ms), 408);
        assert_in_range(ms, 900, 4000);
        assert_int_equal(drip(&f, "POST /api/body/x HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n", 'a', 100, &ms),
                         408);
        assert_in_range(ms, 900, 4000);
        assert_int_equal(drip(&f, "POST /api/body/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n999\r\n",
                              'a', 100, &ms),
                         408);
        assert_in_range(ms, 900, 4000);
        fixture_stop(&f);
}

static void test_idle_and_handler_time(void **state)
{
        struct fixture f;
        int idle, busy;

        (void)state;
        fixture_start(&f, &(struct http_options){.timeout_s = 1});
        idle = client_connect(&f);
        busy = client_connect(&f);
        client_send_str(idle, GET("/api/things/x"));
        expect_on(idle, 200, NULL);
        client_send_str(busy, GET("/api/held"));
        assert_true(fixture_wait(&f, fixture_has_held));
        assert_true(client_closed(idle, 5000));
        assert_false(client_closed(busy, 1500)); /* how long a handler takes is its own matter */
        fixture_call(&f, fixture_release_held);
        expect_on(busy, 200, "released");
        close(idle);
        close(busy);
        fixture_stop(&f);
}

static void test_big_answer(void **state)
{
        struct fixture f;
        struct answer a;

        (void)state;
        fixture_start(&f, NULL);
        a = client_request(&f, GET("/api/big"));
        assert_int_equal(a.status, 200);
        assert_int_equal(a.n, 32U << 20);
        assert_int_equal(strspn(a.body, "x"), 32U << 20);
        answer_done(&a);
        fixture_stop(&f);
}

/* Clients that ask for much and read nothing: there is an end to what is kept for them, and others get small answers
 * still. */
static void test_answers_that_nobody_reads(void **state)
{
        struct fixture f;
        struct answer a;
        int fds[2];

        (void)state;
        fixture_start(&f, &(struct http_options){.max_answer_bytes = 70U << 20}); /* /api/big has 32 MiB */
        for (int i = 0; i < 2; i++) {
                fds[i] = client_connect(&f);
                client_send_str(fds[i], GET("/api/big"));
                a = client_read(fds[i], true);
                assert_int_equal(a.status, 200);
        }
        a = client_request(&f, GET("/api/big"));
        assert_int_equal(a.status, 503);
        assert_string_equal(answer_header(&a, "Retry-After"), "1");
        answer_done(&a);
        a = client_request(&f, GET("/api/things/x"));
        assert_int_equal(a.status, 200);
        answer_done(&a);
        close(fds[0]);
        close(fds[1]);
        for (int i = 0; i < 500; i++) { /* as soon as the server sees that they are gone */
                a = client_request(&f, GET("/api/big"));
                answer_done(&a);
                if (a.status == 200)
                        break;
                assert_int_equal(a.status, 503);
        }
        assert_int_equal(a.status, 200);
        fixture_stop(&f);
}

/* The same of one address, which others do not feel. */
static unsigned n_held_wanted;

static bool wanted_held(struct fixture *f)
{
        return f->n_held == n_held_wanted;
}

static void test_connection_limit(void **state)
{
        struct fixture f;
        int fds[5];

        (void)state;
        fixture_start(&f, &(struct http_options){.max_connections = 4});
        for (int i = 0; i < 4; i++) {
                fds[i] = client_connect(&f);
                client_send_str(fds[i], GET("/api/held"));
                n_held_wanted = (unsigned)i + 1;
                assert_true(fixture_wait(&f, wanted_held));
        }
        fds[4] = client_connect(&f);
        client_send_str(fds[4], GET("/api/things/waiting"));
        assert_false(client_closed(fds[4], 200)); /* waits in the queue: nobody is cut whose answer is due */
        fixture_call(&f, fixture_release_held);
        for (int i = 0; i < 4; i++)
                expect_on(fds[i], 200, "released");
        /* and is taken as soon as there is room, without other traffic: one that is idle now has made it */
        expect_on(fds[4], 200, "waiting|-|-|-|127.0.0.1|");
        for (int i = 0; i < 5; i++)
                close(fds[i]);
        fixture_stop(&f);
}

/* Half a request each: they do not keep others out until their deadline. */
static void test_limit_is_not_held(void **state)
{
        struct fixture f;
        uint64_t start = now_ms();
        int fds[12], fd;

        (void)state;
        fixture_start(&f, &(struct http_options){.max_connections = 4});
        for (int i = 0; i < 12; i++) {
                fds[i] = client_connect(&f);
                client_send_str(fds[i], "POST /api/body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\na");
        }
        fd = client_connect(&f);
        client_send_str(fd, GET("/api/things/x"));
        expect_on(fd, 200, "x|-|-|-|127.0.0.1|");
        assert_in_range(now_ms() - start, 0, 4000); /* a body's time is 5 s */
        close(fd);
        for (int i = 0; i < 12; i++)
                close(fds[i]);
        fixture_stop(&f);
}

static int client_unread(const struct fixture *f, const char *request)
{
        int fd = client_connect(f), small = 4096;

        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        client_send_str(fd, request);
        return fd;
}

/* Answers that nobody reads do not keep others out until theirs. Who reads, however slowly, is not the one that is cut. */
static void test_limit_is_not_held_by_answers(void **state)
{
        struct fixture f;
        uint64_t start;
        int fds[12], reader, fd;
        char byte[65536];

        (void)state;
        fixture_start(&f, &(struct http_options){.max_connections = 4, .timeout_s = 60});
        reader = client_unread(&f, GET("/api/big"));
        assert_true(recv(reader, byte, 1, 0) == 1);
        start = now_ms();
        for (int i = 0; i < 12; i++)
                fds[i] = client_unread(&f, GET("/api/big"));
        while (now_ms() - start < 3000) { /* longer than it takes until an answer counts as unread */
                struct pollfd p = {.fd = reader, .events = POLLIN};

                assert_true(poll(&p, 1, 1000) == 1 && recv(reader, byte, sizeof(byte), 0) > 0);
                (void)poll(NULL, 0, 100);
        }
        fd = client_connect(&f);
        client_send_str(fd, GET("/api/things/x"));
        expect_on(fd, 200, "x|-|-|-|127.0.0.1|");
        assert_in_range(now_ms() - start, 0, 20000); /* theirs is a minute */
        assert_true(recv(reader, byte, sizeof(byte), 0) > 0);
        close(fd);
        close(reader);
        for (int i = 0; i < 12; i++)
                close(fds[i]);
        fixture_stop(&f);
}

static bool one_context_freed(struct fixture *f)
{
        return f->n_contexts_freed == 1;
}

/* An answer of which nobody takes anything for twice timeout_s ends then, not when it would have had time to be read. */
static void test_unread_answer(void **state)
{
        struct fixture f;
        uint64_t start = now_ms();
        int fd;

        (void)state;
        fixture_start(&f, &(struct http_options){.timeout_s = 1});
        fd = client_unread(&f, GET("/api/big"));
        assert_true(fixture_wait(&f, one_context_freed));
        assert_in_range(now_ms() - start, 2000, 5000);
        close(fd);
        fixture_stop(&f);
}

/* A body that does not come has less time than an idle connection. */
static void test_body_deadline(void **state)
{
        struct fixture f;
        uint64_t start = now_ms();
        struct answer a;

        (void)state;
        fixture_start(&f, NULL);
        a = client_request(&f, "POST /api/body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\na");
        assert_int_equal(a.status, 408);
        assert_in_range(now_ms() - start, 4500, 9000);
        answer_done(&a);
        fixture_stop(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_keep_alive),
                cmocka_unit_test(test_pipelined),
                cmocka_unit_test(test_later_is_prompt),
                cmocka_unit_test(test_client_gone),
                cmocka_unit_test(test_half_close_before_answer),
                cmocka_unit_test(test_slow_clients),
                cmocka_unit_test(test_idle_and_handler_time),
                cmocka_unit_test(test_big_answer),
                cmocka_unit_test(test_answers_that_nobody_reads),
                cmocka_unit_test(test_connection_limit),
                cmocka_unit_test(test_limit_is_not_held),
                cmocka_unit_test(test_limit_is_not_held_by_answers),
                cmocka_unit_test(test_unread_answer),
                cmocka_unit_test(test_body_deadline),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
