/* Problem documents, RFC 9457. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/text.h"
#include "http/internal.h"

#define DETAIL_MAX 512
#define DOCUMENT_MAX 32768 /* the instance may be a target of 8 KiB, each byte of it escaped */

/* s as a JSON string. What is not UTF-8 is shown in ASCII, with '?' for each other byte. */
static int append_string(struct buf *out, const char *s)
{
        bool valid = utf8_valid(s, strlen(s));
        char escaped[8];
        int r = buf_append(out, "\"", 1);

        for (; *s && r == 0; s++) {
                unsigned char c = (unsigned char)*s;

                if (c == '"' || c == '\\') {
                        snprintf(escaped, sizeof(escaped), "\\%c", c);
                        r = buf_append_str(out, escaped);
                } else if (c < ' ' || c == 0x7f) {
                        snprintf(escaped, sizeof(escaped), "\\u%04x", c);
                        r = buf_append_str(out, escaped);
                } else {
                        r = buf_append(out, c < 0x80 || valid ? s : "?", 1);
                }
        }
        return r ? r : buf_append(out, "\"", 1);
}

static int append_member(struct buf *out, const char *before, const char *value)
{
        int r = buf_append_str(out, before);

        return r ? r : append_string(out, value);
}

int http_problem_write(struct buf *out, unsigned status, enum parley_code code, uint32_t retry_ms, const char *detail,
                       const char *instance, const char *trace_id)
{
        char number[64];
        int r;

        r = buf_append_str(out, "{\"type\":\"urn:parley:problem:");
        r = r ? r : buf_append_str(out, parley_code_text(code));
        r = r ? r : append_member(out, "\",\"title\":", parley_code_title(code));
        snprintf(number, sizeof(number), ",\"status\":%u", status);
        r = r ? r : buf_append_str(out, number);
        r = r ? r : append_member(out, ",\"detail\":", detail);
        r = r ? r : append_member(out, ",\"code\":", parley_code_text(code));
        if (instance)
                r = r ? r : append_member(out, ",\"instance\":", instance);
        if (trace_id && *trace_id)
                r = r ? r : append_member(out, ",\"traceId\":", trace_id);
        if (retry_ms) {
                snprintf(number, sizeof(number), ",\"retryMs\":%u", retry_ms);
                r = r ? r : buf_append_str(out, number);
        }
        return r ? r : buf_append(out, "}", 1);
}

static unsigned retry_s(uint32_t retry_ms)
{
        return (unsigned)(((uint64_t)retry_ms + 999) / 1000);
}

void http_problem_status(struct http_request *rq, unsigned status, enum parley_code code, uint32_t retry_ms,
                         const char *detail)
{
        struct buf out = BUF_INIT(DOCUMENT_MAX);
        char seconds[16];

        if (status == 405)
                http_set_header(rq, "Allow", rq->match.allow);
        if (retry_ms) {
                snprintf(seconds, sizeof(seconds), "%u", retry_s(retry_ms));
                http_set_header(rq, "Retry-After", seconds);
        }
        if (http_problem_write(&out, status, code, retry_ms, detail, rq->target.path, rq->trace_id) != 0)
                buf_reset(&out, 0); /* the status alone has to do */
        http_respond(rq, status, "application/problem+json", out.data, out.len);
        buf_done(&out);
}

/* Cuts a text that snprintf has cut at any byte back to whole characters */
static void cut_at_character(char *s)
{
        size_t n = strlen(s), i = n;

        while (i > 0 && n - i < 3 && ((unsigned char)s[i - 1] & 0xc0) == 0x80)
                i--;
        if (i > 0 && (unsigned char)s[i - 1] >= 0xc0 && !utf8_valid(s + i - 1, n - i + 1))
                s[i - 1] = 0;
}

void http_problem(struct http_request *rq, enum parley_code code, uint32_t retry_ms, const char *detail_format, ...)
{
        char detail[DETAIL_MAX];
        va_list ap;

        va_start(ap, detail_format);
        vsnprintf(detail, sizeof(detail), detail_format, ap);
        va_end(ap);
        cut_at_character(detail);
        http_problem_status(rq, parley_code_http(code), code, retry_ms, detail);
}

static const char *reason_of(unsigned status)
{
        switch (status) {
        case 408:
                return "Request Timeout";
        case 409:
                return "Conflict";
        case 413:
                return "Content Too Large";
        case 503:
                return "Service Unavailable";
        default:
                return "Bad Request";
        }
}

void http_problem_raw(struct http_conn *c, unsigned status, enum parley_code code, uint32_t retry_ms,
                      const char *detail)
{
        struct buf body = BUF_INIT(DOCUMENT_MAX), out = BUF_INIT(DOCUMENT_MAX + 1024);
        const struct http_request *rq = c->rq;
        const char *origin = rq && rq->method ? http_cors_origin(rq) : NULL;
        char head[512], retry[48] = "";
        int r;

        r = http_problem_write(&body, status, code, retry_ms, detail, rq ? rq->target.path : NULL,
                               rq ? rq->trace_id : NULL);
        if (retry_ms)
                snprintf(retry, sizeof(retry), "Retry-After: %u\r\n", retry_s(retry_ms));
        snprintf(head, sizeof(head),
                 "HTTP/1.1 %u %s\r\nContent-Type: application/problem+json\r\nContent-Length: %zu\r\n"
                 "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nConnection: close\r\n%s",
                 status, reason_of(status), body.len, retry);
        r = r ? r : buf_append_str(&out, head);
        if (origin) {
                r = r ? r : buf_append_str(&out, "Access-Control-Allow-Origin: ");
                r = r ? r : buf_append_str(&out, origin);
                r = r ? r : buf_append_str(&out, "\r\n");
        }
        r = r ? r : buf_append_str(&out, "\r\n");
        r = r ? r : buf_append(&out, body.data, body.len);
        /* As far as it goes: the connection ends now, with or without a reason given. */
        if (r == 0)
                (void)send(c->fd, out.data, out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        buf_done(&body);
        buf_done(&out);
}
