#include "base/text.h"

#include <errno.h>
#include <limits.h>

#define DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static int digit_url(char c)
{
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        return c == '-' ? 62 : c == '_' ? 63 : -1;
}

static int digit_any(char c)
{
        return c == '+' ? 62 : c == '/' ? 63 : digit_url(c);
}

/* Without padding. Bits beyond the last byte must be zero: else several texts would decode to one value, and a
 * signature could be written in several ways. */
static int decode(const char *s, size_t n, int (*digit)(char c), uint8_t *ret, size_t n_ret)
{
        static const uint8_t unused_bits[] = {[2] = 0x0f, [3] = 0x03};
        size_t len = n / 4 * 3 + (n % 4 > 1 ? n % 4 - 1 : 0), at = 0;
        uint32_t bits = 0;
        unsigned n_bits = 0;

        if (n % 4 == 1)
                return -EINVAL;
        if (len > n_ret || len > INT_MAX)
                return -ENOBUFS;
        for (size_t i = 0; i < n; i++)
                if (digit(s[i]) < 0)
                        return -EINVAL;
        if (n % 4 != 0 && (digit(s[n - 1]) & unused_bits[n % 4]))
                return -EINVAL;

        for (size_t i = 0; i < n; i++) {
                bits = bits << 6 | (uint32_t)digit(s[i]);
                n_bits += 6;
                if (n_bits >= 8) {
                        n_bits -= 8;
                        ret[at++] = (uint8_t)(bits >> n_bits);
                }
        }
        return (int)len;
}

int base64url_decode(const char *s, size_t n, uint8_t *ret, size_t n_ret)
{
        return decode(s, n, digit_url, ret, n_ret);
}

int base64_decode(const char *s, size_t n, uint8_t *ret, size_t n_ret)
{
        if (n % 4 == 0)
                for (unsigned i = 0; i < 2 && n > 0 && s[n - 1] == '='; i++)
                        n--;
        return decode(s, n, digit_any, ret, n_ret);
}

static size_t encode(const uint8_t *p, size_t n, const char *digits, char *ret)
{
        size_t at = 0;
        uint32_t bits = 0;
        unsigned n_bits = 0;

        for (size_t i = 0; i < n; i++) {
                bits = bits << 8 | p[i];
                n_bits += 8;
                for (; n_bits >= 6; n_bits -= 6)
                        ret[at++] = digits[bits >> (n_bits - 6) & 0x3f];
        }
        if (n_bits > 0)
                ret[at++] = digits[bits << (6 - n_bits) & 0x3f];
        return at;
}

size_t base64url_encode(const uint8_t *p, size_t n, char *ret)
{
        size_t len = encode(p, n, DIGITS "-_", ret);

        ret[len] = '\0';
        return len;
}

size_t base64_encode(const uint8_t *p, size_t n, char *ret)
{
        size_t len = encode(p, n, DIGITS "+/", ret);

        while (len % 4 != 0)
                ret[len++] = '=';
        ret[len] = '\0';
        return len;
}
