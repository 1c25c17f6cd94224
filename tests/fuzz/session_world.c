/* What is true: the log of the fake world, and who was a member when. */
#include "session_world.h"

#include "bus/subjects.h"
#include "gateway/changes.h"
#include "gateway/channel.h"
#include "gateway/everyone.h"

bool world_trace;
const char *const world_users[N_USERS] = {"ann", "bob", "cid"};
const char *const world_watched[N_WATCHED] = {"ann", "bob", "cid", "zoe", "nobody", "unseen"};
const char *const world_channels[N_CHANNELS] = {"all", "joined", "open"};

int world_channel(const char *id)
{
        for (int i = 0; i < N_CHANNELS; i++)
                if (strcmp(world_channels[i], id) == 0)
                        return i;
        return -1;
}

const struct fake_event *world_event(const struct world *w, uint64_t seq)
{
        for (size_t i = w->f->n_log; i-- > 0;)
                if (w->f->log[i].seq == seq)
                        return &w->f->log[i];
        return NULL;
}

bool world_is_member(const struct world *w, unsigned user, unsigned channel)
{
        const struct truth *t = &w->truth[user][channel];

        return channel == CHANNEL_EVERYONE || (t->n_stays && t->stays[t->n_stays - 1].to == UINT64_MAX);
}

bool world_sees(const struct world *w, unsigned user, unsigned channel, uint64_t seq)
{
        const struct truth *t = &w->truth[user][channel];

        if (channel == CHANNEL_EVERYONE)
                return true;
        for (unsigned i = 0; i < t->n_stays; i++)
                if (seq <= t->stays[i].to && (channel == CHANNEL_ALL || seq >= t->stays[i].from))
                        return true;
        return false;
}

bool world_is_hole(const struct world *w, uint64_t seq)
{
        for (unsigned i = 0; i < w->n_holes; i++)
                if (w->holes[i] == seq)
                        return true;
        return false;
}

/* --- memberships, as history changes them: the event, then the bucket, then the signal --- */

void world_put_bucket(struct world *w, unsigned user, bool signal)
{
        struct fake_membership list[N_CHANNELS];
        size_t n = 0;

        for (unsigned i = 0; i < N_CHANNELS; i++) {
                const struct truth *t = &w->truth[user][i];

                if (!t->version)
                        continue;
                list[n++] = (struct fake_membership){.channel = world_channels[i],
                                                     .role = world_is_member(w, user, i) && !t->leaving
                                                                     ? PARLEY__V1__ROLE__member
                                                                     : PARLEY__V1__ROLE__none,
                                                     .version = t->version,
                                                     .since_seq = t->since_seq,
                                                     .left_seq = t->left_seq,
                                                     .had_absence = t->had_absence};
        }
        fake_put_members(w->f, world_users[user], w->list_version[user], list, n, signal);
}

static uint64_t member_leaves(struct world *w, unsigned user, unsigned channel)
{
        struct truth *t = &w->truth[user][channel];

        t->left_seq = fake_left(w->f, world_channels[channel], world_users[user], t->version);
        t->stays[t->n_stays - 1].to = t->left_seq;
        t->leaving = false;
        return t->left_seq;
}

static uint64_t member_joins(struct world *w, unsigned user, unsigned channel)
{
        struct truth *t = &w->truth[user][channel];

        t->version++;
        w->list_version[user]++;
        t->had_absence = t->n_stays > 0;
        t->since_seq = fake_joined(w->f, world_channels[channel], world_users[user], t->version);
        t->left_seq = 0;
        t->stays[t->n_stays++] = (struct stay){.from = t->since_seq, .to = UINT64_MAX};
        return t->since_seq;
}

void world_change_member(struct world *w, unsigned user, unsigned channel, bool only_mark)
{
        struct truth *t = &w->truth[user][channel];
        bool leaves = world_is_member(w, user, channel);
        Parley__V1__MembershipChange *change;
        const struct channel *known;

        if (channel == CHANNEL_EVERYONE || (!leaves && t->n_stays == N_STAYS))
                return;
        if (leaves && !t->leaving) {
                t->leaving = true;
                t->version++;
                t->since_seq = t->left_seq = 0;
                w->list_version[user]++;
                world_put_bucket(w, user, false);
                if (only_mark)
                        return;
        }
        if (w->n_changes == N_CHANGES)
                world_announce(w);
        change = &w->changes[w->n_changes++];
        parley__v1__membership_change__init(change);
        change->seq = leaves ? member_leaves(w, user, channel) : member_joins(w, user, channel);
        change->channel_id = (char *)world_channels[channel];
        change->user_id = (char *)world_users[user];
        change->role = leaves ? PARLEY__V1__ROLE__none : PARLEY__V1__ROLE__member;
        change->version = t->version;
        known = channel_find(w->f->core, change->channel_id);
        if (!known || !channel_active(known))
                world_announce(w); /* it may begin behind the event */
}

void world_announce(struct world *w)
{
        for (unsigned i = 0; i < w->n_changes; i++)
                if (w->f->connected)
                        changes_apply(w->f->core, &w->changes[i]);
        w->n_changes = 0;
}

/* --- turns --- */

bool world_flush(struct world *w, unsigned max_writes)
{
        bool telling = core_tell(w->f->core, max_writes), more = core_flush(w->f->core, max_writes) || telling;

        check_backlog(w->f->core);
        return more;
}

void world_settle(struct world *w)
{
        while (world_flush(w, 100))
                ;
        core_foresee(w->f->core);
        for (unsigned i = 0; i < N_CLIENTS; i++)
                client_turn(&w->clients[i]);
}

void world_run(struct world *w, unsigned n_tasks)
{
        while (w->f->tasks && n_tasks--)
                fake_step(w->f);
        world_settle(w);
}

