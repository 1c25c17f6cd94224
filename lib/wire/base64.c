#include "wire/base64.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"

static void translate(char *s, size_t n, const char from[2], const char to[2])
{
        for (size_t i = 0; i < n; i++)
                for (unsigned k = 0; k < 2; k++)
                        if (s[i] == from[k])
                                s[i] = to[k];
}

ssize_t wire_base64_decode(const char *s, size_t n, uint8_t *ret)
{
        if (n % 4 == 0)
                for (unsigned i = 0; i < 2 && n > 0 && s[n - 1] == '='; i++)
                        n--;
        memcpy(ret, s, n);
        translate((char *)ret, n, "+/", "-_");
        /* In place: three bytes are written where four were read */
        return base64url_decode((const char *)ret, n, ret, n);
}

size_t wire_base64_encode(const uint8_t *p, size_t n, char *ret)
{
        size_t len = base64url_encode(p, n, ret);

        translate(ret, len, "-_", "+/");
        while (len % 4 != 0)
                ret[len++] = '=';
        return len;
}
