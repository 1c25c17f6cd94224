#include "base/text.h"

#include <errno.h>

int text_parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret_value)
{
        uint64_t value = 0;

        if (!s || !*s)
                return -EINVAL;
        for (const char *p = s; *p; p++)
                if (*p < '0' || *p > '9')
                        return -EINVAL;
        for (const char *p = s; *p; p++) {
                uint64_t digit = (uint64_t)(*p - '0');
                if (value > (UINT64_MAX - digit) / 10)
                        return -ERANGE;
                value = value * 10 + digit;
        }
        if (value < min || value > max)
                return -ERANGE;
        *ret_value = value;
        return 0;
}
