#include "history/change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/ticker.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "history/channel_rows.h"
#include "history/ingest_core.h"
#include "history/outbox.h"
#include "history/pg.h"
#include "wire/wire.h"

static const struct pg_stmt stmt_create = {
        "change_create",
        "INSERT INTO channels (id, kind, name, topic, everyone, history_visibility, archived, version, created_ns, created_by) "
        "VALUES ($1::text, $2::smallint, $3::text, $4::text, $5::boolean, $6::smallint, $7::boolean, $8::bigint, $9::bigint, $10::text) "
        "ON CONFLICT DO NOTHING"};
static const struct pg_stmt stmt_change = {
        "change_channel",
        "UPDATE channels SET name = $2::text, topic = $3::text, everyone = $4::boolean, history_visibility = $5::smallint, "
        "archived = $6::boolean, version = $7::bigint WHERE id = $1::text AND version = $7::bigint - 1"};
/* Changes of one channel's members come one after the other: so their rows in the outbox have the order in which they were decided. */
static const struct pg_stmt stmt_lock = {
        "change_lock", "SELECT FROM channels WHERE id = $1::text AND version = $2::bigint FOR UPDATE"};
/* Under that lock: two owners who leave at the same time must not both see the other one. */
static const struct pg_stmt stmt_owner = {
        "change_owner",
        "SELECT WHERE EXISTS (SELECT FROM members WHERE channel_id = $1::text AND user_id <> $2::text AND role = 4) "
        "OR NOT EXISTS (SELECT FROM members WHERE channel_id = $1::text AND user_id <> $2::text AND role > 0)"};
/* A stay that begins again does so at a sequence that is not known yet. */
static const struct pg_stmt stmt_members = {
        "change_members",
        "INSERT INTO members AS m (channel_id, user_id, role, version, invited) "
        "SELECT $1::text, b.user_id, b.role, b.version, b.user_id <> $5::text FROM unnest($2::text[], $3::smallint[], $4::bigint[]) AS b(user_id, role, version) "
        "ON CONFLICT (channel_id, user_id) DO UPDATE SET role = EXCLUDED.role, version = EXCLUDED.version, "
        "had_absence = m.had_absence OR (m.role = 0 AND EXCLUDED.role > 0), "
        "invited = CASE WHEN m.role = 0 THEN EXCLUDED.invited ELSE m.invited END, "
        "since_seq = CASE WHEN m.role = 0 AND EXCLUDED.role > 0 THEN 0 ELSE m.since_seq END WHERE m.version = EXCLUDED.version - 1"};
/* Only who acts may change a name that is known: his own. */
static const struct pg_stmt stmt_users = {
        "change_users",
        "INSERT INTO users (id, name) SELECT * FROM unnest($1::text[], $2::text[]) AS b(id, name) WHERE b.name IS NOT NULL "
        "ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name WHERE users.id = $3::text AND users.name <> EXCLUDED.name"};
static const struct pg_stmt stmt_dirty_users = {
        "change_dirty_users", "SELECT history_mark_dirty('user', id) FROM unnest($1::text[]) AS b(id)"};
static const struct pg_stmt stmt_dirty_channel = {"change_dirty_channel",
                                                  "SELECT history_mark_dirty('channel', $1::text)"};
static const struct pg_stmt stmt_outbox = {
        "change_outbox",
        "INSERT INTO outbox (shard, channel_id, actor_id, event_id, kind, user_id, role, version, payload) "
        "SELECT $1::integer, $2::text, $3::text, b.event_id, b.kind, b.user_id, b.role, b.version, b.payload "
        "FROM unnest($4::text[], $5::smallint[], $6::text[], $7::smallint[], $8::bigint[], $9::bytea[]) "
        "WITH ORDINALITY AS b(event_id, kind, user_id, role, version, payload, ord) ORDER BY b.ord"};
static const struct pg_stmt stmt_notify = {"change_notify", "SELECT pg_notify('" NOTIFY_OUTBOX "', $1::text)"};

struct wait {
        struct waiter waiter; /* first */
        struct change *change;
        struct change_member *member; /* NULL: the channel's own event */
};

struct change {
        struct env *env;
        Parley__V1__Channel channel;
        Google__Protobuf__Timestamp created_at;
        bool created, changed;
        char actor_id[IDENT_MAX + 1];
        struct change_member *members;
        unsigned n_members, cap_members;
        struct wait *waits;
        unsigned n_waits, n_open;
        bool all_confirmed, committed;
        struct ticker *ticker;
        change_done done;
        void *userdata;
};

