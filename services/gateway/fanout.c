/* What waits for each session, and how it leaves: everything pending in one WebSocket message and one write. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "gateway/backlog.h"
#include "gateway/look.h"
#include "gateway/pack.h"
#include "gateway/session.h"
#include "gateway/stats.h"

static void session_flush(struct session *s, unsigned *budget);

static struct frame **queue_of(struct session *s)
{
        return s->queue ? s->queue : s->first;
}

static void session_dirty(struct session *s)
{
        struct core *core = s->core;

        if (s->dirty_index || s->blocked)
                return;
        if (core->n_dirty == core->cap_dirty) {
                unsigned cap = core->cap_dirty ? core->cap_dirty * 2 : 256;
                struct session **dirty = realloc(core->dirty, cap * sizeof(struct session *));

                if (!dirty) {
                        session_close(s, PARLEY_CLOSE_TOO_SLOW, NULL);
                        return;
                }
                core->dirty = dirty;
                core->cap_dirty = cap;
        }
        core->dirty[core->n_dirty++] = s;
        s->dirty_index = core->n_dirty;
}

static bool queue_grow(struct session *s)
{
        uint32_t n = s->cap_queue > SESSION_QUEUE_INLINE ? s->cap_queue : SESSION_QUEUE_INLINE;
        struct frame **queue;

        if (s->n_queue < n)
                return true;
        n = n * 2;
        queue = realloc(s->queue, n * sizeof(struct frame *));
        if (!queue)
                return false;
        if (!s->queue)
                memcpy(queue, s->first, sizeof(s->first));
        s->queue = queue;
        s->cap_queue = n;
        return true;
}

/* Much has come in one turn: what the socket takes does not count as a backlog of its client */
static void session_relieve(struct session *s)
{
        unsigned budget = 64;

        session_flush(s, &budget);
        packs_clear(s->core);
}

void session_queue(struct session *s, struct frame *f)
{
        struct core *core = s->core;
        size_t cost = f->len + QUEUE_FRAME_COST;

        if (s->state == SESSION_CLOSING)
                return;
        if (s->queue_bytes + cost > core->config->session_max_queue_bytes / 2 && s->n_queue && !s->blocked)
                session_relieve(s);
        if (s->state == SESSION_CLOSING)
                return;
        /* a single frame may be larger than the limit: `ready` with thousands of channels */
        if ((s->n_queue && s->queue_bytes + cost > core->config->session_max_queue_bytes) || !queue_grow(s)) {
                session_close(s, PARLEY_CLOSE_TOO_SLOW, NULL);
                return;
        }
        queue_of(s)[s->n_queue++] = frame_ref(f);
        s->queue_bytes += (uint32_t)cost;
        backlog_queued(core, f);
        session_dirty(s);
}

void session_send(struct session *s, const Parley__V1__ServerFrame *message)
{
        struct frame *f;
        int r;

        if (s->state == SESSION_CLOSING)
                return;
        r = frame_encode(&s->core->scratch, message, s->encoding, &f);
        if (r) {
                log_error("a frame cannot be encoded", LOG_I("error", r));
                session_close(s, PARLEY_CLOSE_RECONNECT, NULL);
                return;
        }
        session_queue(s, f);
        frame_unref(f);
}

void session_error(struct session *s, uint32_t ref, enum parley_code code, uint32_t retry_ms, const char *format, ...)
{
        Parley__V1__ServerFrame frame = PARLEY__V1__SERVER_FRAME__INIT;
        Parley__V1__Error error = PARLEY__V1__ERROR__INIT;
        char text[256];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        error.code = (char *)parley_code_text(code);
        error.message = text;
        error.retry_ms = retry_ms;
        frame.ref = ref;
        frame.body_case = PARLEY__V1__SERVER_FRAME__BODY_ERROR;
        frame.error = &error;
        metric_add(&stat_errors[code], 1);
        session_send(s, &frame);
}

