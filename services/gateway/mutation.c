#include "gateway/mutation.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "gateway/stats.h"

/* What an event takes in memory: its structs, and each string and mention in an allocation of its own */
#define UNPACKED_REST 1024
#define UNPACKED_FACTOR 2

static void mutation_free(struct mutation *m)
{
        struct core *core = m->core;
        struct session *s = handle_get(&core->handles, m->session);

        if (s)
                s->n_pending--;
        core->n_pending--;
        core->pending_bytes -= m->bytes;
        metric_set(&stat_pending, core->n_pending);
        if (m->prev)
                m->prev->next = m->next;
        else
                core->mutations = m->next;
        if (m->next)
                m->next->prev = m->prev;
        channel_unref(m->channel);
        if (m->event)
                parley__v1__event__free_unpacked(m->event, NULL);
        free(m);
}

void mutation_free_all(struct core *core)
{
        while (core->mutations)
                mutation_free(core->mutations);
}

void mutation_ack(struct mutation *m, uint64_t seq, const Google__Protobuf__Timestamp *created_at, bool duplicate)
{
        struct core *core = m->core;
        struct session *s = handle_get(&core->handles, m->session);
        Parley__V1__ServerFrame frame = PARLEY__V1__SERVER_FRAME__INIT;
        Parley__V1__Ack ack = PARLEY__V1__ACK__INIT;

        metric_add(&stat_acks, 1);
        if (duplicate)
                metric_add(&stat_acks_duplicate, 1);
        metric_observe(&stat_publish_seconds, (double)(core->now_ns - m->started_ns) / 1e9);
        if (s) {
                ack.id = m->id;
                ack.channel_id = m->channel->id;
                ack.seq = seq;
                ack.created_at = (Google__Protobuf__Timestamp *)created_at;
                ack.duplicate = duplicate;
                frame.ref = m->ref;
                frame.body_case = PARLEY__V1__SERVER_FRAME__BODY_ACK;
                frame.ack = &ack;
                session_send(s, &frame);
        }
        mutation_free(m);
}

void mutation_fail(struct mutation *m, enum parley_code code, uint32_t retry_ms, const char *format, ...)
{
        struct session *s = handle_get(&m->core->handles, m->session);
        char text[200];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        if (code == PARLEY_UNAVAILABLE || code == PARLEY_INTERNAL) {
                metric_add(&stat_mutations_refused, 1);
                log_debug("a mutation failed", LOG_S("error", text), LOG_S("channel", m->channel->id),
                          LOG_S("trace_id", m->trace_id));
        }
        if (s)
                session_error(s, m->ref, code, retry_ms, "%s", text);
        mutation_free(m);
}

int mutation_fingerprint(const struct mutation *m, uint8_t ret[FINGERPRINT_LEN])
{
        Parley__V1__Event *event = m->event;
        int r;

        if (!event)
                event = parley__v1__event__unpack(NULL, m->n_packed, m->packed);
        r = event ? event_fingerprint(event, ret) : -ENOMEM;
        if (event && event != m->event)
                parley__v1__event__free_unpacked(event, NULL);
        return r;
}

/* protobuf-c has no copy: the packed event is one. Unpacked it costs more than all the rest, so only what will be changed is. */
static struct mutation *mutation_new(const Parley__V1__Event *event, bool will_change)
{
        size_t n = parley__v1__event__get_packed_size(event);
        struct mutation *m = malloc(sizeof(*m) + n);

        if (!m)
                return NULL;
        *m = (struct mutation){.n_packed = n, .created_at = *event->created_at, .bytes = sizeof(*m) + n};
        parley__v1__event__pack(event, m->packed);
        memccpy(m->id, event->id, '\0', sizeof(m->id) - 1);
        memccpy(m->actor_id, event->actor_id, '\0', sizeof(m->actor_id) - 1);
        if (!will_change)
                return m;
        m->event = parley__v1__event__unpack(NULL, n, m->packed);
        m->bytes += UNPACKED_REST + UNPACKED_FACTOR * n;
        if (m->event)
                return m;
        free(m);
        return NULL;
}

void mutation_begin(struct session *s, struct channel *c, const Parley__V1__Event *event,
                    const struct mutation_options *options)
{
        struct core *core = s->core;
        struct mutation *m = mutation_new(event, options->target_seq != 0);

        if (!m) {
                session_error(s, options->ref, PARLEY_INTERNAL, 1000, "no memory");
                return;
        }
        m->core = core;
        m->channel = channel_ref(c);
        m->session = s->handle;
        m->ref = options->ref;
        m->retry = options->retry;
        m->retry_age_ms = options->retry_age_ms;
        m->target_seq = options->target_seq;
        m->visible_from = options->visible_from;
        m->expired = options->expired;
        m->target_may_any = options->target_may_any;
        m->action = options->action;
        m->admin = s->admin;
        m->started_ns = core->now_ns;
        core_trace_id(core, m->trace_id);
        s->n_pending++;
        core->n_pending++;
        core->pending_bytes += m->bytes;
        metric_set(&stat_pending, core->n_pending);
        m->next = core->mutations;
        if (m->next)
                m->next->prev = m;
        core->mutations = m;
        if (m->target_seq)
                target_find(m);
        else
                publish_start(m);
}
