/* Bodies that are handed on as they come, and answers from a file. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "http_fixture.h"

enum { BODY_MAX = 8 << 20, AT_ONCE = 1000 };

/* What the sink saw; of the loop's thread */
struct seen {
        uint64_t announced, n, sum;
        unsigned n_begun, n_paused, n_freed;
        bool slow; /* takes a little, and then waits for a turn of the loop */
        bool hold; /* takes nothing until it is told */
        struct http_request *rq;
};
static struct seen seen;
static char file_path[] = "/tmp/parley-http-sink-XXXXXX";

static void on_freed(void *context)
{
        struct seen *s = context;

        s->n_freed++;
        s->rq = NULL;
}

static void sink_begin(struct http_request *rq, void *userdata)
{
        (void)userdata;
        seen.n_begun++;
        if (!http_content_length(rq, &seen.announced)) {
                http_problem(rq, PARLEY_BAD_REQUEST, 0, "a length is needed");
                return;
        }
        if (http_header(rq, "X-Refuse")) {
                http_problem(rq, PARLEY_FORBIDDEN, 0, "not you");
                return;
        }
        seen.rq = rq;
        http_set_context(rq, &seen, on_freed);
}

static void on_later(uv_timer_t *timer)
{
        if (seen.rq)
                http_resume(seen.rq);
        uv_close((uv_handle_t *)timer, (uv_close_cb)free);
}

static size_t sink_piece(struct http_request *rq, const uint8_t *data, size_t n, void *userdata)
{
        struct fixture *f = userdata;
        size_t take = seen.hold ? 0 : seen.slow && n > AT_ONCE ? AT_ONCE : n;

        assert_ptr_equal(rq, seen.rq);
        for (size_t i = 0; i < take; i++)
                seen.sum = seen.sum * 31 + data[i];
        seen.n += take;
        if (take == n)
                return n;
        seen.n_paused++;
        if (!seen.hold) {
                uv_timer_t *timer = malloc(sizeof(*timer));

                assert_non_null(timer);
                uv_timer_init(&f->loop, timer);
                uv_timer_start(timer, on_later, 0, 0);
        }
        return take;
}

static void on_sunk(struct http_request *rq, void *userdata)
{
        char text[64];

        (void)userdata;
        (void)snprintf(text, sizeof(text), "%llu %llu", (unsigned long long)seen.n, (unsigned long long)seen.sum);
        http_respond(rq, 200, "text/plain", text, strlen(text));
}

static void on_file(struct http_request *rq, void *userdata)
{
        int fd = open(file_path, O_RDONLY | O_CLOEXEC);

        (void)userdata;
        assert_true(fd >= 0);
        http_respond_file(rq, 206, "text/plain", fd, 2, 5);
}

static const struct http_sink sink = {sink_begin, sink_piece};
static const struct http_route routes[] = {
        {.method = "PUT", .path = "/sink", .handler = on_sunk, .max_body = BODY_MAX, .sink = &sink},
        {.method = "GET", .path = "/file", .handler = on_file},
};

static int setup(void **state)
{
        static struct fixture f;
        const struct http_options options = {.routes = routes, .n_routes = ARRAY_SIZE(routes)};

        seen = (struct seen){0};
        fixture_start(&f, &options);
        *state = &f;
        return f.result;
}

static int teardown(void **state)
{
        fixture_stop(*state);
        return 0;
}

static void put(int fd, size_t n, uint64_t *ret_sum)
{
        uint8_t *body = malloc(n + 1);
        char head[128];

        assert_non_null(body);
        *ret_sum = 0;
        for (size_t i = 0; i < n; i++) {
                body[i] = (uint8_t)(i * 7 + i / 251);
                *ret_sum = *ret_sum * 31 + body[i];
        }
        (void)snprintf(head, sizeof(head), "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", n);
        client_send_str(fd, head);
        client_send(fd, body, n);
        free(body);
}

static void put_and_expect(struct fixture *f, int fd, size_t n)
{
        uint64_t sum;
        char want[64];
        struct answer a;

        (void)f;
        put(fd, n, &sum);
        a = client_read(fd, false);
        (void)snprintf(want, sizeof(want), "%zu %llu", n, (unsigned long long)sum);
        assert_int_equal(a.status, 200);
        assert_string_equal(a.body, want);
        answer_done(&a);
        assert_int_equal(seen.announced, n);
}

static void reset(struct fixture *f)
{
        (void)f;
        seen = (struct seen){.slow = seen.slow, .hold = seen.hold};
}

static void make_slow(struct fixture *f)
{
        reset(f);
        seen.slow = true;
}

static void make_hold(struct fixture *f)
{
        reset(f);
        seen.hold = true;
}

/* Every byte once and in order, also by a sink that keeps the client waiting, and many on one connection */
static void test_pieces(void **state)
{
        struct fixture *f = *state;
        int fd = client_connect(f);

        put_and_expect(f, fd, 3 << 20);
        assert_int_equal(seen.n_paused, 0);
        fixture_call(f, reset);
        put_and_expect(f, fd, 0);
        fixture_call(f, make_slow);
        put_and_expect(f, fd, 300000);
        assert_true(seen.n_paused >= 290);
        fixture_call(f, reset);
        put_and_expect(f, fd, 1);
        close(fd);
}

static void expect(struct fixture *f, const char *request, unsigned status)
{
        struct answer a = client_request(f, request);

        assert_int_equal(a.status, status);
        answer_done(&a);
        assert_int_equal(seen.n, 0);
}

