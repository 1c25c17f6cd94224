/* A request as libmicrohttpd tells of it: the request line, the head, the body in pieces, the end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "http/internal.h"

/* Called with the request line, before the headers are read */
void *http_access_begin(void *cls, const char *uri, struct MHD_Connection *mhd)
{
        struct http_conn *c = http_conn_of(mhd);
        struct http_request *rq;
        size_t n = strlen(uri);

        if (!c)
                return NULL;
        rq = http_request_new(cls, c);
        if (!rq)
                return NULL;
        if (n <= HTTP_TARGET_MAX) {
                rq->raw_target = http_arena_strndup(&rq->arena, uri, n);
                if (!rq->raw_target) {
                        http_request_free(rq);
                        return NULL;
                }
        }
        c->rq = rq;
        c->request_begun = true;
        http_conn_phase(c, HTTP_PHASE_HEAD, 0);
        return rq;
}

__attribute__((__format__(__printf__, 4, 5))) static int refuse(struct http_request *rq, unsigned status,
                                                                enum parley_code code, const char *format, ...)
{
        char text[320];
        va_list ap;

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        rq->refusing = true;
        rq->refuse_status = status;
        rq->refuse_code = code;
        rq->refuse_detail = http_arena_strndup(&rq->arena, text, strlen(text));
        return 1;
}

static int refuse_body(struct http_request *rq)
{
        size_t max = rq->match.route->max_body;

        if (max == 0)
                return refuse(rq, 400, PARLEY_BAD_REQUEST, "%s of this path takes no body", rq->method);
        return refuse(rq, 413, PARLEY_TOO_LARGE, "The body is longer than %zu bytes", max);
}

static int check_query(struct http_request *rq, char *query)
{
        const char *name;

        switch (query ? http_target_parse_query(&rq->target, query, &name) : 0) {
        case 0:
                return 0;
        case HTTP_TARGET_E_VALUE:
                return refuse(rq, 400, PARLEY_BAD_REQUEST,
                              "The query parameter '%.64s' is not valid percent-encoded UTF-8 without NUL", name);
        case HTTP_TARGET_E_TWICE:
                return refuse(rq, 400, PARLEY_BAD_REQUEST, "The query parameter '%.64s' is given twice", name);
        case HTTP_TARGET_E_MANY:
                return refuse(rq, 400, PARLEY_BAD_REQUEST, "There are more than %d query parameters", HTTP_QUERY_MAX);
        default:
                return refuse(rq, 400, PARLEY_BAD_REQUEST,
                              "The name of a query parameter is not valid percent-encoded UTF-8 without NUL");
        }
}

static int check_route(struct http_request *rq)
{
        switch (http_router_match(rq->server->router, rq->method, &rq->target, &rq->match)) {
        case 0:
                break;
        case HTTP_ROUTER_E_METHOD:
                if (http_cors_is_preflight(rq)) {
                        rq->refusing = true;
                        rq->refuse_status = 204;
                        return 1;
                }
                return refuse(rq, 405, PARLEY_METHOD_NOT_ALLOWED, "This path takes %s", rq->match.allow);
        default:
                return refuse(rq, 404, PARLEY_NOT_FOUND, "There is nothing at this path");
        }
        for (unsigned i = 0; i < rq->match.n_params; i++)
                if (!rq->match.values[i])
                        return refuse(rq, 400, PARLEY_BAD_REQUEST,
                                      "The path parameter '%s' is not valid percent-encoded UTF-8 without NUL",
                                      rq->match.names[i]);
        return 0;
}

/* Two of these could mean one thing to a proxy and another to us: where the next request begins, and whose it is.
 * (Transfer-Encoding beside Content-Length is refused by libmicrohttpd.) */
static int check_framing(struct http_request *rq)
{
        static const char *const once[] = {"Content-Length", "Transfer-Encoding", "Host"};

        for (unsigned i = 0; i < ARRAY_SIZE(once); i++) {
                if (http_request_count_header(rq, once[i]) <= 1)
                        continue;
                rq->close = true;
                return refuse(rq, 400, PARLEY_BAD_REQUEST, "The header %s is given twice", once[i]);
        }
        return 0;
}

