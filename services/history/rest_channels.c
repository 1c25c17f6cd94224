/* Channels: list, create, get, change. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "history/channel_rows.h"
#include "history/members_core.h"
#include "history/paging.h"
#include "history/pg.h"
#include "history/rest.h"

enum { NAME_MAX_BYTES = 128, TOPIC_MAX_BYTES = 1024, LIST_LIMIT_DEFAULT = 100 };

/* --- lists --- */

static const struct pg_stmt stmt_own = {
        "rest_own",
        "SELECT * FROM ((SELECT " CHANNEL_COLUMNS ", " MEMBERSHIP_COLUMNS
        " FROM members m JOIN channels c ON c.id = m.channel_id "
        "WHERE m.user_id = $1::text AND m.role > 0 AND m.channel_id > $2::text ORDER BY m.channel_id LIMIT $3::bigint) UNION ALL "
        "(SELECT " CHANNEL_COLUMNS ", c.id, 2::smallint, 0::bigint, 0::bigint, 0::bigint, false FROM channels c "
        "WHERE c.everyone AND c.kind = 0 AND c.id > $2::text "
        "AND NOT EXISTS (SELECT FROM members m WHERE m.channel_id = c.id AND m.user_id = $1::text) ORDER BY c.id LIMIT $3::bigint)) x "
        "ORDER BY x.id LIMIT $3::bigint"};
static const struct pg_stmt stmt_open = {
        "rest_open",
        "SELECT " CHANNEL_COLUMNS
        ", c.id, COALESCE(m.role, CASE WHEN c.everyone THEN 2 ELSE 0 END)::smallint, COALESCE(m.version, 0), "
        "COALESCE(m.since_seq, 0), COALESCE(m.left_seq, 0), COALESCE(m.had_absence, false) "
        "FROM channels c LEFT JOIN members m ON m.channel_id = c.id AND m.user_id = $1::text "
        "WHERE c.kind = 0 AND NOT c.archived AND c.id > $2::text ORDER BY c.id LIMIT $3::bigint"};

struct listing {
        uint32_t limit;
};

static void on_listed(int error, const struct pg_results *r, void *userdata)
{
        struct rest_call *c = userdata;
        unsigned limit = ((struct listing *)c->own)->limit, n;
        Parley__V1__ChannelPage page = PARLEY__V1__CHANNEL_PAGE__INIT;
        struct row {
                Parley__V1__ChannelEntry entry;
                Parley__V1__Channel channel;
                Parley__V1__Membership membership;
                Google__Protobuf__Timestamp at;
        };
        _cleanup_free_ struct row *rows = NULL;
        _cleanup_free_ Parley__V1__ChannelEntry **entries = NULL;

        n = error ? 0 : pg_rows(r, 0);
        n = n > limit ? limit : n;
        rows = calloc(n + 1, sizeof(*rows));
        entries = calloc(n + 1, sizeof(*entries));
        if (error || !rows || !entries) {
                rest_unavailable(c, error ? error : -ENOMEM);
                return;
        }
        for (unsigned i = 0; i < n; i++) {
                channel_read(r, 0, i, 0, &rows[i].channel, &rows[i].at);
                membership_read(r, 0, i, CHANNEL_N_COLUMNS, &rows[i].membership);
                parley__v1__channel_entry__init(&rows[i].entry);
                rows[i].entry.channel = &rows[i].channel;
                rows[i].entry.role = rows[i].membership.role;
                rows[i].entry.since_seq = rows[i].membership.since_seq;
                entries[i] = &rows[i].entry;
        }
        page.channels = entries;
        page.n_channels = n;
        if (pg_rows(r, 0) > limit)
                page.next = rows[n - 1].channel.id;
        rest_json(c, 200, &page.base);
}

void rest_list_channels(struct http_request *rq, void *userdata)
{
        struct rest_call *c = rest_begin(rq, userdata);
        const char *after, *scope;
        struct listing *own;
        struct pg_job *job;
        char error[128];

        if (!c)
                return;
        after = http_query(rq, "after");
        scope = http_query(rq, "scope");
        own = c->own = calloc(1, sizeof(*own));
        c->free_own = free;
        if (!own || !c->rest->env->migrated) {
                rest_unavailable(c, PG_E_UNAVAILABLE);
        } else if (page_parse_limit(http_query(rq, "limit"), LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX, &own->limit, error,
                                    sizeof(error)) < 0) {
                rest_problem(c, PARLEY_BAD_REQUEST, "%s", error);
        } else if (after && !ident_valid(after)) {
                rest_problem(c, PARLEY_BAD_REQUEST, "after must be the id of a channel");
        } else if (scope && strcmp(scope, "own") != 0 && strcmp(scope, "open") != 0) {
                rest_problem(c, PARLEY_BAD_REQUEST, "scope must be own or open");
        } else {
                job = pg_job_new(PG_READ);
                if (!job) {
                        rest_unavailable(c, -ENOMEM);
                        return;
                }
                pg_job_add(job, scope && scope[1] == 'p' ? &stmt_open : &stmt_own);
                pg_arg_text(job, c->claims.user_id);
                pg_arg_text(job, after ? after : "");
                pg_arg_i64(job, own->limit + 1);
                pg_run(c->rest->env->pg, job, 0, on_listed, c);
        }
}

