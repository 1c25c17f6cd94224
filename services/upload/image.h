/* How large an image says it is, from its first bytes. Pure; for bytes of any kind. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* PNG, GIF, JPEG and WebP. 0, or -EINVAL: none of these, or the bytes end before they say it. Both are above 0. */
int image_size(const uint8_t *data, size_t n, uint32_t *ret_width, uint32_t *ret_height);
