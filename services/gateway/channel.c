#include "gateway/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bus/subjects.h"
#include "gateway/replay.h"
#include "gateway/session.h"
#include "gateway/shard.h"
#include "gateway/stats.h"

#define CHANNEL_RETRY_MS 500
#define CHANNEL_MISSING_RETRY_MS 5000

static void channel_timer(struct wheel_timer *t, uint64_t now_ms);

struct channel *channel_find(struct core *core, const char *id)
{
        struct channel *c;

        HASH_FIND_STR(core->channels, id, c);
        return c;
}

struct channel *channel_get(struct core *core, const char *id)
{
        struct channel *c = channel_find(core, id);

        if (c)
                return c;
        c = calloc(1, sizeof(*c));
        if (!c)
                return NULL;
        c->core = core;
        c->shard = shard_of(core, id);
        memcpy(c->id, id, strlen(id) + 1);
        HASH_ADD_STR(core->channels, id, c);
        if (!c->hh.tbl) {
                free(c);
                return NULL;
        }
        metric_set(&stat_channels, HASH_COUNT(core->channels));
        return c;
}

struct channel *channel_ref(struct channel *c)
{
        c->refs++;
        return c;
}

static bool channel_unused(const struct channel *c)
{
        return c->refs == 0 && c->n_subs == 0;
}

static void channel_linger(struct channel *c)
{
        if (c->n_subs == 0 && !wheel_armed(&c->timer))
                wheel_arm(c->core->wheel, &c->timer, c->core->now_ms + c->core->config->linger_ms + 1, channel_timer);
}

void channel_unref(struct channel *c)
{
        c->refs--;
        channel_linger(c);
}

static void channel_stop(struct channel *c)
{
        c->state = CHANNEL_IDLE;
        wheel_disarm(&c->suspect);
        replay_cache_drop(c);
        replay_free_all(c);
        chain_done(c);
        tail_done(c);
        c->head = c->floor = c->known_head = c->begins = 0;
        c->epoch_due = false;
}

void channel_free(struct channel *c)
{
        struct core *core = c->core;

        channel_stop(c);
        wheel_disarm(&c->timer);
        gate_cancel(&c->gate);
        gate_cancel(&c->verify_gate);
        free(c->subs);
        if (c->doc)
                parley__v1__channel__free_unpacked(c->doc, NULL);
        HASH_DEL(core->channels, c);
        metric_set(&stat_channels, HASH_COUNT(core->channels));
        free(c);
}

/* --- who gets it --- */

int channel_sub_add(struct channel *c, struct session *s, uint32_t link, uint32_t *ret_index)
{
        if (c->n_subs == c->cap_subs) {
                uint32_t cap = c->cap_subs ? c->cap_subs * 2 : 4;
                struct sub *subs = realloc(c->subs, cap * sizeof(*subs));

                if (!subs)
                        return -ENOMEM;
                c->subs = subs;
                c->cap_subs = cap;
        }
        c->subs[c->n_subs] = (struct sub){.session = s, .link = link};
        *ret_index = c->n_subs++;
        if (c->state != CHANNEL_MISSING)
                wheel_disarm(&c->timer); /* else it is what tries again */
        return 0;
}

void channel_sub_remove(struct channel *c, uint32_t index)
{
        c->n_subs--;
        if (index < c->n_subs) {
                const struct sub *moved = &c->subs[c->n_subs];

                c->subs[index] = *moved;
                moved->session->links[moved->link].index = index;
        }
        channel_linger(c);
}

void channel_check_links(struct channel *c)
{
        for (uint32_t i = c->n_subs; i-- > 0;) {
                if (i < c->n_subs) {
                        struct session *s = c->subs[i].session;

                        session_link_check(s, &s->links[c->subs[i].link]);
                }
        }
}

/* protobuf-c has no copy. NULL: no memory */
static Parley__V1__Channel *doc_copy(const Parley__V1__Channel *doc)
{
        size_t n = parley__v1__channel__get_packed_size(doc);
        uint8_t *packed = malloc(n + 1);
        Parley__V1__Channel *copy;

        if (!packed)
                return NULL;
        parley__v1__channel__pack(doc, packed);
        copy = parley__v1__channel__unpack(NULL, n, packed);
        free(packed);
        return copy;
}

void channel_set_doc(struct channel *c, const Parley__V1__Channel *doc)
{
        Parley__V1__Channel *copy;

        if (c->doc && doc->version < c->doc->version)
                return;
        copy = doc_copy(doc);
        if (!copy) {
                log_error("no memory for a channel's description", LOG_S("channel", c->id));
                return; /* rather the old one than none, which would hide nothing from anybody */
        }
        if (c->doc)
                parley__v1__channel__free_unpacked(c->doc, NULL);
        c->doc = copy;
}

