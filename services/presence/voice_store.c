/* Writing to the bucket PRESENCE: when somebody was here last, and what he says of himself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/codes.h"
#include "base/log.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "presence/presence_metrics.h"
#include "presence/status.h"
#include "presence/voice_impl.h"
#include "wire/wire.h"

/* STORE_A_TICK: so that ten thousand who leave at once do not crowd out the chat. STORE_MAX: more than that are not written; it is known when
 * they were here as long as an instance lives. TRIES_MAX: of a write that others are sooner than, one after another. */
enum { STORE_A_TICK = 200, STORE_MAX = 200000, TRIES_MAX = 5 };

struct to_store {
        struct to_store *next;
        char user_id[];
};

void voice_store(struct voice *v, const char *user_id)
{
        size_t n = strlen(user_id) + 1;
        struct to_store *s;

        if (!v->leader.leading || v->n_store >= STORE_MAX)
                return;
        s = malloc(sizeof(*s) + n);
        if (!s)
                return; /* as above */
        s->next = NULL;
        memcpy(s->user_id, user_id, n);
        if (v->store_last)
                v->store_last->next = s;
        else
                v->store_first = s;
        v->store_last = s;
        v->n_store++;
}

static struct to_store *take(struct voice *v)
{
        struct to_store *s = v->store_first;

        if (!s)
                return NULL;
        v->store_first = s->next;
        if (!v->store_first)
                v->store_last = NULL;
        v->n_store--;
        return s;
}

void voice_store_clear(struct voice *v)
{
        struct to_store *s;

        while ((s = take(v)))
                free(s);
}

/* --- one write --- */

/* Of a status, or of when its user was here last. Each writes the whole record, so it may only follow the one that is known: else another
 * instance's, or one that is under way, would be taken back. Where another one was first it is read, and ours is written again behind it. */
struct writing {
        struct voice *voice;
        Parley__V1__Status *status; /* NULL: when he was here last */
        unsigned tries;
        voice_status_done done;
        void *userdata;
        char user_id[IDENT_MAX + 1];
};

static void writing_free(struct writing *w)
{
        if (w->status)
                parley__v1__status__free_unpacked(w->status, NULL);
        free(w);
}

static void writing_failed(struct writing *w, int error, const char *text)
{
        if (w->status)
                w->done(PARLEY_UNAVAILABLE, "the status cannot be kept now; try again", 1000, w->userdata);
        else
                log_warn("when a user was here last is not written",
                         LOG_S("why", text && *text ? text : bus_error_text(error)));
        writing_free(w);
}

static void writing_done(struct writing *w, uint64_t revision)
{
        struct roster *roster = w->voice->options.roster;
        int r = 0;

        if (!w->status)
                metric_add(&metric_stored, 1);
        else if (roster_revision(roster, w->user_id) <
                 revision) /* else the mirror was sooner, maybe with a later one */
                r = roster_status(roster, w->user_id, w->status);
        if (r == 0)
                roster_written(roster, w->user_id, revision);
        if (w->status && r < 0)
                w->done(PARLEY_UNAVAILABLE, "out of memory", 1000, w->userdata);
        else if (w->status)
                w->done(PARLEY_OK, NULL, 0, w->userdata);
        writing_free(w);
}

static void write_record(struct writing *w);

static void on_read(int error, const struct bus_msg *msg, void *userdata)
{
        struct writing *w = userdata;
        struct roster *roster = w->voice->options.roster;
        Parley__V1__PresenceRecord *record = NULL;

        if (error && error != BUS_E_NOT_FOUND) {
                writing_failed(w, error, NULL);
                return;
        }
        w->voice->options.before(w->voice->options.userdata);
        if (w->tries > 1) /* what we know is not what was there: it is another bucket */
                roster_forget_revision(roster, w->user_id);
        if (!error)
                record = parley__v1__presence_record__unpack(NULL, msg->len, msg->data);
        if (!error && !record)
                writing_failed(w, BUS_E_REFUSED, "what is in the bucket cannot be read");
        else if (roster_record(roster, w->user_id, record, error ? 0 : msg->seq) < 0)
                writing_failed(w, BUS_E_REFUSED, "out of memory");
        else
                write_record(w);
        if (record)
                parley__v1__presence_record__free_unpacked(record, NULL);
}

