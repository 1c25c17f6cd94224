/* Slices of a request's head. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct text {
        const char *p;
        size_t n;
};

bool text_equals(struct text t, const char *s);
/* Whatever the case of ASCII letters */
bool text_is(struct text t, const char *s);
struct text text_trim(struct text t);
/* Takes what is before the first c (or all) off the front; c is dropped */
struct text text_until(struct text *rest, char c);
/* The next line without its CRLF; false: there is none */
bool text_line(struct text *rest, struct text *ret_line);
/* What is before the next space */
struct text text_word(struct text *rest);
/* Visible ASCII, spaces, tabs and bytes above 127 */
bool text_printable(struct text t);
/* A comma-separated list has this token, whatever the case */
bool text_has_token(struct text list, const char *token);
/* malloc'ed; NULL: bad escapes, a NUL, or no memory */
char *text_percent_decode(struct text t);
