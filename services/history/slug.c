#include "history/slug.h"

#include <stdbool.h>
#include <stddef.h>

enum { SLUG_MAX = 40 };

static size_t put_name(const char *name, char *ret)
{
        size_t n = 0;

        for (const char *p = name; *p && n < SLUG_MAX; p++) {
                char ch = *p;
                bool plain = (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9');

                if (ch >= 'A' && ch <= 'Z')
                        ret[n++] = (char)(ch - 'A' + 'a');
                else if (plain)
                        ret[n++] = ch;
                else if (n && ret[n - 1] != '-')
                        ret[n++] = '-';
        }
        while (n && ret[n - 1] == '-')
                n--;
        return n;
}

void slug_user_id(const char *name, const uint8_t random[5], char ret[IDENT_MAX + 1])
{
        static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz"; /* Crockford's base 32 */
        size_t n = put_name(name, ret);
        uint64_t bits = 0;

        if (n == 0) {
                /* a name in another script */
                for (const char *p = "user"; *p; p++)
                        ret[n++] = *p;
        }
        ret[n++] = '-';
        for (int i = 0; i < 5; i++)
                bits = bits << 8 | random[i];
        for (int i = 0; i < 8; i++)
                ret[n++] = digits[bits >> (35 - 5 * i) & 31];
        ret[n] = '\0';
}
