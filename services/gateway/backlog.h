/* What waits for all sessions together: a limit, and who goes when it is passed.
 *
 * Counted is what the queues hold (a frame that waits for many sessions once) and what the transport keeps of messages that it took. Beyond
 * PARLEY_MAX_QUEUE_BYTES no session opens, and sessions whose sockets take nothing are closed as slow until a quarter is free: first the one
 * whose own share, times how long nothing of it left, is the largest. Who reads is never among the first, however large its `ready`; who
 * has nothing waiting is never closed. */
#pragma once

#include <stdbool.h>

#include "gateway/session.h"

/* What a queued frame costs beside its bytes, so that many small ones are bounded too */
#define QUEUE_FRAME_COST 16

static inline void backlog_queued(struct core *core, struct frame *f)
{
        core->queue_bytes += QUEUE_FRAME_COST + (f->queued++ ? 0 : f->len);
}
static inline void backlog_unqueued(struct core *core, struct frame *f)
{
        core->queue_bytes -= QUEUE_FRAME_COST + (--f->queued ? 0 : f->len);
}
/* Nothing more should be begun that makes much wait. */
static inline bool backlog_is_full(const struct core *core)
{
        uint64_t limit = core->config->max_queue_bytes;

        return limit && core->queue_bytes + core->kept_bytes > limit;
}

/* The transport takes nothing more of this session for now */
void backlog_block(struct session *s);
/* The transport keeps n bytes of this session now */
void backlog_kept(struct session *s, size_t n);
/* Closes whom the limit asks for. Not while sessions or links are being gone through. */
void backlog_limit(struct core *core);
/* Opens the sessions that had to wait, when there is room again. As above. */
void backlog_open(struct core *core);