/* 0, or 1 when the request is refused */
static int check_target(struct http_request *rq)
{
        char *work, *query;
        int r;

        if (!rq->raw_target)
                return refuse(rq, 414, PARLEY_TOO_LARGE, "The target is longer than %d bytes", HTTP_TARGET_MAX);
        work = http_arena_strndup(&rq->arena, rq->raw_target, strlen(rq->raw_target));
        if (!work)
                return refuse(rq, 500, PARLEY_INTERNAL, "There is no memory left");
        if (http_target_parse_path(&rq->target, rq->raw_target, work, &query) != 0)
                return refuse(rq, 400, PARLEY_BAD_REQUEST, "The target has to be a path that begins with '/'");
        r = check_route(rq);
        return r ? r : check_query(rq, query);
}

/* Whether a body follows, by the headers, which libmicrohttpd has checked. ret_n: SIZE_MAX when nobody knows. */
static bool body_announced(const struct http_request *rq, size_t *ret_n)
{
        const char *length = http_request_raw_header(rq, "Content-Length");
        uint64_t n = 0;

        if (http_request_raw_header(rq, "Transfer-Encoding")) {
                *ret_n = SIZE_MAX;
                return true;
        }
        if (length && text_parse_u64(length, 0, SIZE_MAX - 1, &n) < 0)
                n = SIZE_MAX;
        *ret_n = (size_t)n;
        return n > 0;
}

static bool expects_continue(const struct http_request *rq)
{
        const char *expect = http_request_raw_header(rq, "Expect");

        return expect && strcasecmp(expect, "100-continue") == 0;
}

static void answer_refusal(struct http_request *rq)
{
        if (rq->refuse_status == 204)
                http_cors_preflight(rq, rq->match.allow);
        else
                http_problem_status(rq, rq->refuse_status, rq->refuse_code, 0,
                                    rq->refuse_detail ? rq->refuse_detail : "");
}

static enum MHD_Result queue_answer(struct http_request *rq)
{
        enum MHD_Result r;

        if (!rq->response)
                return MHD_NO; /* without memory for an answer all that is left is to close */
        rq->state = HTTP_RQ_QUEUED;
        http_conn_phase(rq->conn, HTTP_PHASE_ANSWER, (size_t)rq->n_sent);
        r = MHD_queue_response(rq->conn->mhd, rq->status, rq->response);
        MHD_destroy_response(rq->response);
        rq->response = NULL;
        return r;
}

/* An answer before the body was read: libmicrohttpd closes the connection behind it. Else it comes when the body has
 * been dropped. */
static bool refuse_at_once(const struct http_request *rq, bool has_body, size_t n)
{
        return rq->refusing && has_body && (n > HTTP_DRAIN_MAX || rq->close || expects_continue(rq));
}

/* Whether the sink wants none of the body, and has said why */
static bool sink_refuses(struct http_request *rq)
{
        if (rq->refusing || !rq->match.route->sink)
                return false;
        rq->match.route->sink->begin(rq, rq->server->userdata);
        return rq->state == HTTP_RQ_ANSWERED;
}

static enum MHD_Result head_complete(struct http_request *rq, const char *method)
{
        size_t n, max;
        bool has_body;
        int r;

        r = http_request_read_head(rq, method);
        if (r < 0)
                return MHD_NO;
        has_body = body_announced(rq, &n);
        if (r == HTTP_REQUEST_E_HEADERS)
                refuse(rq, 431, PARLEY_TOO_LARGE, "There are more than %d headers, or they are longer than %d bytes",
                       HTTP_HEADERS_MAX, HTTP_HEADER_BYTES_MAX);
        else if (check_framing(rq) == 0 && check_target(rq) == 0 && has_body && n != SIZE_MAX &&
                 n > rq->match.route->max_body)
                refuse_body(rq);
        max = rq->refusing ? HTTP_DRAIN_MAX : rq->match.route->max_body;
        buf_init(&rq->body, max);
        rq->state = HTTP_RQ_BODY;
        http_conn_phase(rq->conn, HTTP_PHASE_BODY, n < max ? n : max);
        if (sink_refuses(rq)) {
                rq->conn->refused = has_body;
                return queue_answer(rq);
        }
        if (!refuse_at_once(rq, has_body, n))
                return MHD_YES;
        rq->conn->refused = true;
        answer_refusal(rq);
        return queue_answer(rq);
}

