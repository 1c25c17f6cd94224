#include "gateway/fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bus/subjects.h"
#include "gateway/channel.h"
#include "gateway/shard.h"
#include "gateway/stats.h"

/* The most that history gives at once (internal.proto) */
#define HISTORY_LIMIT 500

struct fetch {
        struct core *core;
        struct channel *channel; /* a reference */
        struct fetch_options options;
        struct raw_event *events, **last;
        unsigned n;
        size_t bytes;
        uint64_t through; /* complete from options.after to here */
        /* the part that comes from the stream, until its beginning is proven not to have been trimmed meanwhile */
        uint64_t stream_from;
        struct raw_event **stream_last;
        unsigned stream_n, gets;
        bool in_stream;
        bool ended; /* the leader has nothing more of the channel */
        bool history_failed, history_behind;
        bool history_gave;     /* some of it */
        bool stream_gave;      /* the same */
        bool holes_sought;     /* once: what history does not answer has to do without */
        uint64_t hole_through; /* through here history is asked, for what the stream has no more */
        struct gate *gate;     /* repairs do not wait for replays */
        struct gate_item gate_item;
        struct fetch **handle; /* of whoever may cancel it */
        struct fetch *prev, *next;
        char user_id[IDENT_MAX + 1];
};

static void fetch_step(struct fetch *f);

struct raw_event *raw_event_new(uint64_t seq, int64_t time_ns, const uint8_t *data, size_t len)
{
        struct raw_event *raw = malloc(sizeof(*raw) + len);

        if (!raw)
                return NULL;
        *raw = (struct raw_event){
                .seq = seq, .time_ns = time_ns, .len = (uint32_t)len, .data = (const uint8_t *)(raw + 1)};
        memcpy(raw + 1, data, len);
        return raw;
}

struct raw_event *raw_event_pack(const Parley__V1__Event *event)
{
        Parley__V1__Event stored = *event;
        struct raw_event *raw;
        size_t len;

        stored.seq = stored.prev = 0;
        len = parley__v1__event__get_packed_size(&stored);
        raw = malloc(sizeof(*raw) + len);
        if (!raw)
                return NULL;
        *raw = (struct raw_event){.seq = event->seq, .len = (uint32_t)len, .data = (const uint8_t *)(raw + 1)};
        parley__v1__event__pack(&stored, (uint8_t *)(raw + 1));
        return raw;
}

void raw_event_free_list(struct raw_event *events)
{
        while (events) {
                struct raw_event *next = events->next;

                free(events);
                events = next;
        }
}

static void fetch_unlist(struct fetch *f)
{
        if (f->prev)
                f->prev->next = f->next;
        else
                f->core->fetches = f->next;
        if (f->next)
                f->next->prev = f->prev;
}

static void fetch_finish(struct fetch *f, enum fetch_result result)
{
        struct gate *gate = f->gate;

        fetch_unlist(f);
        if (f->handle)
                *f->handle = NULL;
        if (f->options.user_id && result == FETCH_OK)
                metric_add(f->history_gave ? &stat_replays_history : &stat_replays_stream, 1);
        if (f->options.done)
                f->options.done(f->channel, result, f->events, f->n, f->through, f->options.userdata);
        channel_unref(f->channel);
        raw_event_free_list(f->events);
        free(f);
        gate_leave(gate);
}

void fetch_cancel(struct fetch *f)
{
        f->options.done = NULL; /* what was asked is still answered; then it ends */
        if (f->handle)
                *f->handle = NULL;
        f->handle = NULL;
        if (!gate_cancel(&f->gate_item))
                return;
        fetch_unlist(f);
        channel_unref(f->channel);
        free(f);
}

static bool fetch_append(struct fetch *f, struct raw_event *raw)
{
        if (!raw)
                return false;
        *f->last = raw;
        f->last = &raw->next;
        f->n++;
        f->bytes += raw->len;
        return true;
}

/* --- history --- */

static void history_failed(struct fetch *f)
{
        f->history_failed = true;
        fetch_step(f);
}

static void history_take(struct fetch *f, const Parley__V1__EventsResponse *answer)
{
        uint64_t before = f->through;

        for (size_t i = 0; i < answer->n_events; i++) {
                const Parley__V1__Event *event = answer->events[i];

                if (event->seq <= f->through || event->seq > f->options.until)
                        continue;
                if (!fetch_append(f, raw_event_pack(event))) {
                        fetch_finish(f, FETCH_UNAVAILABLE);
                        return;
                }
                f->through = event->seq;
        }
        if (answer->through_seq > f->through)
                f->through = answer->through_seq < f->options.until ? answer->through_seq : f->options.until;
        /* it has not ingested that far yet: the stream has the rest */
        f->history_behind = f->through == before;
        f->history_gave |= !f->history_behind;
        if (f->history_behind)
                f->gets = 0;
        fetch_step(f);
}

