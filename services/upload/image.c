#include "upload/image.h"

#include <errno.h>
#include <string.h>

static uint32_t be16(const uint8_t *p)
{
        return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
        return be16(p) << 16 | be16(p + 2);
}

static uint32_t le16(const uint8_t *p)
{
        return (uint32_t)p[1] << 8 | p[0];
}

static uint32_t le24(const uint8_t *p)
{
        return (uint32_t)p[2] << 16 | le16(p);
}

struct size {
        uint32_t width, height;
};

static struct size png(const uint8_t *p, size_t n)
{
        if (n < 24 || memcmp(p + 12, "IHDR", 4) != 0)
                return (struct size){0};
        return (struct size){be32(p + 16), be32(p + 20)};
}

static struct size gif(const uint8_t *p, size_t n)
{
        return n < 10 ? (struct size){0} : (struct size){le16(p + 6), le16(p + 8)};
}

/* Segments up to a start of frame (SOF0 to SOF15 but DHT, JPG, DAC), which has the size; ITU T.81 section B.1.1.4 */
static struct size jpeg(const uint8_t *p, size_t n)
{
        size_t at = 2;

        while (at + 9 <= n) {
                uint8_t marker = p[at + 1];

                if (p[at] != 0xff)
                        break;
                if (marker == 0xff) { /* fill */
                        at++;
                        continue;
                }
                if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc)
                        return (struct size){be16(p + at + 7), be16(p + at + 5)};
                if (marker == 0x01 || (marker >= 0xd0 && marker <= 0xd9)) /* no length: not before the frame */
                        break;
                at += 2 + be16(p + at + 2);
        }
        return (struct size){0};
}

/* https://www.rfc-editor.org/rfc/rfc9649: a lossy, a lossless or an extended first chunk */
static struct size webp(const uint8_t *p, size_t n)
{
        if (n < 30)
                return (struct size){0};
        if (memcmp(p + 12, "VP8X", 4) == 0)
                return (struct size){le24(p + 24) + 1, le24(p + 27) + 1};
        if (memcmp(p + 12, "VP8L", 4) == 0 && p[20] == 0x2f) {
                uint32_t bits = le16(p + 21) | le16(p + 23) << 16;

                return (struct size){(bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1};
        }
        if (memcmp(p + 12, "VP8 ", 4) == 0 && memcmp(p + 23, "\x9d\x01\x2a", 3) == 0)
                return (struct size){le16(p + 26) & 0x3fff, le16(p + 28) & 0x3fff};
        return (struct size){0};
}

int image_size(const uint8_t *data, size_t n, uint32_t *ret_width, uint32_t *ret_height)
{
        struct size size = {0};

        if (n >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0)
                size = png(data, n);
        else if (n >= 6 && (memcmp(data, "GIF87a", 6) == 0 || memcmp(data, "GIF89a", 6) == 0))
                size = gif(data, n);
        else if (n >= 3 && memcmp(data, "\xff\xd8\xff", 3) == 0)
                size = jpeg(data, n);
        else if (n >= 16 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0)
                size = webp(data, n);
        if (size.width == 0 || size.height == 0)
                return -EINVAL;
        *ret_width = size.width;
        *ret_height = size.height;
        return 0;
}
