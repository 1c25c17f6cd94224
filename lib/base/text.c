#include "base/text.h"

#include <errno.h>
#include <limits.h>

int text_parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret_value)
{
        uint64_t value = 0;

        if (!s || !*s)
                return -EINVAL;
        for (const char *p = s; *p; p++)
                if (*p < '0' || *p > '9')
                        return -EINVAL;
        for (const char *p = s; *p; p++) {
                uint64_t digit = (uint64_t)(*p - '0');
                if (value > (UINT64_MAX - digit) / 10)
                        return -ERANGE;
                value = value * 10 + digit;
        }
        if (value < min || value > max)
                return -ERANGE;
        *ret_value = value;
        return 0;
}

static int base64url_digit(char c)
{
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        if (c == '-')
                return 62;
        if (c == '_')
                return 63;
        return -1;
}

int base64url_decode(const char *s, size_t n, uint8_t *ret, size_t n_ret)
{
        size_t len = n / 4 * 3 + (n % 4 > 1 ? n % 4 - 1 : 0), at = 0;
        uint32_t bits = 0;
        unsigned n_bits = 0;

        if (n % 4 == 1)
                return -EINVAL;
        if (len > n_ret || len > INT_MAX)
                return -ENOBUFS;
        for (size_t i = 0; i < n; i++)
                if (base64url_digit(s[i]) < 0)
                        return -EINVAL;
        /* Bits beyond the last byte must be zero: else several texts would decode to one value, and a signature could
         * be written in several ways. */
        if (n % 4 == 2 && (base64url_digit(s[n - 1]) & 0x0f))
                return -EINVAL;
        if (n % 4 == 3 && (base64url_digit(s[n - 1]) & 0x03))
                return -EINVAL;

        for (size_t i = 0; i < n; i++) {
                bits = bits << 6 | (uint32_t)base64url_digit(s[i]);
                n_bits += 6;
                if (n_bits >= 8) {
                        n_bits -= 8;
                        ret[at++] = (uint8_t)(bits >> n_bits);
                }
        }
        return (int)len;
}

size_t base64url_encode(const uint8_t *p, size_t n, char *ret)
{
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        size_t at = 0;
        uint32_t bits = 0;
        unsigned n_bits = 0;

        for (size_t i = 0; i < n; i++) {
                bits = bits << 8 | p[i];
                n_bits += 8;
                while (n_bits >= 6) {
                        n_bits -= 6;
                        ret[at++] = digits[bits >> n_bits & 0x3f];
                }
        }
        if (n_bits > 0)
                ret[at++] = digits[bits << (6 - n_bits) & 0x3f];
        ret[at] = '\0';
        return at;
}
