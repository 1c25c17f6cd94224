#include "upload/marks_core.h"

/* MORE_MS: after an upload's end, an hour for which rest_complete.c goes on with what was begun in time, and one for clocks that differ */
#define HOUR_MS UINT64_C(3600000)
#define MORE_MS (2 * HOUR_MS)

/* Nothing was ever compared or asked for: no instance was here before that knew another setting */
static bool first_of_all(const Parley__V1__ReconciliationState *s)
{
        return !s->started_at_ms && !s->last && !s->requested && !*s->runner;
}

bool marks_remember(Parley__V1__ReconciliationState *s, uint64_t setting_s, uint64_t max_s, uint64_t now_ms)
{
        uint64_t ttl_s = s->pending_ttl_s;

        if (!ttl_s)
                ttl_s = first_of_all(s) ? setting_s : max_s;
        else if (setting_s < ttl_s && s->pending_ttl_at_ms + HOUR_MS + ttl_s * 1000 < now_ms)
                ttl_s = setting_s; /* what was begun with the longer one is over */
        if (setting_s > ttl_s)
                ttl_s = setting_s;
        if (ttl_s == s->pending_ttl_s && (setting_s < ttl_s || now_ms < s->pending_ttl_at_ms + HOUR_MS))
                return false;
        s->pending_ttl_s = ttl_s;
        s->pending_ttl_at_ms = now_ms;
        return true;
}

bool marks_over(uint64_t begun_ms, uint64_t ttl_s, uint64_t now_ms)
{
        return ttl_s && begun_ms + ttl_s * 1000 + MORE_MS <= now_ms;
}
