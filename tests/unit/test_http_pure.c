/* The parts of lib/http without a network: router, target, peer, the text of problem documents. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "http/peer.h"
#include "http/router.h"
#include "http/target.h"

static void handler(struct http_request *rq, void *userdata)
{
        (void)rq;
        (void)userdata;
}

#define ROUTE(m, p)                                                                                                    \
        {                                                                                                              \
                .method = (m), .path = (p), .handler = handler                                                         \
        }

/* --- router --- */

static const struct http_route routes[] = {
        ROUTE("GET", "/"),      ROUTE("GET", "/a/{x}"),   ROUTE("GET", "/a/b"),       ROUTE("POST", "/a/b"),
        ROUTE("PUT", "/a/{y}"), ROUTE("GET", "/{p}/b/c"), ROUTE("GET", "/a/{q}/c"),   ROUTE("GET", "/a/b/{r}"),
        ROUTE("GET", "/h"),     ROUTE("HEAD", "/h"),      ROUTE("GET", "/m/{a}/{b}"), ROUTE("DELETE", "/only"),
};

/* "GET /a/{x} x=7", "405 GET, HEAD" or "404" */
static const char *route_text(const struct http_router *router, const char *method, const char *target)
{
        static char text[512];
        char a[256], b[256], *query;
        struct http_target t = {0};
        struct http_match m;
        int n;

        strcpy(a, target);
        strcpy(b, target);
        assert_int_equal(http_target_parse_path(&t, a, b, &query), 0);
        switch (http_router_match(router, method, &t, &m)) {
        case HTTP_ROUTER_E_PATH:
                return "404";
        case HTTP_ROUTER_E_METHOD:
                snprintf(text, sizeof(text), "405 %s", m.allow);
                return text;
        }
        n = snprintf(text, sizeof(text), "%s %s", m.route->method, m.route->path);
        for (unsigned i = 0; i < m.n_params; i++)
                n += snprintf(text + n, sizeof(text) - (size_t)n, " %s=%s", m.names[i],
                              m.values[i] ? m.values[i] : "(bad)");
        return text;
}

static void test_router(void **state)
{
        static const char *const cases[][3] = {
                {"GET", "/", "GET /"},
                {"GET", "/a/7", "GET /a/{x} x=7"},
                {"GET", "/a/b", "GET /a/b"},
                {"POST", "/a/b", "POST /a/b"},
                {"PUT", "/a/b", "PUT /a/{y} y=b"}, /* the static path has no PUT: the parameter serves it */
                {"DELETE", "/a/b", "405 GET, HEAD, POST, PUT"},
                {"POST", "/a/7", "405 GET, HEAD, PUT"},
                {"HEAD", "/a/7", "GET /a/{x} x=7"},
                {"HEAD", "/h", "HEAD /h"},
                {"HEAD", "/only", "405 DELETE"},
                {"GET", "/a/b/c", "GET /a/b/{r} r=c"}, /* static from the left */
                {"GET", "/a/x/c", "GET /a/{q}/c q=x"},
                {"GET", "/z/b/c", "GET /{p}/b/c p=z"},
                {"GET", "/z/x/c", "404"},
                {"GET", "/a/", "404"},
                {"GET", "/a", "404"},
                {"GET", "//b", "404"},
                {"GET", "/A/b", "404"},
                {"get", "/a/b", "405 GET, HEAD, POST, PUT"},
                {"GET", "/m/1/%2F", "GET /m/{a}/{b} a=1 b=/"},
                {"GET", "/m/%zz/2", "GET /m/{a}/{b} a=(bad) b=2"},
                {"GET", "/%zz", "404"},
                {"GET", "/a/b?/c", "GET /a/b"},
                {"GET", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", "404"},
        };
        struct http_router *router;

        (void)state;
        assert_int_equal(http_router_new(&router, routes, ARRAY_SIZE(routes)), 0);
        for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
                const char *got = route_text(router, cases[i][0], cases[i][1]);

                if (strcmp(got, cases[i][2]) != 0)
                        fail_msg("%s %s: %s", cases[i][0], cases[i][1], got);
        }
        http_router_free(router);
        http_router_free(NULL);
}

