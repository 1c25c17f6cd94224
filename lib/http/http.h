/* An HTTP/1.1 server on a libuv loop: a table of routes, answers now or later, RFC 9457 problem documents for every error.
 *
 * The only code that includes microhttpd.h lies in this folder. libmicrohttpd runs without threads of its own, on its epoll descriptor in
 * the caller's loop; a request that is answered later is suspended. All on the loop's thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/codes.h"

typedef struct uv_loop_s uv_loop_t;

struct http_server;
struct http_request;

/* Must lead to exactly one http_respond* or http_problem for rq, now or later, also when the client went away meanwhile */
typedef void (*http_handler)(struct http_request *rq, void *userdata);

struct http_route {
        const char *method;     /* "GET" */
        const char *path;       /* "/api/channels/{id}/messages": {x} matches one segment */
        http_handler handler;
        size_t max_body;        /* bytes; 0: no body allowed */
};

struct http_options {
        uv_loop_t *loop;
        const char *listen;           /* "127.0.0.1:8082", "[::]:8082", ":8082" */
        const struct http_route *routes;
        unsigned n_routes;
        unsigned max_connections;     /* 0: 1000 */
        unsigned max_connections_per_ip; /* 0: no limit */
        unsigned timeout_s;           /* of an idle or half-sent connection; 0: 30 */
        const char *cors_origin;      /* NULL: none; "*" or one origin for Access-Control-Allow-Origin */
        void (*on_request)(const char *method, const char *route, unsigned status, uint64_t microseconds, void *userdata); /* may be NULL */
        void *userdata;
};

/* 0; -EADDRINUSE and other negative errno */
int http_server_new(struct http_server **ret_server, const struct http_options *options);
/* Refuses new connections now, answers running requests, frees after the last or after grace_ms */
void http_server_close(struct http_server *server, uint32_t grace_ms, void (*done)(void *userdata), void *userdata);
unsigned http_server_port(const struct http_server *server);

/* Valid until the request is answered. Percent-decoded; checked to be UTF-8 without NUL. */
const char *http_param(const struct http_request *rq, const char *name);   /* of the path; NULL: no such name */
const char *http_query(const struct http_request *rq, const char *name);   /* NULL: not given */
const char *http_header(const struct http_request *rq, const char *name);  /* NULL: not given */
const char *http_method(const struct http_request *rq);
const char *http_path(const struct http_request *rq);
const uint8_t *http_body(const struct http_request *rq, size_t *ret_n);
/* The client's address: the last of X-Forwarded-For when the peer is loopback or in `trusted`, else the peer */
const char *http_peer(const struct http_request *rq);
/* The bearer token of the Authorization header; NULL: none */
const char *http_bearer(const struct http_request *rq);
/* A W3C traceparent's trace id, or a new one; 32 hex digits */
const char *http_trace_id(const struct http_request *rq);
/* One pointer for the handler's own use, and how it is released when the request ends */
void http_set_context(struct http_request *rq, void *context, void (*free_func)(void *));
void *http_context(const struct http_request *rq);

/* Extra header of the answer; before responding */
void http_set_header(struct http_request *rq, const char *name, const char *value);
/* Copies data */
void http_respond(struct http_request *rq, unsigned status, const char *content_type, const void *data, size_t n);
/* Takes the content of b (b is empty afterwards); application/json */
void http_respond_json(struct http_request *rq, unsigned status, struct buf *b);
/* {"type":"about:blank"-like URI,"title","status","detail","code","instance"}; Retry-After when retry_ms is set */
__attribute__((__format__(__printf__, 4, 5))) void http_problem(struct http_request *rq, enum parley_code code, uint32_t retry_ms,
                                                                const char *detail_format, ...);

/* /healthz (the loop turns), /readyz (200 or 503 with the reasons as JSON), /metrics (lib/base/metrics.h) */
struct http_admin_options {
        uv_loop_t *loop;
        const char *listen;
        /* Appends {"nats":true,…}-like members "name":true|false to out; returns whether all is well */
        bool (*ready)(struct buf *out, void *userdata);
        void *userdata;
};
int http_admin_new(struct http_server **ret_server, const struct http_admin_options *options);
