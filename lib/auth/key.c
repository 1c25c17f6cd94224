#include "auth/key.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>

#include "auth/auth.h"
#include "base/cleanup.h"

#define RSA_BITS_MIN 2048 /* RFC 7518 section 3.3 */
#define RSA_BITS_MAX 8192 /* the work of a verification grows with the square */
#define RSA_EXPONENT_BYTES_MAX 8
#define P256_BYTES 32
#define ED25519_BYTES 32

struct auth_key {
        enum auth_alg alg;
        EVP_PKEY *pkey; /* NULL for HS256 */
        uint8_t *secret;
        size_t n_secret;
};

DEFINE_FREEP(struct auth_key, auth_key_free)
DEFINE_FREEP(BIGNUM, BN_free)
DEFINE_FREEP(OSSL_PARAM_BLD, OSSL_PARAM_BLD_free)
DEFINE_FREEP(OSSL_PARAM, OSSL_PARAM_free)
DEFINE_FREEP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
DEFINE_FREEP(EVP_MD_CTX, EVP_MD_CTX_free)
DEFINE_FREEP(ECDSA_SIG, ECDSA_SIG_free)

int auth_alg_parse(const char *name, enum auth_alg *ret_alg)
{
        static const char *const names[] = {
                [AUTH_ALG_HS256] = "HS256",
                [AUTH_ALG_RS256] = "RS256",
                [AUTH_ALG_ES256] = "ES256",
                [AUTH_ALG_EDDSA] = "EdDSA",
        };

        for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
                if (strcmp(name, names[i]) == 0) {
                        *ret_alg = (enum auth_alg)i;
                        return 0;
                }
        }
        return -EINVAL;
}

enum auth_alg auth_key_alg(const struct auth_key *key)
{
        return key->alg;
}

static int key_new(struct auth_key **ret_key, enum auth_alg alg)
{
        struct auth_key *key = calloc(1, sizeof(*key));

        if (!key)
                return -ENOMEM;
        key->alg = alg;
        *ret_key = key;
        return 0;
}

void auth_key_free(struct auth_key *key)
{
        if (!key)
                return;
        EVP_PKEY_free(key->pkey);
        if (key->secret)
                OPENSSL_cleanse(key->secret, key->n_secret);
        free(key->secret);
        free(key);
}

int auth_key_new_hs256(struct auth_key **ret_key, const void *secret, size_t n)
{
        _cleanup_(auth_key_freep) struct auth_key *key = NULL;
        int r;

        if (n < AUTH_SECRET_MIN)
                return -EINVAL;
        r = key_new(&key, AUTH_ALG_HS256);
        if (r < 0)
                return r;
        key->secret = malloc(n);
        if (!key->secret)
                return -ENOMEM;
        memcpy(key->secret, secret, n);
        key->n_secret = n;
        *ret_key = key;
        key = NULL;
        return 0;
}

/* Makes the key of what the builder holds */
static int pkey_build(const char *type, OSSL_PARAM_BLD *builder, EVP_PKEY **ret_pkey)
{
        _cleanup_(OSSL_PARAM_freep) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
        _cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);

        if (!params || !ctx)
                return -ENOMEM;
        if (EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, ret_pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
                return -EINVAL;
        return 0;
}

int auth_key_new_rsa(struct auth_key **ret_key, const uint8_t *modulus, size_t n_modulus, const uint8_t *exponent,
                     size_t n_exponent)
{
        _cleanup_(auth_key_freep) struct auth_key *key = NULL;
        _cleanup_(BN_freep) BIGNUM *n = NULL;
        _cleanup_(BN_freep) BIGNUM *e = NULL;
        _cleanup_(OSSL_PARAM_BLD_freep) OSSL_PARAM_BLD *builder = NULL;
        int r;

        if (n_modulus > RSA_BITS_MAX / 8 || n_exponent > RSA_EXPONENT_BYTES_MAX)
                return -EINVAL;
        n = BN_bin2bn(modulus, (int)n_modulus, NULL);
        e = BN_bin2bn(exponent, (int)n_exponent, NULL);
        builder = OSSL_PARAM_BLD_new();
        if (!n || !e || !builder)
                return -ENOMEM;
        if (BN_num_bits(n) < RSA_BITS_MIN || !BN_is_odd(n) || !BN_is_odd(e) || BN_is_one(e))
                return -EINVAL;
        r = key_new(&key, AUTH_ALG_RS256);
        if (r < 0)
                return r;
        if (OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
            OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) != 1)
                return -ENOMEM;
        r = pkey_build("RSA", builder, &key->pkey);
        if (r < 0)
                return r;
        *ret_key = key;
        key = NULL;
        return 0;
}

static bool pkey_is_sound(EVP_PKEY *pkey)
{
        _cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);

        return ctx && EVP_PKEY_public_check(ctx) == 1;
}

