/* Several frames in one WebSocket message. */
#include <errno.h>
#include <string.h>

#include "wire/proto_scan.h"
#include "wire/wire.h"

/* Lengths of up to 2^28 - 1: far above any frame that is taken */
#define PREFIX_BYTES_MAX 4

int wire_next_line(const char *data, size_t n, size_t *offset, const char **ret_line, size_t *ret_n)
{
        while (*offset < n) {
                const char *line = data + *offset;
                const char *end = memchr(line, '\n', n - *offset);
                size_t len = end ? (size_t)(end - line) : n - *offset;

                *offset += len + (end ? 1 : 0);
                if (len > 0 && line[len - 1] == '\r')
                        len--;
                if (len == 0)
                        continue;
                *ret_line = line;
                *ret_n = len;
                return 1;
        }
        return 0;
}

int wire_next_delimited(const uint8_t *data, size_t n, size_t *offset, const uint8_t **ret_frame, size_t *ret_n)
{
        uint64_t len;
        size_t used;

        if (*offset >= n)
                return 0;
        used = wire_varint(data + *offset, n - *offset, PREFIX_BYTES_MAX, &len);
        if (used == 0 || len > n - *offset - used)
                return -EBADMSG;
        *ret_frame = data + *offset + used;
        *ret_n = (size_t)len;
        *offset += used + (size_t)len;
        return 1;
}
