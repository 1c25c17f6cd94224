/* What the server answers to a request: routing, decoding, headers, bodies, problem documents. */
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
#include "base/metrics.h"
#include "http_fixture.h"

#define GET(target) "GET " target " HTTP/1.1\r\nHost: x\r\n\r\n"

static int setup(void **state)
{
        static struct fixture f;

        fixture_start(&f, NULL);
        *state = &f;
        return f.result;
}

static int teardown(void **state)
{
        fixture_stop(*state);
        return 0;
}

static void expect(struct fixture *f, const char *request, unsigned status, const char *part)
{
        struct answer a = client_request(f, request);

        if (a.status != status || (part && !strstr(a.body, part)))
                fail_msg("%.60s…: %u %s\nwanted %u %s", request, a.status, a.body ? a.body : "", status,
                         part ? part : "");
        if (status >= 400) {
                assert_string_equal(answer_header(&a, "Content-Type"), "application/problem+json");
                assert_string_equal(answer_header(&a, "X-Content-Type-Options"), "nosniff");
                assert_string_equal(answer_header(&a, "Cache-Control"), "no-store");
        }
        answer_done(&a);
}

static void test_routing(void **state)
{
        struct fixture *f = *state;

        expect(f, GET("/api/things/7"), 200, "7|-|-|-|127.0.0.1|");
        expect(f, GET("/api/things/static"), 200, "static");
        expect(f, GET("/api/things/a%2Fb%20%C3%A4?q=1+2%2B3&r"), 200, "a/b ä|1 2+3|");
        expect(f, GET("http://host:1/api/things/absolute?q=x"), 200, "absolute|x|");
        expect(f, GET("/api/th%69ngs/x"), 200, "x|");
        expect(f, GET("/api/nothing"), 404, "\"code\":\"not_found\"");
        expect(f, GET("/api/things/"), 404, NULL);
        expect(f, GET("/api/things/7/"), 404, NULL);
        expect(f, GET("//api/things/7"), 404, NULL);
        expect(f, GET("/"), 404, NULL);
        expect(f, GET("/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a"), 404, NULL);
        assert_string_equal(f->last_report, "GET (none) 404");
}

