/* Base64 as proto3's JSON mapping has it: written in the standard alphabet with padding, read in both alphabets, with
 * or without. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ret needs n bytes. Returns the length, or -EINVAL. */
ssize_t wire_base64_decode(const char *s, size_t n, uint8_t *ret);
/* ret needs wire_base64_size(n) bytes; not terminated. Returns the length. */
size_t wire_base64_encode(const uint8_t *p, size_t n, char *ret);

static inline size_t wire_base64_size(size_t n)
{
        return 4 * (n + 2) / 3 + 2; /* the unpadded text with a NUL, as base64url_encode wants it, or the padding */
}
