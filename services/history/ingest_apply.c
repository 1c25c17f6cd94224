/* Applying: one part of a batch, one transaction. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "history/history_metrics.h"
#include "history/ingest_impl.h"

enum { RETRY_MS = 50, JOB_TIMEOUT_MS = 30000, MARKS = 20 };
#define MARK_MIN_NS INT64_C(1000000000)
#define MARK_MAX_NS (INT64_C(600) * 1000000000)

#define UNIQUE_VIOLATION "23505"

/* The order matters: heads are read by the first three and written by the fourth; mutations change what the third wrote. */
enum { STMT_CURSOR, STMT_EVENTS };

static const struct pg_stmt stmt_cursor = {
        "ingest_cursor", "UPDATE streams SET last_seq = $4::bigint, last_time_ns = $5::bigint, updated_at = now() "
                         "WHERE name = $1::text AND epoch = $2::bigint AND last_seq = $3::bigint"};
static const struct pg_stmt stmt_events = {
        "ingest_events",
        "INSERT INTO events (channel_id, seq, prev, kind, removed, actor_id, id, created_ns, target_seq, fingerprint, payload) "
        "SELECT b.channel_id, b.seq, COALESCE(b.prev, h.last_seq, 0), b.kind, b.removed, b.actor_id, b.id, b.created_ns, "
        "b.target_seq, b.fingerprint, b.payload "
        "FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::smallint[], $5::smallint[], $6::text[], $7::text[], $8::bigint[], "
        "$9::bigint[], $10::bytea[], $11::bytea[]) "
        "AS b(channel_id, seq, prev, kind, removed, actor_id, id, created_ns, target_seq, fingerprint, payload) "
        "LEFT JOIN channel_heads h ON h.channel_id = b.channel_id ON CONFLICT DO NOTHING"};
/* Without ON CONFLICT, which costs a tenth of it all: the event of each is new, or the transaction fails. */
static const struct pg_stmt stmt_messages = {
        "ingest_messages",
        "INSERT INTO messages (channel_id, seq, id, sender_id, sender_name, content, type, thread_id, reply_to, mentions, created_ns, n, attachments) "
        "SELECT b.channel_id, b.seq, b.id, b.sender_id, b.sender_name, b.content, b.type, b.thread_id, b.reply_to, "
        "string_to_array(b.mentions, ','), b.created_ns, b.n_offset + COALESCE(h.last_n, 0), b.attachments "
        "FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::smallint[], $8::text[], $9::text[], "
        "$10::text[], $11::bigint[], $12::bigint[], $13::bytea[]) "
        "AS b(channel_id, seq, id, sender_id, sender_name, content, type, thread_id, reply_to, mentions, created_ns, n_offset, attachments) "
        "LEFT JOIN channel_heads h ON h.channel_id = b.channel_id"};
static const struct pg_stmt stmt_dead_files = {
        "ingest_dead_files",
        "INSERT INTO message_files (file_id, channel_id, seq, dead_letter) SELECT lower(file_id), channel_id, seq, true "
        "FROM unnest($1::text[], $2::text[], $3::bigint[]) AS b(file_id, channel_id, seq) ON CONFLICT DO NOTHING"};
static const struct pg_stmt stmt_heads = {
        "ingest_heads",
        "INSERT INTO channel_heads AS h (channel_id, last_seq, last_n) "
        "SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[]) ON CONFLICT (channel_id) DO UPDATE "
        "SET last_seq = EXCLUDED.last_seq, last_n = h.last_n + EXCLUDED.last_n"};
static const struct pg_stmt stmt_mutations = {
        "ingest_mutations",
        "SELECT history_apply_mutations($1::text, $2::smallint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], "
        "$7::text[], $8::text[], $9::bigint[])"};
static const struct pg_stmt stmt_channels = {
        "ingest_channels",
        "WITH changed AS (INSERT INTO channels AS c (id, kind, name, topic, everyone, history_visibility, archived, version, created_ns, "
        "created_by) SELECT id, kind, name, topic, everyone <> 0, visibility, archived <> 0, version, created_ns, created_by "
        "FROM unnest($1::text[], $2::smallint[], $3::text[], $4::text[], $5::smallint[], $6::smallint[], $7::smallint[], $8::bigint[], "
        "$9::bigint[], $10::text[]) "
        "AS b(id, kind, name, topic, everyone, visibility, archived, version, created_ns, created_by) "
        "ON CONFLICT (id) DO UPDATE SET kind = EXCLUDED.kind, name = EXCLUDED.name, topic = EXCLUDED.topic, everyone = EXCLUDED.everyone, "
        "history_visibility = EXCLUDED.history_visibility, archived = EXCLUDED.archived, version = EXCLUDED.version, "
        "created_ns = EXCLUDED.created_ns, created_by = EXCLUDED.created_by WHERE c.version < EXCLUDED.version RETURNING id) "
        "SELECT history_mark_dirty('channel', id) FROM changed"};