/* --- one --- */

static void got(struct rest_call *c)
{
        const struct access *a = c->access;

        if (!a->found)
                rest_refuse(c, access_unknown(c->claims.admin));
        else if (a->role == PARLEY__V1__ROLE__none && a->channel.kind != PARLEY__V1__CHANNEL__KIND__open &&
                 !c->claims.admin)
                rest_refuse(c, PARLEY_NOT_A_MEMBER);
        else
                rest_channel_entry(c, 200, &a->channel, a->role, a->since_seq);
}

void rest_get_channel(struct http_request *rq, void *userdata)
{
        struct rest_call *c = rest_begin(rq, userdata);

        if (c)
                rest_access(c, NULL, 0, got);
}

/* --- create --- */

static void free_body(void *own)
{
        protobuf_c_message_free_unpacked(own, NULL);
}

static const Parley__V1__CreateChannelRequest *create_body(const struct rest_call *c)
{
        return c->own;
}

static const char *create_owner(const struct rest_call *c)
{
        const Parley__V1__CreateChannelRequest *b = create_body(c);

        return *b->owner_id ? b->owner_id : c->claims.user_id;
}

static bool name_valid(const char *name)
{
        return *name && members_text_valid(name, NAME_MAX_BYTES);
}

/* NULL, or what is wrong with it */
static const char *check_create(const Parley__V1__CreateChannelRequest *b, bool admin, size_t max_members)
{
        if (*b->id && !ident_valid(b->id))
                return "id must be 1 to 64 of A-Z a-z 0-9 _ -";
        if (!name_valid(b->name))
                return "name must be 1 to 128 bytes without control characters";
        if (!members_text_valid(b->topic, TOPIC_MAX_BYTES))
                return "topic must be at most 1024 bytes without control characters";
        if (*b->owner_id && (!admin || !ident_valid(b->owner_id)))
                return "ownerId must be the id of a user, and only an administrator may give it";
        if (b->everyone && (!admin || b->kind != PARLEY__V1__CHANNEL__KIND__open))
                return "everyone is for open channels, and only an administrator may set it";
        if (b->n_members > max_members)
                return "members are too many for one request: add the rest afterwards";
        for (size_t i = 0; i < b->n_members; i++)
                if (!ident_valid(b->members[i]))
                        return "members must be ids of users";
        if (b->kind == PARLEY__V1__CHANNEL__KIND__direct && b->n_members == 0)
                return "members must not be empty: a direct channel keeps the members it is created with";
        return NULL;
}

static void created(struct rest_call *c, unsigned status)
{
        char location[IDENT_MAX + 32];

        (void)snprintf(location, sizeof(location), "/api/channels/%s", c->channel_id);
        http_set_header(c->rq, "Location", location);
        rest_json(c, status == 200 ? 201 : status, &change_channel(c->change)->base);
}

