#include "upload/disposition.h"

#include <stdio.h>
#include <string.h>

/* RFC 8187 section 3.2.1: attr-char */
static bool attr_char(unsigned char c)
{
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               (c && strchr("!#$&+-.^_`|~", c));
}

void disposition_write(char *ret, const char *name, bool shown)
{
        char *out = ret + sprintf(ret, "%s; filename=\"", shown ? "inline" : "attachment");
        bool plain = true;

        for (const unsigned char *s = (const unsigned char *)name; *s; s++) {
                /* %: some browsers decode it in here; the quote and the backslash would need an escape that others do not know */
                bool kept = *s >= ' ' && *s < 0x7f && *s != '"' && *s != '\\' && *s != '%';

                plain = plain && kept;
                if ((*s & 0xc0) != 0x80) /* one for each character */
                        *out++ = kept ? (char)*s : '_';
        }
        *out++ = '"';
        *out = '\0';
        if (plain)
                return;
        out += sprintf(out, "; filename*=UTF-8''");
        for (const unsigned char *s = (const unsigned char *)name; *s; s++)
                out += attr_char(*s) ? sprintf(out, "%c", *s) : sprintf(out, "%%%02X", *s);
}