/* --- activation --- */

static void channel_activated(struct channel *c)
{
        struct core *core = c->core;

        if (c->activation_error) {
                chain_done(c);
                c->state = CHANNEL_IDLE;
                wheel_arm(core->wheel, &c->timer, core->now_ms + CHANNEL_RETRY_MS, channel_timer);
                return;
        }
        if (!c->doc) {
                log_warn("a channel with members has no description", LOG_S("channel", c->id));
                c->state = CHANNEL_MISSING;
                wheel_arm(core->wheel, &c->timer, core->now_ms + CHANNEL_MISSING_RETRY_MS, channel_timer);
                channel_check_links(c);
                return;
        }
        c->state = CHANNEL_ACTIVE;
        chain_begin(c);
        channel_check_links(c);
        if (c->verify_again)
                chain_verify(c); /* something was lost while the head was being read */
}

/* One of the answers that activation waits for is there */
static void channel_step(struct channel *c, int error)
{
        if (error)
                c->activation_error = (uint8_t)error;
        if (--c->activating)
                return;
        channel_activated(c);
        c->refs--;
        channel_linger(c);
        gate_leave(&c->core->gate_channels);
}

static void channel_on_doc(int error, const struct bus_msg *msg, void *userdata)
{
        struct channel *c = userdata;

        if (!error) {
                Parley__V1__Channel *doc = parley__v1__channel__unpack(NULL, msg->len, msg->data);

                if (doc)
                        channel_set_doc(c, doc);
                else
                        log_error("a channel's description cannot be read", LOG_S("channel", c->id));
                if (doc)
                        parley__v1__channel__free_unpacked(doc, NULL);
        }
        channel_step(c, error == BUS_E_NOT_FOUND ? 0 : error);
}

static void channel_on_floor(struct shard *shard, int error, uint64_t last_seq, void *userdata)
{
        struct channel *c = userdata;

        (void)last_seq;
        if (!error)
                c->floor = shard->first_seq ? shard->first_seq - 1 : 0;
        channel_step(c, error);
}

static void channel_on_head(int error, const struct bus_msg *msg, void *userdata)
{
        struct channel *c = userdata;

        if (error == BUS_E_NOT_FOUND) {
                /* nothing of the channel is in the log, which may have been trimmed: what is below its beginning is unknown */
                c->head = 0;
                shard_ask(c->shard, channel_on_floor, c);
                return;
        }
        if (!error)
                c->head = msg->seq;
        channel_step(c, error);
}

static void channel_activate(struct gate_item *item)
{
        struct channel *c = (struct channel *)((char *)item - offsetof(struct channel, gate));
        struct core *core = c->core;
        char subject[SUBJECT_MAX], stream[SUBJECT_MAX];

        c->activation_error = 0;
        c->activating = 3;
        c->verify_again = false;
        /* the shard listens since the connection was made; what comes before the head is read is held */
        if (!c->shard->known) {
                c->activating = 1;
                channel_step(c, BUS_E_REFUSED);
                return;
        }
        up_kv_get(&core->up, BUCKET_CHANNELS, c->id, channel_on_doc, c);
        subject_chat(subject, c->shard->number, c->id);
        subject_chat_stream(stream, c->shard->number);
        up_stream_last(&core->up, stream, subject, channel_on_head, c);
        channel_step(c, 0);
}

void channel_want(struct channel *c)
{
        if (c->state != CHANNEL_IDLE)
                return;
        wheel_disarm(&c->timer);
        c->state = CHANNEL_ACTIVATING;
        channel_ref(c);
        gate_enter(&c->core->gate_channels, &c->gate, channel_activate);
}

/* Nobody wanted it for a while, or it must be tried again */
static void channel_timer(struct wheel_timer *t, uint64_t now_ms)
{
        struct channel *c = (struct channel *)((char *)t - offsetof(struct channel, timer));

        (void)now_ms;
        if (c->n_subs) {
                if (c->state == CHANNEL_MISSING)
                        c->state = CHANNEL_IDLE;
                channel_want(c);
        } else if (channel_unused(c) && !c->repairing && !c->verifying) {
                channel_free(c);
        } else if (c->refs == 0) {
                wheel_arm(c->core->wheel, t, now_ms + CHANNEL_RETRY_MS, channel_timer);
        } else if (c->state == CHANNEL_MISSING) {
                c->state = CHANNEL_IDLE;
        } else if (channel_active(c) && !c->repairing && !c->verifying && !c->replays) {
                channel_stop(c);
        }
}