/* In the middle of a body libmicrohttpd takes no answer: it is written past it, and the connection closed. */
static enum MHD_Result abandon_body(struct http_request *rq)
{
        refuse_body(rq);
        http_problem_raw(rq->conn, rq->refuse_status, rq->refuse_code, 0, rq->refuse_detail ? rq->refuse_detail : "");
        http_report(rq, rq->refuse_status);
        rq->conn->refused = true;
        return MHD_NO;
}

/* The body may not be longer than its route allows also where no length was announced. */
static int sink_piece(struct http_request *rq, const char *data, size_t *n)
{
        size_t taken;

        if (*n > rq->body.max - rq->n_taken)
                return BUF_E_FULL;
        taken = rq->match.route->sink->piece(rq, (const uint8_t *)data, *n, rq->server->userdata);
        rq->n_taken += taken;
        rq->conn->phase_ms = uv_now(rq->server->loop); /* making room cuts whom it has waited for longest */
        if (taken < *n) {
                rq->suspended = true;
                MHD_suspend_connection(rq->conn->mhd);
        }
        *n -= taken;
        return 0;
}

static enum MHD_Result body_piece(struct http_request *rq, const char *data, size_t *n)
{
        int r;

        if (!rq->refusing && rq->match.route->sink) {
                if (sink_piece(rq, data, n) == BUF_E_FULL)
                        return abandon_body(rq);
                return MHD_YES;
        }
        r = rq->refusing ? 0 : buf_append(&rq->body, data, *n);
        if (r == BUF_E_FULL)
                return abandon_body(rq);
        if (r < 0)
                return MHD_NO;
        *n = 0;
        return MHD_YES;
}

/* A request without an answer is not suspended here but when libmicrohttpd asks again, in its next run: a resumed
 * connection is read from first if it was being read from when it was suspended, and an end of input found there would
 * throw the answer away. By the next run it is known to be in processing. */
static enum MHD_Result body_complete(struct http_request *rq)
{
        rq->state = HTTP_RQ_HANDLER;
        http_conn_phase(rq->conn, HTTP_PHASE_HANDLER, 0);
        if (rq->refusing)
                answer_refusal(rq);
        else
                rq->match.route->handler(rq, rq->server->userdata);
        return rq->state == HTTP_RQ_ANSWERED ? queue_answer(rq) : MHD_YES;
}

enum MHD_Result http_access(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                            const char *version, const char *upload_data, size_t *upload_data_size, void **context)
{
        struct http_request *rq = *context;

        (void)cls;
        (void)url;
        (void)version;
        if (!rq)
                return MHD_NO;
        switch (rq->state) {
        case HTTP_RQ_NEW:
                return head_complete(rq, method);
        case HTTP_RQ_BODY:
                if (rq->abandoned)
                        return MHD_NO; /* the rest is read and dropped for a while, so that the answer arrives */
                if (*upload_data_size > 0)
                        return body_piece(rq, upload_data, upload_data_size);
                return body_complete(rq);
        case HTTP_RQ_HANDLER:
                rq->suspended = true;
                MHD_suspend_connection(mhd);
                return MHD_YES;
        case HTTP_RQ_ANSWERED:
                return queue_answer(rq);
        default:
                return MHD_NO;
        }
}

void http_access_end(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode code)
{
        struct http_request *rq = *context;
        struct http_conn *c;

        (void)cls;
        (void)mhd;
        (void)code;
        if (!rq)
                return;
        *context = NULL;
        c = rq->conn;
        c->rq = NULL;
        c->request_begun = false;
        http_conn_phase(c, HTTP_PHASE_HEAD, 0);
        if (c->server->closing && !c->server->stopped && !c->refused)
                http_conn_cut(c);
        else if (!c->server->closing)
                http_conn_make_room(c->server, NULL);
        rq->conn = NULL;
        if (rq->state == HTTP_RQ_HANDLER)
                rq->server = NULL; /* the handler still has it: released when it answers */
        else
                http_request_free(rq);
}
