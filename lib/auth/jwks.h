/* Keeps a key set fresh: fetches it with libcurl in a worker thread of the loop, at start, each interval, and when
 * asked (an unknown kid), at most once in 10 s. What fails is tried again after 10 s; until something better is there
 * the old set stays. */
#pragma once

#include <stdint.h>

typedef struct uv_loop_s uv_loop_t;
struct auth;
struct jwks;

/* url: https:, http: or file:; redirects are not followed, at most AUTH_JWKS_MAX bytes are taken, within 5 s.
 * interval_s: 0: only at start and when asked. on_result (may be NULL): called on the loop after each try; error 0 or
 * negative errno; text for the log, without the URL. The auth must outlive it. -EINVAL: another scheme. */
int jwks_new(struct jwks **ret_jwks, uv_loop_t *loop, struct auth *auth, const char *url, uint32_t interval_s,
             void (*on_result)(int error, const char *text, void *userdata), void *userdata);
/* Soon: now, or as soon as 10 s have passed since the last try */
void jwks_refresh(struct jwks *j);
/* Another time than 10 s between two tries: for tests. Before the first result. */
void jwks_set_pace(struct jwks *j, uint32_t ms);
/* No on_result, and nothing done to the auth, after this; frees itself on the loop, which ends a running fetch. NULL is
 * fine. */
void jwks_close(struct jwks *j);
