#include "history/rescue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "history/ingest_dlq.h"
#include "history/provision_core.h"

/* What may have been stored between the restart of the server and now. More is not looked for, and said. */
enum { MESSAGES_MAX = 10000 };

struct stored {
        struct stored *next; /* the one behind it in the log */
        uint64_t seq;
        char *subject;
        uint8_t *data;
        size_t len;
};

struct rescue {
        struct env *env;
        char stream[SUBJECT_MAX];
        struct rescue_from from;
        uint64_t seq;         /* looked at now, downwards */
        struct stored *first; /* found; in the order of the log */
        struct stored *at;    /* dealt with now */
        unsigned n;
        void (*done)(int error, const char *why, void *userdata);
        void *userdata;
};

static void stored_free(struct stored *s)
{
        if (!s)
                return;
        free(s->subject);
        free(s->data);
        free(s);
}

static void finish(struct rescue *r, int error, const char *why)
{
        r->done(error, why, r->userdata);
        while (r->first) {
                struct stored *s = r->first;

                r->first = s->next;
                stored_free(s);
        }
        free(r);
}

static const char *text_of(int error, const char *text)
{
        return text && *text ? text : error < 0 ? strerror(-error) : bus_error_text(error);
}

/* --- last step: once more, under new sequences --- */

static void store_again(struct rescue *r);

static void on_stored_again(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        struct rescue *r = userdata;

        if (error) {
                finish(r, error, text_of(error, text));
                return;
        }
        log_warn("stored an event again", LOG_S("stream", r->stream), LOG_U("old_seq", r->at->seq),
                 LOG_U("seq", ack->seq));
        r->at = r->at->next;
        store_again(r);
}

static void store_again(struct rescue *r)
{
        int e;

        if (!r->at) {
                finish(r, 0, "");
                return;
        }
        /* without an id: the server may still know the one it was stored under, with its old sequence */
        e = bus_publish_stream(r->env->bus, r->at->subject, NULL, r->at->data, r->at->len, NULL, on_stored_again, r);
        if (e)
                finish(r, e, text_of(e, NULL));
}

static void on_jumped(int error, const char *text, void *userdata)
{
        struct rescue *r = userdata;

        if (error) {
                finish(r, error, text_of(error, text));
                return;
        }
        r->at = r->first;
        store_again(r);
}

/* --- dead letters, so that nothing is lost when this ends half-way --- */

static void keep_letter(struct rescue *r);

static void on_letter(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        struct rescue *r = userdata;

        (void)ack;
        if (error) {
                finish(r, error, text_of(error, text));
                return;
        }
        r->at = r->at->next;
        keep_letter(r);
}

static void keep_letter(struct rescue *r)
{
        struct dead_letter letter;
        int e;

        if (!r->at) {
                log_error("the log had lost its end: it counts on above what was ingested", LOG_S("stream", r->stream),
                          LOG_U("ingested_seq", r->from.ingested_seq), LOG_U("last_seq", r->from.last_seq),
                          LOG_U("stored_again", r->n));
                e = bus_stream_trim(r->env->bus, r->stream, r->from.ingested_seq + PROVISION_JUMP, on_jumped, r);
        } else {
                letter = (struct dead_letter){
                        .subject = r->at->subject,
                        .seq = r->at->seq,
                        .data = r->at->data,
                        .len = r->at->len,
                        .reason = "the log had lost its end and gave this sequence a second time: stored again"};
                e = dead_letter_publish(r->env, &letter, NULL, on_letter, r);
        }
        if (e)
                finish(r, e, text_of(e, NULL));
}

/* --- first step: what is newer than all that was ingested, from the end downwards --- */

static void look(struct rescue *r);

static int take(struct rescue *r, const struct bus_msg *msg)
{
        struct stored *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->seq = msg->seq;
        s->subject = strdup(msg->subject);
        s->data = malloc(msg->len + 1);
        s->len = msg->len;
        if (!s->subject || !s->data) {
                stored_free(s);
                return -ENOMEM;
        }
        memcpy(s->data, msg->data, msg->len);
        s->next = r->first;
        r->first = s;
        r->n++;
        return 0;
}

static void on_message(int error, const struct bus_msg *msg, void *userdata)
{
        struct rescue *r = userdata;
        bool newer = error == 0 && msg->time_ns > r->from.ingested_time_ns;
        int e = newer ? take(r, msg) : 0;

        if (e < 0 || (error && error != BUS_E_NOT_FOUND)) {
                finish(r, e < 0 ? e : error, text_of(e < 0 ? e : error, NULL));
                return;
        }
        r->seq--;
        if ((newer || error) && r->n < MESSAGES_MAX) {
                look(r);
        } else {
                r->at = r->first;
                keep_letter(r);
        }
}

static void look(struct rescue *r)
{
        int e;

        if (r->seq < r->from.first_seq || r->seq == 0) {
                r->at = r->first;
                keep_letter(r);
                return;
        }
        e = bus_stream_get(r->env->bus, r->stream, r->seq, false, on_message, r);
        if (e)
                finish(r, e, text_of(e, NULL));
}

int rescue_run(struct env *env, const struct rescue_from *from,
               void (*done)(int error, const char *why, void *userdata), void *userdata)
{
        struct rescue *r = calloc(1, sizeof(*r));

        if (!r)
                return -ENOMEM;
        *r = (struct rescue){.env = env, .from = *from, .seq = from->last_seq, .done = done, .userdata = userdata};
        (void)snprintf(r->stream, sizeof(r->stream), "%s", from->stream);
        look(r);
        return 0;
}