static void test_methods(void **state)
{
        struct answer a = client_request(*state, "DELETE /api/held HTTP/1.1\r\nHost: x\r\n\r\n");

        assert_int_equal(a.status, 405);
        assert_string_equal(answer_header(&a, "Allow"), "GET, HEAD, POST");
        answer_done(&a);
        a = client_request(*state, "HEAD /api/things/static HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_int_equal(a.status, 200);
        assert_string_equal(answer_header(&a, "Content-Length"), "6");
        expect(*state, "OPTIONS /api/held HTTP/1.1\r\nHost: x\r\n\r\n", 405,
               "GET, HEAD, POST"); /* no CORS configured */
        expect(*state, "BREW /api/held HTTP/1.1\r\nHost: x\r\n\r\n", 405, NULL);
        assert_string_equal(((struct fixture *)*state)->last_report, "(other) (none) 405");
}

static void test_bad_encoding(void **state)
{
        expect(*state, GET("/api/things/%ff"), 400, "The path parameter 'id'");
        expect(*state, GET("/api/things/a%00b"), 400, "The path parameter 'id'");
        expect(*state, GET("/api/things/%4"), 400, "The path parameter 'id'");
        expect(*state, GET("/api/things/%g0"), 400, "The path parameter 'id'");
        expect(*state, GET("/api/things/%C0%80"), 400, "The path parameter 'id'");
        expect(*state, GET("/api/things/%ED%A0%80"), 400, "The path parameter 'id'");
        expect(*state, GET("/api/things/x?q=%zz"), 400, "The query parameter 'q'");
        expect(*state, GET("/api/things/x?q=%00"), 400, "The query parameter 'q'");
        expect(*state, GET("/api/things/x?limit=1&q=%E4"), 400, "The query parameter 'q'");
        expect(*state, GET("/api/things/x?%=1"), 400, "The name of a query parameter");
        expect(*state, GET("/api/things/x?q=1&q=2"), 400, "The query parameter 'q' is given twice");
        expect(*state, GET("/api/things/x?&&q=2&"), 200, "x|2|");
}

static void test_too_many_parameters(void **state)
{
        char request[1024] = "GET /api/things/x?a";

        for (int i = 0; i < 40; i++)
                sprintf(request + strlen(request), "&p%d=%d", i, i);
        strcat(request, " HTTP/1.1\r\nHost: x\r\n\r\n");
        expect(*state, request, 400, "more than 32");
}

static void test_long_target(void **state)
{
        char *request = malloc(100000);

        sprintf(request, "GET /api/things/%0*d HTTP/1.1\r\nHost: x\r\n\r\n", 8000, 1);
        expect(*state, request, 200, "000");
        sprintf(request, "GET /api/things/%0*d HTTP/1.1\r\nHost: x\r\n\r\n", 9000, 1);
        expect(*state, request, 414, "longer than 8192");
        free(request);
}

static void test_many_headers(void **state)
{
        char *request = malloc(100000);

        strcpy(request, "GET /api/things/x HTTP/1.1\r\nHost: x\r\n");
        for (int i = 0; i < 70; i++)
                sprintf(request + strlen(request), "X-%d: y\r\n", i);
        strcat(request, "\r\n");
        expect(*state, request, 431, "more than 64 headers");
        sprintf(request, "GET /api/things/x HTTP/1.1\r\nHost: x\r\nX-Long: %0*d\r\n\r\n", 20000, 1);
        expect(*state, request, 431, "16384 bytes");
        free(request);
}

static void test_headers(void **state)
{
        struct fixture *f = *state;

        expect(f, "GET /api/things/x HTTP/1.1\r\nHost: x\r\nx-test: v\r\nAuthorization: bearer  abc.def\r\n\r\n", 200,
               "x|-|v|abc.def|");
        expect(f, "GET /api/things/x HTTP/1.1\r\nHost: x\r\nX-Test: \xff\r\nAuthorization: Basic abc\r\n\r\n", 200,
               "x|-|-|-|");
        expect(f, "GET /api/things/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
               200, "x|-|-|-|");
        expect(f, "GET /api/things/x HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 6.6.6.6, 1.2.3.4\r\n\r\n", 200,
               "|1.2.3.4|");
        expect(f,
               "GET /api/things/x HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\n\r\n",
               200, "|5.6.7.8|");
}

static void test_security_headers(void **state)
{
        struct answer a = client_request(*state, GET("/api/things/x"));

        assert_string_equal(answer_header(&a, "X-Content-Type-Options"), "nosniff");
        assert_string_equal(answer_header(&a, "Cache-Control"), "no-store");
        assert_null(answer_header(&a, "Access-Control-Allow-Origin"));
        answer_done(&a);
        a = client_request(*state, GET("/api/things/static"));
        assert_string_equal(answer_header(&a, "Cache-Control"), "max-age=5");
        answer_done(&a);
        a = client_request(*state, GET("/api/private"));
        assert_int_equal(a.status, 401);
        assert_string_equal(answer_header(&a, "WWW-Authenticate"), "Bearer realm=\"parley\"");
        answer_done(&a);
        expect(*state, GET("/api/bad-header"), 500, "\"code\":\"internal\"");
}

static void test_problem(void **state)
{
        struct answer a = client_request(
                *state, "GET /api/conflict?q=secret%20%C3%A4 HTTP/1.1\r\nHost: x\r\n"
                        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n");

        assert_int_equal(a.status, 503);
        assert_string_equal(answer_header(&a, "Retry-After"), "2");
        assert_string_equal(
                a.body,
                "{\"type\":\"urn:parley:problem:unavailable\",\"title\":\"Not available now; try again\",\"status\":503,"
                "\"detail\":\"No \\\"quotes\\\" \\u0001 secret ä\",\"code\":\"unavailable\","
                "\"instance\":\"/api/conflict\",\"traceId\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"retryMs\":1500}");
        answer_done(&a);
}

/* A detail that is too long is cut between characters, and a trace id that is none is replaced. */
static void test_problem_cut(void **state)
{
        char request[4096] = "GET /api/conflict?q=";
        struct answer a;

        for (int i = 0; i < 300; i++)
                strcat(request, "%C3%A4");
        strcat(request,
               " HTTP/1.1\r\nHost: x\r\ntraceparent: 00-00000000000000000000000000000000-00f067aa0ba902b7-01\r\n\r\n");
        a = client_request(*state, request);
        assert_int_equal(a.status, 503);
        assert_non_null(strstr(a.body, "ä\",\"code\""));
        assert_null(strstr(a.body, "?"));
        assert_null(strstr(a.body, "\"traceId\":\"0000"));
        assert_int_equal(strspn(strstr(a.body, "\"traceId\":\"") + 11, "0123456789abcdef"), 32);
        answer_done(&a);
}

static void test_body(void **state)
{
        struct fixture *f = *state;

        expect(f, "POST /api/body HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 201, "hello");
        expect(f, "POST /api/body HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 201, "");
        expect(f, "POST /api/body HTTP/1.1\r\nHost: x\r\n\r\n", 201, "");
        expect(f,
               "POST /api/body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
               201, "hello");
        expect(f, "GET /api/things/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 400,
               "GET of this path takes no body");
        expect(f, "GET /api/things/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 400,
               "takes no body");
        expect(f, "GET /api/things/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, "x|");
        expect(f, "POST /api/body/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n", 413,
               "longer than 1000 bytes");
}

/* The client sends all before it reads; the answer has to reach it all the same. */
static void test_large_body(void **state)
{
        static const char *const heads[] = {
                "POST /api/body/x HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n",
                "POST /api/body/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2dc6c0\r\n",
                "POST /api/nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n",
                "GET /api/things/x HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n",
        };
        static const unsigned statuses[] = {413, 413, 404, 400};
        char *body = malloc(3000000);

        memset(body, 'x', 3000000);
        for (unsigned i = 0; i < ARRAY_SIZE(heads); i++) {
                int fd = client_connect(*state);
                struct answer a;

                client_send_str(fd, heads[i]);
                client_send(fd, body, 3000000);
                a = client_read(fd, false);
                assert_int_equal(a.status, statuses[i]);
                assert_string_equal(answer_header(&a, "Content-Type"), "application/problem+json");
                assert_string_equal(answer_header(&a, "Connection"), "close");
                answer_done(&a);
                close(fd);
        }
        free(body);
}

/* A small refused body is dropped and the connection stays. */
static void test_refused_body_keeps_connection(void **state)
{
        int fd = client_connect(*state);
        struct answer a;

        client_send_str(fd, "POST /api/body/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n");
        for (int i = 0; i < 200; i++)
                client_send_str(fd, "0123456789");
        a = client_read(fd, false);
        assert_int_equal(a.status, 413);
        answer_done(&a);
        client_send_str(fd, GET("/api/things/next"));
        a = client_read(fd, false);
        assert_int_equal(a.status, 200);
        answer_done(&a);
        close(fd);
}

static void test_expect_continue(void **state)
{
        int fd = client_connect(*state);
        struct answer a;

        client_send_str(fd, "POST /api/body HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
        a = client_read(fd, true);
        assert_int_equal(a.status, 100);
        client_send_str(fd, "hello");
        a = client_read(fd, false);
        assert_int_equal(a.status, 201);
        assert_string_equal(a.body, "hello");
        answer_done(&a);
        close(fd);
}

/* What is not HTTP never reaches us: libmicrohttpd answers by itself and closes. */
static void test_not_http(void **state)
{
        static const struct {
                const char *request;
                unsigned status;
        } cases[] = {
                {"POST /api/body HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n", 413},
                {"POST /api/body HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400},
                {"POST /api/body HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400},
                {"POST /api/body HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                 400},
                {"GET /api/things/x HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400},
                {"GET /api/things/x HTTP/1.1\r\n\r\n", 400}, /* no Host */
                {"GET /api/things/x\r\n\r\n", 400},
                {"GET /api/things/x HTTP/1.1\r\nHost: x\r\nbroken header\r\n\r\n", 400},
        };

        for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
                int fd = client_connect(*state);
                struct answer a;

                client_send_str(fd, cases[i].request);
                a = client_read(fd, false);
                if (a.status != cases[i].status)
                        fail_msg("%s: %u", cases[i].request, a.status);
                assert_true(client_closed(fd, 5000));
                answer_done(&a);
                close(fd);
        }
}

static void test_garbage(void **state)
{
        static const char *const garbage[] = {
                "\r\n\r\n\r\n",
                "GET\r\n\r\n",
                "GET /\r\n\r\n",
                "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                "GET / HTTP/1.1\r\n\r\n",
                "GET / HTTP/9.9\r\nHost: x\r\n\r\n",
                "POST /api/body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"};

        for (unsigned i = 0; i < ARRAY_SIZE(garbage); i++) {
                int fd = client_connect(*state);

                client_send_str(fd, garbage[i]);
                close(fd);
        }
        expect(*state, GET("/api/things/alive"), 200, "alive|");
}

static void test_cors(void **state)
{
        struct fixture f;
        struct answer a;

        (void)state;
        fixture_start(&f, &(struct http_options){.cors_origin = "https://chat.example"});
        a = client_request(&f, "OPTIONS /api/held HTTP/1.1\r\nHost: x\r\nOrigin: https://chat.example\r\n"
                               "Access-Control-Request-Method: POST\r\n\r\n");
        assert_int_equal(a.status, 204);
        assert_string_equal(answer_header(&a, "Access-Control-Allow-Origin"), "https://chat.example");
        assert_string_equal(answer_header(&a, "Access-Control-Allow-Methods"), "GET, HEAD, POST, OPTIONS");
        assert_non_null(strstr(answer_header(&a, "Access-Control-Allow-Headers"), "Authorization"));
        assert_string_equal(answer_header(&a, "Vary"), "Origin");
        answer_done(&a);
        a = client_request(&f, "GET /api/nothing HTTP/1.1\r\nHost: x\r\nOrigin: https://chat.example\r\n\r\n");
        assert_int_equal(a.status, 404);
        assert_string_equal(answer_header(&a, "Access-Control-Allow-Origin"), "https://chat.example");
        answer_done(&a);
        a = client_request(&f, "OPTIONS /api/held HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\n\r\n");
        assert_int_equal(a.status, 204);
        assert_null(answer_header(&a, "Access-Control-Allow-Origin"));
        assert_null(answer_header(&a, "Access-Control-Allow-Methods"));
        answer_done(&a);
        a = client_request(&f, "OPTIONS /api/nothing HTTP/1.1\r\nHost: x\r\nOrigin: https://chat.example\r\n\r\n");
        assert_int_equal(a.status, 404);
        answer_done(&a);
        fixture_stop(&f);
        fixture_start(&f, &(struct http_options){.cors_origin = "https://a.example, https://b.example:8443"});
        a = client_request(&f, "GET /api/nothing HTTP/1.1\r\nHost: x\r\nOrigin: https://b.example:8443\r\n\r\n");
        assert_string_equal(answer_header(&a, "Access-Control-Allow-Origin"), "https://b.example:8443");
        assert_non_null(strstr(answer_header(&a, "Access-Control-Expose-Headers"), "Content-Range"));
        answer_done(&a);
        a = client_request(&f, "GET /api/nothing HTTP/1.1\r\nHost: x\r\nOrigin: https://b.example\r\n\r\n");
        assert_null(answer_header(&a, "Access-Control-Allow-Origin"));
        answer_done(&a);
        a = client_request(
                &f,
                "GET /api/nothing HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example, https://b.example:8443\r\n\r\n");
        assert_null(answer_header(&a, "Access-Control-Allow-Origin"));
        answer_done(&a);
        fixture_stop(&f);
        fixture_start(&f, &(struct http_options){.cors_origin = "*"});
        a = client_request(&f, GET("/api/things/x"));
        assert_string_equal(answer_header(&a, "Access-Control-Allow-Origin"), "*");
        assert_null(answer_header(&a, "Vary"));
        answer_done(&a);
        fixture_stop(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_routing),
                cmocka_unit_test(test_methods),
                cmocka_unit_test(test_bad_encoding),
                cmocka_unit_test(test_too_many_parameters),
                cmocka_unit_test(test_long_target),
                cmocka_unit_test(test_many_headers),
                cmocka_unit_test(test_headers),
                cmocka_unit_test(test_security_headers),
                cmocka_unit_test(test_problem),
                cmocka_unit_test(test_problem_cut),
                cmocka_unit_test(test_body),
                cmocka_unit_test(test_large_body),
                cmocka_unit_test(test_refused_body_keeps_connection),
                cmocka_unit_test(test_expect_continue),
                cmocka_unit_test(test_not_http),
                cmocka_unit_test(test_garbage),
                cmocka_unit_test(test_cors),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
