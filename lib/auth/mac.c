#include "auth/mac.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

int mac_sha256(const void *data, size_t n, uint8_t ret[MAC_LEN])
{
        uint8_t digest[EVP_MAX_MD_SIZE];

        if (EVP_Digest(data, n, digest, NULL, EVP_sha256(), NULL) != 1)
                return -ENOMEM;
        memcpy(ret, digest, MAC_LEN);
        return 0;
}

int mac_hmac(const void *key, size_t n_key, const void *data, size_t n, uint8_t ret[MAC_LEN])
{
        uint8_t digest[EVP_MAX_MD_SIZE];

        if (n_key > INT_MAX || !HMAC(EVP_sha256(), key, (int)n_key, data, n, digest, NULL))
                return -ENOMEM;
        memcpy(ret, digest, MAC_LEN);
        return 0;
}

bool mac_equal(const uint8_t a[MAC_LEN], const uint8_t b[MAC_LEN])
{
        return CRYPTO_memcmp(a, b, MAC_LEN) == 0;
}

/* struct mac_hash is OpenSSL's own context under a name of ours */

static EVP_MD_CTX *context(struct mac_hash *h)
{
        return (EVP_MD_CTX *)h;
}

int mac_hash_new(struct mac_hash **ret_hash)
{
        EVP_MD_CTX *c = EVP_MD_CTX_new();

        if (!c || EVP_DigestInit_ex(c, EVP_sha256(), NULL) != 1) {
                EVP_MD_CTX_free(c);
                return -ENOMEM;
        }
        *ret_hash = (struct mac_hash *)c;
        return 0;
}

int mac_hash_update(struct mac_hash *h, const void *data, size_t n)
{
        return EVP_DigestUpdate(context(h), data, n) == 1 ? 0 : -ENOMEM;
}

int mac_hash_end(struct mac_hash *h, uint8_t ret[MAC_LEN])
{
        uint8_t digest[EVP_MAX_MD_SIZE];

        if (EVP_DigestFinal_ex(context(h), digest, NULL) != 1)
                return -ENOMEM;
        memcpy(ret, digest, MAC_LEN);
        return 0;
}

void mac_hash_free(struct mac_hash *h)
{
        EVP_MD_CTX_free(context(h));
}

void mac_hex(const uint8_t mac[MAC_LEN], char *ret)
{
        for (unsigned i = 0; i < MAC_LEN; i++) {
                *ret++ = "0123456789abcdef"[mac[i] >> 4];
                *ret++ = "0123456789abcdef"[mac[i] & 15];
        }
        *ret = '\0';
}

static int digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int mac_unhex(const char *text, uint8_t ret[MAC_LEN])
{
        uint8_t mac[MAC_LEN];

        if (strnlen(text, MAC_HEX_LEN + 1) != MAC_HEX_LEN)
                return -EINVAL;
        for (unsigned i = 0; i < MAC_LEN; i++) {
                int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

                if (high < 0 || low < 0)
                        return -EINVAL;
                mac[i] = (uint8_t)(high << 4 | low);
        }
        memcpy(ret, mac, MAC_LEN);
        return 0;
}