static const struct pg_stmt stmt_members = {
        "ingest_members",
        "SELECT history_apply_members($1::smallint[], $2::text[], $3::bigint[], $4::text[], $5::smallint[], $6::bigint[])"};
static const struct pg_stmt stmt_users = {
        "ingest_users",
        "INSERT INTO users (id, name) SELECT b.id, b.name FROM unnest($1::text[], $2::text[], $3::smallint[]) AS b(id, name, own) "
        "WHERE NOT EXISTS (SELECT FROM users u WHERE u.id = b.id AND (u.name = b.name OR b.own = 0)) "
        "ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name WHERE EXISTS ("
        "SELECT FROM unnest($1::text[], $3::smallint[]) AS o(id, own) WHERE o.id = EXCLUDED.id AND o.own <> 0)"};
static const struct pg_stmt stmt_outbox = {
        "ingest_outbox",
        "DELETE FROM outbox o USING unnest($1::text[], $2::text[], $3::text[]) AS b(channel_id, actor_id, event_id) "
        "WHERE o.channel_id = b.channel_id AND o.actor_id = b.actor_id AND o.event_id = b.event_id"};
static const struct pg_stmt stmt_mark = {
        "ingest_mark",
        "INSERT INTO ingest_marks (stream, seq, at_ns) VALUES ($1::text, $2::bigint, $3::bigint) ON CONFLICT DO NOTHING"};
/* kind 0: the identity is there already; 1: the event itself is */
static const struct pg_stmt stmt_resolve = {
        "ingest_resolve",
        "WITH b AS MATERIALIZED (SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[]) "
        "WITH ORDINALITY AS b(channel_id, seq, actor_id, id, ord)) "
        "SELECT b.ord, 0::smallint FROM b JOIN events e ON e.channel_id = b.channel_id AND e.id = b.id AND e.actor_id = b.actor_id "
        "WHERE e.seq <> b.seq UNION ALL "
        "SELECT b.ord, 1::smallint FROM b JOIN events e ON e.channel_id = b.channel_id AND e.seq = b.seq"};

static void add_events(struct pg_job *job, const struct ingest_rows *r)
{
        pg_job_add(job, &stmt_events);
        pg_arg_array(job, &r->events.channel);
        pg_arg_array(job, &r->events.seq);
        pg_arg_array(job, &r->events.prev);
        pg_arg_array(job, &r->events.kind);
        pg_arg_array(job, &r->events.removed);
        pg_arg_array(job, &r->events.actor);
        pg_arg_array(job, &r->events.id);
        pg_arg_array(job, &r->events.created);
        pg_arg_array(job, &r->events.target);
        pg_arg_array(job, &r->events.fingerprint);
        pg_arg_array(job, &r->events.payload);
        pg_job_expect(job, r->events.n);
}

static void add_messages(struct pg_job *job, const struct ingest_rows *r)
{
        if (!r->messages.n)
                return;
        pg_job_add(job, &stmt_messages);
        pg_arg_array(job, &r->messages.channel);
        pg_arg_array(job, &r->messages.seq);
        pg_arg_array(job, &r->messages.id);
        pg_arg_array(job, &r->messages.sender);
        pg_arg_array(job, &r->messages.sender_name);
        pg_arg_array(job, &r->messages.content);
        pg_arg_array(job, &r->messages.type);
        pg_arg_array(job, &r->messages.thread);
        pg_arg_array(job, &r->messages.reply);
        pg_arg_array(job, &r->messages.mentions);
        pg_arg_array(job, &r->messages.created);
        pg_arg_array(job, &r->messages.n_offset);
        pg_arg_array(job, &r->messages.attachments);
        pg_job_expect(job, r->messages.n);
}

static void add_dead_files(struct pg_job *job, const struct ingest_rows *r)
{
        if (!r->dead_files.n)
                return;
        pg_job_add(job, &stmt_dead_files);
        pg_arg_array(job, &r->dead_files.file);
        pg_arg_array(job, &r->dead_files.channel);
        pg_arg_array(job, &r->dead_files.seq);
}

