/* An HTTP/1.1 server on a libuv loop: a table of routes, answers now or later, RFC 9457 problem documents for every
 * error.
 *
 * The only code that includes microhttpd.h lies in this folder. libmicrohttpd runs without threads of its own, on its
 * epoll descriptor in the caller's loop; a request that is answered later is suspended. All on the loop's thread.
 *
 * Limits that are not options: target 8 KiB (414), headers 16 KiB together and 64 of them (431), 16 segments of a path
 * (404), 32 parameters of a query (400). The sending of an answer may take timeout_s and a second more for each 16 KiB, and ends
 * where nobody takes anything of it for twice timeout_s; a body at most 5 s instead of timeout_s, and the same. What is not HTTP (a broken request line, Content-Length: -1) libmicrohttpd answers by itself, in HTML,
 * and closes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/codes.h"

typedef struct uv_loop_s uv_loop_t;

struct http_server;
struct http_request;

/* Must lead to exactly one http_respond* or http_problem for rq, now or later, also when the client went away or the
 * server was closed meanwhile. rq must not be touched after that, but by http_taken and http_cut. */
typedef void (*http_handler)(struct http_request *rq, void *userdata);

/* A body that is not collected but handed on as it comes. When the client breaks off, and when the server ends, before the body
 * is complete, nothing more is called but the release of the request's context. */
struct http_sink {
        /* The head is there. May answer: then the body is not read. */
        http_handler begin;
        /* Returns how many bytes it took. When these are fewer than n, the rest is offered again after http_resume. May not answer. */
        size_t (*piece)(struct http_request *rq, const uint8_t *data, size_t n, void *userdata);
};

struct http_route {
        const char *method; /* "GET"; serves HEAD too where there is no route of its own for it */
        const char *path;   /* "/api/channels/{id}/messages": {x} matches one segment that is not empty */
        http_handler handler;
        size_t max_body; /* bytes; 0: no body allowed */
        /* NULL: the body is collected. The handler is called when it is complete, in both cases. */
        const struct http_sink *sink;
};

struct http_options {
        uv_loop_t *loop;
        const char *listen; /* "127.0.0.1:8082", "[::]:8082", ":8082" (every address); port 0: any free one */
        const struct http_route *routes; /* copied; the strings must outlive the server */
        unsigned n_routes;
        unsigned
                max_connections; /* 0: 1000; at that many who is idle, sends or takes nothing longest is cut; others wait */
        unsigned max_connections_per_ip; /* of the TCP peer, with IPv6 of its /64; 0: no limit */
        unsigned timeout_s;              /* of an idle or half-sent connection; 0: 30 */
        size_t max_answer_bytes;         /* of all answers on their way together; 0: 256 MiB; past it 503 is answered */
        size_t max_answer_bytes_per_address; /* of those to one address (http_counted_as); 0: no limit; past it 429 is answered */
        const char *cors_origin; /* NULL: none; "*", or origins separated by commas, whose pages may read answers */
        /* Whose X-Forwarded-For counts: addresses and CIDRs, "10.0.0.0/8, fd00::/8". Loopback's always does. */
        const char *trusted_proxies;
        /* After each answer that was given to libmicrohttpd. route: the pattern, or "(none)"; method: a standard one,
         * or "(other)": both are safe as labels. May be NULL. */
        void (*on_request)(const char *method, const char *route, unsigned status, uint64_t microseconds,
                           void *userdata);
        void *userdata;
};

/* 0; -EADDRINUSE and other negative errno; -EINVAL: listen, trusted_proxies or a route is not well-formed */
int http_server_new(struct http_server **ret_server, const struct http_options *options);
/* Refuses new connections now, answers running requests, frees after the last or after grace_ms: then the connections
 * that are left are cut. done (may be NULL) is called from the loop when nothing of the server is left, but for
 * requests whose handlers have not answered yet: these are released when they do. server may be NULL (done is called at
 * once). */
void http_server_close(struct http_server *server, uint32_t grace_ms, void (*done)(void *userdata), void *userdata);
unsigned http_server_port(const struct http_server *server);

