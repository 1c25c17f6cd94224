#include "gateway/upgrade_text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool text_equals(struct text t, const char *s)
{
        return t.n == strlen(s) && memcmp(t.p, s, t.n) == 0;
}

bool text_is(struct text t, const char *s)
{
        return t.n == strlen(s) && strncasecmp(t.p, s, t.n) == 0;
}

struct text text_trim(struct text t)
{
        while (t.n && (t.p[0] == ' ' || t.p[0] == '\t')) {
                t.p++;
                t.n--;
        }
        while (t.n && (t.p[t.n - 1] == ' ' || t.p[t.n - 1] == '\t'))
                t.n--;
        return t;
}

struct text text_until(struct text *rest, char c)
{
        const char *at = rest->n ? memchr(rest->p, c, rest->n) : NULL;
        struct text taken = {rest->p, at ? (size_t)(at - rest->p) : rest->n};

        rest->p += taken.n + (at != NULL);
        rest->n -= taken.n + (at != NULL);
        return taken;
}

bool text_line(struct text *rest, struct text *ret_line)
{
        const char *at = memmem(rest->p, rest->n, "\r\n", 2);

        if (!at)
                return false;
        *ret_line = (struct text){rest->p, (size_t)(at - rest->p)};
        rest->n -= (size_t)(at + 2 - rest->p);
        rest->p = at + 2;
        return true;
}

struct text text_word(struct text *rest)
{
        return text_until(rest, ' ');
}

bool text_printable(struct text t)
{
        for (size_t i = 0; i < t.n; i++)
                if (((unsigned char)t.p[i] < ' ' && t.p[i] != '\t') || t.p[i] == 0x7f)
                        return false;
        return true;
}

bool text_has_token(struct text list, const char *token)
{
        while (list.n)
                if (text_is(text_trim(text_until(&list, ',')), token))
                        return true;
        return false;
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if ((c | 32) >= 'a' && (c | 32) <= 'f')
                return (c | 32) - 'a' + 10;
        return -1;
}

char *text_percent_decode(struct text t)
{
        char *out = malloc(t.n + 1);
        size_t n = 0;

        for (size_t i = 0; out && i < t.n; i++) {
                int c = (unsigned char)t.p[i];

                if (c == '%') {
                        int high = i + 2 < t.n ? hex_digit(t.p[i + 1]) : -1;
                        int low = i + 2 < t.n ? hex_digit(t.p[i + 2]) : -1;

                        c = high < 0 || low < 0 ? 0 : high << 4 | low;
                        i += 2;
                }
                if (c == 0) {
                        free(out);
                        return NULL;
                }
                out[n++] = (char)c;
        }
        if (out)
                out[n] = 0;
        return out;
}
