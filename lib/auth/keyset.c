#include "auth/keyset.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/json.h"
#include "base/cleanup.h"
#include "base/text.h"

#define KID_MAX 256
#define LISTED_MAX 128 /* keys in a set, also those that are not for us */
#define MODULUS_MAX 1025

struct entry {
        char *kid; /* NULL: none */
        struct auth_key *key;
};

struct auth_keyset {
        unsigned n_entries;
        struct entry entries[AUTH_KEYS_MAX];
};

DEFINE_FREEP(struct auth_keyset, auth_keyset_free)

/* The error is that of the key at index */
struct reader {
        struct auth_keyset *set;
        unsigned index;
        char *ret_error;
        size_t n_error;
};

__attribute__((__format__(__printf__, 2, 3))) static int fail(const struct reader *r, const char *format, ...)
{
        char what[128];
        va_list ap;

        va_start(ap, format);
        vsnprintf(what, sizeof(what), format, ap);
        va_end(ap);
        if (r->n_error > 0)
                snprintf(r->ret_error, r->n_error, "key %u of the set %s", r->index, what);
        return -EINVAL;
}

static bool str_is(yyjson_val *jwk, const char *name, const char *wanted)
{
        const char *s = auth_json_str(jwk, name);

        return s && strcmp(s, wanted) == 0;
}

/* What a key may be used for. One without these members may be used for anything. */
static bool is_for_us(yyjson_val *jwk, const char *alg)
{
        yyjson_val *ops = yyjson_obj_get(jwk, "key_ops"), *op;
        bool verifies = false;
        size_t i, n;

        if (auth_json_has(jwk, "alg") && !str_is(jwk, "alg", alg))
                return false;
        if (auth_json_has(jwk, "use") && !str_is(jwk, "use", "sig"))
                return false;
        if (!ops)
                return true;
        yyjson_arr_foreach(ops, i, n, op)
        {
                verifies = verifies || yyjson_equals_str(op, "verify");
        }
        return verifies;
}

/* The bytes of a base64url member; their number, or -EINVAL */
static int bytes(const struct reader *r, yyjson_val *jwk, const char *name, uint8_t *ret, size_t n_ret)
{
        const char *s = auth_json_str(jwk, name);
        int n = s ? base64url_decode(s, strlen(s), ret, n_ret) : -EINVAL;

        if (n <= 0)
                return fail(r, "has no valid member '%s'", name);
        return n;
}

static int bytes_exactly(const struct reader *r, yyjson_val *jwk, const char *name, uint8_t *ret, size_t n)
{
        int got = bytes(r, jwk, name, ret, n);

        if (got >= 0 && (size_t)got != n)
                return fail(r, "has no valid member '%s'", name);
        return got;
}

static int read_rsa(const struct reader *r, yyjson_val *jwk, struct auth_key **ret_key)
{
        uint8_t modulus[MODULUS_MAX], exponent[8];
        int n, e;

        n = bytes(r, jwk, "n", modulus, sizeof(modulus));
        if (n < 0)
                return n;
        e = bytes(r, jwk, "e", exponent, sizeof(exponent));
        if (e < 0)
                return e;
        n = auth_key_new_rsa(ret_key, modulus, (size_t)n, exponent, (size_t)e);
        return n == -EINVAL ? fail(r, "is not an RSA key of 2048 to 8192 bits") : n;
}

static int read_p256(const struct reader *r, yyjson_val *jwk, struct auth_key **ret_key)
{
        uint8_t x[32], y[32];
        int e;

        e = bytes_exactly(r, jwk, "x", x, sizeof(x));
        if (e < 0)
                return e;
        e = bytes_exactly(r, jwk, "y", y, sizeof(y));
        if (e < 0)
                return e;
        e = auth_key_new_p256(ret_key, x, y);
        return e == -EINVAL ? fail(r, "is not a point of P-256") : e;
}

static int read_ed25519(const struct reader *r, yyjson_val *jwk, struct auth_key **ret_key)
{
        uint8_t x[32];
        int e;

        e = bytes_exactly(r, jwk, "x", x, sizeof(x));
        if (e < 0)
                return e;
        e = auth_key_new_ed25519(ret_key, x);
        return e == -EINVAL ? fail(r, "is not an Ed25519 key") : e;
}

/* ret_key stays NULL for a key that is not for us. Symmetric keys never are: whoever can read the set could sign. */
static int read_key(const struct reader *r, yyjson_val *jwk, struct auth_key **ret_key)
{
        int (*read)(const struct reader *, yyjson_val *, struct auth_key **) = NULL;

        if (str_is(jwk, "kty", "RSA") && is_for_us(jwk, "RS256"))
                read = read_rsa;
        else if (str_is(jwk, "kty", "EC") && str_is(jwk, "crv", "P-256") && is_for_us(jwk, "ES256"))
                read = read_p256;
        else if (str_is(jwk, "kty", "OKP") && str_is(jwk, "crv", "Ed25519") && is_for_us(jwk, "EdDSA"))
                read = read_ed25519;
        if (!read)
                return 0;
        if (auth_json_has(jwk, "d"))
                return fail(r, "is a private key: it must not be published, nor used any more");
        return read(r, jwk, ret_key);
}

