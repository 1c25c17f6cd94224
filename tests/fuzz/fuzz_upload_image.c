/* Images of any bytes: a size is said whole or not at all, and nothing behind the end is read. */
#include <stdint.h>
#include <stdlib.h>

#include "upload/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        uint32_t width = 0, height = 0;
        int r = image_size(data, n, &width, &height);

        if ((r == 0) != (width > 0 && height > 0))
                abort();
        return 0;
}