/* Valid until the request is answered. Percent-decoded; checked to be UTF-8 without NUL. */
const char *http_param(const struct http_request *rq, const char *name);  /* of the path; NULL: no such name */
const char *http_query(const struct http_request *rq, const char *name);  /* NULL: not given */
const char *http_header(const struct http_request *rq, const char *name); /* NULL: not given, or not UTF-8 */
const char *http_path(const struct http_request *rq);                     /* as it was sent, without the query */
const uint8_t *http_body(const struct http_request *rq, size_t *ret_n);   /* never NULL; bytes as they came */
/* What the head announces; false: nothing (no body, or one in chunks) */
bool http_content_length(const struct http_request *rq, uint64_t *ret_n);
/* The sink takes more now. Not from within piece. */
void http_resume(struct http_request *rq);
/* Answers a request whose body is still coming, past the rest of it, and ends the connection. The sink hears nothing more of it but the
 * release of its context. false: there is nobody to tell, or the body is complete, and the handler answers as always. */
bool http_abandon(struct http_request *rq, unsigned status, enum parley_code code, uint32_t retry_ms,
                  const char *detail);
/* Of a request that was answered, until its context is released: what its client has acknowledged of all that this connection sent, bytes; and
 * its end before all of the answer was taken. */
uint64_t http_taken(const struct http_request *rq);
void http_cut(struct http_request *rq);
/* The client's address: the last one of X-Forwarded-For that is not a trusted proxy's, where the peer is one; else the
 * peer. Loopback is trusted. */
const char *http_peer(const struct http_request *rq);
/* The same for limits: a client with IPv6 is its /64 (http_peer_counted_as) */
const char *http_counted_as(const struct http_request *rq);
/* The bearer token of the Authorization header; NULL: none */
const char *http_bearer(const struct http_request *rq);
/* A W3C traceparent's trace id, or a new one; 32 hex digits */
const char *http_trace_id(const struct http_request *rq);
/* One pointer for the handler's own use, and how it is released when the request ends */
void http_set_context(struct http_request *rq, void *context, void (*free_func)(void *));
void *http_context(const struct http_request *rq);

/* Extra header of the answer; before responding. Replaces the default Cache-Control: no-store when it is that one. A
 * name or value that cannot stand in a header (a line break in it) turns the answer into a 500. */
void http_set_header(struct http_request *rq, const char *name, const char *value);
/* Copies data */
void http_respond(struct http_request *rq, unsigned status, const char *content_type, const void *data, size_t n);
/* Takes the content of b (b is empty afterwards); application/json */
void http_respond_json(struct http_request *rq, unsigned status, struct buf *b);
/* n bytes of a file from offset on. Takes the descriptor, also where nobody is left to answer. Read on the loop's thread as the client
 * takes it, as sendfile does: for local disks. */
void http_respond_file(struct http_request *rq, unsigned status, const char *content_type, int fd, uint64_t offset,
                       uint64_t n);
/* {"type":"urn:parley:problem:<code>","title","status","detail","code","instance","traceId"}, and with retry_ms
 * "retryMs" and Retry-After */
__attribute__((__format__(__printf__, 4, 5))) void http_problem(struct http_request *rq, enum parley_code code,
                                                                uint32_t retry_ms, const char *detail_format, ...);

/* /healthz (the loop turns), /readyz (200 or 503 with the reasons as JSON), /metrics (lib/base/metrics.h) */
struct http_admin_options {
        uv_loop_t *loop;
        const char *listen;
        /* Appends what there is to say to out, by the three functions below; returns whether all is well. NULL: always ready. */
        bool (*ready)(struct buf *out, void *userdata);
        void *userdata;
};
/* Append a member, with a comma where it is not the first one; 0, BUF_E_FULL, -ENOMEM. "<name>":true, or false */
int http_ready_flag(struct buf *out, const char *name, bool fine);
/* "<name><number>":"<text>": what stands in the way of one of several */
int http_ready_text(struct buf *out, const char *name, unsigned number, const char *text);
/* "<name>":"<text>": of what there is one of; cut at 250 bytes in all */
int http_ready_why(struct buf *out, const char *name, const char *text);
int http_admin_new(struct http_server **ret_server, const struct http_admin_options *options);