static void add_heads(struct pg_job *job, const struct ingest_rows *r)
{
        if (!r->heads.n)
                return;
        pg_job_add(job, &stmt_heads);
        pg_arg_array(job, &r->heads.channel);
        pg_arg_array(job, &r->heads.last_seq);
        pg_arg_array(job, &r->heads.n_added);
}

static void add_mutations(struct pg_job *job, const struct ingest_rows *r, const char *stream)
{
        if (!r->mutations.n)
                return;
        pg_job_add(job, &stmt_mutations);
        pg_arg_text(job, stream);
        pg_arg_array(job, &r->mutations.kind);
        pg_arg_array(job, &r->mutations.channel);
        pg_arg_array(job, &r->mutations.seq);
        pg_arg_array(job, &r->mutations.target);
        pg_arg_array(job, &r->mutations.actor);
        pg_arg_array(job, &r->mutations.content);
        pg_arg_array(job, &r->mutations.mentions);
        pg_arg_array(job, &r->mutations.at);
}

/* Channels, then members, then users: every transaction of history locks them in this order. */
static void add_channels_members_users(struct pg_job *job, const struct ingest_rows *r)
{
        if (r->channels.n) {
                pg_job_add(job, &stmt_channels);
                pg_arg_array(job, &r->channels.id);
                pg_arg_array(job, &r->channels.kind);
                pg_arg_array(job, &r->channels.name);
                pg_arg_array(job, &r->channels.topic);
                pg_arg_array(job, &r->channels.everyone);
                pg_arg_array(job, &r->channels.visibility);
                pg_arg_array(job, &r->channels.archived);
                pg_arg_array(job, &r->channels.version);
                pg_arg_array(job, &r->channels.created);
                pg_arg_array(job, &r->channels.created_by);
        }
        if (r->members.n) {
                pg_job_add(job, &stmt_members);
                pg_arg_array(job, &r->members.kind);
                pg_arg_array(job, &r->members.channel);
                pg_arg_array(job, &r->members.seq);
                pg_arg_array(job, &r->members.user);
                pg_arg_array(job, &r->members.role);
                pg_arg_array(job, &r->members.version);
        }
        if (r->users.n) {
                pg_job_add(job, &stmt_users);
                pg_arg_array(job, &r->users.id);
                pg_arg_array(job, &r->users.name);
                pg_arg_array(job, &r->users.own);
        }
        if (r->outbox.n) {
                pg_job_add(job, &stmt_outbox);
                pg_arg_array(job, &r->outbox.channel);
                pg_arg_array(job, &r->outbox.actor);
                pg_arg_array(job, &r->outbox.id);
        }
}

/* Often enough that trimming by age is exact to a twentieth of the window */
static void add_mark(struct ingest *in, struct pg_job *job, const struct ingest_item *last)
{
        int64_t every = history_config_keep_ns(in->env->config) / MARKS;

        every = every < MARK_MIN_NS ? MARK_MIN_NS : every > MARK_MAX_NS ? MARK_MAX_NS : every;
        if (last->time_ns - (int64_t)in->last_mark_ns < every)
                return;
        in->last_mark_ns = (uint64_t)last->time_ns;
        pg_job_add(job, &stmt_mark);
        pg_arg_text(job, in->stream);
        pg_arg_i64(job, (int64_t)last->seq);
        pg_arg_i64(job, last->time_ns);
}

static int before_commit(void *userdata)
{
        (void)userdata;
        return FAILPOINT("history.ingest.before_commit");
}

/* --- what came of it --- */

static void on_resolved(int error, const struct pg_results *r, void *userdata)
{
        struct ingest *in = userdata;
        struct ingest_batch *b = ingest_applying(in);

        if (error) {
                ingest_fail(in, INGEST_FAILED, "look-up of identities",
                            *pg_message(r) ? pg_message(r) : pg_error_text(error));
                return;
        }
        for (unsigned i = 0; i < pg_rows(r, 0); i++) {
                unsigned at = in->part.done + (unsigned)pg_i64(r, 0, i, 0) - 1;
                bool same_event = pg_i64(r, 0, i, 1) == 1;

                if (b->items[at].verdict == INGEST_APPLY || same_event)
                        b->items[at].verdict = same_event ? INGEST_SKIP : INGEST_DUPLICATE;
        }
        in->resolved = true;
        ingest_dead_letters(in);
}

