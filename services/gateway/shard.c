#include "gateway/shard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "bus/subjects.h"
#include "gateway/channel.h"

#define SHARD_RETRY_MS 500

struct shard_waiter {
        struct shard_waiter *next;
        shard_answer answer;
        void *userdata;
};

static void shard_send(struct shard *shard);

int shards_new(struct core *core)
{
        core->shards = calloc(core->config->shards, sizeof(*core->shards));
        if (!core->shards)
                return -ENOMEM;
        for (uint32_t i = 0; i < core->config->shards; i++) {
                core->shards[i].core = core;
                core->shards[i].number = i;
        }
        return 0;
}

static void waiters_free(struct shard_waiter *w)
{
        while (w) {
                struct shard_waiter *next = w->next;

                free(w);
                w = next;
        }
}

void shards_free(struct core *core)
{
        for (uint32_t i = 0; core->shards && i < core->config->shards; i++) {
                struct shard *shard = &core->shards[i];

                wheel_disarm(&shard->retry);
                if (shard->digest_sub)
                        core->up.unsubscribe(core->up.self, shard->digest_sub);
                if (shard->live_sub)
                        core->up.unsubscribe(core->up.self, shard->live_sub);
                waiters_free(shard->waiters);
                waiters_free(shard->next_waiters);
        }
        free(core->shards);
        core->shards = NULL;
}

/* Most belong to channels that nobody here is a member of: they cost a look into a hash */
static void shard_on_live(const struct bus_msg *msg, void *userdata)
{
        struct shard *shard = userdata;
        const char *id = subject_channel(msg->subject);
        struct channel *c = id ? channel_find(shard->core, id) : NULL;

        if (c)
                chain_offer(c, msg);
}

int shards_listen(struct core *core)
{
        for (uint32_t i = 0; i < core->config->shards; i++) {
                struct shard *shard = &core->shards[i];
                char subject[SUBJECT_MAX];
                int r;

                if (shard->live_sub)
                        continue;
                subject_live_all(subject, i);
                r = core->up.subscribe_direct(core->up.self, subject, shard_on_live, shard, &shard->live_sub);
                if (r)
                        return r;
        }
        return 0;
}

struct shard *shard_of(struct core *core, const char *channel_id)
{
        return &core->shards[subject_shard(channel_id, (uint32_t)core->config->shards)];
}

/* Channels that were active before keep their chains: sequences never repeat, and what lies between is read from history. */
static void shard_begins(struct shard *shard, bool new_epoch)
{
        struct channel *c, *tmp;

        if (new_epoch)
                log_warn("the log has a new epoch", LOG_U("shard", shard->number), LOG_U("epoch", shard->epoch));
        HASH_ITER (hh, shard->core->channels, c, tmp) {
                if (c->shard != shard)
                        continue;
                chain_begins(c, new_epoch);
                chain_verify(c);
        }
}

static void shard_seen(struct shard *shard, const struct bus_stream_info *info)
{
        bool new_epoch = shard->known && shard->epoch != info->epoch,
             trimmed = shard->returned && info->first_seq > shard->heard_before + 1;

        shard->first_seq = info->first_seq;
        shard->epoch = info->epoch;
        shard->known = true;
        shard->returned = false;
        if (info->last_seq > shard->heard)
                shard->heard = info->last_seq;
        if (new_epoch || trimmed)
                shard_begins(shard, new_epoch);
}

static void shard_trouble(struct shard *shard, int error, const char *text)
{
        bool was_well = !*shard->trouble;

        if (!error)
                shard->trouble[0] = '\0';
        else if (text && *text)
                snprintf(shard->trouble, sizeof(shard->trouble), "%s", text);
        else
                snprintf(shard->trouble, sizeof(shard->trouble), "error %d of the message system", error);
        if (error && was_well)
                log_warn("the log of a shard cannot be seen", LOG_U("shard", shard->number),
                         LOG_S("why", shard->trouble));
}

static void shard_on_info(int error, const struct bus_stream_info *info, const char *text, void *userdata)
{
        struct shard *shard = userdata;
        struct shard_waiter *w = shard->waiters;
        uint64_t last_seq = 0;

        shard->waiters = NULL;
        shard->asking = false;
        shard_trouble(shard, error, text);
        if (!error) {
                last_seq = info->last_seq;
                shard_seen(shard, info);
        }
        while (w) {
                struct shard_waiter *next = w->next;

                w->answer(shard, error, last_seq, w->userdata);
                free(w);
                w = next;
        }
        if (shard->next_waiters && !shard->asking)
                shard_send(shard);
}

static void shard_send(struct shard *shard)
{
        char stream[SUBJECT_MAX];

        shard->waiters = shard->next_waiters;
        shard->next_waiters = NULL;
        shard->asking = true;
        subject_chat_stream(stream, shard->number);
        up_stream_info(&shard->core->up, stream, shard_on_info, shard);
}

void shard_ask(struct shard *shard, shard_answer answer, void *userdata)
{
        struct shard_waiter *w = malloc(sizeof(*w));

        if (!w) {
                answer(shard, BUS_E_REFUSED, 0, userdata);
                return;
        }
        *w = (struct shard_waiter){.next = shard->next_waiters, .answer = answer, .userdata = userdata};
        shard->next_waiters = w;
        if (!shard->asking)
                shard_send(shard);
}

static void shard_retry(struct wheel_timer *t, uint64_t now_ms)
{
        (void)now_ms;
        shard_refresh((struct shard *)((char *)t - offsetof(struct shard, retry)));
}

static void shard_refreshed(struct shard *shard, int error, uint64_t last_seq, void *userdata)
{
        (void)last_seq;
        (void)userdata;
        if (error)
                wheel_arm(shard->core->wheel, &shard->retry, shard->core->now_ms + SHARD_RETRY_MS, shard_retry);
}

void shard_connected(struct shard *shard)
{
        shard->heard_before = shard->heard;
        shard->returned = true;
        shard_refresh(shard);
}

void shard_refresh(struct shard *shard)
{
        shard_ask(shard, shard_refreshed, NULL);
}
