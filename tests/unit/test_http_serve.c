/* What the services with a REST interface share, over real sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/ratetable.h"
#include "http/serve.h"
#include "http_fixture.h"

#define GET(target) "GET " target " HTTP/1.1\r\nHost: x\r\n\r\n"
#define RETRY_S "2"

static struct ratetable *rates;
static struct http_server *http, *admin;
static const char *listen_on, *admin_listen_on;
static char error[256];

static void on_rated(struct http_request *rq, void *userdata)
{
        (void)userdata;
        if (http_within_rate(rq, rates, "ann", 1000, 2))
                http_respond(rq, 200, "text/plain", "x", 1);
}

static void on_token(struct http_request *rq, void *userdata)
{
        (void)userdata;
        http_refuse_token(rq, http_bearer(rq) != NULL, http_query(rq, "expired") != NULL, "it is not good");
}

static void serve(struct fixture *f)
{
        static const struct http_route routes[] = {
                {.method = "GET", .path = "/rated", .handler = on_rated},
                {.method = "GET", .path = "/token", .handler = on_token},
        };
        const struct http_options options = {.loop = &f->loop, .listen = listen_on, .routes = routes, .n_routes = 2};
        const struct http_admin_options at_admin = {.loop = &f->loop, .listen = admin_listen_on};

        f->result = http_serve(&http, &admin, "test", &options, &at_admin, error, sizeof(error));
}

static void stop(struct fixture *f)
{
        (void)f;
        http_server_close(http, 0, NULL, NULL);
        http_server_close(admin, 0, NULL, NULL);
}

static void expect(unsigned port, const char *request, unsigned status, const char *header, const char *value,
                   const char *body)
{
        const struct fixture at = {.port = port};
        struct answer a = client_request(&at, request);

        assert_int_equal(a.status, status);
        if (header)
                assert_string_equal(answer_header(&a, header), value);
        assert_non_null(strstr(a.body, body));
        answer_done(&a);
}

static void test_answers(void **state)
{
        struct fixture f;

        (void)state;
        assert_int_equal(ratetable_new(&rates, 1, 2, 10), 0);
        listen_on = admin_listen_on = "127.0.0.1:0";
        fixture_start(&f, NULL);
        fixture_call(&f, serve);
        assert_int_equal(f.result, 0);
        expect(http_server_port(http), GET("/rated"), 200, NULL, NULL, "x");
        expect(http_server_port(http), GET("/rated"), 429, "Retry-After", RETRY_S, "wait 2000 ms");
        expect(http_server_port(http), GET("/token"), 401, "WWW-Authenticate", "Bearer", "a token is needed");
        expect(http_server_port(http), "GET /token HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n\r\n", 401,
               "WWW-Authenticate", "Bearer", "the token is refused: it is not good");
        expect(http_server_port(http), "GET /token?expired=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n\r\n",
               401, "WWW-Authenticate", "Bearer", "token_expired");
        expect(http_server_port(admin), GET("/metrics"), 200, NULL, NULL,
               "parley_test_http_requests_total{status=\"2xx\"} 1\n");
        expect(http_server_port(admin), GET("/metrics"), 200, NULL, NULL,
               "parley_test_http_requests_total{status=\"4xx\"} 4\n");
        expect(http_server_port(admin), GET("/metrics"), 200, NULL, NULL, "parley_test_http_seconds_count 5\n");
        fixture_call(&f, stop);
        fixture_stop(&f);
        ratetable_free(rates);
}

/* Each names its setting, and the first port is free again when the second was not */
static void test_ports_are_taken(void **state)
{
        struct fixture f;
        char taken[32], wanted[160];

        (void)state;
        fixture_start(&f, NULL);
        (void)snprintf(taken, sizeof(taken), "127.0.0.1:%u", f.port);
        listen_on = taken;
        admin_listen_on = "127.0.0.1:0";
        fixture_call(&f, serve);
        assert_true(f.result < 0);
        (void)snprintf(wanted, sizeof(wanted), "PARLEY_LISTEN: cannot listen on %s: ", taken);
        assert_ptr_equal(strstr(error, wanted), error);
        listen_on = "127.0.0.1:0";
        admin_listen_on = taken;
        fixture_call(&f, serve);
        assert_true(f.result < 0);
        (void)snprintf(wanted, sizeof(wanted), "PARLEY_ADMIN_LISTEN: cannot listen on %s: ", taken);
        assert_ptr_equal(strstr(error, wanted), error);
        fixture_stop(&f); /* ends only when nothing is left on the loop */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_answers),
                cmocka_unit_test(test_ports_are_taken),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
