/* Fetching a key set: from a server of lib/http on the same loop, and from a file. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
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
#include <uv.h>

#include "auth/auth.h"
#include "auth/jwks.h"
#include "auth_fixtures.h"
#include "base/cleanup.h"
#include "http/http.h"

#define NOW 1800000000
#define PACE_MS 50

struct world {
        uv_loop_t loop;
        uv_timer_t deadline;
        struct http_server *server;
        struct auth *auth;
        struct jwks *jwks;
        char url[128];
        const char *set;           /* what /set gives */
        unsigned status;           /* and how */
        struct http_request *held; /* of /held */
        unsigned n_requests;

        unsigned n_results;
        int last_error;
        char last_text[200];
        unsigned stop_after; /* results */
        bool close_in_callback;
};

static void on_set(struct http_request *rq, void *userdata)
{
        struct world *w = userdata;

        w->n_requests++;
        http_set_header(rq, "Location", "/redirected");
        http_respond(rq, w->status, "application/json", w->set, strlen(w->set));
}

static void on_redirected(struct http_request *rq, void *userdata)
{
        (void)userdata;
        http_respond(rq, 200, "application/json", FIXTURE_JWKS, strlen(FIXTURE_JWKS));
}

static void on_held(struct http_request *rq, void *userdata)
{
        struct world *w = userdata;

        w->n_requests++;
        w->held = rq;
}

static const struct http_route routes[] = {
        {.method = "GET", .path = "/set", .handler = on_set},
        {.method = "GET", .path = "/redirected", .handler = on_redirected},
        {.method = "GET", .path = "/held", .handler = on_held},
};

static void on_deadline(uv_timer_t *timer)
{
        (void)timer;
        fail_msg("nothing happened for 8 s");
}

static int setup(void **state)
{
        static struct world w;

        memset(&w, 0, sizeof(w));
        w.set = FIXTURE_JWKS;
        w.status = 200;
        uv_loop_init(&w.loop);
        uv_timer_init(&w.loop, &w.deadline);
        assert_int_equal(auth_new(&w.auth, &(struct auth_options){.audience = FIXTURE_AUDIENCE}, NULL, 0), 0);
        assert_int_equal(http_server_new(&w.server, &(struct http_options){.loop = &w.loop,
                                                                           .listen = "127.0.0.1:0",
                                                                           .routes = routes,
                                                                           .n_routes = ARRAY_SIZE(routes),
                                                                           .userdata = &w}),
                         0);
        *state = &w;
        return 0;
}

static int teardown(void **state)
{
        struct world *w = *state;

        jwks_close(w->jwks);
        if (w->held)
                http_respond(w->held, 200, "application/json", "", 0);
        http_server_close(w->server, 0, NULL, NULL);
        uv_close((uv_handle_t *)&w->deadline, NULL);
        uv_run(&w->loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&w->loop), 0);
        auth_free(w->auth);
        return 0;
}

static void on_result(int error, const char *text, void *userdata)
{
        struct world *w = userdata;

        w->n_results++;
        w->last_error = error;
        snprintf(w->last_text, sizeof(w->last_text), "%s", text);
        assert_null(strstr(text, "127.0.0.1")); /* a URL can hold a password */
        if (w->close_in_callback) {
                jwks_close(w->jwks);
                w->jwks = NULL;
        }
        if (w->n_results == w->stop_after)
                uv_stop(&w->loop);
}

static void start(struct world *w, const char *url, uint32_t interval_s)
{
        assert_int_equal(jwks_new(&w->jwks, &w->loop, w->auth, url, interval_s, on_result, w), 0);
        jwks_set_pace(w->jwks, PACE_MS);
}

static void start_at(struct world *w, const char *path, uint32_t interval_s)
{
        snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%u%s", http_server_port(w->server), path);
        start(w, w->url, interval_s);
}

/* Until there are n results in all */
static void run(struct world *w, unsigned n)
{
        w->stop_after = n;
        uv_timer_start(&w->deadline, on_deadline, 8000, 0);
        uv_run(&w->loop, UV_RUN_DEFAULT);
        uv_timer_stop(&w->deadline);
}

