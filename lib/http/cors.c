/* Answers to pages of another origin, where the service's configuration names one. */
#include <stdio.h>
#include <string.h>

#include "http/internal.h"

#define MAX_AGE_S "600"

/* Whether one of the list, separated by commas and spaces, is exactly this: then it can also stand in a header */
static bool listed(const char *allowed, const char *origin)
{
        size_t n = strlen(origin);

        for (const char *s = allowed + strspn(allowed, ", "); *s; s += strspn(s, ", ")) {
                size_t length = strcspn(s, ", ");

                if (length == n && memcmp(s, origin, n) == 0)
                        return true;
                s += length;
        }
        return false;
}

const char *http_cors_origin(const struct http_request *rq)
{
        const char *allowed = rq->server->cors_origin, *origin;

        if (!allowed || strcmp(allowed, "*") == 0)
                return allowed;
        origin = http_request_raw_header(rq, "Origin");
        return origin && listed(allowed, origin) ? origin : NULL;
}

bool http_cors_is_preflight(const struct http_request *rq)
{
        return rq->server->cors_origin && strcmp(rq->method, "OPTIONS") == 0;
}

void http_cors_preflight(struct http_request *rq, const char *allow)
{
        char methods[HTTP_ALLOW_MAX + 16];

        snprintf(methods, sizeof(methods), "%s, OPTIONS", allow);
        http_set_header(rq, "Allow", methods);
        if (http_cors_origin(rq)) {
                http_set_header(rq, "Access-Control-Allow-Methods", methods);
                http_set_header(rq, "Access-Control-Allow-Headers", "Authorization, Content-Type, Range, Traceparent");
                http_set_header(rq, "Access-Control-Max-Age", MAX_AGE_S);
        }
        http_respond(rq, 204, NULL, NULL, 0);
}
