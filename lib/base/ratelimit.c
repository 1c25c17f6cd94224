#include "base/ratelimit.h"

#define BURST_MAX (UINT32_MAX / 1000)

uint32_t ratelimit_take(struct ratelimit *r, uint64_t now_ms, uint32_t per_second, uint32_t burst, uint32_t cost)
{
        uint64_t full, need, tokens, missing, wait;

        if (per_second == 0)
                return 0;
        if (burst < 1)
                burst = 1;
        if (burst > BURST_MAX)
                burst = BURST_MAX;
        full = (uint64_t)burst * 1000;
        need = (cost < burst ? cost : burst) * UINT64_C(1000);

        /* per_second tokens a second are per_second thousandths a millisecond */
        tokens = r->used ? r->milli_tokens : full;
        if (r->used && now_ms > r->stamp_ms) {
                uint64_t elapsed = now_ms - r->stamp_ms;
                tokens = elapsed > full / per_second ? full : tokens + elapsed * per_second;
        }
        if (tokens > full)
                tokens = full;

        r->stamp_ms = r->used && now_ms < r->stamp_ms ? r->stamp_ms : now_ms;
        r->used = 1;
        if (tokens >= need) {
                r->milli_tokens = (uint32_t)(tokens - need);
                return 0;
        }
        r->milli_tokens = (uint32_t)tokens;
        missing = need - tokens;
        wait = (missing + per_second - 1) / per_second;
        return (uint32_t)wait;
}
