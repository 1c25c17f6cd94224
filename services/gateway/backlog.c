#include "gateway/backlog.h"

#include <stdlib.h>

#include "base/log.h"
#include "gateway/stats.h"

struct holder {
        struct session *session;
        double weight;
};

static bool backlog_is_stuck(const struct session *s)
{
        return s->blocked || s->kept_bytes;
}

void backlog_block(struct session *s)
{
        if (!backlog_is_stuck(s))
                s->stuck_ms = s->core->now_ms;
        s->blocked = true;
}

void backlog_kept(struct session *s, size_t n)
{
        struct core *core = s->core;

        if (n && !backlog_is_stuck(s))
                s->stuck_ms = core->now_ms;
        core->kept_bytes = core->kept_bytes - s->kept_bytes + n;
        if (s->state == SESSION_CLOSING)
                core->leaving_bytes = core->leaving_bytes - s->kept_bytes + n;
        s->kept_bytes = (uint32_t)n;
}

/* What the transport keeps of closed sessions goes by itself within seconds; closing others for it would help nobody */
static size_t backlog_bytes(const struct core *core)
{
        return core->queue_bytes + core->kept_bytes - core->leaving_bytes;
}

/* Its own part of what it waits for, in bytes */
static double holder_share(const struct session *s)
{
        struct frame *const *queue = s->queue ? s->queue : s->first;
        double share = s->kept_bytes;

        for (uint32_t i = 0; i < s->n_queue; i++)
                share += QUEUE_FRAME_COST + (double)queue[i]->len / queue[i]->queued;
        return share;
}

static int holder_compare(const void *a, const void *b)
{
        const struct holder *x = a, *y = b;

        return (x->weight < y->weight) - (x->weight > y->weight);
}

static unsigned holders_find(struct core *core, struct holder *holders)
{
        unsigned n = 0;

        for (struct session *s = core->sessions; s; s = s->next) {
                if (s->state == SESSION_CLOSING || !backlog_is_stuck(s))
                        continue;
                holders[n].session = s;
                holders[n++].weight = holder_share(s) * (double)(core->now_ms - s->stuck_ms + 1);
        }
        qsort(holders, n, sizeof(*holders), holder_compare);
        return n;
}

void backlog_limit(struct core *core)
{
        uint64_t limit = core->config->max_queue_bytes;
        size_t before = backlog_bytes(core);
        struct holder *holders;
        unsigned n, i;

        if (!limit || before <= limit)
                return;
        holders = malloc(core->n_sessions * sizeof(*holders));
        if (!holders) {
                log_error("no memory to look for slow sessions");
                return;
        }
        n = holders_find(core, holders);
        for (i = 0; i < n && backlog_bytes(core) > limit - limit / 4; i++) {
                metric_add(&stat_shed, 1);
                session_close(holders[i].session, PARLEY_CLOSE_TOO_SLOW, NULL);
        }
        free(holders);
        if (i)
                log_warn("slow sessions are closed: too much waits for all together", LOG_U("sessions", i),
                         LOG_U("bytes", before), LOG_U("left", backlog_bytes(core)));
}

void backlog_open(struct core *core)
{
        if (!core->opening_waits || backlog_is_full(core))
                return;
        core->opening_waits = false;
        for (struct session *s = core->sessions; s; s = s->next)
                session_advance(s);
}