/* The first n are gone */
static void queue_consume(struct session *s, unsigned n)
{
        struct frame **queue = queue_of(s);
        size_t cost = 0;

        for (unsigned i = 0; i < n; i++) {
                cost += queue[i]->len + QUEUE_FRAME_COST;
                backlog_unqueued(s->core, queue[i]);
                frame_unref(queue[i]);
        }
        s->n_queue -= n;
        s->queue_bytes -= (uint32_t)cost;
        if (s->n_queue) {
                memmove(queue, queue + n, s->n_queue * sizeof(struct frame *));
        } else if (s->queue) {
                free(s->queue);
                s->queue = NULL;
                s->cap_queue = 0;
        }
}

void session_queue_drop(struct session *s)
{
        queue_consume(s, s->n_queue);
}

/* How many of the pending frames go into the next message */
static unsigned queue_batch(struct session *s)
{
        struct frame **queue = queue_of(s);
        size_t total = queue[0]->len;
        unsigned n = 1;

        while (!s->plain && n < s->n_queue && total + queue[n]->len <= PACK_MAX_BYTES)
                total += queue[n++]->len;
        return n;
}

static int session_write_next(struct session *s)
{
        struct core *core = s->core;
        unsigned n = queue_batch(s);
        bool deflated;
        struct frame *f = pack_get(core, queue_of(s), n, s->encoding, s->compress && !s->plain, &deflated);
        size_t len, kept = 0;
        int r;

        if (!f) {
                session_close(s, PARLEY_CLOSE_TOO_SLOW, NULL);
                return -1;
        }
        /* the newline only separates */
        len = f->len - (s->encoding == ENCODING_JSON && !deflated);
        r = core->transport.write(s->connection, f->data, len, s->encoding == ENCODING_PROTO || deflated, &kept);
        if (r)
                return r;
        if (kept)
                backlog_kept(s, s->kept_bytes + kept);
        metric_add(&stat_writes, 1);
        metric_add(&stat_written_bytes, (double)len);
        queue_consume(s, n);
        return 0;
}

/* Writes until the transport has enough; *budget counts down */
static void session_flush(struct session *s, unsigned *budget)
{
        while (s->n_queue && *budget) {
                int r;

                (*budget)--;
                r = session_write_next(s);
                if (r == TRANSPORT_E_BUSY)
                        backlog_block(s);
                if (r < 0)
                        session_queue_drop(s); /* the connection is dead, session_gone follows */
                if (r)
                        return;
        }
}

bool session_writable(struct session *s)
{
        unsigned budget = 8;

        s->blocked = false;
        backlog_kept(s, 0);
        session_flush(s, &budget);
        packs_clear(s->core);
        if (s->n_queue && !s->blocked)
                session_dirty(s);
        return s->n_queue == 0;
}

bool core_flush(struct core *core, unsigned max_writes)
{
        unsigned budget = max_writes, i, kept = 0;

        backlog_open(core);
        for (i = 0; i < core->n_dirty && budget; i++) {
                struct session *s = core->dirty[i];

                if (!s)
                        continue;
                if (s->look && s->n_queue)
                        look_ride(s->look);
                s->dirty_index = 0;
                core->dirty[i] = NULL;
                session_flush(s, &budget);
                if (s->n_queue && !s->blocked)
                        session_dirty(s); /* at the end, behind those that have not had their turn */
        }
        for (; i < core->n_dirty; i++) {
                if (!core->dirty[i])
                        continue;
                core->dirty[kept] = core->dirty[i];
                core->dirty[kept]->dirty_index = kept + 1;
                kept++;
        }
        core->n_dirty = kept;
        packs_clear(core);
        backlog_limit(core);
        metric_set(&stat_queue_bytes, (double)core->queue_bytes);
        metric_set(&stat_kept_bytes, (double)core->kept_bytes);
        return kept > 0;
}
