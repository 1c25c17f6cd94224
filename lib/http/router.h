/* Which route a path and a method lead to. Pure.
 *
 * Static segments come before parameters, segment by segment from the left. HEAD is served by GET's route. */
#pragma once

#include <stddef.h>

#include "http/http.h"
#include "http/target.h"

#define HTTP_ROUTER_PARAMS_MAX 8
#define HTTP_ALLOW_MAX 128

struct http_router;

struct http_match {
        const struct http_route *route;
        const char *names[HTTP_ROUTER_PARAMS_MAX];  /* of the parameters, owned by the router */
        const char *values[HTTP_ROUTER_PARAMS_MAX]; /* NULL: could not be decoded */
        unsigned n_params;
        char allow[HTTP_ALLOW_MAX]; /* with HTTP_ROUTER_E_METHOD: "GET, HEAD, POST" */
};

enum { HTTP_ROUTER_E_PATH = 1, HTTP_ROUTER_E_METHOD = 2 };

/* Copies the table, not the strings in it. -EINVAL: a path or a method of the table is not well-formed, or one stands
 * there twice. */
int http_router_new(struct http_router **ret_router, const struct http_route *routes, unsigned n_routes);
void http_router_free(struct http_router *router);
/* 0, HTTP_ROUTER_E_PATH, or HTTP_ROUTER_E_METHOD, with which only `allow` is set */
int http_router_match(const struct http_router *router, const char *method, const struct http_target *target,
                      struct http_match *ret_match);
