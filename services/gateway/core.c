#include "gateway/core.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ident.h"
#include "base/log.h"
#include "gateway/address.h"
#include "gateway/changes.h"
#include "gateway/channel.h"
#include "gateway/digest.h"
#include "gateway/everyone.h"
#include "gateway/here.h"
#include "gateway/look.h"
#include "gateway/mutation.h"
#include "gateway/pack.h"
#include "gateway/replay.h"
#include "gateway/session.h"
#include "gateway/shard.h"
#include "gateway/stats.h"
#include "gateway/user.h"

/* How many questions of a kind are under way at the message system at once */
#define GATE_USERS 128
#define GATE_CHANNELS 128
#define GATE_REPAIRS 32
#define GATE_REPLAYS 32

#define WHEEL_TICK_MS 50
#define WHEEL_SLOTS 2048
/* The largest frame that is encoded: `ready` with thousands of channels */
#define SCRATCH_MAX (32 * 1024 * 1024)
#define SWEEP_MS 1000

void core_time(struct core *core)
{
        core->clock(&core->now_ns, &core->wall_ns);
        core->now_ms = core->now_ns / 1000000;
}

void core_trace_id(struct core *core, char ret[33])
{
        const uint64_t halves[] = {core->trace_base[0], core->trace_base[1]++};

        for (unsigned i = 0; i < 32; i++)
                ret[i] = "0123456789abcdef"[halves[i / 16] >> (60 - 4 * (i % 16)) & 15];
        ret[32] = '\0';
}

static void core_name(struct core *core)
{
        uint8_t random[8];

        if (core->config->gateway_id) {
                memcpy(core->id, core->config->gateway_id, strnlen(core->config->gateway_id, CORE_ID_MAX));
                return;
        }
        random_bytes(random, sizeof(random));
        memcpy(core->id, "gw-", 3);
        for (unsigned i = 0; i < sizeof(random); i++)
                snprintf(core->id + 3 + 2 * i, 3, "%02x", random[i]);
}

int core_new(struct core **ret_core, const struct core_options *options)
{
        struct core *core = calloc(1, sizeof(*core));
        int r;

        if (!core)
                return -ENOMEM;
        core->config = options->config;
        core->up = options->upstream;
        core->transport = options->transport;
        core->auth = options->auth;
        core->refresh_keys = options->refresh_keys;
        core->userdata = options->userdata;
        core->clock = options->clock;
        core_time(core);
        core_name(core);
        core->epoch = (uint64_t)(core->wall_ns / 1000000);
        random_bytes(core->trace_base, sizeof(core->trace_base));
        buf_init(&core->scratch, SCRATCH_MAX);
        foresight_init(&core->foresight, options->config->max_event_bytes);
        gate_init(&core->gate_users, GATE_USERS);
        gate_init(&core->gate_channels, GATE_CHANNELS);
        gate_init(&core->gate_repairs, GATE_REPAIRS);
        gate_init(&core->gate_replays, GATE_REPLAYS);
        r = wheel_new(&core->wheel, core->now_ms, WHEEL_TICK_MS, WHEEL_SLOTS);
        if (r == 0)
                r = shards_new(core);
        if (r == 0)
                r = packs_new(core);
        if (r) {
                core_free(core);
                return r;
        }
        *ret_core = core;
        return 0;
}

static void core_free_channels(struct core *core)
{
        struct channel *c, *tmp;

        HASH_ITER (hh, core->channels, c, tmp)
                channel_free(c);
}

static void core_free_users(struct core *core)
{
        struct user *u, *tmp;

        HASH_ITER (hh, core->users, u, tmp)
                user_free(u);
}

void core_free(struct core *core)
{
        if (!core)
                return;
        while (core->sessions)
                session_gone(core->sessions);
        mutation_free_all(core);
        fetch_free_all(core);
        if (core->shards) {
                digest_stop(core);
                here_stop(core);
                looks_free(core);
                everyone_free(core);
                core_free_users(core);
                core_free_channels(core);
        }
        changes_free(core->changes);
        shards_free(core);
        packs_free(core);
        foresight_done(&core->foresight);
        replay_frames_free(core->replay_last);
        address_free_all(core);
        handle_table_done(&core->handles);
        free(core->dirty);
        buf_done(&core->scratch);
        wheel_free(core->wheel);
        free(core);
}

void core_tick(struct core *core)
{
        core_time(core);
        wheel_advance(core->wheel, core->now_ms);
        if (core->now_ms - core->swept_ms < SWEEP_MS)
                return;
        core->swept_ms = core->now_ms;
        replay_cache_sweep(core);
        address_sweep(core);
}

/* Live messages may have been missed: every head is asked for */
static void core_verify(struct core *core)
{
        struct channel *c, *tmp;

        HASH_ITER (hh, core->channels, c, tmp)
                chain_verify(c);
}

void core_connected(struct core *core)
{
        struct user *u, *tmp;

        if (shards_listen(core) || digest_start(core) || here_start(core))
                log_error("a subject cannot be subscribed to");
        for (uint32_t i = 0; i < core->config->shards; i++)
                shard_connected(&core->shards[i]);
        core_verify(core);
        if (core->looks)
                looks_resync(core->looks);
        HASH_ITER (hh, core->users, u, tmp)
                user_reload(u);
}

void core_loss(struct core *core)
{
        struct user *u, *tmp;

        core_verify(core);
        if (core->looks)
                looks_resync(core->looks);
        HASH_ITER (hh, core->users, u, tmp)
                user_reload(u);
}

bool core_ready(const struct core *core)
{
        for (uint32_t i = 0; i < core->config->shards; i++)
                if (!core->shards[i].known)
                        return false;
        return core->everyone_known && !core->draining && core->up.connected(core->up.self);
}

void core_keys_changed(struct core *core)
{
        struct session *s, *next;

        for (s = core->sessions; s; s = next) {
                next = s->next;
                if (s->state == SESSION_AUTHENTICATING)
                        session_try_token(s);
        }
}
