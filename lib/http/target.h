/* The target of a request, taken apart: segments of the path and parameters of the query. Pure.
 *
 * Percent-encoding is read strictly: a '%' without two hex digits, bytes that are not UTF-8, and NUL are errors, never
 * guessed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define HTTP_SEGMENTS_MAX 16 /* the longest route of a service has 6 */
#define HTTP_QUERY_MAX 32    /* parameters */

struct http_pair {
        char *name;
        char *value;
};

struct http_target {
        const char *path;                  /* as it was sent, without the query */
        char *segments[HTTP_SEGMENTS_MAX]; /* decoded; NULL: not valid */
        unsigned n_segments;
        bool too_deep; /* more segments than HTTP_SEGMENTS_MAX: no route can match */
        struct http_pair query[HTTP_QUERY_MAX];
        unsigned n_query;
};

enum http_target_error {
        HTTP_TARGET_E_FORM = 1, /* no path */
        HTTP_TARGET_E_NAME,     /* the name of a parameter cannot be decoded */
        HTTP_TARGET_E_VALUE,    /* ret_name: of this parameter */
        HTTP_TARGET_E_TWICE,    /* ret_name was given twice */
        HTTP_TARGET_E_MANY,     /* more than HTTP_QUERY_MAX */
};

/* Decodes in place. Returns the length, or -EINVAL. plus: '+' is a space, as forms and URLSearchParams write it. */
int http_percent_decode(char *s, size_t n, bool plus);

/* Cuts `text` (origin-form or absolute-form) at the query and fills path and segments from `work`, a second copy of it.
 * ret_query is the raw query inside of text, or NULL. 0 or HTTP_TARGET_E_FORM. Both buffers must outlive t. */
int http_target_parse_path(struct http_target *t, char *text, char *work, char **ret_query);
/* Decodes the query in place. 0, HTTP_TARGET_E_*. ret_name is set (to "" where no name is known) on error. */
int http_target_parse_query(struct http_target *t, char *query, const char **ret_name);
/* NULL: not given */
const char *http_target_query(const struct http_target *t, const char *name);
