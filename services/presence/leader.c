#include "presence/leader.h"

#include <stdio.h>
#include <string.h>

void leader_init(struct leader *l, const char *id, uint64_t now_ms, uint32_t settle_ms)
{
        *l = (struct leader){.settle_ms = settle_ms};
        leader_yield(l, now_ms);
        (void)snprintf(l->id, sizeof(l->id), "%s", id);
}

void leader_yield(struct leader *l, uint64_t now_ms)
{
        l->leading = false;
        l->heard_ms = now_ms + l->settle_ms - LEADER_SILENT_MS;
}

bool leader_heard(struct leader *l, const char *id, uint64_t now_ms)
{
        int order = strcmp(id, l->id);

        if (order == 0) /* our own words */
                return false;
        if (order > 0 && l->leading)
                return false;
        l->leading = false;
        l->heard_ms = now_ms;
        (void)snprintf(l->heard, sizeof(l->heard), "%s", id);
        return true;
}

bool leader_tick(struct leader *l, uint64_t now_ms, bool ready)
{
        if (!l->leading && ready && (int64_t)(now_ms - l->heard_ms) >= LEADER_SILENT_MS)
                l->leading = true;
        return l->leading;
}