int auth_key_new_p256(struct auth_key **ret_key, const uint8_t x[32], const uint8_t y[32])
{
        _cleanup_(auth_key_freep) struct auth_key *key = NULL;
        _cleanup_(OSSL_PARAM_BLD_freep) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
        uint8_t point[1 + 2 * P256_BYTES] = {POINT_CONVERSION_UNCOMPRESSED};
        int r;

        memcpy(point + 1, x, P256_BYTES);
        memcpy(point + 1 + P256_BYTES, y, P256_BYTES);
        r = key_new(&key, AUTH_ALG_ES256);
        if (r < 0)
                return r;
        if (!builder || OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) != 1 ||
            OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)) != 1)
                return -ENOMEM;
        r = pkey_build("EC", builder, &key->pkey);
        if (r < 0)
                return r;
        if (!pkey_is_sound(key->pkey))
                return -EINVAL;
        *ret_key = key;
        key = NULL;
        return 0;
}

int auth_key_new_ed25519(struct auth_key **ret_key, const uint8_t x[32])
{
        _cleanup_(auth_key_freep) struct auth_key *key = NULL;
        int r;

        r = key_new(&key, AUTH_ALG_EDDSA);
        if (r < 0)
                return r;
        key->pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, ED25519_BYTES);
        if (!key->pkey)
                return -EINVAL;
        *ret_key = key;
        key = NULL;
        return 0;
}

static bool hs256_verify(const struct auth_key *key, const void *data, size_t n, const uint8_t *signature,
                         size_t n_signature)
{
        uint8_t expected[AUTH_HASH_LEN];

        return n_signature == AUTH_HASH_LEN && auth_key_sign(key, data, n, expected) == 0 &&
               CRYPTO_memcmp(expected, signature, AUTH_HASH_LEN) == 0;
}

static bool pkey_verify(EVP_PKEY *pkey, const EVP_MD *md, const void *data, size_t n, const uint8_t *signature,
                        size_t n_signature)
{
        _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

        return ctx && EVP_DigestVerifyInit(ctx, NULL, md, NULL, pkey) == 1 &&
               EVP_DigestVerify(ctx, signature, n_signature, data, n) == 1;
}

/* A JWS has r and s, 32 bytes each (RFC 7518 section 3.4); OpenSSL wants them in DER. */
static bool es256_verify(EVP_PKEY *pkey, const void *data, size_t n, const uint8_t *signature, size_t n_signature)
{
        _cleanup_(ECDSA_SIG_freep) ECDSA_SIG *sig = NULL;
        BIGNUM *r, *s;
        uint8_t der[80], *end = der; /* at most 72 */
        int n_der;

        if (n_signature != (size_t)2 * P256_BYTES)
                return false;
        sig = ECDSA_SIG_new();
        r = BN_bin2bn(signature, P256_BYTES, NULL);
        s = BN_bin2bn(signature + P256_BYTES, P256_BYTES, NULL);
        if (!sig || !r || !s || ECDSA_SIG_set0(sig, r, s) != 1) { /* takes r and s when it succeeds */
                BN_free(r);
                BN_free(s);
                return false;
        }
        n_der = i2d_ECDSA_SIG(sig, NULL);
        if (n_der <= 0 || (size_t)n_der > sizeof(der))
                return false;
        i2d_ECDSA_SIG(sig, &end);
        return pkey_verify(pkey, EVP_sha256(), data, n, der, (size_t)n_der);
}

bool auth_key_verify(const struct auth_key *key, const void *data, size_t n, const uint8_t *signature,
                     size_t n_signature)
{
        switch (key->alg) {
        case AUTH_ALG_HS256:
                return hs256_verify(key, data, n, signature, n_signature);
        case AUTH_ALG_RS256: /* PKCS #1 v1.5 is the default of the context */
                return pkey_verify(key->pkey, EVP_sha256(), data, n, signature, n_signature);
        case AUTH_ALG_ES256:
                return es256_verify(key->pkey, data, n, signature, n_signature);
        case AUTH_ALG_EDDSA:
                return pkey_verify(key->pkey, NULL, data, n, signature, n_signature);
        }
        return false;
}

int auth_key_sign(const struct auth_key *key, const void *data, size_t n, uint8_t ret[AUTH_HASH_LEN])
{
        unsigned len = AUTH_HASH_LEN;

        if (key->alg != AUTH_ALG_HS256)
                return -EINVAL;
        if (!HMAC(EVP_sha256(), key->secret, (int)key->n_secret, data, n, ret, &len))
                return -ENOMEM;
        return 0;
}

int auth_hash_pair(const char *a, const char *b, uint8_t ret[AUTH_HASH_LEN])
{
        _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

        if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1 || EVP_DigestUpdate(ctx, a, strlen(a) + 1) != 1 ||
            EVP_DigestUpdate(ctx, b, strlen(b)) != 1 || EVP_DigestFinal_ex(ctx, ret, NULL) != 1)
                return -ENOMEM;
        return 0;
}

bool auth_secret_equal(const char *a, const char *b)
{
        uint8_t hash_a[AUTH_HASH_LEN], hash_b[AUTH_HASH_LEN];

        /* Hashes have one length: how long the secret is does not show either. */
        if (!a || !b || auth_hash_pair("", a, hash_a) < 0 || auth_hash_pair("", b, hash_b) < 0)
                return false;
        return CRYPTO_memcmp(hash_a, hash_b, AUTH_HASH_LEN) == 0;
}
