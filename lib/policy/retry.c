#include "policy/retry.h"

#define MARGIN_MAX_MS 5000

int64_t dedupe_since_ms(uint64_t window_ms, uint64_t epoch_s, int64_t now_ms)
{
        int64_t window = (int64_t)window_ms, margin = window / 10 < MARGIN_MAX_MS ? window / 10 : MARGIN_MAX_MS,
                begin = (int64_t)(epoch_s + 1) * 1000 + margin, since = now_ms - window + margin;

        return begin > since ? begin : since;
}

bool retry_unstored(int64_t through_ms, int64_t asked_ms)
{
        return through_ms >= asked_ms - MARGIN_MAX_MS;
}
