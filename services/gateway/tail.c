/* The newest events of each channel, as they were stored. The oldest of all channels go first when memory is full. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "gateway/channel.h"
#include "gateway/stats.h"

static size_t tail_size(const struct tail_entry *e)
{
        return sizeof(*e) + e->event.len;
}

static void tail_count(struct core *core, size_t add, size_t sub)
{
        core->tail_bytes += add - sub;
        metric_set(&stat_tail_bytes, (double)core->tail_bytes);
}

static void tail_remove_oldest(struct channel *c)
{
        struct core *core = c->core;
        struct tail_entry *e = c->tail_first;

        c->tail_first = e->next;
        if (e->next)
                e->next->prev = NULL;
        else
                c->tail_last = NULL;
        c->n_tail--;
        c->tail_base = e->event.seq;
        if (e->all_prev)
                e->all_prev->all_next = e->all_next;
        else
                core->tail_oldest = e->all_next;
        if (e->all_next)
                e->all_next->all_prev = e->all_prev;
        else
                core->tail_newest = e->all_prev;
        tail_count(core, 0, tail_size(e));
        free(e);
}

static struct tail_entry *tail_entry_new(struct channel *c, const struct raw_event *event, struct tail_mark mark)
{
        struct tail_entry *e = malloc(sizeof(*e) + event->len);

        if (!e)
                return NULL;
        *e = (struct tail_entry){.channel = c, .mark = mark, .event = *event};
        memcpy(e + 1, event->data, event->len);
        e->event.data = (const uint8_t *)(e + 1);
        e->event.next = NULL;
        return e;
}

void tail_skip(struct channel *c, uint64_t seq)
{
        tail_done(c);
        c->tail_base = seq;
}

void tail_push(struct channel *c, const struct raw_event *event, struct tail_mark mark)
{
        struct core *core = c->core;
        struct tail_entry *e = tail_entry_new(c, event, mark);

        if (!e) {
                tail_skip(c, event->seq);
                return;
        }
        e->prev = c->tail_last;
        if (e->prev)
                e->prev->next = e;
        else
                c->tail_first = e;
        c->tail_last = e;
        c->n_tail++;
        e->all_prev = core->tail_newest;
        if (e->all_prev)
                e->all_prev->all_next = e;
        else
                core->tail_oldest = e;
        core->tail_newest = e;
        tail_count(core, tail_size(e), 0);
        while (c->n_tail > core->config->tail_events)
                tail_remove_oldest(c);
        while (core->tail_bytes > core->config->tail_bytes)
                tail_remove_oldest(core->tail_oldest->channel);
}

struct tail_entry *tail_find(struct channel *c, uint64_t seq)
{
        for (struct tail_entry *e = c->tail_last; e && e->event.seq >= seq; e = e->prev)
                if (e->event.seq == seq)
                        return e;
        return NULL;
}

bool tail_deletes(const struct channel *c, uint64_t target_seq)
{
        for (const struct tail_entry *e = c->tail_last; e && e->event.seq > target_seq; e = e->prev)
                if (e->mark.deletes == target_seq)
                        return true;
        return false;
}

/* The same event without its content */
static struct raw_event *tail_blank(const struct tail_entry *e)
{
        Parley__V1__Event *event = parley__v1__event__unpack(NULL, e->event.len, e->event.data);
        Parley__V1__Event blank = PARLEY__V1__EVENT__INIT;
        Parley__V1__EventRemoved removed = PARLEY__V1__EVENT_REMOVED__INIT;
        struct raw_event *raw;

        if (event) {
                blank.channel_id = event->channel_id;
                blank.id = event->id;
                blank.actor_id = event->actor_id;
                blank.created_at = event->created_at;
        }
        removed.reason = PARLEY__V1__EVENT_REMOVED__REASON__deleted;
        blank.body_case = PARLEY__V1__EVENT__BODY_REMOVED;
        blank.removed = &removed;
        raw = raw_event_pack(&blank);
        if (event)
                parley__v1__event__free_unpacked(event, NULL);
        return raw;
}

static struct tail_entry *tail_replace(struct tail_entry *e, const struct raw_event *raw)
{
        struct channel *c = e->channel;
        struct core *core = c->core;
        struct tail_entry *n = tail_entry_new(c, raw, (struct tail_mark){0});

        if (!n)
                return NULL;
        n->event.seq = e->event.seq;
        n->event.time_ns = e->event.time_ns;
        n->prev = e->prev;
        n->next = e->next;
        n->all_prev = e->all_prev;
        n->all_next = e->all_next;
        *(n->prev ? &n->prev->next : &c->tail_first) = n;
        *(n->next ? &n->next->prev : &c->tail_last) = n;
        *(n->all_prev ? &n->all_prev->all_next : &core->tail_oldest) = n;
        *(n->all_next ? &n->all_next->all_prev : &core->tail_newest) = n;
        tail_count(core, tail_size(n), tail_size(e));
        free(e);
        return n;
}

void tail_forget(struct channel *c, uint64_t target_seq)
{
        for (struct tail_entry *e = c->tail_first; e; e = e->next) {
                struct raw_event *raw;
                struct tail_entry *n;

                if (e->event.seq != target_seq && e->mark.edits != target_seq)
                        continue;
                raw = tail_blank(e);
                n = raw ? tail_replace(e, raw) : NULL;
                raw_event_free_list(raw);
                if (!n) {
                        /* no memory for the blank: rather nothing than the content */
                        log_error("no memory to blank a deleted message", LOG_S("channel", c->id));
                        tail_skip(c, c->head);
                        return;
                }
                e = n;
        }
}

void tail_done(struct channel *c)
{
        while (c->tail_first)
                tail_remove_oldest(c);
}
