#include "base/ident.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static bool ident_char(char c)
{
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

bool ident_valid_n(const char *s, size_t n)
{
        if (!s || n == 0 || n > IDENT_MAX)
                return false;
        for (size_t i = 0; i < n; i++)
                if (!ident_char(s[i]))
                        return false;
        return true;
}

bool ident_valid(const char *s)
{
        return s && ident_valid_n(s, strnlen(s, IDENT_MAX + 1));
}

static bool is_hex(char c)
{
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool uuid_dash_at(size_t i)
{
        return i == 8 || i == 13 || i == 18 || i == 23;
}

bool uuid_valid(const char *s)
{
        if (!s || strnlen(s, UUID_LEN + 1) != UUID_LEN)
                return false;
        for (size_t i = 0; i < UUID_LEN; i++)
                if (uuid_dash_at(i) ? s[i] != '-' : !is_hex(s[i]))
                        return false;
        return true;
}

void uuid_v7(uint64_t unix_ms, const uint8_t random[10], char *ret_text)
{
        static const char hex[] = "0123456789abcdef";
        uint8_t b[16];
        char *out = ret_text;

        for (unsigned i = 0; i < 6; i++)
                b[i] = (uint8_t)(unix_ms >> (8 * (5 - i)));
        memcpy(b + 6, random, 10);
        b[6] = (b[6] & 0x0f) | 0x70; /* RFC 9562: version 7 */
        b[8] = (b[8] & 0x3f) | 0x80; /* variant 10 */

        for (unsigned i = 0; i < sizeof(b); i++) {
                if (i == 4 || i == 6 || i == 8 || i == 10)
                        *out++ = '-';
                *out++ = hex[b[i] >> 4];
                *out++ = hex[b[i] & 0x0f];
        }
        *out = '\0';
}

bool uuid_v7_time(const char *s, uint64_t *ret_unix_ms)
{
        char digits[13];

        if (!uuid_valid(s) || s[14] != '7')
                return false;
        memcpy(digits, s, 8);
        memcpy(digits + 8, s + 9, 4);
        digits[12] = '\0';
        *ret_unix_ms = strtoull(digits, NULL, 16);
        return true;
}

void random_bytes(void *p, size_t n)
{
        uint8_t *at = p;

        while (n > 0) {
                ssize_t got = getrandom(at, n, 0);
                if (got < 0) {
                        if (errno == EINTR)
                                continue;
                        abort();
                }
                at += got;
                n -= (size_t)got;
        }
}
