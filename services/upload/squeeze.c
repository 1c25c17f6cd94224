#include "upload/squeeze.h"

#include <stdbool.h>
#include <string.h>

/* How many bytes a character has, and which of them says whether it is a blank; the others are 0 then */
struct unit {
        size_t width, low;
};

static struct unit unit_of(const uint8_t *p, size_t n)
{
        static const struct {
                uint8_t mark[4];
                size_t n;
                struct unit unit;
        } marks[] = {{{0xff, 0xfe, 0, 0}, 4, {4, 0}},
                     {{0, 0, 0xfe, 0xff}, 4, {4, 3}},
                     {{0xff, 0xfe}, 2, {2, 0}},
                     {{0xfe, 0xff}, 2, {2, 1}}};

        for (unsigned i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
                if (n >= marks[i].n && memcmp(p, marks[i].mark, marks[i].n) == 0)
                        return marks[i].unit;
        return (struct unit){1, 0};
}

static bool blank(const uint8_t *p, struct unit u)
{
        for (size_t i = 0; i < u.width; i++)
                if (i != u.low && p[i] != 0)
                        return false;
        return p[u.low] == ' ' || (p[u.low] >= '\t' && p[u.low] <= '\r');
}

size_t squeeze_blanks(const uint8_t *data, size_t n, uint8_t *ret)
{
        struct unit u = unit_of(data, n);
        size_t at = 0, kept = 0, run = 0;

        for (; n - at >= u.width; at += u.width) {
                run = blank(data + at, u) ? run + 1 : 0;
                if (run > SQUEEZE_RUN_MAX)
                        continue;
                memmove(ret + kept, data + at, u.width);
                kept += u.width;
        }
        memmove(ret + kept, data + at, n - at); /* a part of a character at the end */
        return kept + n - at;
}
