/* What a handler can ask of a request. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/ident.h"
#include "base/text.h"
#include "http/acked.h"
#include "http/internal.h"

struct http_request *http_request_new(struct http_server *s, struct http_conn *c)
{
        struct http_request *rq = calloc(1, sizeof(*rq));

        if (!rq)
                return NULL;
        rq->server = s;
        rq->conn = c;
        rq->begin_ns = uv_hrtime();
        return rq;
}

void http_request_free(struct http_request *rq)
{
        if (!rq)
                return;
        if (rq->server)
                rq->server->answer_bytes -= rq->n_answer;
        if (rq->context_free)
                rq->context_free(rq->context);
        if (rq->response)
                MHD_destroy_response(rq->response);
        buf_done(&rq->body);
        http_arena_done(&rq->arena);
        free(rq);
}

/* --- reading the head --- */

struct head_reader {
        struct http_request *rq;
        size_t bytes;
        int result;
};

static enum MHD_Result read_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
        struct head_reader *reader = cls;
        struct http_request *rq = reader->rq;
        struct http_header_field *h;

        (void)kind;
        if (!value)
                value = "";
        reader->bytes += strlen(name) + strlen(value);
        if (rq->n_headers == HTTP_HEADERS_MAX || reader->bytes > HTTP_HEADER_BYTES_MAX) {
                reader->result = HTTP_REQUEST_E_HEADERS;
                return MHD_NO;
        }
        h = &rq->headers[rq->n_headers];
        h->name = http_arena_strndup(&rq->arena, name, strlen(name));
        h->value = http_arena_strndup(&rq->arena, value, strlen(value));
        if (!h->name || !h->value) {
                reader->result = -ENOMEM;
                return MHD_NO;
        }
        rq->n_headers++;
        return MHD_YES;
}

/* All values of one header, joined by commas; NULL: none, or no memory */
static const char *joined_header(struct http_request *rq, const char *name)
{
        const char *joined = NULL;

        for (unsigned i = 0; i < rq->n_headers; i++) {
                const char *value = rq->headers[i].value;
                size_t n;
                char *both;

                if (strcasecmp(rq->headers[i].name, name) != 0)
                        continue;
                if (!joined) {
                        joined = value;
                        continue;
                }
                n = strlen(joined) + strlen(value) + 2;
                both = http_arena_alloc(&rq->arena, n);
                if (!both)
                        return NULL;
                snprintf(both, n, "%s,%s", joined, value);
                joined = both;
        }
        return joined;
}

static bool is_hex(const char *s, size_t n)
{
        return strspn(s, "0123456789abcdef") >= n;
}

/* https://www.w3.org/TR/trace-context/: version-traceid-parentid-flags; an all-zero trace id is invalid */
static void read_trace(struct http_request *rq)
{
        const char *s = http_request_raw_header(rq, "traceparent");
        uint8_t random[16];

        if (s && strlen(s) >= 55 && is_hex(s, 2) && s[2] == '-' && strncmp(s, "ff", 2) != 0 && is_hex(s + 3, 32) &&
            s[35] == '-' && is_hex(s + 36, 16) && s[52] == '-' && strspn(s + 3, "0") < 32) {
                memcpy(rq->trace_id, s + 3, 32);
                return;
        }
        random_bytes(random, sizeof(random));
        for (unsigned i = 0; i < sizeof(random); i++) {
                rq->trace_id[2 * i] = "0123456789abcdef"[random[i] >> 4];
                rq->trace_id[2 * i + 1] = "0123456789abcdef"[random[i] & 15];
        }
}

/* Two Authorization headers are none: nobody could say which one a proxy has checked. */
static void read_bearer(struct http_request *rq)
{
        const char *value = http_request_raw_header(rq, "Authorization");

        if (!value || http_request_count_header(rq, "Authorization") != 1 || strncasecmp(value, "Bearer ", 7) != 0)
                return;
        value += 7 + strspn(value + 7, " ");
        if (*value)
                rq->bearer = value;
}