/* --- building --- */

struct change *change_new(struct env *env, const Parley__V1__Channel *channel, bool created, bool changed,
                          const char *actor_id)
{
        struct change *c = calloc(1, sizeof(*c));

        if (!c)
                return NULL;
        c->env = env;
        c->created = created;
        c->changed = changed;
        memcpy(c->actor_id, actor_id, strlen(actor_id) + 1);
        c->channel = *channel;
        if (channel->created_at) {
                c->created_at = *channel->created_at;
                c->channel.created_at = &c->created_at;
        }
        c->channel.id = strdup(channel->id);
        c->channel.name = strdup(channel->name);
        c->channel.topic = strdup(channel->topic);
        c->channel.created_by = strdup(channel->created_by);
        if (!c->channel.id || !c->channel.name || !c->channel.topic || !c->channel.created_by) {
                change_free(c);
                return NULL;
        }
        return c;
}

int change_add_member(struct change *c, const struct change_member *member)
{
        if (c->n_members == c->cap_members) {
                unsigned cap = c->cap_members ? c->cap_members * 2 : 4;
                struct change_member *all = realloc(c->members, cap * sizeof(*all));

                if (!all)
                        return -ENOMEM;
                c->members = all;
                c->cap_members = cap;
        }
        c->members[c->n_members++] = *member;
        return 0;
}

const Parley__V1__Channel *change_channel(const struct change *c)
{
        return &c->channel;
}

const struct change_member *change_members(const struct change *c, unsigned *ret_n)
{
        *ret_n = c->n_members;
        return c->members;
}

static void stop_waiting(struct change *c)
{
        for (unsigned i = 0; i < c->n_waits; i++)
                waiters_remove(c->env->waiters, &c->waits[i].waiter);
        ticker_free(c->ticker);
        c->ticker = NULL;
}

void change_free(struct change *c)
{
        if (!c)
                return;
        stop_waiting(c);
        free(c->channel.id);
        free(c->channel.name);
        free(c->channel.topic);
        free(c->channel.created_by);
        free(c->members);
        free(c->waits);
        free(c);
}

/* --- after the commit: is it in force? --- */

static void finish(struct change *c, enum change_outcome outcome)
{
        stop_waiting(c);
        c->done(c, outcome, c->userdata);
}

static void on_in_force(struct waiter *waiter, uint64_t seq, bool confirmed)
{
        struct wait *w = (struct wait *)waiter;
        struct change *c = w->change;

        if (w->member)
                w->member->seq = seq;
        c->all_confirmed = c->all_confirmed && confirmed;
        /* the outbox of this process may be faster than the answer to the commit */
        if (--c->n_open == 0 && c->committed)
                finish(c, c->all_confirmed ? CHANGE_IN_FORCE : CHANGE_ACCEPTED);
}

static void on_timeout(void *userdata)
{
        finish(userdata, CHANGE_ACCEPTED);
}

static void wait_in_force(struct change *c)
{
        c->committed = true;
        if (c->n_open == 0) {
                finish(c, c->all_confirmed ? CHANGE_IN_FORCE : CHANGE_ACCEPTED);
                return;
        }
        c->ticker = bus_connected(c->env->bus) ? ticker_new(c->env->loop, on_timeout, c) : NULL;
        if (c->ticker)
                ticker_start(c->ticker, c->env->config->change_wait_ms, 0);
        else
                finish(c, CHANGE_ACCEPTED);
}

/* --- the transaction --- */

static void on_committed(int error, const struct pg_results *r, void *userdata)
{
        struct change *c = userdata;

        switch (error) {
        case 0:
                wait_in_force(c);
                break;
        case PG_E_EXPECT:
        case PG_E_RETRY:
                finish(c, CHANGE_CONFLICT);
                break;
        case PG_E_UNKNOWN:
                finish(c, CHANGE_UNKNOWN);
                break;
        default:
                log_warn("a change of a channel failed", LOG_S("channel", c->channel.id),
                         LOG_S("why", *pg_message(r) ? pg_message(r) : pg_error_text(error)),
                         LOG_S("sqlstate", pg_sqlstate(r)));
                finish(c, CHANGE_UNAVAILABLE);
        }
}

