/* The frames of a replay. A storm of sessions that come back asks for the same ones: they are made once and kept for a moment. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/log.h"
#include "gateway/apply.h"
#include "gateway/pack.h"
#include "gateway/replay.h"

/* One frame of a replay holds at most so much, so that it still fits into a batch */
#define CHUNK_BYTES 40000
#define CHUNK_EVENTS 250
/* What an encoded event is larger than a stored one, at most usually */
#define EVENT_OVERHEAD 400

struct replay_key {
        const struct channel *channel;
        uint64_t from, after;
        uint64_t encoding;
};

struct replay_cache {
        struct replay_key key;
        uint64_t position; /* of the channel when it was made */
        uint64_t made_ms;
        struct replay_frames *frames;
        struct replay_cache *next; /* of the same channel */
        UT_hash_handle hh;
};

void replay_frames_free(struct replay_frames *frames)
{
        for (unsigned i = 0; frames && i < frames->n; i++)
                frame_unref(frames->frames[i]);
        free(frames);
}

/* --- building --- */

struct builder {
        struct channel *c;
        Parley__V1__Event **events;
        size_t *sizes;
        unsigned n;
};

static void builder_done(struct builder *b)
{
        for (unsigned i = 0; i < b->n; i++)
                parley__v1__event__free_unpacked(b->events[i], NULL);
        free(b->events);
        free(b->sizes);
}

static int builder_add(struct builder *b, const struct raw_event *raw, uint64_t prev)
{
        Parley__V1__Event *event = apply_decode(b->c, raw, prev);

        if (!event)
                return -ENOMEM;
        b->events[b->n] = event;
        b->sizes[b->n++] = raw->len;
        return 0;
}

/* Within a replay the content of a message that is deleted further on is not told any more */
static void builder_blank(struct builder *b, uint64_t target_seq)
{
        for (unsigned i = 0; i < b->n; i++) {
                Parley__V1__Event *e = b->events[i];
                bool is = (e->body_case == PARLEY__V1__EVENT__BODY_MESSAGE && e->seq == target_seq) ||
                          (e->body_case == PARLEY__V1__EVENT__BODY_MESSAGE_EDITED &&
                           e->message_edited->target_seq == target_seq);

                if (is)
                        apply_blank(e);
        }
}

/* All events of the replay, fetched ones and then those of the tail */
static int builder_fill(struct builder *b, const struct replay_source *source)
{
        struct channel *c = b->c;
        size_t most = c->core->config->replay_max_events, max_bytes = c->core->config->session_max_queue_bytes / 2;
        size_t bytes = 0;
        uint64_t prev = source->from;
        const struct raw_event *raw = source->events;
        struct tail_entry *e = c->tail_first;
        int r;

        b->events = calloc(most + 1, sizeof(Parley__V1__Event *));
        b->sizes = calloc(most + 1, sizeof(size_t));
        if (!b->events || !b->sizes)
                return -ENOMEM;
        while (e && e->event.seq <= (source->through > source->after ? source->through : source->after))
                e = e->next;
        while (raw || e) {
                const struct raw_event *take = raw ? raw : &e->event;

                bytes += take->len + EVENT_OVERHEAD;
                if (b->n == most || bytes > max_bytes)
                        return -E2BIG;
                r = builder_add(b, take, prev);
                if (r)
                        return r;
                prev = take->seq;
                if (raw)
                        raw = raw->next;
                else
                        e = e->next;
        }
        for (unsigned i = 0; i < b->n; i++)
                if (b->events[i]->body_case == PARLEY__V1__EVENT__BODY_MESSAGE_DELETED)
                        builder_blank(b, b->events[i]->message_deleted->target_seq);
        return 0;
}

static int frames_encode(struct builder *b, const struct replay_source *source, enum encoding encoding,
                         struct replay_frames *frames)
{
        struct channel *c = b->c;
        uint64_t from = source->from;
        unsigned first = 0;

