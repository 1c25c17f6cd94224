#include "history/access.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ident.h"
#include "history/channel_rows.h"
#include "history/pg.h"

static const struct pg_stmt stmt_channel = {
        "access_channel",
        "SELECT " CHANNEL_COLUMNS ", " MEMBERSHIP_COLUMNS ", (SELECT u.name FROM users u WHERE u.id = $2::text)"
        " FROM channels c LEFT JOIN members m ON m.channel_id = c.id AND m.user_id = $2::text WHERE c.id = $1::text"};
static const struct pg_stmt stmt_spans = {
        "access_spans",
        "SELECT from_seq, COALESCE(to_seq, -1) FROM member_spans WHERE channel_id = $1::text AND user_id = $2::text "
        "ORDER BY from_seq DESC LIMIT $3::bigint"};
static const struct pg_stmt stmt_targets = {
        "access_targets",
        "SELECT b.user_id, m.role, m.version, "
        "(SELECT count(*) FROM members o WHERE o.user_id = b.user_id AND o.role > 0 AND o.invited = (b.user_id <> $3::text)) "
        "FROM unnest($2::text[]) WITH ORDINALITY AS b(user_id, ord) "
        "LEFT JOIN members m ON m.channel_id = $1::text AND m.user_id = b.user_id ORDER BY b.ord"};
static const struct pg_stmt stmt_others = {
        "access_others",
        "SELECT EXISTS (SELECT FROM members WHERE channel_id = $1::text AND user_id <> $2::text AND role > 0), "
        "EXISTS (SELECT FROM members WHERE channel_id = $1::text AND user_id <> $2::text AND role = 4)"};

enum { NAME_COLUMN = CHANNEL_N_COLUMNS + MEMBERSHIP_N_COLUMNS };

struct reading {
        bool as_user;
        access_handler handler;
        void *userdata;
        char channel_id[IDENT_MAX + 1], user_id[IDENT_MAX + 1];
};

void access_free(struct access *a)
{
        if (!a)
                return;
        free(a->channel.id);
        free(a->channel.name);
        free(a->channel.topic);
        free(a->channel.created_by);
        free(a->name);
        free(a->targets);
        free(a);
}

static int read_channel(struct access *a, const struct pg_results *r)
{
        Parley__V1__Membership m;
        Parley__V1__Role role;

        a->found = pg_rows(r, 0) > 0;
        if (!a->found) {
                parley__v1__channel__init(&a->channel);
                a->channel.id = a->channel.name = a->channel.topic = a->channel.created_by = NULL;
                return 0;
        }
        channel_read(r, 0, 0, 0, &a->channel, &a->created_at);
        a->channel.id = strdup(a->channel.id);
        a->channel.name = strdup(a->channel.name);
        a->channel.topic = strdup(a->channel.topic);
        a->channel.created_by = strdup(a->channel.created_by);
        a->has_row = !pg_null(r, 0, 0, CHANNEL_N_COLUMNS);
        membership_read(r, 0, 0, CHANNEL_N_COLUMNS, &m);
        role = m.role;
        a->version = m.version;
        a->since_seq = m.since_seq;
        a->role = policy_role(&a->channel, a->has_row ? &role : NULL);
        if (!pg_null(r, 0, 0, NAME_COLUMN))
                a->name = strdup(pg_text(r, 0, 0, NAME_COLUMN)); /* without memory it is not known */
        return a->channel.id && a->channel.name && a->channel.topic && a->channel.created_by ? 0 : -ENOMEM;
}

static void read_spans(struct access *a, const struct pg_results *r)
{
        struct seq_span spans[VISIBILITY_SPANS_MAX];
        unsigned n = pg_rows(r, 1);

        for (unsigned i = 0; i < n && i < VISIBILITY_SPANS_MAX; i++)
                spans[i] = (struct seq_span){.from = (uint64_t)pg_i64(r, 1, i, 0), .to = (uint64_t)pg_i64(r, 1, i, 1)};
        visibility_compute(&a->channel, spans, n, false, &a->visibility);
}