static void test_router_bad_tables(void **state)
{
        static const struct http_route bad[][2] = {
                {ROUTE("GET", "a"), ROUTE("GET", "/b")},
                {ROUTE("", "/a"), ROUTE("GET", "/b")},
                {ROUTE("GET", "/a/{x"), ROUTE("GET", "/b")},
                {ROUTE("GET", "/a/x}"), ROUTE("GET", "/b")},
                {ROUTE("GET", "/a/{}"), ROUTE("GET", "/b")},
                {ROUTE("GET", "/a/{x}y"), ROUTE("GET", "/b")},
                {ROUTE("GET", "/a/{x{y}}"), ROUTE("GET", "/b")},
                {ROUTE("GET", "/a/{x}"), ROUTE("GET", "/a/{y}")},
                {ROUTE("GET", "/{1}/{2}/{3}/{4}/{5}/{6}/{7}/{8}/{9}"), ROUTE("GET", "/b")},
                {ROUTE("GET", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"), ROUTE("GET", "/b")},
                {{.method = "GET", .path = "/a"}, ROUTE("GET", "/b")},
        };
        struct http_router *router = NULL;

        (void)state;
        for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
                if (http_router_new(&router, bad[i], 2) != -EINVAL)
                        fail_msg("table %u was taken", i);
        assert_null(router);
}

/* --- target --- */

static void test_percent_decode(void **state)
{
        static const struct {
                const char *in, *out; /* NULL: refused */
        } cases[] = {
                {"", ""},
                {"abc", "abc"},
                {"a%20b", "a b"},
                {"%41%6a", "Aj"},
                {"a+b", "a b"},
                {"%2B", "+"},
                {"%", NULL},
                {"%4", NULL},
                {"%4g", NULL},
                {"%-1", NULL},
                {"% 1", NULL},
                {"%00", NULL},
                {"%C3%A4", "ä"},
                {"%c3", NULL},
                {"%C0%AF", NULL},
                {"%ED%A0%80", NULL},
                {"%F4%90%80%80", NULL},
                {"\xc3\xa4", "ä"},
                {"\xff", NULL},
                {"%2525", "%25"},
        };

        (void)state;
        for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
                char s[64];
                int r;

                strcpy(s, cases[i].in);
                r = http_percent_decode(s, strlen(s), true);
                if (!cases[i].out)
                        assert_int_equal(r, -EINVAL);
                else if (r < 0 || (size_t)r != strlen(cases[i].out) || memcmp(s, cases[i].out, (size_t)r) != 0)
                        fail_msg("%s: %d %.*s", cases[i].in, r, r < 0 ? 0 : r, s);
        }
        assert_int_equal(http_percent_decode((char[]){"a+b"}, 3, false), 3);
}

static int parse_query(const char *text, struct http_target *t, const char **ret_name)
{
        static char query[4096];

        strcpy(query, text);
        return http_target_parse_query(t, query, ret_name);
}

static void test_query(void **state)
{
        struct http_target t;
        const char *name;
        char many[1024] = "";

        (void)state;
        assert_int_equal(parse_query("a=1&b=&c&d=%26%3D&e=x=y&&", &t, &name), 0);
        assert_int_equal(t.n_query, 5);
        assert_string_equal(http_target_query(&t, "a"), "1");
        assert_string_equal(http_target_query(&t, "b"), "");
        assert_string_equal(http_target_query(&t, "c"), "");
        assert_string_equal(http_target_query(&t, "d"), "&=");
        assert_string_equal(http_target_query(&t, "e"), "x=y");
        assert_null(http_target_query(&t, "f"));
        assert_int_equal(parse_query("", &t, &name), 0);
        assert_int_equal(t.n_query, 0);
        assert_int_equal(parse_query("a=1&%61=2", &t, &name), HTTP_TARGET_E_TWICE);
        assert_string_equal(name, "a");
        assert_int_equal(parse_query("a=1&b=%f", &t, &name), HTTP_TARGET_E_VALUE);
        assert_string_equal(name, "b");
        assert_int_equal(parse_query("a=1&%ff=1", &t, &name), HTTP_TARGET_E_NAME);
        assert_string_equal(name, "");
        for (int i = 0; i < HTTP_QUERY_MAX; i++)
                sprintf(many + strlen(many), "&p%d", i);
        assert_int_equal(parse_query(many, &t, &name), 0);
        strcat(many, "&q");
        assert_int_equal(parse_query(many, &t, &name), HTTP_TARGET_E_MANY);
}

static void test_target_forms(void **state)
{
        static const char *const bad[] = {"*", "", "a/b", "host:80", "http://host", "?a=b"};
        struct http_target t;
        char a[64], b[64], *query;

        (void)state;
        for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
                strcpy(a, bad[i]);
                strcpy(b, bad[i]);
                assert_int_equal(http_target_parse_path(&t, a, b, &query), HTTP_TARGET_E_FORM);
        }
        strcpy(a, "https://h/x/%79?q=1?2");
        strcpy(b, a);
        assert_int_equal(http_target_parse_path(&t, a, b, &query), 0);
        assert_string_equal(t.path, "/x/%79");
        assert_int_equal(t.n_segments, 2);
        assert_string_equal(t.segments[1], "y");
        assert_string_equal(query, "q=1?2");
}

/* --- peer --- */

