/* SHA-256 and HMAC-SHA-256, for what is signed by our own services and by those that they speak to. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAC_LEN 32
#define MAC_HEX_LEN 64

/* All: 0, or -ENOMEM */
int mac_sha256(const void *data, size_t n, uint8_t ret[MAC_LEN]);
int mac_hmac(const void *key, size_t n_key, const void *data, size_t n, uint8_t ret[MAC_LEN]);
/* In constant time */
bool mac_equal(const uint8_t a[MAC_LEN], const uint8_t b[MAC_LEN]);

/* SHA-256 of what comes in pieces; may move from thread to thread, used by one at a time */
struct mac_hash;
int mac_hash_new(struct mac_hash **ret_hash);
int mac_hash_update(struct mac_hash *h, const void *data, size_t n);
/* Once, at the end */
int mac_hash_end(struct mac_hash *h, uint8_t ret[MAC_LEN]);
void mac_hash_free(struct mac_hash *h); /* NULL is fine */

/* Lower case; ret has MAC_HEX_LEN + 1 bytes */
void mac_hex(const uint8_t mac[MAC_LEN], char *ret);
/* MAC_HEX_LEN digits, either case, and nothing behind them. 0 or -EINVAL */
int mac_unhex(const char *text, uint8_t ret[MAC_LEN]);
