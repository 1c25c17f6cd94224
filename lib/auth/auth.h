/* Tokens: who somebody is. JWTs with HS256 (shared secret) or RS256, ES256, EdDSA (JWKS); the algorithm is pinned by the key.
 *
 * auth_verify takes the time as an argument and does no I/O. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ident.h"

struct auth;

struct auth_options {
        const char *secret;        /* HS256; NULL: not accepted; at least 32 bytes */
        const char *jwks_json;     /* a key set; NULL: none */
        const char *issuer;        /* NULL: not checked */
        const char *audience;      /* NULL: not checked */
        uint32_t leeway_s;         /* for exp and nbf */
        bool require_exp;
};

#define AUTH_NAME_MAX 128

struct auth_claims {
        char user_id[IDENT_MAX + 1];     /* mapped by auth_user_id */
        char external_id[256 + 1];       /* the token's sub */
        char name[AUTH_NAME_MAX + 1];    /* "name", else "preferred_username", else the user id */
        bool admin;                      /* "admin": true */
        int64_t expires_at;              /* unix seconds; INT64_MAX without exp */
};

enum auth_error {
        AUTH_E_MALFORMED = 1,  /* not a JWT; sub missing */
        AUTH_E_ALGORITHM,      /* none, or not the key's */
        AUTH_E_UNKNOWN_KEY,    /* kid not in the set: the caller may refresh the set */
        AUTH_E_SIGNATURE,
        AUTH_E_EXPIRED,
        AUTH_E_NOT_YET,
        AUTH_E_ISSUER,
        AUTH_E_AUDIENCE,
};
/* What was wrong, for the client; never holds a part of the token */
const char *auth_error_text(int error);

/* 0; -EINVAL when a key cannot be read (ret_error says which; may be NULL) */
int auth_new(struct auth **ret_auth, const struct auth_options *options, char *ret_error, size_t n_error);
void auth_free(struct auth *a);
/* Replaces the key set; -EINVAL leaves the old one */
int auth_set_jwks(struct auth *a, const char *json, size_t n);
/* 0, AUTH_E_*, -ENOMEM */
int auth_verify(const struct auth *a, const char *token, size_t n, int64_t now_s, struct auth_claims *ret_claims);
/* A token of our own (demo sign-in, tests). ret is malloc'ed. */
int auth_sign(const struct auth *a, const char *sub, const char *name, bool admin, int64_t now_s, int64_t ttl_s, char **ret_token);
/* The pure mapping of a token's sub to a user id: itself when it is a valid ident of workspace "main" that does not begin with "u_",
 * else "u_" + base64url(SHA-256(workspace, 0, sub))[0..22]. -EINVAL: empty, or a plain "u_…". */
int auth_user_id(const char *workspace, const char *sub, char ret[IDENT_MAX + 1]);
/* Equal in constant time */
bool auth_secret_equal(const char *a, const char *b);
