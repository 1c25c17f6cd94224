#include "http/target.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -1;
}

int http_percent_decode(char *s, size_t n, bool plus)
{
        size_t out = 0;

        for (size_t in = 0; in < n; in++) {
                char c = s[in];

                if (c == '%') {
                        int high, low;

                        if (n - in < 3)
                                return -EINVAL;
                        high = hex_digit(s[in + 1]);
                        low = hex_digit(s[in + 2]);
                        if (high < 0 || low < 0)
                                return -EINVAL;
                        c = (char)(high << 4 | low);
                        in += 2;
                } else if (c == '+' && plus) {
                        c = ' ';
                }
                s[out++] = c;
        }
        if (!utf8_valid(s, out))
                return -EINVAL;
        return (int)out;
}

/* Decodes and ends it with a NUL, for which the delimiter behind it (or the NUL of the whole) has room */
static char *decode(char *s, size_t n, bool plus)
{
        int r = http_percent_decode(s, n, plus);

        if (r < 0)
                return NULL;
        s[r] = 0;
        return s;
}

/* RFC 9112 section 3.2.2: a server takes the absolute form too */
static char *skip_authority(char *text)
{
        if (strncasecmp(text, "http://", 7) != 0 && strncasecmp(text, "https://", 8) != 0)
                return text;
        text = strstr(text, "://") + 3;
        return text + strcspn(text, "/?");
}

int http_target_parse_path(struct http_target *t, char *text, char *work, char **ret_query)
{
        char *path = skip_authority(text), *query, *s;

        if (*path != '/')
                return HTTP_TARGET_E_FORM;
        s = work + (path - text) + 1;
        query = strchr(path, '?');
        if (query) {
                work[query - text] = 0;
                *query++ = 0;
        }
        t->path = path;
        t->n_segments = 0;
        t->too_deep = false;
        for (;;) {
                size_t n = strcspn(s, "/");
                bool last = s[n] == 0;

                if (t->n_segments == HTTP_SEGMENTS_MAX) {
                        t->too_deep = true;
                        break;
                }
                t->segments[t->n_segments++] = decode(s, n, false);
                if (last)
                        break;
                s += n + 1;
        }
        *ret_query = query;
        return 0;
}

static int add_pair(struct http_target *t, char *s, size_t n, const char **ret_name)
{
        char *equals = memchr(s, '=', n), *name, *value;
        size_t n_name = equals ? (size_t)(equals - s) : n;

        *ret_name = "";
        name = decode(s, n_name, true);
        if (!name)
                return HTTP_TARGET_E_NAME;
        *ret_name = name;
        value = equals ? decode(equals + 1, n - n_name - 1, true) : name + strlen(name);
        if (!value)
                return HTTP_TARGET_E_VALUE;
        if (http_target_query(t, name))
                return HTTP_TARGET_E_TWICE;
        if (t->n_query == HTTP_QUERY_MAX)
                return HTTP_TARGET_E_MANY;
        t->query[t->n_query++] = (struct http_pair){.name = name, .value = value};
        return 0;
}

int http_target_parse_query(struct http_target *t, char *query, const char **ret_name)
{
        char *s = query, *end = query + strlen(query);

        t->n_query = 0;
        while (s < end) {
                size_t n = strcspn(s, "&");
                int r;

                if (n) {
                        r = add_pair(t, s, n, ret_name);
                        if (r)
                                return r;
                }
                s += n + 1;
        }
        return 0;
}

const char *http_target_query(const struct http_target *t, const char *name)
{
        for (unsigned i = 0; i < t->n_query; i++)
                if (strcmp(t->query[i].name, name) == 0)
                        return t->query[i].value;
        return NULL;
}
