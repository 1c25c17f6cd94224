/* What every service with a REST interface does in the same way: both of its ports, what is measured of requests, how often somebody may ask, and
 * what he hears whose token is refused. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/http.h"

struct ratetable;

/* The ports of PARLEY_LISTEN and PARLEY_ADMIN_LISTEN. Registers parley_<service>_http_requests_total{status} and parley_<service>_http_seconds, which
 * the requests of the first are counted in: options->on_request is not the caller's. Once in a process. Negative errno, and ret_error is a line that
 * names the setting: nothing is open then, but for what the loop still has to close. */
int http_serve(struct http_server **ret_http, struct http_server **ret_admin, const char *service,
               const struct http_options *options, const struct http_admin_options *admin, char *ret_error,
               size_t n_error);

/* Takes cost of what name (a user, an address) may ask. False: it was too much, and the request is answered. */
bool http_within_rate(struct http_request *rq, struct ratetable *table, const char *name, uint64_t now_ms,
                      uint32_t cost);

/* Answers a request that came without a token (had_token: false), or with one that is refused for this reason; expired: because its time is over */
void http_refuse_token(struct http_request *rq, bool had_token, bool expired, const char *why);
