#include "gateway/foresight.h"

#include <string.h>

#include "gateway/apply.h"
#include "gateway/mutation.h"
#include "gateway/shard.h"

/* So many members of the channel are looked at for the encodings that will be wanted; another one is made when it is */
#define MEMBERS_LOOKED_AT 8
/* Of the buffer, from one message to the next */
#define KEEP_BYTES 4096

void foresight_init(struct foresight *f, size_t max_event_bytes)
{
        *f = (struct foresight){0};
        buf_init(&f->stored, max_event_bytes);
}

static void forget_frames(struct foresight *f)
{
        for (unsigned i = 0; i < _ENCODING_N; i++) {
                frame_unref(f->frames[i]);
                f->frames[i] = NULL;
        }
}

static void forget(struct foresight *f)
{
        forget_frames(f);
        if (f->event)
                parley__v1__event__free_unpacked(f->event, NULL);
        f->event = NULL;
        buf_reset(&f->stored, KEEP_BYTES);
}

static void free_spent(struct foresight *f)
{
        if (f->spent)
                protobuf_c_message_free_unpacked(f->spent, NULL);
        f->spent = NULL;
}

void foresight_done(struct foresight *f)
{
        forget(f);
        free_spent(f);
        buf_done(&f->stored);
}

void foresight_spend(struct foresight *f, ProtobufCMessage *message)
{
        free_spent(f);
        f->spent = message;
}

static void make_frames(struct core *core, const struct channel *c)
{
        struct foresight *f = &core->foresight;
        Parley__V1__ServerFrame message = PARLEY__V1__SERVER_FRAME__INIT;

        message.body_case = PARLEY__V1__SERVER_FRAME__BODY_EVENT;
        message.event = f->event;
        for (uint32_t i = 0; i < c->n_subs && i < MEMBERS_LOOKED_AT; i++) {
                uint8_t encoding = c->subs[i].session->encoding;

                if (!f->frames[encoding] && frame_encode(&core->scratch, &message, encoding, &f->frames[encoding]))
                        return; /* it is tried again when it is needed, and complained of then */
        }
}

/* Only new messages: what an edit becomes depends on what was deleted */
static void foresee(struct core *core, const struct mutation *m)
{
        struct foresight *f = &core->foresight;
        struct channel *c = m->channel;
        struct raw_event raw = {.seq = c->shard->heard + 1, .len = (uint32_t)m->n_packed, .data = m->packed};

        if (m->action != POLICY_SEND || !channel_active(c) || buf_append(&f->stored, m->packed, m->n_packed))
                return;
        f->seq = raw.seq;
        f->prev = c->head;
        f->event = apply_decode(c, &raw, f->prev);
        if (f->event && f->event->body_case == PARLEY__V1__EVENT__BODY_MESSAGE)
                make_frames(core, c);
        else
                forget(f);
}

/* With more than one under way there is other work to do, and the guesses would be wrong */
void core_foresee(struct core *core)
{
        struct mutation *m = core->mutations;

        free_spent(&core->foresight);
        if (core->n_pending != 1 || !m->published || m->foreseen)
                return;
        m->foreseen = true;
        forget(&core->foresight);
        foresee(core, m);
}

Parley__V1__Event *foresight_take(struct foresight *f, const struct raw_event *raw, uint64_t prev,
                                  struct frame *ret_frames[_ENCODING_N])
{
        Parley__V1__Event *event = f->event;

        if (!event || f->stored.len != raw->len || memcmp(f->stored.data, raw->data, raw->len) != 0)
                return NULL;
        if (raw->seq == f->seq && prev == f->prev) {
                memcpy(ret_frames, f->frames, sizeof(f->frames));
                memset(f->frames, 0, sizeof(f->frames));
        }
        event->seq = event->message->seq = raw->seq;
        event->prev = prev;
        f->event = NULL;
        forget(f);
        return event;
}
