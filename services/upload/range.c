#include "upload/range.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Digits up to the end or a stop; false: none, or too many */
static bool number(const char **s, uint64_t *ret)
{
        uint64_t n = 0;
        unsigned digits = 0;

        for (; **s >= '0' && **s <= '9'; (*s)++, digits++) {
                if (digits == 18)
                        return false;
                n = n * 10 + (uint64_t)(**s - '0');
        }
        *ret = n;
        return digits > 0;
}

enum range_result range_parse(const char *header, uint64_t size, uint64_t *ret_first, uint64_t *ret_n)
{
        uint64_t first, last = size - 1;
        const char *s = header;

        if (!s || strncasecmp(s, "bytes=", 6) != 0)
                return RANGE_ALL;
        s += 6;
        if (*s == '-') {
                s++;
                if (!number(&s, &last) || *s)
                        return RANGE_ALL;
                if (last == 0)
                        return RANGE_OUTSIDE;
                first = last < size ? size - last : 0;
                last = size - 1;
        } else {
                if (!number(&s, &first) || *s++ != '-')
                        return RANGE_ALL;
                if (*s && (!number(&s, &last) || *s || last < first))
                        return RANGE_ALL;
                if (first >= size)
                        return RANGE_OUTSIDE;
                if (last >= size)
                        last = size - 1;
        }
        *ret_first = first;
        *ret_n = last - first + 1;
        return RANGE_PART;
}