static void test_refused_before_the_body(void **state)
{
        struct fixture *f = *state;

        expect(f, "PUT /sink HTTP/1.1\r\nHost: x\r\nX-Refuse: 1\r\nContent-Length: 5\r\n\r\nabcde", 403);
        expect(f, "PUT /sink HTTP/1.1\r\nHost: x\r\nX-Refuse: 1\r\nContent-Length: 8000000\r\n\r\n", 403);
        expect(f, "PUT /sink HTTP/1.1\r\nHost: x\r\nX-Refuse: 1\r\nContent-Length: 0\r\n\r\n", 403);
        expect(f, "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n", 400);
        assert_int_equal(seen.n_begun, 4);
        /* beyond the route's limit the sink is not asked at all */
        expect(f, "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 8388609\r\n\r\n", 413);
        assert_int_equal(seen.n_begun, 4);
        assert_int_equal(seen.n_freed, 0);
}

static bool is_freed(struct fixture *f)
{
        (void)f;
        return seen.n_freed == 1;
}

static bool is_paused(struct fixture *f)
{
        (void)f;
        return seen.n_paused > 0;
}

static void let_go(struct fixture *f)
{
        (void)f;
        seen.hold = false;
        http_resume(seen.rq);
}

/* The context is all that is told: while the sink takes, and while it makes the client wait */
static void test_client_breaks_off(void **state)
{
        struct fixture *f = *state;
        int fd = client_connect(f);

        client_send_str(fd, "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
        close(fd);
        assert_true(fixture_wait(f, is_freed));
        fixture_call(f, make_hold);
        fd = client_connect(f);
        client_send_str(fd, "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
        assert_true(fixture_wait(f, is_paused));
        close(fd);
        fixture_call(f, let_go);
        assert_true(fixture_wait(f, is_freed));
}

/* The server ends with a body half taken, and paused */
static void test_server_ends(void **state)
{
        struct fixture *f = *state;
        int fd = client_connect(f);

        fixture_call(f, make_hold);
        f->grace_ms = 50;
        client_send_str(fd, "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
        assert_true(fixture_wait(f, is_paused));
        {
                struct answer a;
                int other = client_connect(f);

                client_send_str(other, "GET /file HTTP/1.1\r\nHost: x\r\n\r\n");
                a = client_read(other, false);
                assert_int_equal(a.status, 206);
                answer_done(&a);
                close(other);
        }
        fixture_stop(f);
        assert_int_equal(seen.n_freed, 1);
        close(fd);
        fixture_start(f, &(struct http_options){.routes = routes, .n_routes = ARRAY_SIZE(routes)});
}

static bool abandon(struct fixture *f)
{
        (void)f;
        return (seen.n || seen.n_paused) && http_abandon(seen.rq, 503, PARLEY_UNAVAILABLE, 1500, "somebody else's now");
}

static void expect_abandoned(int fd)
{
        struct answer a = client_read(fd, false);

        assert_int_equal(a.status, 503);
        assert_string_equal(answer_header(&a, "Retry-After"), "2");
        assert_string_equal(answer_header(&a, "Connection"), "close");
        assert_non_null(strstr(a.body, "\"retryMs\":1500"));
        answer_done(&a);
}

/* Who sends nothing more hears why, and is gone soon; who goes on sending hears it too, and none of that reaches the sink. */
static void test_abandoned(void **state)
{
        struct fixture *f = *state;
        uint8_t rest[4096] = {0};
        uint64_t n;
        int fd = client_connect(f);

        client_send_str(fd, "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\nabc");
        assert_true(fixture_wait(f, abandon));
        expect_abandoned(fd);
        assert_true(client_closed(fd, 5000));
        assert_true(fixture_wait(f, is_freed));
        fixture_call(f, reset);
        fd = client_connect(f);
        client_send_str(fd, "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\nabc");
        assert_true(fixture_wait(f, abandon));
        n = seen.n;
        for (int i = 0; i < 20; i++)
                client_send(fd, rest, sizeof(rest));
        expect_abandoned(fd);
        assert_true(fixture_wait(f, is_freed));
        assert_true(seen.n == n);
        close(fd);
        /* while the sink keeps it waiting */
        fixture_call(f, make_hold);
        fd = client_connect(f);
        client_send_str(fd, "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
        assert_true(fixture_wait(f, is_paused));
        assert_true(fixture_wait(f, abandon));
        expect_abandoned(fd);
        assert_true(fixture_wait(f, is_freed));
        close(fd);
}

static void test_file(void **state)
{
        struct fixture *f = *state;
        struct answer a = client_request(f, "GET /file HTTP/1.1\r\nHost: x\r\n\r\n");

        assert_int_equal(a.status, 206);
        assert_string_equal(answer_header(&a, "Content-Length"), "5");
        assert_string_equal(answer_header(&a, "X-Content-Type-Options"), "nosniff");
        assert_memory_equal(a.body, "cdefg", 5);
        answer_done(&a);
        a = client_request(f, "HEAD /file HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_int_equal(a.status, 206);
        assert_string_equal(answer_header(&a, "Content-Length"), "5");
        answer_done(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
                cmocka_unit_test_setup_teardown(test_refused_before_the_body, setup, teardown),
                cmocka_unit_test_setup_teardown(test_client_breaks_off, setup, teardown),
                cmocka_unit_test_setup_teardown(test_server_ends, setup, teardown),
                cmocka_unit_test_setup_teardown(test_abandoned, setup, teardown),
                cmocka_unit_test_setup_teardown(test_file, setup, teardown),
        };
        int fd = mkstemp(file_path), r;

        if (fd < 0 || write(fd, "abcdefghij", 10) != 10 || close(fd) < 0)
                return 1;
        r = cmocka_run_group_tests(tests, NULL, NULL);
        (void)unlink(file_path);
        return r;
}