static void history_on_events(int error, const struct bus_msg *msg, void *userdata)
{
        struct fetch *f = userdata;
        Parley__V1__EventsResponse *answer = error ? NULL
                                                   : parley__v1__events_response__unpack(NULL, msg->len, msg->data);

        if (!answer || answer->error) {
                log_debug("history does not answer", LOG_S("channel", f->channel->id), LOG_I("error", error));
                history_failed(f);
        } else {
                history_take(f, answer);
        }
        if (answer)
                parley__v1__events_response__free_unpacked(answer, NULL);
}

static void history_ask(struct fetch *f)
{
        Parley__V1__EventsRequest request = PARLEY__V1__EVENTS_REQUEST__INIT;
        unsigned left = f->options.max_events - f->n + 1;
        uint8_t data[512];

        request.channel_id = f->channel->id;
        request.after_seq = f->through;
        request.through_seq = f->options.until;
        request.limit = left < HISTORY_LIMIT ? left : HISTORY_LIMIT;
        request.user_id = f->user_id;
        _Static_assert(sizeof(data) > 3 * IDENT_MAX + 64, "the request fits");
        up_request(&f->core->up, RPC_HISTORY_EVENTS, data, parley__v1__events_request__pack(&request, data),
                   history_on_events, f);
}

/* --- the stream --- */

/* The beginning was trimmed away while it was read: what was found may have holes */
static void stream_forget(struct fetch *f)
{
        raw_event_free_list(*f->stream_last);
        *f->stream_last = NULL;
        f->last = f->stream_last;
        f->n = f->stream_n;
        f->through = f->stream_from;
}

static void stream_proven(struct shard *shard, int error, uint64_t last_seq, void *userdata)
{
        struct fetch *f = userdata;

        f->in_stream = false;
        if (!error && f->ended && f->through < f->options.until) {
                /* what was heard of was removed, or does not exist: nothing is known above the stream's end */
                if (last_seq < f->options.until)
                        f->options.until = last_seq > f->through ? last_seq : f->through;
                f->through = f->options.until;
        }
        if (error) {
                stream_forget(f);
                fetch_finish(f, FETCH_UNAVAILABLE);
                return;
        }
        if (shard->first_seq > f->stream_from + 1)
                stream_forget(f);
        else if (f->through > f->stream_from)
                f->history_behind = false; /* it may know more by now */
        fetch_step(f);
}

/* Enough was read one by one, or nothing more is there */
static void stream_end(struct fetch *f)
{
        shard_ask(f->channel->shard, stream_proven, f);
}

static void stream_on_last(int error, const struct bus_msg *msg, void *userdata)
{
        struct fetch *f = userdata;

        if (error == BUS_E_NOT_FOUND || (!error && msg->seq <= f->through))
                f->ended = true;
        else
                f->gets = f->options.max_gets; /* the replica that answered is behind */
        stream_end(f);
}

static void stream_ask_last(struct fetch *f)
{
        char stream[SUBJECT_MAX], subject[SUBJECT_MAX];

        subject_chat_stream(stream, f->channel->shard->number);
        subject_chat(subject, f->channel->shard->number, f->channel->id);
        up_stream_last(&f->core->up, stream, subject, stream_on_last, f);
}

static void stream_on_next(int error, const struct bus_msg *msg, void *userdata)
{
        struct fetch *f = userdata;

        f->gets++;
        if (error == BUS_E_NOT_FOUND) {
                stream_ask_last(f);
                return;
        }
        if (error) {
                f->gets = f->options.max_gets;
                stream_end(f);
                return;
        }
        if (msg->seq > f->options.until) {
                f->through = f->options.until;
        } else if (!fetch_append(f, raw_event_new(msg->seq, msg->time_ns, msg->data, msg->len))) {
                stream_forget(f);
                fetch_finish(f, FETCH_UNAVAILABLE);
                return;
        } else {
                f->through = msg->seq;
                f->stream_gave = true;
        }
        fetch_step(f);
}

static void stream_ask_next(struct fetch *f)
{
        char stream[SUBJECT_MAX], subject[SUBJECT_MAX];

        if (!f->in_stream) {
                f->in_stream = true;
                f->stream_from = f->through;
                f->stream_last = f->last;
                f->stream_n = f->n;
        }
        subject_chat_stream(stream, f->channel->shard->number);
        subject_chat(subject, f->channel->shard->number, f->channel->id);
        up_stream_next(&f->core->up, stream, subject, f->through + 1, stream_on_next, f);
}

/* --- messages that were deleted --- */

