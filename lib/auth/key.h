/* Keys and signatures. Each key has one algorithm, by its type: nothing that a token says can change it. OpenSSL
 * is in this file and in mac.c alone. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum auth_alg {
        AUTH_ALG_HS256,
        AUTH_ALG_RS256,
        AUTH_ALG_ES256,
        AUTH_ALG_EDDSA, /* Ed25519 */
};

#define AUTH_HASH_LEN 32

struct auth_key;

/* 0; -EINVAL: the name is of none of ours ("none" among them) */
int auth_alg_parse(const char *name, enum auth_alg *ret_alg);
enum auth_alg auth_key_alg(const struct auth_key *key);

/* -EINVAL: not a key that may be used (RSA below 2048 or above 8192 bits, a point that is not on the curve); -ENOMEM */
int auth_key_new_hs256(struct auth_key **ret_key, const void *secret, size_t n);
int auth_key_new_rsa(struct auth_key **ret_key, const uint8_t *modulus, size_t n_modulus, const uint8_t *exponent,
                     size_t n_exponent);
int auth_key_new_p256(struct auth_key **ret_key, const uint8_t x[32], const uint8_t y[32]);
int auth_key_new_ed25519(struct auth_key **ret_key, const uint8_t x[32]);
void auth_key_free(struct auth_key *key);

/* false also without memory */
bool auth_key_verify(const struct auth_key *key, const void *data, size_t n, const uint8_t *signature,
                     size_t n_signature);
/* HS256 only. 0, -EINVAL, -ENOMEM */
int auth_key_sign(const struct auth_key *key, const void *data, size_t n, uint8_t ret[AUTH_HASH_LEN]);

/* SHA-256(a, 0, b) */
int auth_hash_pair(const char *a, const char *b, uint8_t ret[AUTH_HASH_LEN]);