static int verify(const struct world *w, const char *token)
{
        struct auth_claims claims;

        return auth_verify(w->auth, token, strlen(token), NOW, &claims);
}

static void test_fetch(void **state)
{
        struct world *w = *state;

        assert_int_equal(verify(w, FIXTURE_RS256), AUTH_E_ALGORITHM);
        start_at(w, "/set", 0);
        assert_int_equal(verify(w, FIXTURE_RS256), AUTH_E_UNKNOWN_KEY); /* keys are to come */
        run(w, 1);
        assert_int_equal(w->last_error, 0);
        assert_int_equal(verify(w, FIXTURE_RS256), 0);
        assert_int_equal(verify(w, FIXTURE_EDDSA), 0);
}

static void test_fails_until_there(void **state)
{
        struct world *w = *state;

        w->status = 503;
        start_at(w, "/set", 0);
        run(w, 2); /* it is tried again without being asked */
        assert_int_equal(w->last_error, -EIO);
        assert_string_equal(w->last_text, "the key set's server answered 503");
        assert_int_equal(verify(w, FIXTURE_RS256), AUTH_E_UNKNOWN_KEY);
        w->status = 200;
        run(w, 3);
        assert_int_equal(w->last_error, 0);
        assert_int_equal(verify(w, FIXTURE_RS256), 0);
}

/* Whatever comes instead of a set: the old one stays. */
static void test_keeps_old_set(void **state)
{
        struct world *w = *state;
        char *large = malloc(200000);
        const struct {
                const char *set;
                unsigned status;
                const char *text;
        } cases[] = {
                {"", 200, "not a JSON object"},
                {"<html>", 200, "not a JSON object"},
                {"{\"keys\":[]}", 200, "no key for"},
                {FIXTURE_JWKS_WEAK, 200, "2048"},
                {FIXTURE_JWKS_TWO_RSA, 404, "answered 404"},
                {FIXTURE_JWKS_TWO_RSA, 302, "answered 302"}, /* is not followed */
                {FIXTURE_JWKS_TWO_RSA, 206, "answered 206"},
                {large, 200, "too large"},
        };

        sprintf(large, "{\"x\":\"%0*d\"}", 150000, 0);
        start_at(w, "/set", 1);
        run(w, 1);
        for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
                w->set = cases[i].set;
                w->status = cases[i].status;
                jwks_refresh(w->jwks);
                run(w, i + 2);
                if (w->last_error == 0 || !strstr(w->last_text, cases[i].text))
                        fail_msg("case %u: %d %s", i, w->last_error, w->last_text);
                assert_int_equal(verify(w, FIXTURE_EDDSA), 0);
        }
        free(large);
        w->set = FIXTURE_JWKS_RSA;
        w->status = 200;
        run(w, ARRAY_SIZE(cases) + 2);
        assert_int_equal(w->last_error, 0);
        assert_int_equal(verify(w, FIXTURE_EDDSA), AUTH_E_UNKNOWN_KEY); /* and now it is replaced */
        assert_int_equal(verify(w, FIXTURE_RS256), 0);
}

/* Unknown kids in a storm lead to one fetch at a time, PACE_MS apart. */
static void test_rate(void **state)
{
        struct world *w = *state;
        uint64_t begin;

        start_at(w, "/set", 0);
        begin = uv_now(&w->loop); /* the pace counts from one beginning to the next */
        for (int i = 0; i < 100; i++)
                jwks_refresh(w->jwks); /* one is running */
        run(w, 1);
        for (unsigned n = 2; n <= 4; n++) {
                for (int i = 0; i < 100; i++)
                        jwks_refresh(w->jwks);
                run(w, n);
        }
        assert_int_equal(w->n_requests, 4);
        assert_true(uv_hrtime() / 1000000 - begin >= 3 * PACE_MS);
}

