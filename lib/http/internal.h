/* What the files of this folder share. */
#pragma once

#include <microhttpd.h>
#include <uv.h>

#include "http/arena.h"
#include "http/http.h"
#include "http/peer.h"
#include "http/router.h"
#include "http/target.h"

#define HTTP_TARGET_MAX 8192 /* bytes; browsers and proxies keep below */
#define HTTP_HEADERS_MAX 64
#define HTTP_HEADER_BYTES_MAX 16384 /* names and values together */
/* libmicrohttpd's memory for one connection: above our own limits, so that ours answer, and with room for the answer's
 * headers */
#define HTTP_POOL_BYTES 65536
#define HTTP_ANSWER_HEADERS_MAX 16
/* Answers up to this size are given also when max_answer_bytes is reached: the one that says so is among them */
#define HTTP_SMALL_ANSWER 4096
/* A refused body up to this size is read and dropped, so that the connection can be kept */
#define HTTP_DRAIN_MAX 65536
#define HTTP_BYTES_PER_S 16384 /* the slowest that a body or an answer may go */
#define HTTP_BODY_MS 5000      /* and this long more, for a body to begin with */
#define HTTP_SWEEP_MS 500      /* how often deadlines are looked at */
/* So many times timeout_s without a byte taken, and an answer ends. A receiver with a large buffer says that it has room again only when a 16th
 * of it is free (Linux): who plays 8 KB/s out of 6 MB of it takes something each 47 s. */
#define HTTP_UNREAD_TIMEOUTS 2
#define HTTP_UNREAD_LOOKS 2 /* so many of these without a byte taken, and an answer may have to make room */
#define HTTP_LINGER_MS 3000 /* how long a refused client may go on sending before the socket is closed */
#define HTTP_LINGER_MAX 64  /* sockets in that state */

enum http_phase {
        HTTP_PHASE_HEAD, /* idle, or the head of a request is coming */
        HTTP_PHASE_BODY,
        HTTP_PHASE_HANDLER, /* no deadline: the handler's matter */
        HTTP_PHASE_ANSWER,
};

struct http_conn {
        struct http_conn *prev, *next;
        struct http_server *server;
        struct MHD_Connection *mhd;
        struct http_request *rq; /* NULL between requests */
        enum http_phase phase;
        uint64_t phase_ms;    /* since when; of a body and an answer: when something of it moved */
        uint64_t n_acked;     /* an answer's phase: what the other side had taken of the connection at the last look */
        uint64_t deadline_ms; /* 0: none */
        int fd;
        bool request_begun; /* the request line is there: who is cut off now gets a 408 */
        bool refused;       /* was answered although it may still be sending */
        bool cut;           /* shut down by us */
        char peer[HTTP_PEER_MAX], counted_as[HTTP_PEER_MAX];
};

struct http_linger {
        struct http_linger *prev, *next;
        struct http_server *server;
        uv_poll_t poll;
        int fd;
        uint64_t deadline_ms;
        bool closing;
};

struct http_server {
        uv_loop_t *loop;
        struct MHD_Daemon *mhd;
        struct http_router *router;
        struct http_trusted *trusted;
        char *cors_origin;
        void (*on_request)(const char *method, const char *route, unsigned status, uint64_t microseconds,
                           void *userdata);
        void *userdata;
        unsigned max_connections, max_connections_per_ip;
        uint32_t timeout_ms;
        size_t max_answer_bytes, max_answer_bytes_per_address, answer_bytes;
        unsigned port;

        uv_poll_t poll;   /* libmicrohttpd's epoll descriptor */
        uv_idle_t again;  /* active while libmicrohttpd has work that no descriptor announces */
        uv_timer_t sweep; /* deadlines; active while there are connections */
        uv_timer_t grace;
        unsigned n_handles;
        bool running; /* inside MHD_run */
        bool closing, stopped;

        struct http_conn *conns;
        unsigned n_conns;
        struct http_linger *lingers;
        unsigned n_lingers;

        void *owned; /* freed with the server */
        void (*done)(void *userdata);
        void *done_userdata;
};

enum http_state {
        HTTP_RQ_NEW, /* only the request line is there */
        HTTP_RQ_BODY,
        HTTP_RQ_HANDLER,  /* the handler has it */
        HTTP_RQ_ANSWERED, /* `response` is set, or could not be made */
        HTTP_RQ_QUEUED,
};

struct http_header_field {
        const char *name;
        const char *value;
};

struct http_request {
        struct http_server *server; /* NULL: the server is gone, the answer will be thrown away */
        struct http_conn *conn;     /* NULL: the connection is gone */
        enum http_state state;
        bool suspended;
        bool bad_header; /* http_set_header was given something impossible */
        bool close;      /* the connection ends with the answer */
        bool refusing;   /* the answer is one of ours, the handler does not see this request */
        bool abandoned;  /* was answered past the rest of its body */
        struct http_arena arena;

