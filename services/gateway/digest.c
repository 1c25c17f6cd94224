#include "gateway/digest.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bus/subjects.h"
#include "gateway/shard.h"

/* A live copy may still be on its way when the digest is there */
#define DIGEST_PATIENCE_MS 300
#define DIGEST_MAX_HEADS 2000

void digest_note(struct channel *c, uint64_t seq)
{
        struct core *core = c->core;

        if (c->acked_seq) {
                if (seq > c->acked_seq)
                        c->acked_seq = seq;
                return;
        }
        if (core->n_acked == core->cap_acked) {
                unsigned cap = core->cap_acked ? core->cap_acked * 2 : 64;
                struct channel **acked = realloc(core->acked, cap * sizeof(struct channel *));

                if (!acked)
                        return; /* history's digest names it too */
                core->acked = acked;
                core->cap_acked = cap;
        }
        c->acked_seq = seq;
        core->acked[core->n_acked++] = channel_ref(c);
}

static void digest_publish(struct core *core, struct shard *shard, Parley__V1__Digest__Head **heads, size_t n)
{
        Parley__V1__Digest digest = PARLEY__V1__DIGEST__INIT;
        char subject[SUBJECT_MAX];
        size_t len;

        digest.source = core->id;
        digest.epoch = shard->epoch;
        digest.heads = heads;
        digest.n_heads = n;
        len = parley__v1__digest__get_packed_size(&digest);
        buf_reset(&core->scratch, 65536);
        if (buf_reserve(&core->scratch, len))
                return;
        parley__v1__digest__pack(&digest, core->scratch.data);
        subject_digest(subject, shard->number);
        if (core->up.publish(core->up.self, subject, core->scratch.data, len))
                log_debug("a digest was not sent", LOG_U("shard", shard->number));
}

/* The channels of one shard, in portions */
static void digest_send_shard(struct core *core, struct shard *shard, Parley__V1__Digest__Head *heads,
                              Parley__V1__Digest__Head **list)
{
        size_t n = 0;

        for (unsigned i = 0; i < core->n_acked; i++) {
                struct channel *c = core->acked[i];

                if (c->shard != shard)
                        continue;
                parley__v1__digest__head__init(&heads[n]);
                heads[n].channel_id = c->id;
                heads[n].seq = c->acked_seq;
                list[n] = &heads[n];
                if (++n == DIGEST_MAX_HEADS) {
                        digest_publish(core, shard, list, n);
                        n = 0;
                }
        }
        if (n)
                digest_publish(core, shard, list, n);
}

void digest_send(struct core *core)
{
        size_t most = core->n_acked < DIGEST_MAX_HEADS ? core->n_acked : DIGEST_MAX_HEADS;
        Parley__V1__Digest__Head *heads = calloc(most + 1, sizeof(*heads));
        Parley__V1__Digest__Head **list = calloc(most + 1, sizeof(Parley__V1__Digest__Head *));

        for (uint32_t i = 0; heads && list && core->n_acked && i < core->config->shards; i++)
                digest_send_shard(core, &core->shards[i], heads, list);
        free(heads);
        free(list);
        for (unsigned i = 0; i < core->n_acked; i++) {
                core->acked[i]->acked_seq = 0;
                channel_unref(core->acked[i]);
        }
        core->n_acked = 0;
}

static void digest_on_message(const struct bus_msg *msg, void *userdata)
{
        struct shard *shard = userdata;
        Parley__V1__Digest *digest = parley__v1__digest__unpack(NULL, msg->len, msg->data);

        if (!digest) {
                log_warn("a digest that cannot be read", LOG_S("subject", msg->subject));
                return;
        }
        if (digest->epoch && shard->known && digest->epoch != shard->epoch)
                shard_refresh(shard);
        for (size_t i = 0; i < digest->n_heads; i++) {
                struct channel *c = channel_find(shard->core, digest->heads[i]->channel_id);

                if (c && c->shard == shard)
                        chain_expect(c, digest->heads[i]->seq, DIGEST_PATIENCE_MS);
        }
        parley__v1__digest__free_unpacked(digest, NULL);
}

static void digest_timer(struct wheel_timer *t, uint64_t now_ms)
{
        struct core *core = (struct core *)((char *)t - offsetof(struct core, digest_timer));

        digest_send(core);
        wheel_arm(core->wheel, t, now_ms + DIGEST_MS, digest_timer);
}

void alive_send(struct core *core)
{
        Parley__V1__GatewayAlive alive = PARLEY__V1__GATEWAY_ALIVE__INIT;
        uint8_t data[CORE_ID_MAX + 32];
        size_t n;

        alive.gateway_id = core->id;
        alive.epoch = core->epoch;
        /* not before: until then it has sessions, and its answer to a removal is waited for */
        alive.stopping = core_drained(core);
        n = parley__v1__gateway_alive__pack(&alive, data);
        if (core->up.publish(core->up.self, SUBJECT_GATEWAY_ALIVE, data, n))
                log_debug("alive was not sent");
}

static void alive_timer(struct wheel_timer *t, uint64_t now_ms)
{
        struct core *core = (struct core *)((char *)t - offsetof(struct core, alive_timer));

        alive_send(core);
        wheel_arm(core->wheel, t, now_ms + ALIVE_MS, alive_timer);
}

int digest_start(struct core *core)
{
        for (uint32_t i = 0; i < core->config->shards; i++) {
                struct shard *shard = &core->shards[i];
                char subject[SUBJECT_MAX];
                int r;

                if (shard->digest_sub)
                        continue;
                subject_digest(subject, i);
                r = core->up.subscribe(core->up.self, subject, digest_on_message, shard, &shard->digest_sub);
                if (r)
                        return r;
        }
        if (!wheel_armed(&core->digest_timer))
                wheel_arm(core->wheel, &core->digest_timer, core->now_ms + DIGEST_MS, digest_timer);
        if (!wheel_armed(&core->alive_timer))
                alive_timer(&core->alive_timer, core->now_ms);
        return 0;
}

void digest_stop(struct core *core)
{
        wheel_disarm(&core->digest_timer);
        wheel_disarm(&core->alive_timer);
        for (unsigned i = 0; i < core->n_acked; i++)
                channel_unref(core->acked[i]);
        core->n_acked = 0;
        free(core->acked);
        core->acked = NULL;
}
