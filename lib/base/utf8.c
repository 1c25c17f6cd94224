#include "base/text.h"

#include <string.h>

/* The continuation bytes that a lead byte announces, and the bounds of the first of them (Unicode 15, table 3-7);
 * the bounds exclude overlong forms, surrogates, and what is above U+10FFFF. */
struct utf8_lead {
        uint8_t n;
        uint8_t low, high;
};

static struct utf8_lead utf8_lead(uint8_t c)
{
        if (c >= 0xc2 && c <= 0xdf)
                return (struct utf8_lead){1, 0x80, 0xbf};
        if (c == 0xe0)
                return (struct utf8_lead){2, 0xa0, 0xbf};
        if (c == 0xed)
                return (struct utf8_lead){2, 0x80, 0x9f};
        if (c >= 0xe1 && c <= 0xef)
                return (struct utf8_lead){2, 0x80, 0xbf};
        if (c == 0xf0)
                return (struct utf8_lead){3, 0x90, 0xbf};
        if (c >= 0xf1 && c <= 0xf3)
                return (struct utf8_lead){3, 0x80, 0xbf};
        if (c == 0xf4)
                return (struct utf8_lead){3, 0x80, 0x8f};
        return (struct utf8_lead){0, 0, 0};
}

size_t utf8_char_len(const char *s, size_t n)
{
        const uint8_t *p = (const uint8_t *)s;
        struct utf8_lead lead;

        if (n == 0 || p[0] == 0)
                return 0;
        if (p[0] < 0x80)
                return 1;
        lead = utf8_lead(p[0]);
        if (lead.n == 0 || n <= lead.n || p[1] < lead.low || p[1] > lead.high)
                return 0;
        for (unsigned i = 2; i <= lead.n; i++)
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
        return lead.n + 1U;
}

/* Eight bytes of ASCII without a NUL: the common case, worth a short cut */
static bool is_ascii_8(const char *s)
{
        const uint64_t ones = UINT64_C(0x0101010101010101), high = ones * 0x80;
        uint64_t v;

        memcpy(&v, s, sizeof(v));
        return ((v | (v - ones)) & high) == 0;
}

bool utf8_valid(const char *s, size_t n)
{
        while (n > 0) {
                if (n >= 8 && is_ascii_8(s)) {
                        s += 8;
                        n -= 8;
                        continue;
                }
                size_t len = utf8_char_len(s, n);
                if (len == 0)
                        return false;
                s += len;
                n -= len;
        }
        return true;
}

bool utf8_is_control(const char *s)
{
        const unsigned char *u = (const unsigned char *)s;

        return *u < 0x20 || *u == 0x7f || (*u == 0xc2 && u[1] >= 0x80 && u[1] <= 0x9f);
}

bool utf8_is_layout(const char *s)
{
        const unsigned char *u = (const unsigned char *)s;

        if (u[0] == 0xd8 && u[1] == 0x9c)
                return true;
        if (u[0] != 0xe2)
                return false;
        return (u[1] == 0x80 && ((u[2] >= 0xa8 && u[2] <= 0xae) || u[2] == 0x8e || u[2] == 0x8f)) ||
               (u[1] == 0x81 && u[2] >= 0xa6 && u[2] <= 0xa9);
}
