#include "base/buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The first allocation; small, because many buffers of idle connections exist at once. */
#define BUF_FIRST 64

void buf_init(struct buf *b, size_t max)
{
        *b = BUF_INIT(max);
}

void buf_done(struct buf *b)
{
        if (!b)
                return;
        free(b->data);
        b->data = NULL;
        b->len = 0;
        b->cap = 0;
}

int buf_reserve(struct buf *b, size_t n)
{
        size_t need, cap;
        uint8_t *data;

        if (b->len > b->max || n > b->max - b->len)
                return BUF_E_FULL;
        need = b->len + n;
        if (need <= b->cap)
                return 0;

        cap = b->cap < BUF_FIRST ? BUF_FIRST : b->cap;
        while (cap < need && cap <= b->max / 2)
                cap *= 2;
        if (cap < need || cap > b->max)
                cap = b->max;

        data = realloc(b->data, cap);
        if (!data)
                return -ENOMEM;
        b->data = data;
        b->cap = cap;
        return 0;
}

int buf_append(struct buf *b, const void *data, size_t n)
{
        int r;

        r = buf_reserve(b, n);
        if (r != 0)
                return r;
        if (n > 0)
                memcpy(b->data + b->len, data, n);
        b->len += n;
        return 0;
}

int buf_append_str(struct buf *b, const char *s)
{
        return buf_append(b, s, strlen(s));
}

void buf_consume(struct buf *b, size_t n)
{
        if (n >= b->len) {
                b->len = 0;
                return;
        }
        if (n == 0)
                return;
        memmove(b->data, b->data + n, b->len - n);
        b->len -= n;
}

void buf_reset(struct buf *b, size_t keep)
{
        b->len = 0;
        if (b->cap > keep)
                buf_done(b);
}
