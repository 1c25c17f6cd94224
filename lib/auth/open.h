/* Tokens as the settings want them: the same for every service. A token without exp is taken; it has no end. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/config.h"

typedef struct uv_loop_s uv_loop_t;
struct auth;
struct jwks;

/* A member of the service's configuration */
struct auth_config {
        char *secret, *issuer, *audience, *jwks_url;
        uint64_t leeway_s, jwks_interval_s;
};

/* Its rows in the service's table. type: the struct; member: of it */
// clang-format off
#define AUTH_CONFIG_ITEMS(type_, member_)                                                                              \
        {.name = "PARLEY_TOKEN_SECRET", .type = CONFIG_SECRET, .offset = offsetof(type_, member_.secret),              \
         .help = "Shared secret of HS256 tokens, at least 32 bytes."},                                                 \
        {.name = "PARLEY_TOKEN_ISSUER", .type = CONFIG_STRING, .offset = offsetof(type_, member_.issuer),              \
         .help = "Required issuer of tokens; unset: not checked."},                                                    \
        {.name = "PARLEY_TOKEN_AUDIENCE", .type = CONFIG_STRING, .offset = offsetof(type_, member_.audience),          \
         .help = "Required audience of tokens; unset: not checked."},                                                  \
        {.name = "PARLEY_TOKEN_JWKS_URL", .type = CONFIG_STRING, .offset = offsetof(type_, member_.jwks_url),          \
         .help = "Where the key set of RS256, ES256 and EdDSA tokens is read."},                                       \
        {.name = "PARLEY_TOKEN_JWKS_INTERVAL_S", .type = CONFIG_U64, .offset = offsetof(type_, member_.jwks_interval_s), \
         .def = "300", .min = 10, .max = 86400, .unit = "s", .help = "How often the key set is read."},                \
        {.name = "PARLEY_TOKEN_LEEWAY_S", .type = CONFIG_U64, .offset = offsetof(type_, member_.leeway_s),             \
         .def = "5", .max = 300, .unit = "s", .help = "Tolerated difference of clocks for exp and nbf."}
// clang-format on

/* ret_jwks: NULL where there is no URL; closed before the auth is freed. on_result: as of jwks_new. -EINVAL, -ENOMEM: ret_error
 * has a line that names the setting. */
int auth_open(struct auth **ret_auth, struct jwks **ret_jwks, uv_loop_t *loop, const struct auth_config *config,
              void (*on_result)(int error, const char *text, void *userdata), void *userdata, char *ret_error,
              size_t n_error);