/* The target of a deletion; 0: it is none, or cannot be read */
static uint64_t deleted_by(const struct raw_event *raw)
{
        Parley__V1__Event *event = parley__v1__event__unpack(NULL, raw->len, raw->data);
        uint64_t target = 0;

        if (event && event->body_case == PARLEY__V1__EVENT__BODY_MESSAGE_DELETED)
                target = event->message_deleted->target_seq;
        if (event)
                parley__v1__event__free_unpacked(event, NULL);
        return target;
}

static bool fetch_has(const struct fetch *f, uint64_t seq)
{
        for (const struct raw_event *e = f->events; e && e->seq <= seq; e = e->next)
                if (e->seq == seq)
                        return true;
        return false;
}

/* Through where something of what this deletes may be missing in what was read: its edits went with it, and come at any place before the deletion.
 * 0: nothing is */
static uint64_t hole_of(const struct fetch *f, const struct raw_event *raw)
{
        uint64_t target = raw->seq > f->options.after ? deleted_by(raw) : 0;
        uint64_t last = raw->seq <= f->through ? raw->seq - 1 : f->through;

        if (!target || target >= raw->seq || target > f->through || last <= f->options.after)
                return 0;
        return target > f->options.after && fetch_has(f, target) ? 0 : last;
}

/* A message that was deleted is soon removed from the log with its edits, and leaves no trace there but its deletion. History has placeholders,
 * without which what was read has a hole. The deletion was read too, or is in the tail, which goes on where reading ends. True when history shall be asked for it. */
static bool fetch_seek_holes(struct fetch *f)
{
        uint64_t hole = 0;

        if (f->holes_sought || !f->stream_gave || f->history_failed)
                return false;
        f->holes_sought = true;
        for (const struct raw_event *e = f->events; e; e = e->next) {
                uint64_t last = hole_of(f, e);

                hole = last > hole ? last : hole;
        }
        for (const struct tail_entry *e = f->channel->tail_first; e; e = e->next) {
                uint64_t last = hole_of(f, &e->event);

                hole = last > hole ? last : hole;
        }
        if (!hole)
                return false;
        raw_event_free_list(f->events);
        f->events = NULL;
        f->last = &f->events;
        f->n = f->gets = 0;
        f->bytes = 0;
        f->through = f->options.after;
        f->hole_through = hole;
        f->ended = f->history_behind = false;
        return true;
}

/* --- which of both --- */

static bool fetch_stream_serves(const struct fetch *f)
{
        if (f->through < f->options.history_through || f->through + 1 < f->channel->shard->first_seq)
                return false;
        if (f->through < f->hole_through && !f->history_failed && !f->history_behind)
                return false;
        if (f->options.prefer_history && !f->history_failed && !f->history_behind)
                return false;
        return f->gets < f->options.max_gets;
}

static void fetch_step(struct fetch *f)
{
        bool cancelled = !f->options.done;
        bool too_long = f->n > f->options.max_events || f->bytes > f->options.max_bytes;
        bool enough = f->through >= f->options.until || too_long;

        if (cancelled) {
                fetch_finish(f, FETCH_UNAVAILABLE);
                return;
        }
        if (!enough && fetch_stream_serves(f)) {
                stream_ask_next(f);
                return;
        }
        if (f->in_stream) {
                stream_end(f);
                return;
        }
        if (enough && fetch_seek_holes(f))
                history_ask(f);
        else if (too_long && f->through < f->options.until)
                fetch_finish(f, FETCH_TOO_LONG);
        else if (f->through >= f->options.until)
                fetch_finish(f, FETCH_OK);
        else if (f->history_failed || f->history_behind)
                fetch_finish(f, FETCH_UNAVAILABLE);
        else
                history_ask(f);
}

static void fetch_begin(struct gate_item *item)
{
        fetch_step((struct fetch *)((char *)item - offsetof(struct fetch, gate_item)));
}

int fetch_start(struct channel *c, const struct fetch_options *options, struct fetch **ret_fetch)
{
        struct fetch *f = calloc(1, sizeof(*f));

        if (!f)
                return -ENOMEM;
        f->core = c->core;
        f->channel = channel_ref(c);
        f->options = *options;
        f->through = options->after;
        f->last = &f->events;
        if (options->user_id)
                memcpy(f->user_id, options->user_id, strnlen(options->user_id, IDENT_MAX));
        f->next = c->core->fetches;
        if (f->next)
                f->next->prev = f;
        c->core->fetches = f;
        f->gate = options->user_id ? &c->core->gate_replays : &c->core->gate_repairs;
        f->handle = ret_fetch;
        if (ret_fetch)
                *ret_fetch = f;
        gate_enter(f->gate, &f->gate_item, fetch_begin);
        return 0;
}

void fetch_free_all(struct core *core)
{
        while (core->fetches) {
                struct fetch *f = core->fetches;

                fetch_unlist(f);
                gate_cancel(&f->gate_item);
                raw_event_free_list(f->events);
                free(f);
        }
}