static void on_written(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        struct writing *w = userdata;
        struct voice *v = w->voice;

        v->options.before(v->options.userdata);
        if (!error) {
                writing_done(w, ack->seq);
        } else if (error == BUS_E_CONFLICT && ++w->tries < TRIES_MAX) {
                int r = bus_kv_get(v->options.bus, BUCKET_PRESENCE, w->user_id, on_read, w);

                if (r != 0)
                        writing_failed(w, r > 0 ? r : BUS_E_REFUSED, NULL);
        } else {
                writing_failed(w, error, text);
        }
}

static void write_record(struct writing *w)
{
        struct voice *v = w->voice;
        struct record record;
        int r;

        if (w->status && w->status->mode == PARLEY__V1__STATUS__MODE__invisible)
                roster_vanish(v->options.roster, w->user_id);
        roster_to_record(v->options.roster, w->user_id, &record);
        if (w->status)
                record.message.status = w->status;
        buf_reset(&v->bytes, VOICE_MESSAGE_MAX);
        r = wire_proto_encode(&record.message.base, &v->bytes);
        if (r == 0)
                r = bus_kv_put(v->options.bus, BUCKET_PRESENCE, w->user_id, v->bytes.data, v->bytes.len,
                               roster_revision(v->options.roster, w->user_id), on_written, w);
        if (r != 0)
                writing_failed(w, r > 0 ? r : BUS_E_REFUSED, NULL);
}

static struct writing *writing_new(struct voice *v, const char *user_id)
{
        struct writing *w = calloc(1, sizeof(*w));

        if (w) {
                w->voice = v;
                memcpy(w->user_id, user_id, strlen(user_id) + 1);
        }
        return w;
}

/* --- when somebody was here last --- */

void voice_store_some(struct voice *v)
{
        struct to_store *s;

        for (unsigned i = 0; i < STORE_A_TICK && bus_connected(v->options.bus) && (s = take(v)); i++) {
                struct writing *w = writing_new(v, s->user_id);

                free(s);
                if (!w)
                        break; /* it is known as long as this instance lives */
                write_record(w);
        }
}

/* --- a status --- */

static Parley__V1__Status *status_copy(const Parley__V1__Status *status)
{
        size_t n = parley__v1__status__get_packed_size(status);
        uint8_t *bytes = malloc(n + 1);
        Parley__V1__Status *copy = bytes ? parley__v1__status__unpack(NULL, parley__v1__status__pack(status, bytes),
                                                                      bytes)
                                         : NULL;

        free(bytes);
        return copy;
}

void voice_set_status(struct voice *v, const char *user_id, const Parley__V1__Status *status, voice_status_done done,
                      void *userdata)
{
        struct roster *roster = v->options.roster;
        char why[128];
        struct writing *w;
        uint32_t wait;

        if (!ident_valid(user_id)) {
                done(PARLEY_BAD_REQUEST, "the user's id is not one", 0, userdata);
        } else if (status_check(status, roster->wall_s, why, sizeof(why)) < 0) {
                done(PARLEY_BAD_REQUEST, why, 0, userdata);
        } else if ((wait = ratetable_take(v->status_rate, user_id, roster->now_ms, VOICE_STATUS_COST))) {
                done(PARLEY_RATE_LIMITED, "the status was changed too often", wait, userdata);
        } else if (!(w = writing_new(v, user_id)) || !(w->status = status_copy(status))) {
                free(w);
                done(PARLEY_UNAVAILABLE, "out of memory", 1000, userdata);
        } else {
                w->done = done;
                w->userdata = userdata;
                write_record(w);
        }
}