int http_request_read_head(struct http_request *rq, const char *method)
{
        struct head_reader reader = {.rq = rq};

        rq->method = http_arena_strndup(&rq->arena, method, strlen(method));
        if (!rq->method)
                return -ENOMEM;
        MHD_get_connection_values(rq->conn->mhd, MHD_HEADER_KIND, read_header, &reader);
        if (reader.result < 0)
                return reader.result;
        read_trace(rq);
        read_bearer(rq);
        http_peer_resolve(rq->server->trusted, rq->conn->peer, joined_header(rq, "X-Forwarded-For"), rq->peer);
        http_peer_counted_as(rq->peer, rq->counted_as);
        return reader.result;
}

const char *http_request_raw_header(const struct http_request *rq, const char *name)
{
        for (unsigned i = 0; i < rq->n_headers; i++)
                if (strcasecmp(rq->headers[i].name, name) == 0)
                        return rq->headers[i].value;
        return NULL;
}

unsigned http_request_count_header(const struct http_request *rq, const char *name)
{
        unsigned n = 0;

        for (unsigned i = 0; i < rq->n_headers; i++)
                n += strcasecmp(rq->headers[i].name, name) == 0;
        return n;
}

/* --- for handlers --- */

const char *http_param(const struct http_request *rq, const char *name)
{
        for (unsigned i = 0; i < rq->match.n_params; i++)
                if (strcmp(rq->match.names[i], name) == 0)
                        return rq->match.values[i];
        return NULL;
}

const char *http_query(const struct http_request *rq, const char *name)
{
        return http_target_query(&rq->target, name);
}

const char *http_header(const struct http_request *rq, const char *name)
{
        const char *value = http_request_raw_header(rq, name);

        return value && utf8_valid(value, strlen(value)) ? value : NULL;
}

const char *http_path(const struct http_request *rq)
{
        return rq->target.path;
}

const uint8_t *http_body(const struct http_request *rq, size_t *ret_n)
{
        *ret_n = rq->body.len;
        return rq->body.data ? rq->body.data : (const uint8_t *)"";
}

bool http_content_length(const struct http_request *rq, uint64_t *ret_n)
{
        const char *length = http_request_raw_header(rq, "Content-Length");

        return length && !http_request_raw_header(rq, "Transfer-Encoding") &&
               text_parse_u64(length, 0, UINT64_MAX, ret_n) == 0;
}

void http_resume(struct http_request *rq)
{
        if (rq->state != HTTP_RQ_BODY || !rq->suspended)
                return;
        rq->suspended = false;
        MHD_resume_connection(rq->conn->mhd);
        http_server_wake(rq->server);
}

bool http_abandon(struct http_request *rq, unsigned status, enum parley_code code, uint32_t retry_ms,
                  const char *detail)
{
        struct http_conn *c = rq->conn;

        if (rq->state != HTTP_RQ_BODY || rq->abandoned || !c || c->cut)
                return false;
        http_resume(rq);
        rq->abandoned = true;
        http_problem_raw(c, status, code, retry_ms, detail);
        http_report(rq, status);
        c->refused = true;
        http_conn_phase(c, HTTP_PHASE_HANDLER, 0); /* neither idle nor waited for */
        c->deadline_ms = c->phase_ms + HTTP_LINGER_MS;
        return true;
}

uint64_t http_taken(const struct http_request *rq)
{
        return rq->conn ? acked_bytes(rq->conn->fd) : 0;
}

void http_cut(struct http_request *rq)
{
        if (rq->conn && rq->conn->phase == HTTP_PHASE_ANSWER && !rq->conn->cut)
                http_conn_cut(rq->conn);
}

const char *http_peer(const struct http_request *rq)
{
        return rq->peer;
}

const char *http_counted_as(const struct http_request *rq)
{
        return rq->counted_as;
}

const char *http_bearer(const struct http_request *rq)
{
        return rq->bearer;
}

const char *http_trace_id(const struct http_request *rq)
{
        return rq->trace_id;
}

void *http_context(const struct http_request *rq)
{
        return rq->context;
}

void http_set_context(struct http_request *rq, void *context, void (*free_func)(void *))
{
        rq->context = context;
        rq->context_free = free_func;
}