static bool kid_equal(const char *a, const char *b)
{
        return a == b || (a && b && strcmp(a, b) == 0);
}

/* Takes key, also on errors */
static int add(const struct reader *r, const char *kid, struct auth_key *key)
{
        struct auth_keyset *set = r->set;
        struct entry *e = &set->entries[set->n_entries];
        int error = 0;

        if (set->n_entries == AUTH_KEYS_MAX)
                error = fail(r, "is one more than the %d that are taken", AUTH_KEYS_MAX);
        for (unsigned i = 0; i < set->n_entries && error == 0; i++)
                if (kid && kid_equal(set->entries[i].kid, kid) &&
                    auth_key_alg(set->entries[i].key) == auth_key_alg(key))
                        error = fail(r, "has the kid of an earlier one");
        if (error < 0) {
                auth_key_free(key);
                return error;
        }
        *e = (struct entry){.kid = kid ? strdup(kid) : NULL, .key = key};
        set->n_entries++;
        return kid && !e->kid ? -ENOMEM : 0;
}

static int read_entry(const struct reader *r, yyjson_val *jwk)
{
        const char *kid = auth_json_str(jwk, "kid");
        struct auth_key *key = NULL;
        int e;

        if (!yyjson_is_obj(jwk))
                return fail(r, "is not an object");
        e = read_key(r, jwk, &key);
        if (e < 0 || !key)
                return e;
        if (auth_json_has(jwk, "kid") && (!kid || strlen(kid) > KID_MAX)) {
                auth_key_free(key);
                return fail(r, "has a kid that is not a string of up to %d bytes", KID_MAX);
        }
        return add(r, kid, key);
}

static int fail_set(char *ret_error, size_t n_error, const char *what)
{
        if (n_error > 0)
                snprintf(ret_error, n_error, "the key set %s", what);
        return -EINVAL;
}

int auth_keyset_new(struct auth_keyset **ret_set, const char *json, size_t n, char *ret_error, size_t n_error)
{
        _cleanup_(auth_keyset_freep) struct auth_keyset *set = NULL;
        _cleanup_(auth_json_freep) yyjson_doc *doc = NULL;
        struct reader reader = {.ret_error = ret_error, .n_error = ret_error ? n_error : 0};
        yyjson_val *keys, *jwk;
        size_t i, n_keys;
        int r;

        n_error = reader.n_error;
        if (n > AUTH_JWKS_MAX)
                return fail_set(ret_error, n_error, "is too large");
        r = auth_json_read(json, n, &doc);
        if (r < 0)
                return r == -EINVAL ? fail_set(ret_error, n_error, "is not a JSON object without duplicate names") : r;
        keys = yyjson_obj_get(yyjson_doc_get_root(doc), "keys");
        if (!yyjson_is_arr(keys) || yyjson_arr_size(keys) > LISTED_MAX)
                return fail_set(ret_error, n_error, "has no array 'keys' of at most 128");
        set = calloc(1, sizeof(*set));
        if (!set)
                return -ENOMEM;
        reader.set = set;
        yyjson_arr_foreach(keys, i, n_keys, jwk)
        {
                reader.index = (unsigned)i + 1;
                r = read_entry(&reader, jwk);
                if (r < 0)
                        return r;
        }
        if (set->n_entries == 0)
                return fail_set(ret_error, n_error, "has no key for RS256, ES256 or EdDSA");
        *ret_set = set;
        set = NULL;
        return 0;
}

void auth_keyset_free(struct auth_keyset *set)
{
        if (!set)
                return;
        for (unsigned i = 0; i < set->n_entries; i++) {
                free(set->entries[i].kid);
                auth_key_free(set->entries[i].key);
        }
        free(set);
}

int auth_keyset_find(const struct auth_keyset *set, const char *kid, enum auth_alg alg, const struct auth_key **ret_key)
{
        const struct auth_key *found = NULL;
        unsigned n_found = 0, n_kid = 0;

        for (unsigned i = 0; i < set->n_entries; i++) {
                const struct entry *e = &set->entries[i];

                if (kid && !kid_equal(e->kid, kid))
                        continue;
                n_kid++;
                if (auth_key_alg(e->key) != alg)
                        continue;
                found = e->key;
                n_found++;
        }
        if (n_found == 1) {
                *ret_key = found;
                return 0;
        }
        return kid && n_kid > 0 ? AUTH_E_ALGORITHM : AUTH_E_UNKNOWN_KEY;
}
