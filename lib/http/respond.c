/* Answers. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "http/internal.h"

#define RETRY_MS 1000

/* RFC 9110 section 5.6.2 and 5.5 */
static bool header_valid(const char *name, const char *value)
{
        if (!*name)
                return false;
        for (const char *s = name; *s; s++)
                if (*s <= ' ' || *s > '~' || strchr("\"(),/:;<=>?@[\\]{}", *s))
                        return false;
        for (const char *s = value; *s; s++)
                if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
                        return false;
        return true;
}

void http_set_header(struct http_request *rq, const char *name, const char *value)
{
        struct http_header_field *h = &rq->answer_headers[rq->n_answer_headers];

        if (rq->n_answer_headers == HTTP_ANSWER_HEADERS_MAX || !header_valid(name, value)) {
                rq->bad_header = true;
                return;
        }
        h->name = http_arena_strndup(&rq->arena, name, strlen(name));
        h->value = http_arena_strndup(&rq->arena, value, strlen(value));
        if (h->name && h->value)
                rq->n_answer_headers++;
        else
                rq->bad_header = true;
}

static bool has_answer_header(const struct http_request *rq, const char *name)
{
        for (unsigned i = 0; i < rq->n_answer_headers; i++)
                if (strcasecmp(rq->answer_headers[i].name, name) == 0)
                        return true;
        return false;
}

static int add(struct MHD_Response *response, const char *name, const char *value)
{
        return MHD_add_response_header(response, name, value) == MHD_YES ? 0 : -ENOMEM;
}

static int add_cors(const struct http_request *rq, struct MHD_Response *response)
{
        const char *origin = http_cors_origin(rq);
        int r = 0;

        if (origin) {
                r |= add(response, "Access-Control-Allow-Origin", origin);
                r |= add(response, "Access-Control-Expose-Headers",
                         "Accept-Ranges, Content-Disposition, Content-Range, ETag, Location, Retry-After");
        }
        if (rq->server->cors_origin && strcmp(rq->server->cors_origin, "*") != 0)
                r |= add(response, "Vary", "Origin");
        return r;
}

static int add_headers(const struct http_request *rq, unsigned status, struct MHD_Response *response)
{
        int r = add(response, "X-Content-Type-Options", "nosniff");

        for (unsigned i = 0; i < rq->n_answer_headers; i++)
                r |= add(response, rq->answer_headers[i].name, rq->answer_headers[i].value);
        if (!has_answer_header(rq, "Cache-Control"))
                r |= add(response, "Cache-Control", "no-store");
        if (status == 401 && !has_answer_header(rq, "WWW-Authenticate")) /* RFC 9110 section 15.5.2: must be there */
                r |= add(response, "WWW-Authenticate", "Bearer realm=\"parley\"");
        if (rq->server->closing || rq->close)
                r |= add(response, "Connection", "close");
        return r | add_cors(rq, response);
}

static const char *method_label(const struct http_request *rq)
{
        static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

        for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
                if (strcmp(rq->method, known[i]) == 0)
                        return known[i];
        return "(other)";
}

void http_report(const struct http_request *rq, unsigned status)
{
        const struct http_server *s = rq->server;

        if (s->on_request)
                s->on_request(method_label(rq), rq->match.route ? rq->match.route->path : "(none)", status,
                              (uv_hrtime() - rq->begin_ns) / 1000, s->userdata);
}

/* Takes the response; NULL: it could not be made, and the connection is closed */
static void answer(struct http_request *rq, unsigned status, struct MHD_Response *response, uint64_t n_sent, size_t n)
{
        rq->response = response;
        rq->status = status;
        rq->n_sent = n_sent;
        rq->n_answer = response ? n : 0;
        rq->server->answer_bytes += rq->n_answer;
        rq->state = HTTP_RQ_ANSWERED;
        http_report(rq, status);
        if (!rq->suspended)
                return; /* libmicrohttpd asks for it in this run or the next */
        rq->suspended = false;
        MHD_resume_connection(rq->conn->mhd);
        http_server_wake(rq->server);
}

