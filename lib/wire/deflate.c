/* The only file that includes zlib.h. */
#include <errno.h>
#include <limits.h>
#include <zlib.h>

#include "wire/wire.h"

/* Measured on a replay of 200 chat messages (docs/decisions/0003) */
#define LEVEL 2
#define WINDOW_BITS (-15) /* negative: raw */
#define MEM_LEVEL 8

int wire_deflate(const void *data, size_t n, struct buf *out)
{
        z_stream z = {0};
        size_t room;
        int r;

        if (n == 0 || n > UINT_MAX)
                return BUF_E_FULL;
        /* Room for one byte less than there was: what does not get smaller does not fit */
        room = n - 1;
        if (room > out->max - out->len)
                room = out->max - out->len;
        r = buf_reserve(out, room);
        if (r != 0)
                return r;
        if (deflateInit2(&z, LEVEL, Z_DEFLATED, WINDOW_BITS, MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
                return -ENOMEM;
        z.next_in = (Bytef *)(uintptr_t)data;
        z.avail_in = (uInt)n;
        z.next_out = out->data + out->len;
        z.avail_out = (uInt)room;
        r = deflate(&z, Z_FINISH);
        if (r == Z_STREAM_END)
                out->len += room - z.avail_out;
        deflateEnd(&z);
        return r == Z_STREAM_END ? 0 : BUF_E_FULL;
}