        char *raw_target; /* with the query: never shown; NULL: too long */
        const char *method;
        struct http_target target;
        struct http_match match;
        struct http_header_field headers[HTTP_HEADERS_MAX];
        unsigned n_headers;
        struct buf body;
        size_t n_taken; /* of the body, by the sink */
        char peer[HTTP_PEER_MAX], counted_as[HTTP_PEER_MAX];
        char trace_id[33];
        const char *bearer;
        uint64_t begin_ns;

        /* refusing: what will be answered once the body has been dropped */
        unsigned refuse_status;
        enum parley_code refuse_code;
        const char *refuse_detail;

        struct http_header_field answer_headers[HTTP_ANSWER_HEADERS_MAX];
        unsigned n_answer_headers;
        struct MHD_Response *response;
        unsigned status;
        size_t n_answer; /* counted in the server's answer_bytes */
        uint64_t n_sent; /* what goes over the wire */

        void *context;
        void (*context_free)(void *);
};

/* --- server.c --- */
/* libmicrohttpd has something to do: runs it in this turn of the loop or the next, never from inside itself */
void http_server_wake(struct http_server *s);
/* Deadlines are looked at from now on, while there are connections */
void http_server_sweep_start(struct http_server *s);
/* The last one frees the server */
void http_server_handle_closed(struct http_server *s);

/* --- conn.c --- */
/* Whether another one of this address may come (an MHD_AcceptPolicyCallback) */
enum MHD_Result http_conn_admit(void *cls, const struct sockaddr *sa, socklen_t n);
void http_conn_notify(void *cls, struct MHD_Connection *mhd, void **socket_context,
                      enum MHD_ConnectionNotificationCode code);
struct http_conn *http_conn_of(struct MHD_Connection *mhd);
/* n_bytes: what is to be moved in this phase */
void http_conn_phase(struct http_conn *c, enum http_phase phase, size_t n_bytes);
/* When all places are taken: who has been idle, has sent nothing or has taken nothing of his answer for the longest is cut, or a few
 * that only hold their connections would keep everybody else out. To be called wherever a connection begins to be one of these. newest (may
 * be NULL) is spared. */
void http_conn_make_room(struct http_server *s, const struct http_conn *newest);
/* Ends it: libmicrohttpd closes the socket when it sees that. Not for suspended ones. */
void http_conn_cut(struct http_conn *c);
void http_conn_sweep(struct http_server *s);
void http_linger_stop_all(struct http_server *s);

/* --- access.c: libmicrohttpd's callbacks for a request --- */
void *http_access_begin(void *cls, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result http_access(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                            const char *version, const char *upload_data, size_t *upload_data_size, void **context);
void http_access_end(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode code);

/* --- request.c --- */
struct http_request *http_request_new(struct http_server *s, struct http_conn *c);
void http_request_free(struct http_request *rq);
/* Copies what libmicrohttpd has of the head. 0; HTTP_REQUEST_E_*; -ENOMEM */
enum { HTTP_REQUEST_E_HEADERS = 1 };
int http_request_read_head(struct http_request *rq, const char *method);
/* How often a header was given */
unsigned http_request_count_header(const struct http_request *rq, const char *name);
/* The value of a header also when it is not UTF-8 */
const char *http_request_raw_header(const struct http_request *rq, const char *name);

/* --- respond.c --- */
/* Tells on_request */
void http_report(const struct http_request *rq, unsigned status);

/* --- problem.c --- */
/* Appends the document. detail is made valid UTF-8. 0, BUF_E_FULL, -ENOMEM. */
int http_problem_write(struct buf *out, unsigned status, enum parley_code code, uint32_t retry_ms, const char *detail,
                       const char *instance, const char *trace_id);
/* As http_problem, with a status of its own */
void http_problem_status(struct http_request *rq, unsigned status, enum parley_code code, uint32_t retry_ms,
                         const char *detail);
/* A whole answer for a client that is not listened to any more: written into the socket past libmicrohttpd, as far as
 * it goes in without waiting. Only before anything was answered to the request. */
void http_problem_raw(struct http_conn *c, unsigned status, enum parley_code code, uint32_t retry_ms,
                      const char *detail);

/* --- cors.c --- */
bool http_cors_is_preflight(const struct http_request *rq);
void http_cors_preflight(struct http_request *rq, const char *allow);
/* The value of Access-Control-Allow-Origin; NULL: none */
const char *http_cors_origin(const struct http_request *rq);
