#include "auth/auth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "auth/claims.h"
#include "auth/json.h"
#include "auth/key.h"
#include "auth/keyset.h"
#include "base/cleanup.h"
#include "base/text.h"

#define SIGNATURE_MAX 1024 /* RSA with 8192 bits */

struct auth {
        struct auth_key *secret;  /* NULL: no HS256 */
        struct auth_keyset *keys; /* NULL: none yet, or none at all */
        bool expects_keys;
        char *issuer;
        char *audience;
        uint32_t leeway_s;
        bool require_exp;
};

DEFINE_FREEP(struct auth, auth_free)

const char *auth_error_text(int error)
{
        switch (error) {
        case AUTH_E_MALFORMED:
                return "it is not a JWT with the claims that are needed";
        case AUTH_E_ALGORITHM:
                return "its algorithm is not accepted, or not that of its key";
        case AUTH_E_UNKNOWN_KEY:
                return "its key is not known";
        case AUTH_E_SIGNATURE:
                return "its signature is wrong";
        case AUTH_E_EXPIRED:
                return "it has expired";
        case AUTH_E_NOT_YET:
                return "it is not valid yet";
        case AUTH_E_ISSUER:
                return "it is of another issuer";
        case AUTH_E_AUDIENCE:
                return "it is for another audience";
        default:
                return "it cannot be checked now";
        }
}

static int copy(const char *s, char **ret)
{
        if (!s)
                return 0;
        *ret = strdup(s);
        return *ret ? 0 : -ENOMEM;
}

static int auth_init(struct auth *a, const struct auth_options *options, char *ret_error, size_t n_error)
{
        int r;

        a->leeway_s = options->leeway_s;
        a->require_exp = options->require_exp;
        r = copy(options->issuer, &a->issuer);
        if (r < 0)
                return r;
        r = copy(options->audience, &a->audience);
        if (r < 0)
                return r;
        if (options->secret) {
                r = auth_key_new_hs256(&a->secret, options->secret, strlen(options->secret));
                if (r == -EINVAL && ret_error)
                        snprintf(ret_error, n_error, "the secret has %zu bytes, at least %d are needed",
                                 strlen(options->secret), AUTH_SECRET_MIN);
                if (r < 0)
                        return r;
        }
        if (options->jwks_json)
                return auth_set_jwks(a, options->jwks_json, strlen(options->jwks_json), ret_error, n_error);
        return 0;
}

int auth_new(struct auth **ret_auth, const struct auth_options *options, char *ret_error, size_t n_error)
{
        _cleanup_(auth_freep) struct auth *a = NULL;
        int r;

        a = calloc(1, sizeof(*a));
        if (!a)
                return -ENOMEM;
        r = auth_init(a, options, ret_error, n_error);
        if (r < 0)
                return r;
        *ret_auth = a;
        a = NULL;
        return 0;
}

void auth_free(struct auth *a)
{
        if (!a)
                return;
        auth_key_free(a->secret);
        auth_keyset_free(a->keys);
        free(a->issuer);
        free(a->audience);
        free(a);
}

int auth_set_jwks(struct auth *a, const char *json, size_t n, char *ret_error, size_t n_error)
{
        struct auth_keyset *keys;
        int r;

        r = auth_keyset_new(&keys, json, n, ret_error, n_error);
        if (r < 0)
                return r;
        auth_keyset_free(a->keys);
        a->keys = keys;
        return 0;
}

void auth_expect_jwks(struct auth *a)
{
        a->expects_keys = true;
}

/* --- verifying --- */

/* header.payload.signature, RFC 7515 section 7.1 */
struct parts {
        const char *header, *payload, *signature;
        size_t n_header, n_payload, n_signature;
};

static int split(const char *token, size_t n, struct parts *ret)
{
        const char *end = token + n, *first = memchr(token, '.', n), *second;

        if (!first)
                return AUTH_E_MALFORMED;
        second = memchr(first + 1, '.', (size_t)(end - first - 1));
        if (!second || memchr(second + 1, '.', (size_t)(end - second - 1)))
                return AUTH_E_MALFORMED;
        *ret = (struct parts){
                .header = token,
                .n_header = (size_t)(first - token),
                .payload = first + 1,
                .n_payload = (size_t)(second - first - 1),
                .signature = second + 1,
                .n_signature = (size_t)(end - second - 1),
        };
        return 0;
}

/* RFC 8725 section 3.11: other kinds of tokens of the same issuer (of a logout, say) are not for us. */
static bool type_acceptable(yyjson_val *header)
{
        const char *typ = auth_json_str(header, "typ");

        if (!auth_json_has(header, "typ"))
                return true;
        if (!typ)
                return false;
        if (strncasecmp(typ, "application/", 12) == 0)
                typ += 12;
        return strcasecmp(typ, "JWT") == 0 || strcasecmp(typ, "at+jwt") == 0;
}

static int find_key(const struct auth *a, yyjson_val *header, const struct auth_key **ret_key)
{
        const char *alg_name = auth_json_str(header, "alg"), *kid = auth_json_str(header, "kid");
        enum auth_alg alg;

        /* An extension that must be understood (RFC 7515 section 4.1.11): we know none. */
        if (!alg_name || auth_json_has(header, "crit") || !type_acceptable(header) ||
            (auth_json_has(header, "kid") && !kid))
                return AUTH_E_MALFORMED;
        if (auth_alg_parse(alg_name, &alg) < 0)
                return AUTH_E_ALGORITHM;
        if (alg == AUTH_ALG_HS256) {
                *ret_key = a->secret;
                return a->secret ? 0 : AUTH_E_ALGORITHM;
        }
        if (!a->keys)
                return a->expects_keys ? AUTH_E_UNKNOWN_KEY : AUTH_E_ALGORITHM;
        return auth_keyset_find(a->keys, kid, alg, ret_key);
}