static int add_members(struct rest_call *c)
{
        const struct access *a = c->access;

        for (unsigned i = 0; i < a->n_targets; i++) {
                struct change_member m = {.role = i == 0 ? PARLEY__V1__ROLE__owner : PARLEY__V1__ROLE__member,
                                          .joins = true};

                memcpy(m.user_id, a->targets[i].user_id, sizeof(m.user_id));
                if (strcmp(m.user_id, c->claims.user_id) == 0)
                        memcpy(m.name, c->claims.name, strlen(c->claims.name) + 1);
                if (change_add_member(c->change, &m) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static void create(struct rest_call *c)
{
        const Parley__V1__CreateChannelRequest *b = create_body(c);
        const struct access *a = c->access;
        Parley__V1__Channel channel = PARLEY__V1__CHANNEL__INIT;
        Google__Protobuf__Timestamp now;

        if (a->found) {
                rest_problem(c, PARLEY_CONFLICT, "there is a channel %s already", c->channel_id);
                return;
        }
        for (unsigned i = 0; i < a->n_targets; i++)
                if (a->targets[i].n_channels >= c->rest->env->config->max_channels_per_user) {
                        rest_problem(c, PARLEY_CONFLICT,
                                     "%s is in as many channels as one user may make, join or be added to",
                                     a->targets[i].user_id);
                        return;
                }
        time_from_ns(env_stamp_ns(), &now);
        channel.id = c->channel_id;
        channel.kind = b->kind;
        channel.name = b->name;
        channel.topic = b->topic;
        channel.everyone = b->everyone;
        channel.history_visibility = b->history_visibility;
        channel.version = 1;
        channel.created_at = &now;
        channel.created_by = c->claims.user_id;
        c->change = change_new(c->rest->env, &channel, true, true, c->claims.user_id);
        if (!c->change || add_members(c) < 0)
                rest_unavailable(c, -ENOMEM);
        else
                rest_change(c, created);
}

/* The owner first, then the members without him and each once */
static void start_create(struct rest_call *c)
{
        const Parley__V1__CreateChannelRequest *b = create_body(c);
        _cleanup_free_ const char **users = calloc(b->n_members + 1, sizeof(*users));
        unsigned n = 0;

        if (!users) {
                rest_unavailable(c, -ENOMEM);
                return;
        }
        users[n++] = create_owner(c);
        for (size_t i = 0; i < b->n_members; i++) {
                bool known = false;

                for (unsigned k = 0; k < n && !known; k++)
                        known = strcmp(users[k], b->members[i]) == 0;
                if (!known)
                        users[n++] = b->members[i];
        }
        rest_access(c, users, n, create);
}

void rest_create_channel(struct http_request *rq, void *userdata)
{
        struct rest_call *c = rest_begin(rq, userdata);
        ProtobufCMessage *body;
        const Parley__V1__CreateChannelRequest *b;
        const char *wrong;
        uint8_t random[10];

        body = c ? rest_body(c, &parley__v1__create_channel_request__descriptor) : NULL;
        if (!body)
                return;
        c->own = body;
        c->free_own = free_body;
        b = create_body(c);
        wrong = check_create(b, c->claims.admin, c->rest->env->config->max_members_per_request);
        if (wrong) {
                rest_problem(c, PARLEY_BAD_REQUEST, "%s", wrong);
                return;
        }
        if (!rest_within_invites(c, 1 + (uint32_t)b->n_members))
                return;
        random_bytes(random, sizeof(random));
        if (*b->id)
                memcpy(c->channel_id, b->id, strlen(b->id) + 1);
        else
                uuid_v7((uint64_t)(env_now_ns() / 1000000), random, c->channel_id);
        c->start = start_create;
        start_create(c);
}

/* --- change --- */

static void changed(struct rest_call *c, unsigned status)
{
        rest_channel_entry(c, status, change_channel(c->change), c->access->role, c->access->since_seq);
}

static void change(struct rest_call *c)
{
        const struct access *a = c->access;
        Parley__V1__Channel channel;
        enum parley_code code;

        if (!a->found) {
                rest_refuse(c, access_unknown(c->claims.admin));
                return;
        }
        channel = a->channel;
        code = members_change_channel(&channel, c->own, a->role, c->claims.admin);
        if (code != PARLEY_OK) {
                rest_refuse(c, code);
                return;
        }
        if (channel.everyone && channel.kind != PARLEY__V1__CHANNEL__KIND__open) {
                rest_problem(c, PARLEY_BAD_REQUEST, "everyone is for open channels");
                return;
        }
        if (members_same_channel(&channel, &a->channel)) {
                rest_channel_entry(c, 200, &a->channel, a->role, a->since_seq);
                return;
        }
        channel.version++;
        c->change = change_new(c->rest->env, &channel, false, true, c->claims.user_id);
        rest_change(c, changed);
}

static void start_change(struct rest_call *c)
{
        rest_access(c, NULL, 0, change);
}

void rest_change_channel(struct http_request *rq, void *userdata)
{
        struct rest_call *c = rest_begin(rq, userdata);
        ProtobufCMessage *body;
        const Parley__V1__ChangeChannelRequest *b;

        body = c ? rest_body(c, &parley__v1__change_channel_request__descriptor) : NULL;
        if (!body)
                return;
        c->own = body;
        c->free_own = free_body;
        b = c->own;
        if (b->new_name_case && !name_valid(b->name)) {
                rest_problem(c, PARLEY_BAD_REQUEST, "name must be 1 to 128 bytes without control characters");
                return;
        }
        if (b->new_topic_case && !members_text_valid(b->topic, TOPIC_MAX_BYTES)) {
                rest_problem(c, PARLEY_BAD_REQUEST, "topic must be at most 1024 bytes without control characters");
                return;
        }
        c->start = start_change;
        start_change(c);
}
