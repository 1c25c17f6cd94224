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
 * they were here as long as an instance lives. */
enum { STORE_A_TICK = 200, STORE_MAX = 200000 };

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

static int put(struct voice *v, const char *user_id, const Parley__V1__PresenceRecord *record, bus_ack_handler handler,
               void *userdata)
{
        int r;

        buf_reset(&v->bytes, VOICE_MESSAGE_MAX);
        r = wire_proto_encode(&record->base, &v->bytes);
        if (r == 0)
                r = bus_kv_put(v->options.bus, BUCKET_PRESENCE, user_id, v->bytes.data, v->bytes.len, BUS_KV_ANY,
                               handler, userdata);
        return r;
}

static void on_stored(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        (void)ack;
        (void)userdata;
        if (error)
                log_warn("when a user was here last is not written", LOG_S("why", text ? text : bus_error_text(error)));
        else
                metric_add(&metric_stored, 1);
}

void voice_store_some(struct voice *v)
{
        struct to_store *s;

        for (unsigned i = 0; i < STORE_A_TICK && bus_connected(v->options.bus) && (s = take(v)); i++) {
                struct record record;
                int r;

                roster_to_record(v->options.roster, s->user_id, &record);
                r = put(v, s->user_id, &record.message, on_stored, NULL);
                if (r != 0)
                        on_stored(r > 0 ? r : BUS_E_REFUSED, NULL, NULL, NULL);
                free(s);
        }
}

/* --- a status --- */

struct setting {
        struct voice *voice;
        Parley__V1__Status *status;
        voice_status_done done;
        void *userdata;
        char user_id[IDENT_MAX + 1];
};

static void setting_end(struct setting *s, int code, const char *why, uint32_t retry_ms)
{
        s->done(code, why, retry_ms, s->userdata);
        parley__v1__status__free_unpacked(s->status, NULL);
        free(s);
}

static void on_put(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        struct setting *s = userdata;
        struct voice *v = s->voice;

        (void)ack;
        (void)text;
        if (error) {
                setting_end(s, PARLEY_UNAVAILABLE, "the status cannot be kept now; try again", 1000);
                return;
        }
        v->options.before(v->options.userdata);
        if (roster_status(v->options.roster, s->user_id, s->status) < 0)
                setting_end(s, PARLEY_UNAVAILABLE, "out of memory", 1000);
        else
                setting_end(s, PARLEY_OK, NULL, 0);
}

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

static void set_checked(struct voice *v, struct setting *s)
{
        struct record record;
        int r;

        roster_to_record(v->options.roster, s->user_id, &record);
        record.message.status = s->status;
        r = put(v, s->user_id, &record.message, on_put, s);
        if (r != 0)
                on_put(r > 0 ? r : BUS_E_REFUSED, NULL, NULL, s);
}

void voice_set_status(struct voice *v, const char *user_id, const Parley__V1__Status *status, voice_status_done done,
                      void *userdata)
{
        struct roster *roster = v->options.roster;
        char why[128];
        struct setting *s;
        uint32_t wait;

        if (!ident_valid(user_id)) {
                done(PARLEY_BAD_REQUEST, "the user's id is not one", 0, userdata);
        } else if (status_check(status, roster->wall_s, why, sizeof(why)) < 0) {
                done(PARLEY_BAD_REQUEST, why, 0, userdata);
        } else if ((wait = ratetable_take(v->status_rate, user_id, roster->now_ms, VOICE_STATUS_COST))) {
                done(PARLEY_RATE_LIMITED, "the status was changed too often", wait, userdata);
        } else if (!(s = calloc(1, sizeof(*s))) || !(s->status = status_copy(status))) {
                free(s);
                done(PARLEY_UNAVAILABLE, "out of memory", 1000, userdata);
        } else {
                s->voice = v;
                s->done = done;
                s->userdata = userdata;
                memcpy(s->user_id, user_id, strlen(user_id) + 1);
                set_checked(v, s);
        }
}
