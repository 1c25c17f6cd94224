/* How a server begins and ends: what it listens on, and what becomes of its connections when it closes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
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

static void count_done(void *userdata)
{
        struct fixture *f = userdata;

        f->n_done++;
        f->server = NULL;
}

static void close_counted(struct fixture *f)
{
        http_server_close(f->server, f->grace_ms, count_done, f);
}

static size_t read_all(int fd)
{
        size_t n = 0;
        ssize_t r;
        char *buffer = malloc(1 << 20);

        while ((r = recv(fd, buffer, 1 << 20, 0)) > 0)
                n += (size_t)r;
        free(buffer);
        return n;
}

/* An answer that nobody reads does not hold up a server that closes. */
static void test_reader_that_never_reads(void **state)
{
        struct fixture f;
        int fd, other;

        (void)state;
        fixture_start(&f, NULL);
        f.grace_ms = 300;
        fd = client_connect(&f);
        client_send_str(fd, GET("/api/big"));
        other = client_connect(&f);
        client_send_str(other, GET("/api/things/x"));
        expect_on(other, 200, NULL); /* others do not notice */
        fixture_call(&f, close_counted);
        assert_true(fixture_wait(&f, fixture_is_done));
        assert_in_range(read_all(fd), 0, (32U << 20) - 1);
        close(fd);
        close(other);
        fixture_stop(&f);
}

static void test_close_waits_for_requests(void **state)
{
        struct fixture f;
        int idle, busy;

        (void)state;
        fixture_start(&f, NULL);
        idle = client_connect(&f);
        client_send_str(idle, GET("/api/things/x"));
        expect_on(idle, 200, NULL);
        busy = client_connect(&f);
        client_send_str(busy, GET("/api/held"));
        assert_true(fixture_wait(&f, fixture_has_held));
        fixture_call(&f, close_counted);
        assert_true(client_closed(idle, 2000));
        assert_int_equal(client_connect(&f), -1);
        assert_int_equal(f.n_done, 0);
        fixture_call(&f, fixture_release_held);
        expect_on(busy, 200, "released");
        assert_true(fixture_wait(&f, fixture_is_done));
        assert_int_equal(f.n_contexts_freed, 1);
        close(idle);
        close(busy);
        fixture_stop(&f);
}

/* The handler answers when server and connection are long gone. */
static void test_close_past_grace(void **state)
{
        struct fixture f;
        int fd;

        (void)state;
        fixture_start(&f, NULL);
        f.grace_ms = 100;
        fd = client_connect(&f);
        client_send_str(fd, GET("/api/held"));
        assert_true(fixture_wait(&f, fixture_has_held));
        fixture_call(&f, close_counted);
        assert_true(fixture_wait(&f, fixture_is_done));
        assert_true(client_closed(fd, 2000));
        assert_int_equal(f.n_contexts_freed, 0);
        fixture_call(&f, fixture_release_held);
        assert_int_equal(f.n_contexts_freed, 1);
        close(fd);
        fixture_stop(&f);
}

static void test_close_from_handler(void **state)
{
        struct fixture f;
        struct answer a;

        (void)state;
        fixture_start(&f, NULL);
        a = client_request(&f, "POST /api/shutdown HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_int_equal(a.status, 200);
        assert_string_equal(answer_header(&a, "Connection"), "close");
        answer_done(&a);
        assert_true(fixture_wait(&f, fixture_is_done));
        fixture_stop(&f);
}

static void test_close_with_half_requests(void **state)
{
        struct fixture f;
        int fds[3];

        (void)state;
        fixture_start(&f, NULL);
        f.grace_ms = 100;
        for (int i = 0; i < 3; i++)
                fds[i] = client_connect(&f);
        client_send_str(fds[0], "GET /api/th");
        client_send_str(fds[1], "POST /api/body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
        fixture_call(&f, close_counted);
        assert_true(fixture_wait(&f, fixture_is_done));
        for (int i = 0; i < 3; i++) {
                assert_true(client_closed(fds[i], 2000));
                close(fds[i]);
        }
        fixture_stop(&f);
}

static void test_listen_errors(void **state)
{
        static const char *const bad[] = {
                "",       "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "localhost:80",
                "::1:80", "[]:80",     "[::1:80",    "300.0.0.1:1", "127.0.0.1:-1"};
        struct fixture f, g;
        char listen[64];

        (void)state;
        fixture_start(&f, NULL);
        snprintf(listen, sizeof(listen), "127.0.0.1:%u", f.port);
        fixture_start(&g, &(struct http_options){.listen = listen});
        assert_int_equal(g.result, -EADDRINUSE);
        fixture_stop(&g);
        for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
                fixture_start(&g, &(struct http_options){.listen = bad[i]});
                if (g.result != -EINVAL)
                        fail_msg("'%s': %d", bad[i], g.result);
                fixture_stop(&g);
        }
        fixture_start(&g, &(struct http_options){.trusted_proxies = "10.0.0.0/33"});
        assert_int_equal(g.result, -EINVAL);
        fixture_stop(&g);
        fixture_stop(&f);
}

static void test_every_address(void **state)
{
        struct fixture f;
        struct answer a;

        (void)state;
        fixture_start(&f, &(struct http_options){.listen = ":0"});
        a = client_request(&f, GET("/api/things/x"));
        assert_string_equal(a.body, "x|-|-|-|127.0.0.1|"); /* not ::ffff:127.0.0.1 */
        answer_done(&a);
        fixture_stop(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reader_that_never_reads),
                cmocka_unit_test(test_close_waits_for_requests),
                cmocka_unit_test(test_close_past_grace),
                cmocka_unit_test(test_close_from_handler),
                cmocka_unit_test(test_close_with_half_requests),
                cmocka_unit_test(test_listen_errors),
                cmocka_unit_test(test_every_address),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