static struct MHD_Response *finish(const struct http_request *rq, unsigned status, const char *content_type,
                                   struct MHD_Response *response)
{
        int r;

        if (!response)
                return NULL;
        r = add_headers(rq, status, response);
        if (content_type)
                r |= add(response, "Content-Type", content_type);
        if (r == 0)
                return response;
        MHD_destroy_response(response);
        return NULL;
}

/* Clients that ask and do not read would otherwise make answers pile up, each of them within its own limits. */
static bool too_much_on_the_way(const struct http_server *s, size_t n)
{
        return n > HTTP_SMALL_ANSWER && (n > s->max_answer_bytes || s->answer_bytes > s->max_answer_bytes - n);
}

/* One address must not take all of that for itself. Gone through only where it could. */
static bool too_much_to_address(const struct http_request *rq, size_t n)
{
        const struct http_server *s = rq->server;
        size_t max = s->max_answer_bytes_per_address, total = n;

        if (!max || n <= HTTP_SMALL_ANSWER || s->answer_bytes + n <= max)
                return false;
        for (const struct http_conn *c = s->conns; c; c = c->next)
                if (c->rq && c->rq->n_answer && strcmp(c->rq->counted_as, rq->counted_as) == 0)
                        total += c->rq->n_answer;
        return total > max;
}

/* Whether there is nobody to answer, or something else to say. Releases rq in the first case. */
static bool diverted(struct http_request *rq, size_t n)
{
        assert(rq->state < HTTP_RQ_ANSWERED); /* answered twice */
        if (!rq->server) {
                http_request_free(rq);
                return true;
        }
        if (rq->bad_header) {
                rq->bad_header = false;
                rq->n_answer_headers = 0;
                http_problem_status(rq, 500, PARLEY_INTERNAL, 0, "The answer could not be written");
                return true;
        }
        if (too_much_to_address(rq, n)) {
                http_problem_status(rq, 429, PARLEY_RATE_LIMITED, RETRY_MS,
                                    "Too many answers to this address are waiting to be read");
                return true;
        }
        if (too_much_on_the_way(rq->server, n)) {
                http_problem_status(rq, 503, PARLEY_UNAVAILABLE, RETRY_MS, "Too many answers are waiting to be read");
                return true;
        }
        return false;
}

void http_respond(struct http_request *rq, unsigned status, const char *content_type, const void *data, size_t n)
{
        struct MHD_Response *response;

        if (diverted(rq, n))
                return;
        response = MHD_create_response_from_buffer_copy(n, n ? data : "");
        answer(rq, status, finish(rq, status, content_type, response), n, n);
}

static void body_free(void *cls)
{
        struct buf b = {.data = cls};

        buf_done(&b);
}

void http_respond_json(struct http_request *rq, unsigned status, struct buf *b)
{
        struct MHD_Response *response;
        struct buf taken = *b;

        *b = BUF_INIT(taken.max);
        if (diverted(rq, taken.len)) {
                buf_done(&taken);
                return;
        }
        response = MHD_create_response_from_buffer_with_free_callback_cls(
                taken.len, taken.len ? (const void *)taken.data : "", body_free, taken.data);
        if (!response)
                buf_done(&taken);
        answer(rq, status, finish(rq, status, "application/json", response), taken.len, taken.len);
}

void http_respond_file(struct http_request *rq, unsigned status, const char *content_type, int fd, uint64_t offset,
                       uint64_t n)
{
        struct MHD_Response *response;

        if (diverted(rq, 0)) {
                (void)close(fd);
                return;
        }
        response = MHD_create_response_from_fd_at_offset64(n, fd, offset);
        if (!response)
                (void)close(fd);
        answer(rq, status, finish(rq, status, content_type, response), n, 0);
}