static int read_targets(struct access *a, const struct pg_results *r)
{
        a->n_targets = pg_rows(r, 2);
        a->targets = calloc(a->n_targets + 1, sizeof(*a->targets));
        if (!a->targets)
                return -ENOMEM;
        for (unsigned i = 0; i < a->n_targets; i++) {
                struct access_target *t = &a->targets[i];

                (void)snprintf(t->user_id, sizeof(t->user_id), "%s", pg_text(r, 2, i, 0));
                t->has_row = !pg_null(r, 2, i, 1);
                t->role = (Parley__V1__Role)pg_i64(r, 2, i, 1);
                t->version = (uint64_t)pg_i64(r, 2, i, 2);
                t->n_channels = (uint64_t)pg_i64(r, 2, i, 3);
        }
        a->others = pg_bool(r, 3, 0, 0);
        a->other_owners = pg_bool(r, 3, 0, 1);
        return 0;
}

static void on_read(int error, const struct pg_results *r, void *userdata)
{
        struct reading *reading = userdata;
        struct access *a = error ? NULL : calloc(1, sizeof(*a));

        if (a) {
                memcpy(a->channel_id, reading->channel_id, sizeof(a->channel_id));
                memcpy(a->user_id, reading->user_id, sizeof(a->user_id));
                if (read_channel(a, r) < 0 || (pg_rows(r, 3) && read_targets(a, r) < 0)) {
                        access_free(a);
                        a = NULL;
                }
        }
        if (!error && !a)
                error = -ENOMEM;
        if (a && a->found) {
                read_spans(a, r);
                if (!reading->as_user)
                        access_see_all(a);
        }
        reading->handler(error, a, reading->userdata);
        free(reading);
}

int access_read(struct env *env, const char *channel_id, const char *user_id, const char *const *targets,
                unsigned n_targets, access_handler handler, void *userdata)
{
        struct reading *reading = calloc(1, sizeof(*reading));
        struct pg_job *job = pg_job_new(PG_READ);
        struct pg_array ids;

        if (!reading || !job) {
                free(reading);
                pg_job_free(job);
                return -ENOMEM;
        }
        *reading = (struct reading){.as_user = user_id != NULL, .handler = handler, .userdata = userdata};
        (void)snprintf(reading->channel_id, sizeof(reading->channel_id), "%s", channel_id);
        (void)snprintf(reading->user_id, sizeof(reading->user_id), "%s", user_id ? user_id : "");
        pg_job_add(job, &stmt_channel);
        pg_arg_text(job, channel_id);
        pg_arg_text(job, user_id);
        pg_job_add(job, &stmt_spans);
        pg_arg_text(job, channel_id);
        pg_arg_text(job, user_id);
        pg_arg_i64(job, VISIBILITY_SPANS_MAX);
        if (n_targets) {
                pg_array_init(&ids, PG_TEXT, SIZE_MAX);
                for (unsigned i = 0; i < n_targets; i++)
                        pg_array_text(&ids, targets[i]);
                pg_job_add(job, &stmt_targets);
                pg_arg_text(job, channel_id);
                pg_arg_array(job, &ids);
                pg_arg_text(job, user_id);
                pg_array_done(&ids);
                pg_job_add(job, &stmt_others);
                pg_arg_text(job, channel_id);
                pg_arg_text(job, targets[0]);
        }
        pg_run(env->pg, job, 0, on_read, reading);
        return 0;
}

enum parley_code access_unknown(bool admin)
{
        return admin ? PARLEY_NOT_FOUND : PARLEY_NOT_A_MEMBER;
}

enum parley_code access_check(const struct access *a, bool admin, enum policy_action action)
{
        return a->found ? policy_check(&a->channel, a->role, admin, action) : access_unknown(admin);
}

void access_see_all(struct access *a)
{
        visibility_compute(&a->channel, NULL, 0, true, &a->visibility);
}

Parley__V1__Role access_target_role(const struct access *a, const struct access_target *t)
{
        return policy_role(&a->channel, t->has_row ? &t->role : NULL);
}
