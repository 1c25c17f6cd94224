/* Keeps a key set fresh: fetches it over HTTP(S) with libcurl in a worker thread, at start, each interval, and when asked (an unknown kid),
 * at most once in 10 s. */
#pragma once

#include <stdint.h>

typedef struct uv_loop_s uv_loop_t;
struct auth;
struct jwks;

/* on_result: called on the loop after each try; error 0 or negative errno; text for the log */
int jwks_new(struct jwks **ret_jwks, uv_loop_t *loop, struct auth *auth, const char *url, uint32_t interval_s,
             void (*on_result)(int error, const char *text, void *userdata), void *userdata);
void jwks_refresh(struct jwks *j);
void jwks_close(struct jwks *j); /* frees itself on the loop */
