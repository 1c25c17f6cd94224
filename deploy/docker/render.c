#include "render.h"

#include <errno.h>
#include <string.h>

#define PREFIX "${PARLEY_"
#define NAME_MAX_BYTES 64
#define ALLOWED "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/[]-"
#define BETWEEN ", " /* words of a list */

struct fill {
        FILE *out;
        const char *(*value)(const char *name);
        char *error;
        size_t error_size;
};

/* name: behind "${", up to what ends it */
static int look_up(const struct fill *f, const char *name, size_t n, const char *allowed, const char **ret_value)
{
        char text[NAME_MAX_BYTES + 1];
        const char *v;

        if (n > NAME_MAX_BYTES)
                n = NAME_MAX_BYTES;
        memcpy(text, name, n);
        text[n] = 0;
        v = f->value(text);
        if (!v) {
                (void)snprintf(f->error, f->error_size, "%s is not set", text);
                return -ENOENT;
        }
        if (v[strspn(v, allowed)]) {
                (void)snprintf(f->error, f->error_size, "%s has a character that is not allowed: %.1s", text,
                               v + strspn(v, allowed));
                return -EINVAL;
        }
        *ret_value = v;
        return 0;
}

/* The line once for each word of the list that stands in it, from begin to end, the brace */
static int fill_lines(const struct fill *f, const char *line, const char *next, const char *begin, const char *end)
{
        const char *v;
        int r = look_up(f, begin + 2, (size_t)(end - begin) - 3, ALLOWED BETWEEN, &v);

        if (r < 0)
                return r;
        for (v += strspn(v, BETWEEN); *v; v += strspn(v, BETWEEN)) {
                size_t n = strcspn(v, BETWEEN);

                (void)fwrite(line, 1, (size_t)(begin - line), f->out); /* errors of out show when it is closed */
                (void)fwrite(v, 1, n, f->out);
                (void)fwrite(end + 1, 1, (size_t)(next - end) - 1, f->out);
                v += n;
        }
        return 0;
}

static int fill_line(const struct fill *f, const char *line, const char *next)
{
        const char *text = line, *begin, *end, *v;
        int r;

        while ((begin = strstr(text, PREFIX)) && begin < next && (end = strchr(begin, '}')) && end < next) {
                if (end[-1] == ',')
                        return fill_lines(f, line, next, begin, end);
                (void)fwrite(text, 1, (size_t)(begin - text), f->out);
                r = look_up(f, begin + 2, (size_t)(end - begin) - 2, ALLOWED, &v);
                if (r < 0)
                        return r;
                (void)fputs(v, f->out);
                text = end + 1;
        }
        (void)fwrite(text, 1, (size_t)(next - text), f->out);
        return 0;
}

int render(FILE *out, const char *text, const char *(*value)(const char *name), char *error, size_t error_size)
{
        const struct fill f = {out, value, error, error_size};
        const char *next;
        int r;

        for (; *text; text = next) {
                next = strchr(text, '\n');
                next = next ? next + 1 : text + strlen(text);
                r = fill_line(&f, text, next);
                if (r < 0)
                        return r;
        }
        return 0;
}