static int check_signature(const struct auth *a, const char *token, const struct parts *parts)
{
        _cleanup_(auth_json_freep) yyjson_doc *doc = NULL;
        uint8_t header[AUTH_TOKEN_MAX], signature[SIGNATURE_MAX];
        const struct auth_key *key;
        int n, n_signature, r;

        n = base64url_decode(parts->header, parts->n_header, header, sizeof(header));
        if (n < 0)
                return AUTH_E_MALFORMED;
        r = auth_json_read((const char *)header, (size_t)n, &doc);
        if (r < 0)
                return r == -EINVAL ? AUTH_E_MALFORMED : r;
        r = find_key(a, yyjson_doc_get_root(doc), &key);
        if (r != 0)
                return r;
        n_signature = base64url_decode(parts->signature, parts->n_signature, signature, sizeof(signature));
        if (n_signature < 0)
                return AUTH_E_MALFORMED;
        if (!auth_key_verify(key, token, parts->n_header + 1 + parts->n_payload, signature, (size_t)n_signature))
                return AUTH_E_SIGNATURE;
        return 0;
}

int auth_verify(const struct auth *a, const char *token, size_t n, int64_t now_s, struct auth_claims *ret_claims)
{
        const struct auth_policy policy = {
                .issuer = a->issuer, .audience = a->audience, .leeway_s = a->leeway_s, .require_exp = a->require_exp};
        uint8_t payload[AUTH_TOKEN_MAX];
        struct parts parts;
        int r;

        if (n > AUTH_TOKEN_MAX || split(token, n, &parts) != 0)
                return AUTH_E_MALFORMED;
        r = check_signature(a, token, &parts);
        if (r != 0)
                return r;
        r = base64url_decode(parts.payload, parts.n_payload, payload, sizeof(payload));
        if (r < 0)
                return AUTH_E_MALFORMED;
        return auth_claims_read((const char *)payload, (size_t)r, &policy, now_s, ret_claims);
}

/* --- signing --- */

static char *claims_write(const struct auth *a, const char *sub, const char *name, bool admin, int64_t now_s,
                          int64_t exp_s, size_t *ret_n)
{
        yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = doc ? yyjson_mut_obj(doc) : NULL;
        char *json = NULL;

        if (root && yyjson_mut_obj_add_str(doc, root, "sub", sub) &&
            (!name || yyjson_mut_obj_add_str(doc, root, "name", name)) &&
            (!admin || yyjson_mut_obj_add_bool(doc, root, "admin", true)) &&
            yyjson_mut_obj_add_sint(doc, root, "iat", now_s) && yyjson_mut_obj_add_sint(doc, root, "exp", exp_s) &&
            (!a->issuer || yyjson_mut_obj_add_str(doc, root, "iss", a->issuer)) &&
            (!a->audience || yyjson_mut_obj_add_str(doc, root, "aud", a->audience))) {
                yyjson_mut_doc_set_root(doc, root);
                json = yyjson_mut_write(doc, YYJSON_WRITE_NOFLAG, ret_n);
        }
        yyjson_mut_doc_free(doc);
        return json;
}

int auth_sign(const struct auth *a, const char *sub, const char *name, bool admin, int64_t now_s, int64_t ttl_s,
              char **ret_token)
{
        static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
        _cleanup_free_ char *json = NULL;
        _cleanup_free_ char *token = NULL;
        uint8_t signature[AUTH_HASH_LEN];
        size_t n_json, n;
        int r;

        if (!a->secret || !utf8_valid(sub, strlen(sub)) || (name && !utf8_valid(name, strlen(name))))
                return -EINVAL;
        json = claims_write(a, sub, name, admin, now_s, now_s + ttl_s, &n_json);
        if (!json)
                return -ENOMEM;
        token = malloc(BASE64_SIZE(sizeof(header)) + BASE64_SIZE(n_json) + BASE64_SIZE(AUTH_HASH_LEN) + 2);
        if (!token)
                return -ENOMEM;
        n = base64url_encode((const uint8_t *)header, sizeof(header) - 1, token);
        token[n++] = '.';
        n += base64url_encode((const uint8_t *)json, n_json, token + n);
        r = auth_key_sign(a->secret, token, n, signature);
        if (r < 0)
                return r;
        token[n++] = '.';
        base64url_encode(signature, sizeof(signature), token + n);
        *ret_token = token;
        token = NULL;
        return 0;
}

int auth_user_id(const char *workspace, const char *sub, char ret[IDENT_MAX + 1])
{
        uint8_t hash[AUTH_HASH_LEN];
        char text[BASE64_SIZE(AUTH_HASH_LEN)];
        int r;

        if (!*sub)
                return -EINVAL;
        if (strcmp(workspace, "main") == 0 && ident_valid(sub)) {
                if (strncmp(sub, "u_", 2) == 0)
                        return -EINVAL;
                if (strcmp(sub, "system") != 0) {
                        snprintf(ret, IDENT_MAX + 1, "%s", sub);
                        return 0;
                }
        }
        r = auth_hash_pair(workspace, sub, hash);
        if (r < 0)
                return r;
        base64url_encode(hash, sizeof(hash), text);
        snprintf(ret, IDENT_MAX + 1, "u_%.22s", text);
        return 0;
}
