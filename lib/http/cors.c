/* Answers to pages of another origin, where the service's configuration names one. */
#include <stdio.h>
#include <string.h>

#include "http/internal.h"

#define MAX_AGE_S "600"

const char *http_cors_origin(const struct http_request *rq)
{
        const char *allowed = rq->server->cors_origin, *origin;

        if (!allowed || strcmp(allowed, "*") == 0)
                return allowed;
        origin = http_request_raw_header(rq, "Origin");
        return origin && strcmp(origin, allowed) == 0 ? allowed : NULL;
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
                http_set_header(rq, "Access-Control-Allow-Headers", "Authorization, Content-Type, Traceparent");
                http_set_header(rq, "Access-Control-Max-Age", MAX_AGE_S);
        }
        http_respond(rq, 204, NULL, NULL, 0);
}