static void add_channel(struct pg_job *job, const struct change *c)
{
        const Parley__V1__Channel *ch = &c->channel;
        int64_t created = 0;

        if (ch->created_at)
                (void)ingest_time_ns(ch->created_at, &created); /* our own clock */
        pg_job_add(job, c->created ? &stmt_create : c->changed ? &stmt_change : &stmt_lock);
        pg_arg_text(job, ch->id);
        if (c->created)
                pg_arg_i16(job, (int16_t)ch->kind);
        if (c->changed) {
                pg_arg_text(job, ch->name);
                pg_arg_text(job, ch->topic);
                pg_arg_bool(job, ch->everyone);
                pg_arg_i16(job, (int16_t)ch->history_visibility);
                pg_arg_bool(job, ch->archived);
        }
        pg_arg_i64(job, (int64_t)ch->version);
        if (c->created) {
                pg_arg_i64(job, created);
                pg_arg_text(job, ch->created_by);
        }
        pg_job_expect(job, 1);
        if (c->changed) {
                pg_job_add(job, &stmt_dirty_channel);
                pg_arg_text(job, ch->id);
        }
}

static void add_members(struct pg_job *job, const struct change *c)
{
        struct pg_array user, role, version, name;

        if (!c->n_members)
                return;
        pg_array_init(&user, PG_TEXT, SIZE_MAX);
        pg_array_init(&role, PG_INT2, SIZE_MAX);
        pg_array_init(&version, PG_INT8, SIZE_MAX);
        pg_array_init(&name, PG_TEXT, SIZE_MAX);
        for (unsigned i = 0; i < c->n_members; i++) {
                pg_array_text(&user, c->members[i].user_id);
                pg_array_i16(&role, (int16_t)c->members[i].role);
                pg_array_i64(&version, (int64_t)c->members[i].version + 1);
                pg_array_text(&name, *c->members[i].name ? c->members[i].name : NULL);
        }
        for (unsigned i = 0; i < c->n_members; i++) {
                if (!c->members[i].was_owner)
                        continue;
                pg_job_add(job, &stmt_owner);
                pg_arg_text(job, c->channel.id);
                pg_arg_text(job, c->members[i].user_id);
                pg_job_expect(job, 1);
        }
        pg_job_add(job, &stmt_members);
        pg_arg_text(job, c->channel.id);
        pg_arg_array(job, &user);
        pg_arg_array(job, &role);
        pg_arg_array(job, &version);
        pg_arg_text(job, c->actor_id);
        pg_job_expect(job, c->n_members);
        /* ingest locks in this order, too */
        pg_job_add(job, &stmt_dirty_users);
        pg_arg_array(job, &user);
        pg_job_add(job, &stmt_users);
        pg_arg_array(job, &user);
        pg_arg_array(job, &name);
        pg_arg_text(job, c->actor_id);
        pg_array_done(&user);
        pg_array_done(&role);
        pg_array_done(&version);
        pg_array_done(&name);
}

struct outbox_rows {
        struct pg_array event_id, kind, user, role, version, payload;
};

static int add_event(struct change *c, struct outbox_rows *rows, Parley__V1__Event *e, struct change_member *m)
{
        struct wait *w = &c->waits[c->n_waits];
        struct buf bytes = BUF_INIT(64 << 10);
        Google__Protobuf__Timestamp now;
        uint8_t random[10];
        int r;

        random_bytes(random, sizeof(random));
        uuid_v7((uint64_t)(env_now_ns() / 1000000), random, w->waiter.event_id);
        time_from_ns(env_stamp_ns(), &now);
        e->channel_id = c->channel.id;
        e->id = w->waiter.event_id;
        e->actor_id = c->actor_id;
        e->created_at = &now;
        r = wire_proto_encode(&e->base, &bytes);
        e->created_at = NULL;
        pg_array_text(&rows->event_id, w->waiter.event_id);
        pg_array_i16(&rows->kind, (int16_t)e->body_case);
        pg_array_text(&rows->user, m ? m->user_id : "");
        pg_array_i16(&rows->role, (int16_t)(m ? m->role : PARLEY__V1__ROLE__none));
        pg_array_i64(&rows->version, (int64_t)(m ? m->version + 1 : c->channel.version));
        pg_array_bytes(&rows->payload, bytes.data, bytes.len);
        buf_done(&bytes);
        w->waiter.done = on_in_force;
        w->change = c;
        w->member = m;
        c->n_waits++;
        return r ? -ENOMEM : 0;
}