/* Fewer events were new than there are: which of them are known? */
static void resolve(struct ingest *in)
{
        struct pg_job *job = pg_job_new(PG_READ);
        const struct ingest_batch *b = ingest_applying(in);
        struct pg_array channel, seq, actor, id;

        pg_array_init(&channel, PG_TEXT, SIZE_MAX);
        pg_array_init(&seq, PG_INT8, SIZE_MAX);
        pg_array_init(&actor, PG_TEXT, SIZE_MAX);
        pg_array_init(&id, PG_TEXT, SIZE_MAX);
        for (unsigned i = in->part.done; i < in->part.end; i++) {
                const struct ingest_item *item = &b->items[i];
                bool apply = item->verdict == INGEST_APPLY;

                pg_array_text(&channel, item->channel_id);
                pg_array_i64(&seq, (int64_t)item->seq);
                pg_array_text(&actor, apply ? item->event->actor_id : NULL);
                pg_array_text(&id, apply ? item->event->id : NULL);
        }
        pg_job_add(job, &stmt_resolve);
        pg_arg_array(job, &channel);
        pg_arg_array(job, &seq);
        pg_arg_array(job, &actor);
        pg_arg_array(job, &id);
        pg_array_done(&channel);
        pg_array_done(&seq);
        pg_array_done(&actor);
        pg_array_done(&id);
        if (job)
                pg_run(in->env->pg_worker, job, JOB_TIMEOUT_MS, on_resolved, in);
        else
                ingest_fail(in, INGEST_FAILED, "look-up of identities", strerror(ENOMEM));
}

/* The data was refused: a smaller part, or, when it is a single event, without it */
static void refused(struct ingest *in, const char *message, const char *sqlstate)
{
        struct ingest_item *item = &ingest_applying(in)->items[in->part.done];
        char reason[sizeof(item->reason)];

        if (!bisect_refused(&in->part)) {
                log_error("an event cannot be applied", LOG_S("stream", in->stream), LOG_U("seq", item->seq),
                          LOG_S("sqlstate", sqlstate), LOG_S("why", message), LOG_S("channel", item->channel_id));
                if (item->verdict == INGEST_REJECT) {
                        item->verdict = INGEST_SKIP; /* not even its placeholder */
                } else {
                        (void)snprintf(reason, sizeof(reason), "Postgres: %s (%s)", message, sqlstate);
                        ingest_reject(item, reason);
                }
        }
        ingest_dead_letters(in);
}

static void on_applied(int error, const struct pg_results *r, void *userdata)
{
        struct ingest *in = userdata;
        const char *why = *pg_message(r) ? pg_message(r) : pg_error_text(error);

        switch (error) {
        case 0:
                ingest_part_done(in);
                break;
        case PG_E_EXPECT:
                if (pg_failed_stmt(r) == STMT_CURSOR) {
                        metric_add(&metric_fenced, 1);
                        ingest_fail(in, INGEST_FENCED, "cursor", "another ingester moved it");
                } else if (!in->resolved) {
                        resolve(in);
                } else {
                        refused(in, "fewer rows were new than expected", "");
                }
                break;
        case PG_E_DATA:
                if (!in->resolved && strcmp(pg_sqlstate(r), UNIQUE_VIOLATION) == 0)
                        resolve(in);
                else
                        refused(in, why, pg_sqlstate(r));
                break;
        case PG_E_RETRY:
                ingest_retry_later(in, RETRY_MS);
                break;
        default:
                ingest_fail(in, INGEST_FAILED, "transaction", why);
        }
}

void ingest_apply_part(struct ingest *in)
{
        const struct ingest_batch *b = ingest_applying(in);
        const struct ingest_item *last = &b->items[in->part.end - 1];
        struct pg_job *job = pg_job_new(PG_WRITE);
        struct ingest_rows rows;
        int r = ingest_rows_build(b, in->part.done, in->part.end, &rows);

        if (r < 0 || !job) {
                ingest_rows_done(&rows);
                pg_job_free(job);
                ingest_fail(in, INGEST_FAILED, "rows", strerror(ENOMEM));
                return;
        }
        pg_job_add(job, &stmt_cursor);
        pg_arg_text(job, in->stream);
        pg_arg_i64(job, (int64_t)in->epoch);
        pg_arg_i64(job, (int64_t)in->last_seq);
        pg_arg_i64(job, (int64_t)last->seq);
        pg_arg_i64(job, last->time_ns);
        pg_job_expect(job, 1);
        add_events(job, &rows);
        add_messages(job, &rows);
        add_dead_files(job, &rows);
        add_heads(job, &rows);
        add_mutations(job, &rows, in->stream);
        add_channels_members_users(job, &rows);
        add_mark(in, job, last);
        ingest_rows_done(&rows);
        pg_job_before_commit(job, before_commit);
        pg_run(in->env->pg_worker, job, JOB_TIMEOUT_MS, on_applied, in);
}
