/* Health, readiness, metrics: the port that is not for clients. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/metrics.h"
#include "base/process.h"
#include "http/internal.h"

#define METRICS_MAX (4U << 20)
#define READY_MAX 8192
#define ADMIN_CONNECTIONS 32

struct admin {
        bool (*ready)(struct buf *out, void *userdata);
        void *userdata;
};

static void on_health(struct http_request *rq, void *userdata)
{
        static const char body[] = "{\"status\":\"ok\"}";

        (void)userdata;
        http_respond(rq, 200, "application/json", body, sizeof(body) - 1);
}

/* Where a member begins that is the first one, or another one */
static const char *separator(const struct buf *out)
{
        return out->len ? "," : "";
}

int http_ready_flag(struct buf *out, const char *name, bool fine)
{
        char line[96];

        snprintf(line, sizeof(line), "%s\"%.64s\":%s", separator(out), name, fine ? "true" : "false");
        return buf_append_str(out, line);
}

int http_ready_text(struct buf *out, const char *name, unsigned number, const char *text)
{
        char numbered[64];

        snprintf(numbered, sizeof(numbered), "%s%u", name, number);
        return http_ready_why(out, numbered, text);
}

int http_ready_why(struct buf *out, const char *name, const char *text)
{
        char line[256], *at;
        size_t n_name;

        snprintf(line, sizeof(line), "%s\"%.64s\":\"", separator(out), name);
        n_name = strlen(line);
        snprintf(line + n_name, sizeof(line) - n_name - 1, "%s", text);
        for (at = line + n_name; *at; at++)
                if (*at == '"' || *at == '\\' || *at < ' ' || *at > '~')
                        *at = '\'';
        *at = '"';
        return buf_append(out, line, (size_t)(at - line) + 1);
}

static void on_ready(struct http_request *rq, void *userdata)
{
        struct admin *admin = userdata;
        struct buf checks = BUF_INIT(READY_MAX), out = BUF_INIT(READY_MAX + 64);
        bool ready = !admin->ready || admin->ready(&checks, admin->userdata);
        int r;

        r = buf_append_str(&out, ready ? "{\"ready\":true,\"checks\":{" : "{\"ready\":false,\"checks\":{");
        r = r ? r : buf_append(&out, checks.data, checks.len);
        r = r ? r : buf_append_str(&out, "}}");
        if (r == 0)
                http_respond_json(rq, ready ? 200 : 503, &out);
        else
                http_problem(rq, PARLEY_INTERNAL, 0, "There is no memory for the answer");
        buf_done(&checks);
        buf_done(&out);
}

static void on_metrics(struct http_request *rq, void *userdata)
{
        struct buf out = BUF_INIT(METRICS_MAX);

        (void)userdata;
        process_metrics_update();
        if (metrics_write(&out) == 0)
                http_respond(rq, 200, "text/plain; version=0.0.4; charset=utf-8", out.data, out.len);
        else
                http_problem(rq, PARLEY_INTERNAL, 0, "The metrics do not fit into %u bytes", METRICS_MAX);
        buf_done(&out);
}

int http_admin_new(struct http_server **ret_server, const struct http_admin_options *options)
{
        static const struct http_route routes[] = {
                {.method = "GET", .path = "/healthz", .handler = on_health},
                {.method = "GET", .path = "/readyz", .handler = on_ready},
                {.method = "GET", .path = "/metrics", .handler = on_metrics},
        };
        _cleanup_free_ struct admin *admin = NULL;
        int r;

        admin = malloc(sizeof(*admin));
        if (!admin)
                return -ENOMEM;
        *admin = (struct admin){.ready = options->ready, .userdata = options->userdata};
        r = http_server_new(ret_server, &(struct http_options){
                                                .loop = options->loop,
                                                .listen = options->listen,
                                                .routes = routes,
                                                .n_routes = ARRAY_SIZE(routes),
                                                .max_connections = ADMIN_CONNECTIONS,
                                                .userdata = admin,
                                        });
        if (r < 0)
                return r;
        (*ret_server)->owned = admin;
        admin = NULL;
        return 0;
}