        do {
                Parley__V1__ServerFrame message = PARLEY__V1__SERVER_FRAME__INIT;
                Parley__V1__Replay replay = PARLEY__V1__REPLAY__INIT;
                size_t bytes = 0;
                unsigned n = 0;
                int r;

                while (first + n < b->n && n < CHUNK_EVENTS && (n == 0 || bytes < CHUNK_BYTES))
                        bytes += b->sizes[first + n++] + EVENT_OVERHEAD / 2;
                replay.channel_id = c->id;
                replay.epoch = c->shard->epoch;
                replay.from_seq = from;
                replay.events = b->events + first;
                replay.n_events = n;
                first += n;
                replay.more = first < b->n;
                replay.through_seq = replay.more ? b->events[first - 1]->seq : channel_position(c);
                if (replay.through_seq < from)
                        replay.through_seq = from; /* the cursor is complete through more than the channel has */
                from = replay.through_seq;
                message.body_case = PARLEY__V1__SERVER_FRAME__BODY_REPLAY;
                message.replay = &replay;
                r = frame_encode(&c->core->scratch, &message, encoding, &frames->frames[frames->n]);
                if (r)
                        return r;
                frames->bytes += frames->frames[frames->n++]->len;
        } while (first < b->n);
        return 0;
}

static struct replay_frames *frames_make(struct channel *c, const struct replay_source *source, enum encoding encoding,
                                         int *ret_error)
{
        struct builder b = {.c = c};
        struct replay_frames *frames = NULL;
        int r = builder_fill(&b, source);

        if (r == 0) {
                frames = calloc(1, sizeof(*frames) + (b.n + 1) * sizeof(struct frame *));
                r = frames ? frames_encode(&b, source, encoding, frames) : -ENOMEM;
        }
        builder_done(&b);
        if (r) {
                if (r != -E2BIG)
                        log_error("a replay cannot be made", LOG_S("channel", c->id), LOG_I("error", r));
                replay_frames_free(frames);
                *ret_error = r;
                return NULL;
        }
        return frames;
}

/* --- cache --- */

static void cache_remove(struct core *core, struct replay_cache *entry)
{
        struct replay_cache **at = &((struct channel *)entry->key.channel)->replay_cache;

        while (*at != entry)
                at = &(*at)->next;
        *at = entry->next;
        HASH_DEL(core->replay_caches, entry);
        replay_frames_free(entry->frames);
        free(entry);
}

void replay_cache_drop(struct channel *c)
{
        while (c->replay_cache)
                cache_remove(c->core, c->replay_cache);
}

void replay_cache_sweep(struct core *core)
{
        struct replay_cache *entry, *tmp;

        HASH_ITER (hh, core->replay_caches, entry, tmp)
                if (core->now_ms - entry->made_ms >= REPLAY_CACHE_MS)
                        cache_remove(core, entry);
}

static struct replay_cache *cache_entry(struct channel *c, const struct replay_source *source, enum encoding encoding)
{
        struct replay_key key;
        struct replay_cache *entry;

        memset(&key, 0, sizeof(key));
        key.channel = c;
        key.from = source->from;
        key.after = source->after;
        key.encoding = encoding;
        HASH_FIND(hh, c->core->replay_caches, &key, sizeof(key), entry);
        if (entry)
                return entry;
        if (HASH_COUNT(c->core->replay_caches) >= REPLAY_CACHE_MAX)
                cache_remove(c->core, c->core->replay_caches); /* the oldest */
        entry = calloc(1, sizeof(*entry));
        if (!entry)
                return NULL;
        entry->key = key;
        HASH_ADD(hh, c->core->replay_caches, key, sizeof(key), entry);
        if (!entry->hh.tbl) {
                free(entry);
                return NULL;
        }
        entry->next = c->replay_cache;
        c->replay_cache = entry;
        return entry;
}

const struct replay_frames *replay_frames_get(struct channel *c, const struct replay_source *source,
                                              enum encoding encoding, bool shared, int *ret_error)
{
        struct core *core = c->core;
        struct replay_cache *entry = shared ? cache_entry(c, source, encoding) : NULL;
        struct replay_frames *frames;

        if (entry && entry->frames && entry->position == channel_position(c))
                return entry->frames;
        frames = frames_make(c, source, encoding, ret_error);
        if (entry && !frames) {
                cache_remove(core, entry);
        } else if (entry) {
                replay_frames_free(entry->frames);
                entry->frames = frames;
                entry->position = channel_position(c);
                entry->made_ms = core->now_ms;
        } else {
                replay_frames_free(core->replay_last);
                core->replay_last = frames;
        }
        return frames;
}
