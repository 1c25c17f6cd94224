#include "http/serve.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/metrics.h"
#include "base/ratetable.h"

enum { NAME_MAX_BYTES = 64 };

/* --- what is measured --- */

#define ANSWERS(status_)                                                                                               \
        {                                                                                                              \
                .name = answers_name, .help = "Answers to requests by class of status.", .type = METRIC_COUNTER,       \
                .labels = "status=\"" status_ "\""                                                                     \
        }

static char answers_name[NAME_MAX_BYTES], seconds_name[NAME_MAX_BYTES];
static struct metric answers[] = {ANSWERS("other"), ANSWERS("1xx"), ANSWERS("2xx"),
                                  ANSWERS("3xx"),   ANSWERS("4xx"), ANSWERS("5xx")};
static struct metric_histogram seconds = {
        .name = seconds_name,
        .help = "From a request's head to its answer.",
        .bounds = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60}};

static void metrics_register(const char *service)
{
        (void)snprintf(answers_name, sizeof(answers_name), "parley_%s_http_requests_total", service);
        (void)snprintf(seconds_name, sizeof(seconds_name), "parley_%s_http_seconds", service);
        for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
                metric_register(&answers[i]);
        metric_histogram_register(&seconds);
}

static void on_request(const char *method, const char *route, unsigned status, uint64_t microseconds, void *userdata)
{
        unsigned class = status / 100;

        (void)method;
        (void)route;
        (void)userdata;
        metric_add(&answers[class < ARRAY_SIZE(answers) ? class : 0], 1);
        metric_observe(&seconds, (double)microseconds / 1e6);
}

/* --- the ports --- */

static int cannot_listen(int error, const char *setting, const char *value, char *ret_error, size_t n_error)
{
        (void)snprintf(ret_error, n_error, "%s: cannot listen on %s: %s", setting, value, strerror(-error));
        return error;
}

int http_serve(struct http_server **ret_http, struct http_server **ret_admin, const char *service,
               const struct http_options *options, const struct http_admin_options *admin, char *ret_error,
               size_t n_error)
{
        struct http_options measured = *options;
        struct http_server *http;
        int r;

        measured.on_request = on_request;
        r = http_server_new(&http, &measured);
        if (r < 0)
                return cannot_listen(r, "PARLEY_LISTEN", options->listen, ret_error, n_error);
        r = http_admin_new(ret_admin, admin);
        if (r < 0) {
                http_server_close(http, 0, NULL, NULL);
                return cannot_listen(r, "PARLEY_ADMIN_LISTEN", admin->listen, ret_error, n_error);
        }
        metrics_register(service);
        *ret_http = http;
        return 0;
}

/* --- who may ask --- */

bool http_within_rate(struct http_request *rq, struct ratetable *table, const char *name, uint64_t now_ms,
                      uint32_t cost)
{
        uint32_t wait = ratetable_take(table, name, now_ms, cost);

        if (wait)
                http_problem(rq, PARLEY_RATE_LIMITED, wait, "too many requests: wait %u ms", wait);
        return wait == 0;
}

void http_refuse_token(struct http_request *rq, bool had_token, bool expired, const char *why)
{
        http_set_header(rq, "WWW-Authenticate", "Bearer");
        if (!had_token)
                http_problem(rq, PARLEY_UNAUTHENTICATED, 0, "a token is needed: Authorization: Bearer …");
        else
                http_problem(rq, expired ? PARLEY_TOKEN_EXPIRED : PARLEY_UNAUTHENTICATED, 0, "the token is refused: %s",
                             why);
}
