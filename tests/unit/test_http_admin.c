/* The admin endpoints over a real socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/metrics.h"
#include "http_fixture.h"

#define GET(target) "GET " target " HTTP/1.1\r\nHost: x\r\n\r\n"

static bool is_ready;
static struct http_server *admin;

static bool ready(struct buf *out, void *userdata)
{
        assert_ptr_equal(userdata, &is_ready);
        assert_int_equal(http_ready_flag(out, "nats", is_ready), 0);
        assert_int_equal(http_ready_flag(out, "log", true), 0);
        if (!is_ready) {
                assert_int_equal(http_ready_text(out, "shard", 3, "no \"stream\"\n"), 0);
                assert_int_equal(http_ready_why(out, "schema", "newer"), 0);
        }
        return is_ready;
}

static void start_admin(struct fixture *f)
{
        f->result = http_admin_new(
                &admin, &(struct http_admin_options){
                                .loop = &f->loop, .listen = "127.0.0.1:0", .ready = ready, .userdata = &is_ready});
}

static void stop_admin(struct fixture *f)
{
        (void)f;
        http_server_close(admin, 0, NULL, NULL);
}

static void expect(const struct fixture *f, const char *request, unsigned status, const char *type, const char *body)
{
        struct answer a = client_request(f, request);

        assert_int_equal(a.status, status);
        assert_string_equal(answer_header(&a, "Content-Type"), type);
        assert_non_null(strstr(a.body, body));
        answer_done(&a);
}

static void test_admin(void **state)
{
        static struct metric metric = {.name = "parley_test_total", .help = "A test", .type = METRIC_COUNTER};
        struct fixture f, at_admin;

        (void)state;
        metric_register(&metric);
        metric_add(&metric, 3);
        fixture_start(&f, NULL);
        fixture_call(&f, start_admin);
        assert_int_equal(f.result, 0);
        at_admin = (struct fixture){.port = http_server_port(admin)};
        expect(&at_admin, GET("/healthz"), 200, "application/json", "{\"status\":\"ok\"}");
        expect(&at_admin, GET("/readyz"), 503, "application/json",
               "{\"ready\":false,\"checks\":{\"nats\":false,\"log\":true,\"shard3\":\"no 'stream''\",\"schema\":\"newer\"}}");
        is_ready = true;
        expect(&at_admin, GET("/readyz"), 200, "application/json",
               "{\"ready\":true,\"checks\":{\"nats\":true,\"log\":true}}");
        expect(&at_admin, GET("/metrics"), 200, "text/plain; version=0.0.4; charset=utf-8", "parley_test_total 3");
        expect(&at_admin, GET("/other"), 404, "application/problem+json", "not_found");
        expect(&at_admin, "POST /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 405, "application/problem+json",
               "method_not_allowed");
        fixture_call(&f, stop_admin);
        fixture_stop(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_admin)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