static void test_peer(void **state)
{
        static const char *const cases[][3] = {
                /* peer, X-Forwarded-For, result */
                {"127.0.0.1", NULL, "127.0.0.1"},
                {"127.0.0.1", "1.2.3.4", "1.2.3.4"},
                {"127.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"}, /* what the client itself wrote stands before */
                {"127.0.0.1", "6.6.6.6 ,\t1.2.3.4 ", "1.2.3.4"},
                {"127.0.0.1", "1.2.3.4, 10.1.2.3", "1.2.3.4"},
                {"127.0.0.1", "6.6.6.6, 1.2.3.4, 10.1.2.3, 192.168.7.7", "1.2.3.4"},
                {"127.0.0.1", "10.1.2.3", "10.1.2.3"},
                {"127.0.0.1", "", "127.0.0.1"},
                {"127.0.0.1", "unknown", "127.0.0.1"},
                {"127.0.0.1", "1.2.3.4, unknown, 10.1.2.3", "10.1.2.3"},
                {"127.0.0.1", "1.2.3.4,", "127.0.0.1"},
                {"127.0.0.1", "1.2.3.4:567", "127.0.0.1"},
                {"127.0.0.1", "999999999999999999999999999999999999999999999999999999999999", "127.0.0.1"},
                {"::1", "2001:DB8::1", "2001:db8::1"},
                {"10.255.0.1", "1.2.3.4", "1.2.3.4"},
                {"11.0.0.1", "1.2.3.4", "11.0.0.1"}, /* not a proxy of ours: his word does not count */
                {"192.168.7.7", "1.2.3.4", "1.2.3.4"},
                {"192.168.7.8", "1.2.3.4", "192.168.7.8"},
                {"fd12::1", "1.2.3.4", "1.2.3.4"},
                {"fe00::1", "1.2.3.4", "fe00::1"},
                {"127.9.9.9", "::ffff:1.2.3.4", "1.2.3.4"},
                {"?", "1.2.3.4", "?"},
        };
        struct http_trusted *trusted;
        char got[HTTP_PEER_MAX];

        (void)state;
        assert_int_equal(http_trusted_new(&trusted, "10.0.0.0/8, 192.168.7.7 fd00::/8"), 0);
        for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
                http_peer_resolve(trusted, cases[i][0], cases[i][1], got);
                if (strcmp(got, cases[i][2]) != 0)
                        fail_msg("%s, %s: %s", cases[i][0], cases[i][1], got);
        }
        http_trusted_free(trusted);
        assert_int_equal(http_trusted_new(&trusted, NULL), 0);
        assert_false(http_trusted_has(trusted, "10.0.0.1"));
        assert_true(http_trusted_has(trusted, "127.0.0.1"));
        http_trusted_free(trusted);
        assert_int_equal(http_trusted_new(&trusted, "0.0.0.0/0"), 0);
        assert_true(http_trusted_has(trusted, "8.8.8.8"));
        assert_false(http_trusted_has(trusted, "2001:db8::1"));
        http_trusted_free(trusted);
}

static void test_counted_as(void **state)
{
        static const char *const cases[][2] = {
                {"1.2.3.4", "1.2.3.4"},
                {"?", "?"},
                {"2001:db8::1", "2001:db8::/64"},
                {"2001:db8:0:0:ffff::1", "2001:db8::/64"},
                {"2001:db8:0:0:1:0:0:0", "2001:db8::/64"},
                {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
                {"2001:db8:1:2::1", "2001:db8:1:2::/64"},
                {"2001:db8:0:1::5", "2001:db8:0:1::/64"},
                {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff::/64"},
                {"::1", "::/64"},
                {"::1:2:3:4:5:6", "0:0:1:2::/64"},
                {"fe80::1", "fe80::/64"},
                {"1::", "1::/64"},
                {"::ffff:1.2.3.4", "1.2.3.4"},
                {"64:ff9b::1.2.3.4", "64:ff9b::102:304"},
                {"64:ff9b::1.2.3.5", "64:ff9b::102:305"},
                {"64:ff9b:1::1.2.3.4", "64:ff9b:1::/64"},
        };
        char got[HTTP_PEER_MAX];

        (void)state;
        for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
                http_peer_counted_as(cases[i][0], got);
                if (strcmp(got, cases[i][1]) != 0)
                        fail_msg("%s: %s", cases[i][0], got);
        }
}

static void test_trusted_bad(void **state)
{
        static const char *const bad[] = {"x",          "1.2.3",   "1.2.3.4/33",  "1.2.3.4/",
                                          "1.2.3.4/-1", "::1/129", "1.2.3.4/8/8", "/8"};
        struct http_trusted *trusted = NULL;

        (void)state;
        for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
                if (http_trusted_new(&trusted, bad[i]) != -EINVAL)
                        fail_msg("%s was taken", bad[i]);
        assert_null(trusted);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_router),         cmocka_unit_test(test_router_bad_tables),
                cmocka_unit_test(test_percent_decode), cmocka_unit_test(test_query),
                cmocka_unit_test(test_target_forms),   cmocka_unit_test(test_peer),
                cmocka_unit_test(test_counted_as),     cmocka_unit_test(test_trusted_bad),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
