/* Tokens: who somebody is. JWTs with HS256 (shared secret) or RS256, ES256, EdDSA with Ed25519 (JWKS); the algorithm is
 * pinned by the key.
 *
 * auth_verify takes the time as an argument and does no I/O. Not thread-safe: one thread for each struct auth. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ident.h"

struct auth;

#define AUTH_TOKEN_MAX 8192   /* bytes of a token; what comes in one header of common servers */
#define AUTH_JWKS_MAX 65536   /* bytes of a key set */
#define AUTH_KEYS_MAX 32      /* usable keys in a set; providers publish two to five */
#define AUTH_SECRET_MIN 32    /* bytes; RFC 7518 section 3.2 */
#define AUTH_NAME_MAX 128     /* bytes */
#define AUTH_EXTERNAL_MAX 256 /* bytes of a token's sub; OpenID Connect Core section 2 has 255 */

struct auth_options {
        const char *secret;    /* HS256; NULL: not accepted; at least AUTH_SECRET_MIN bytes */
        const char *jwks_json; /* a key set; NULL: none */
        const char *issuer;    /* NULL: not checked */
        const char *audience;  /* NULL: not checked */
        uint32_t leeway_s;     /* for exp and nbf */
        bool require_exp;
};

struct auth_claims {
        char user_id[IDENT_MAX + 1]; /* mapped by auth_user_id, with the claim "workspace" (without it: main) */
        char external_id[AUTH_EXTERNAL_MAX + 1]; /* the token's sub */
        char name[AUTH_NAME_MAX + 1]; /* "name", else "preferred_username", else the user id; no control characters */
        bool admin;                   /* "admin": true */
        bool scanner; /* "scan": true: a service that looks at uploaded files, whosever they are, and says what it found */
        int64_t expires_at; /* unix seconds; INT64_MAX without exp */
};

enum auth_error {
        AUTH_E_MALFORMED = 1, /* not a JWT; a claim that is needed is missing or of the wrong type */
        AUTH_E_ALGORITHM,     /* none, or not the key's */
        AUTH_E_UNKNOWN_KEY,   /* not in the set: the caller may refresh the set */
        AUTH_E_SIGNATURE,
        AUTH_E_EXPIRED,
        AUTH_E_NOT_YET,
        AUTH_E_ISSUER,
        AUTH_E_AUDIENCE,
};
/* What was wrong, for the client, to be written behind "the token is refused: "; never holds a part of the token */
const char *auth_error_text(int error);

/* 0; -EINVAL when a key cannot be read (ret_error says which; may be NULL); -ENOMEM */
int auth_new(struct auth **ret_auth, const struct auth_options *options, char *ret_error, size_t n_error);
void auth_free(struct auth *a);
/* Replaces the key set. Keys for other purposes (encryption, other algorithms) are passed over; a key that is for us
 * but cannot be used, a private one, and a set without a usable key are -EINVAL, which leaves the old set, as -ENOMEM
 * does. ret_error may be NULL. */
int auth_set_jwks(struct auth *a, const char *json, size_t n, char *ret_error, size_t n_error);
/* Keys will come, though there is no set yet: a token that needs one is AUTH_E_UNKNOWN_KEY, not AUTH_E_ALGORITHM.
 * jwks_new calls it. */
void auth_expect_jwks(struct auth *a);
/* 0, AUTH_E_*, -ENOMEM */
int auth_verify(const struct auth *a, const char *token, size_t n, int64_t now_s, struct auth_claims *ret_claims);
/* A token of our own (demo sign-in, tests), with the options' issuer and audience. ret_token is malloc'ed. name may be
 * NULL. 0; -EINVAL: there is no secret, or sub or name is not UTF-8; -ENOMEM */
int auth_sign(const struct auth *a, const char *sub, const char *name, bool admin, int64_t now_s, int64_t ttl_s,
              char **ret_token);
/* The pure mapping of a token's sub to a user id: itself when it is a valid ident of workspace "main" that does not
 * begin with "u_" and is not "system" (the author of the service's own events), else "u_" +
 * base64url(SHA-256(workspace, 0, sub))[0..22]. -EINVAL: empty, or a plain "u_…". */
int auth_user_id(const char *workspace, const char *sub, char ret[IDENT_MAX + 1]);
/* Equal in constant time; NULL equals nothing */
bool auth_secret_equal(const char *a, const char *b);