static int add_member_event(struct change *c, struct outbox_rows *rows, struct change_member *m)
{
        Parley__V1__Event e = PARLEY__V1__EVENT__INIT;
        Parley__V1__MemberJoined joined = PARLEY__V1__MEMBER_JOINED__INIT;
        Parley__V1__MemberLeft left = PARLEY__V1__MEMBER_LEFT__INIT;
        Parley__V1__MemberChanged changed = PARLEY__V1__MEMBER_CHANGED__INIT;

        if (m->role == PARLEY__V1__ROLE__none) {
                left.user_id = m->user_id;
                left.removed = m->removed;
                left.version = m->version + 1;
                e.body_case = PARLEY__V1__EVENT__BODY_MEMBER_LEFT;
                e.member_left = &left;
        } else if (m->joins) {
                joined.user_id = m->user_id;
                joined.name = m->name;
                joined.role = m->role;
                joined.version = m->version + 1;
                e.body_case = PARLEY__V1__EVENT__BODY_MEMBER_JOINED;
                e.member_joined = &joined;
        } else {
                changed.user_id = m->user_id;
                changed.role = m->role;
                changed.version = m->version + 1;
                e.body_case = PARLEY__V1__EVENT__BODY_MEMBER_CHANGED;
                e.member_changed = &changed;
        }
        return add_event(c, rows, &e, m);
}

static int add_outbox(struct pg_job *job, struct change *c)
{
        uint32_t shard = subject_shard(c->channel.id, (uint32_t)c->env->config->shards);
        struct outbox_rows rows;
        char text[16];
        int r = 0;

        pg_array_init(&rows.event_id, PG_TEXT, SIZE_MAX);
        pg_array_init(&rows.kind, PG_INT2, SIZE_MAX);
        pg_array_init(&rows.user, PG_TEXT, SIZE_MAX);
        pg_array_init(&rows.role, PG_INT2, SIZE_MAX);
        pg_array_init(&rows.version, PG_INT8, SIZE_MAX);
        pg_array_init(&rows.payload, PG_BYTEA, SIZE_MAX);
        if (c->changed) {
                Parley__V1__Event e = PARLEY__V1__EVENT__INIT;
                Parley__V1__ChannelChanged changed = PARLEY__V1__CHANNEL_CHANGED__INIT;

                changed.channel = &c->channel;
                e.body_case = PARLEY__V1__EVENT__BODY_CHANNEL_CHANGED;
                e.channel_changed = &changed;
                r = add_event(c, &rows, &e, NULL);
        }
        for (unsigned i = 0; r == 0 && i < c->n_members; i++)
                r = add_member_event(c, &rows, &c->members[i]);
        pg_job_add(job, &stmt_outbox);
        pg_arg_i32(job, (int32_t)shard);
        pg_arg_text(job, c->channel.id);
        pg_arg_text(job, c->actor_id);
        pg_arg_array(job, &rows.event_id);
        pg_arg_array(job, &rows.kind);
        pg_arg_array(job, &rows.user);
        pg_arg_array(job, &rows.role);
        pg_arg_array(job, &rows.version);
        pg_arg_array(job, &rows.payload);
        pg_array_done(&rows.event_id);
        pg_array_done(&rows.kind);
        pg_array_done(&rows.user);
        pg_array_done(&rows.role);
        pg_array_done(&rows.version);
        pg_array_done(&rows.payload);
        pg_job_add(job, &stmt_notify);
        pg_arg_text(job, (snprintf(text, sizeof(text), "%u", shard), text));
        return r;
}

static int by_user(const void *a, const void *b)
{
        return strcmp(((const struct change_member *)a)->user_id, ((const struct change_member *)b)->user_id);
}

int change_run(struct change *c, change_done done, void *userdata)
{
        struct pg_job *job = pg_job_new(PG_WRITE);

        c->done = done;
        c->userdata = userdata;
        c->all_confirmed = true;
        /* rows are locked in one order by all */
        if (c->n_members > 1)
                qsort(c->members, c->n_members, sizeof(*c->members), by_user);
        c->waits = calloc(c->n_members + 1, sizeof(*c->waits));
        add_channel(job, c);
        add_members(job, c);
        if (!job || !c->waits || add_outbox(job, c) < 0) {
                pg_job_free(job);
                return -ENOMEM;
        }
        for (unsigned i = 0; i < c->n_waits; i++)
                waiters_add(c->env->waiters, &c->waits[i].waiter);
        c->n_open = c->n_waits;
        pg_run(c->env->pg, job, 0, on_committed, c);
        return 0;
}