/* The heads of all channels, as history tells them every 2 s */
void world_digest(struct world *w)
{
        Parley__V1__Digest digest = PARLEY__V1__DIGEST__INIT;
        Parley__V1__Digest__Head heads[N_CHANNELS], *list[N_CHANNELS];
        char subject[SUBJECT_MAX];
        uint8_t data[512];

        for (unsigned i = 0; i < N_CHANNELS; i++) {
                parley__v1__digest__head__init(&heads[i]);
                heads[i].channel_id = (char *)world_channels[i];
                for (size_t k = 0; k < w->f->n_log; k++)
                        if (strcmp(w->f->log[k].channel, world_channels[i]) == 0)
                                heads[i].seq = w->f->log[k].seq;
                list[i] = &heads[i];
        }
        digest.source = (char *)"history";
        digest.epoch = w->f->epoch;
        digest.heads = list;
        digest.n_heads = N_CHANNELS;
        subject_digest(subject, 0);
        fake_live(w->f, subject, data, parley__v1__digest__pack(&digest, data), 0, 0);
}

/* --- life --- */

/* Limits that few bytes of input can reach */
static void world_configure(struct fake *f, uint8_t setup)
{
        static const uint64_t tails[] = {128, 0, 2, 6}, gets[] = {50, 0, 2, 3};

        f->config.tail_events = tails[setup & 3];
        f->config.replay_direct_gets = gets[setup >> 2 & 3];
        f->config.replay_max_events = setup & 0x10 ? 6 : 500;
        f->config.session_max_queue_bytes = 16384;
        f->config.max_queue_bytes = setup & 0x20 ? 24576 : 0;
        f->config.session_max_pending = setup & 0x20 ? 2 : 256;
        f->config.max_pending = setup & 0x20 ? 4 : 50000;
        if (setup & 0x20)
                f->config.max_pending_bytes = PENDING_BYTES;
        f->config.max_cursors = 8;
        f->config.max_connections_per_user = 4;
        f->config.linger_ms = setup & 0x40 ? 100 : 30000;
        f->config.rate_limits = setup & 0x80;
        f->config.burst_frames_per_connection = 20;
        f->config.burst_messages_per_user = 6;
        f->config.burst_sessions_per_user = 6;
}

static void world_presence(struct world *w)
{
        struct fake_presence *p = fake_presence_new(w->f);

        for (unsigned i = 0; i < N_WATCHED; i++) {
                if (i == N_USERS + 1)
                        continue; /* who does not exist */
                fake_presence_set(p, world_watched[i], PARLEY__V1__USER_PRESENCE__AVAILABILITY__online, false);
                strcpy(p->members[p->n_members++], world_watched[i]);
        }
        for (unsigned i = 0; i < N_USERS; i++)
                fake_presence_hide(p, world_users[i], world_watched[N_USERS + 2]);
}

void world_init(struct world *w, uint8_t setup)
{
        memset(w, 0, sizeof(*w));
        w->f = fake_new();
        world_configure(w->f, setup);
        fake_start(w->f);
        w->f->core->transport = client_transport;
        for (unsigned i = 0; i < N_CHANNELS; i++)
                fake_put_channel(w->f, world_channels[i], i == CHANNEL_EVERYONE, i == CHANNEL_JOINED);
        /* from the beginning: ann in both, bob in the first */
        for (unsigned u = 0; u < 2; u++) {
                for (unsigned i = 0; i < 2 - u; i++) {
                        w->truth[u][i] = (struct truth){.version = 1, .n_stays = 1};
                        w->truth[u][i].stays[0].to = UINT64_MAX;
                }
                w->list_version[u] = 1;
                world_put_bucket(w, u, false);
        }
        world_presence(w);
        world_settle(w);
}

/* Time passes, and everybody is alive: who is silent for long is closed */
static void world_pass(struct world *w, unsigned ms)
{
        for (unsigned i = 0; i < ms; i += 200) {
                w->f->now_ns += 200000000;
                w->f->wall_ns += 200000000;
                core_tick(w->f->core);
                for (unsigned k = 0; k < N_CLIENTS; k++)
                        if (w->clients[k].session)
                                session_heard(w->clients[k].session);
                world_run(w, 1000);
        }
}

void world_heal(struct world *w)
{
        struct fake *f = w->f;

        f->history_down = f->lose_acks = f->presence->down = false;
        f->ingested_seq = UINT64_MAX;
        for (unsigned i = 0; i < N_CLIENTS; i++) {
                w->clients[i].stuck = false;
                client_unpack(&w->clients[i]);
        }
        f->connected = true;
        core_time(f->core);
        core_connected(f->core);
        for (unsigned i = 0; i < N_USERS; i++) {
                for (unsigned k = 0; k < N_CHANNELS; k++)
                        if (w->truth[i][k].leaving)
                                world_change_member(w, i, k, false);
                world_put_bucket(w, i, true);
        }
        world_announce(w);
        fake_presence_speak(f->presence, NULL);
        world_run(w, 1000);
        world_pass(w, 1000);
        world_digest(w);
        world_pass(w, 6000); /* a channel without a description is tried again after 5 s */
        REQUIRE(!f->tasks);
        for (unsigned i = 0; i < N_CLIENTS; i++)
                client_check_end(&w->clients[i]);
}

void world_done(struct world *w)
{
        for (unsigned i = 0; i < N_CLIENTS; i++)
                client_gone(&w->clients[i]);
        fake_presence_free(w->f->presence);
        fake_free(w->f);
        for (unsigned i = 0; i < N_CLIENTS; i++)
                buf_done(&w->clients[i].out);
}
