#include "render.h"

#include <errno.h>
#include <string.h>

#define PREFIX "${PARLEY_"
#define NAME_MAX_BYTES 64
#define ALLOWED "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/[]-"

/* name: behind "${", up to "}" */
static int replace(FILE *out, const char *name, size_t n, const char *(*value)(const char *name), char *error,
                   size_t size)
{
        char text[NAME_MAX_BYTES + 1];
        const char *v;

        if (n > NAME_MAX_BYTES)
                n = NAME_MAX_BYTES;
        memcpy(text, name, n);
        text[n] = 0;
        v = value(text);
        if (!v) {
                (void)snprintf(error, size, "%s is not set", text);
                return -ENOENT;
        }
        if (v[strspn(v, ALLOWED)]) {
                (void)snprintf(error, size, "%s has a character that is not allowed: %.1s", text,
                               v + strspn(v, ALLOWED));
                return -EINVAL;
        }
        (void)fputs(v, out); /* errors of out show when it is closed */
        return 0;
}

int render(FILE *out, const char *text, const char *(*value)(const char *name), char *error, size_t error_size)
{
        const char *begin, *end;
        int r;

        while ((begin = strstr(text, PREFIX)) && (end = strchr(begin, '}'))) {
                (void)fwrite(text, 1, (size_t)(begin - text), out);
                r = replace(out, begin + 2, (size_t)(end - begin) - 2, value, error, error_size);
                if (r < 0)
                        return r;
                text = end + 1;
        }
        (void)fputs(text, out);
        return 0;
}