static void test_interval(void **state)
{
        struct world *w = *state;

        start_at(w, "/set", 1);
        run(w, 3);
        assert_int_equal(w->n_requests, 3);
}

static void test_silent_server(void **state)
{
        struct world *w = *state;
        uint64_t begin = uv_hrtime();

        start_at(w, "/held", 0);
        run(w, 1);
        assert_int_equal(w->last_error, -EIO);
        assert_in_range((uv_hrtime() - begin) / 1000000, 4500, 7000);
}

static void test_nobody_there(void **state)
{
        struct world *w = *state;

        start(w, "http://127.0.0.1:1/set", 0);
        run(w, 1);
        assert_int_equal(w->last_error, -EIO);
}

static void test_file(void **state)
{
        struct world *w = *state;
        char path[] = "/tmp/parley-jwks-XXXXXX", url[64];
        int fd = mkstemp(path);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, FIXTURE_JWKS, strlen(FIXTURE_JWKS)), strlen(FIXTURE_JWKS));
        close(fd);
        snprintf(url, sizeof(url), "file://%s", path);
        start(w, url, 0);
        run(w, 1);
        assert_int_equal(w->last_error, 0);
        assert_int_equal(verify(w, FIXTURE_ES256), 0);
        unlink(path);
        jwks_refresh(w->jwks);
        run(w, 2);
        assert_int_equal(w->last_error, -EIO);
        assert_int_equal(verify(w, FIXTURE_ES256), 0);
}

static void test_schemes(void **state)
{
        static const char *const bad[] = {"", "ftp://x/", "gopher://x", "/etc/passwd", "https:/x", "httpsx://", "http"};
        struct world *w = *state;

        for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(jwks_new(&w->jwks, &w->loop, w->auth, bad[i], 0, NULL, NULL), -EINVAL);
        assert_null(w->jwks);
}

static void test_close_in_callback(void **state)
{
        struct world *w = *state;

        w->close_in_callback = true;
        start_at(w, "/set", 1);
        run(w, 1);
        assert_int_equal(w->n_results, 1);
}

static void on_moment(uv_timer_t *timer)
{
        uv_stop(timer->loop);
}

/* Closing does not wait for a server that is silent: here a socket that nobody accepts from. */
static void test_close_while_running(void **state)
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t n = sizeof(a);
        struct world *w = *state;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        uint64_t begin;

        assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
        assert_int_equal(listen(fd, 1), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
        http_server_close(w->server, 0, NULL, NULL);
        w->server = NULL;
        snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%u/set", ntohs(a.sin_port));
        start(w, w->url, 0);
        uv_timer_start(&w->deadline, on_moment, 300, 0);
        uv_run(&w->loop, UV_RUN_DEFAULT);
        assert_int_equal(w->n_results, 0); /* it waits for an answer */
        begin = uv_hrtime();
        jwks_close(w->jwks);
        w->jwks = NULL;
        uv_run(&w->loop, UV_RUN_DEFAULT); /* nothing but the fetch is left on the loop */
        assert_in_range((uv_hrtime() - begin) / 1000000, 0, 3000);
        assert_int_equal(w->n_results, 0);
        close(fd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_fetch, setup, teardown),
                cmocka_unit_test_setup_teardown(test_fails_until_there, setup, teardown),
                cmocka_unit_test_setup_teardown(test_keeps_old_set, setup, teardown),
                cmocka_unit_test_setup_teardown(test_rate, setup, teardown),
                cmocka_unit_test_setup_teardown(test_interval, setup, teardown),
                cmocka_unit_test_setup_teardown(test_silent_server, setup, teardown),
                cmocka_unit_test_setup_teardown(test_nobody_there, setup, teardown),
                cmocka_unit_test_setup_teardown(test_file, setup, teardown),
                cmocka_unit_test_setup_teardown(test_schemes, setup, teardown),
                cmocka_unit_test_setup_teardown(test_close_in_callback, setup, teardown),
                cmocka_unit_test_setup_teardown(test_close_while_running, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
