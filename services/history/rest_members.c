/* Members: join, leave, list, add, remove. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "history/members_core.h"
#include "history/paging.h"
#include "history/pg.h"
#include "history/rest.h"

enum { LIST_LIMIT_DEFAULT = 100 };

static bool too_many_channels(const struct rest_call *c, const struct access_target *t)
{
        return t->n_channels >= c->rest->env->config->max_channels_per_user;
}

/* One member's new role, as c->change; NULL member: out of memory */
static void run_change(struct rest_call *c, const struct change_member *m, rest_changed then)
{
        c->change = change_new(c->rest->env, &c->access->channel, false, false, c->claims.user_id);
        if (!c->change || change_add_member(c->change, m) < 0)
                rest_unavailable(c, -ENOMEM);
        else
                rest_change(c, then);
}

static struct change_member member_of(const struct access_target *t)
{
        struct change_member m = {.version = t->version, .was_owner = t->role == PARLEY__V1__ROLE__owner};

        memcpy(m.user_id, t->user_id, sizeof(m.user_id));
        return m;
}

static uint64_t changed_seq(const struct rest_call *c)
{
        unsigned n;
        const struct change_member *m = change_members(c->change, &n);

        return n ? m[0].seq : 0;
}

/* --- join and leave --- */

static void begin(struct http_request *rq, void *userdata, void (*start)(struct rest_call *c))
{
        struct rest_call *c = rest_begin(rq, userdata);

        if (!c)
                return;
        c->start = start;
        start(c);
}

static void access_to_self(struct rest_call *c, rest_then then)
{
        const char *self = c->claims.user_id;

        rest_access(c, &self, 1, then);
}

static void joined(struct rest_call *c, unsigned status)
{
        rest_channel_entry(c, status, &c->access->channel, PARLEY__V1__ROLE__member, changed_seq(c));
}

static void join(struct rest_call *c)
{
        const struct access *a = c->access;
        enum parley_code code = access_check(a, c->claims.admin, POLICY_JOIN);
        struct change_member m;

        if (code != PARLEY_OK) {
                rest_refuse(c, code);
        } else if (a->role != PARLEY__V1__ROLE__none) {
                rest_channel_entry(c, 200, &a->channel, a->role, a->since_seq);
        } else if (too_many_channels(c, &a->targets[0])) {
                rest_problem(c, PARLEY_CONFLICT, "you made or joined as many channels as one user may");
        } else {
                m = member_of(&a->targets[0]);
                m.role = PARLEY__V1__ROLE__member;
                m.joins = true;
                memcpy(m.name, c->claims.name, strlen(c->claims.name) + 1);
                run_change(c, &m, joined);
        }
}

static void start_join(struct rest_call *c)
{
        access_to_self(c, join);
}

void rest_join(struct http_request *rq, void *userdata)
{
        begin(rq, userdata, start_join);
}

static void gone(struct rest_call *c, unsigned status)
{
        rest_empty(c, status == 200 ? 204 : status);
}

/* In direct channels there is nobody to make an owner of, and everybody may go. */
static bool last_owner(const struct access *a)
{
        return a->channel.kind != PARLEY__V1__CHANNEL__KIND__direct && a->targets[0].role == PARLEY__V1__ROLE__owner &&
               a->others && !a->other_owners;
}

static void leave(struct rest_call *c)
{
        const struct access *a = c->access;
        enum parley_code code = access_check(a, c->claims.admin, POLICY_LEAVE);
        struct change_member m;

        if (code != PARLEY_OK) {
                rest_refuse(c, code);
        } else if (last_owner(a)) {
                rest_problem(c, PARLEY_CONFLICT,
                             "the only owner cannot leave the others behind: make somebody else an owner first");
        } else {
                m = member_of(&a->targets[0]);
                m.was_owner = m.was_owner && a->channel.kind != PARLEY__V1__CHANNEL__KIND__direct;
                m.role = PARLEY__V1__ROLE__none;
                run_change(c, &m, gone);
        }
}

static void start_leave(struct rest_call *c)
{
        access_to_self(c, leave);
}

void rest_leave(struct http_request *rq, void *userdata)
{
        begin(rq, userdata, start_leave);
}

/* --- add, and change of a role --- */

static void free_body(void *own)
{
        protobuf_c_message_free_unpacked(own, NULL);
}

static const Parley__V1__AddMemberRequest *add_body(const struct rest_call *c)
{
        return c->own;
}

/* Nobody says what somebody else is called, except an administrator. */
static const char *name_given(const struct rest_call *c)
{
        const Parley__V1__AddMemberRequest *b = add_body(c);

        return c->claims.admin || strcmp(b->user_id, c->claims.user_id) == 0 ? b->name : "";
}

static void answer_member(struct rest_call *c, unsigned status, Parley__V1__Role role, uint64_t since_seq)
{
        Parley__V1__Member member = PARLEY__V1__MEMBER__INIT;

        member.user_id = add_body(c)->user_id;
        member.name = (char *)name_given(c);
        member.role = role;
        member.since_seq = since_seq;
        rest_json(c, status, &member.base);
}

static void added(struct rest_call *c, unsigned status)
{
        unsigned n;
        const struct change_member *m = change_members(c->change, &n);

        answer_member(c, status == 200 && m->joins ? 201 : status, m->role, m->joins ? m->seq : 0);
}

static void add(struct rest_call *c)
{
        const struct access *a = c->access;
        const Parley__V1__AddMemberRequest *b = add_body(c);
        Parley__V1__Role wanted = b->role == PARLEY__V1__ROLE__none ? PARLEY__V1__ROLE__member : b->role, present;
        enum parley_code code;
        struct change_member m;

        if (!a->found) {
                rest_refuse(c, access_unknown(c->claims.admin));
                return;
        }
        present = access_target_role(a, &a->targets[0]);
        code = members_may_add(&a->channel, a->role, c->claims.admin, present, wanted);
        if (code != PARLEY_OK) {
                rest_refuse(c, code);
        } else if (present == wanted) {
                answer_member(c, 200, present, 0);
        } else if (present == PARLEY__V1__ROLE__none && too_many_channels(c, &a->targets[0])) {
                rest_problem(c, PARLEY_CONFLICT, "%s was added to as many channels as one user may be", b->user_id);
        } else if (last_owner(a)) {
                rest_problem(c, PARLEY_CONFLICT, "the only owner must stay one: make somebody else an owner first");
        } else {
                m = member_of(&a->targets[0]);
                m.role = wanted;
                m.joins = present == PARLEY__V1__ROLE__none;
                memcpy(m.name, name_given(c), strlen(name_given(c)) + 1);
                run_change(c, &m, added);
        }
}

static void start_add(struct rest_call *c)
{
        const char *target = add_body(c)->user_id;

        rest_access(c, &target, 1, add);
}

void rest_add_member(struct http_request *rq, void *userdata)
{
        struct rest_call *c = rest_begin(rq, userdata);
        ProtobufCMessage *body;

        body = c ? rest_body(c, &parley__v1__add_member_request__descriptor) : NULL;
        if (!body)
                return;
        c->own = body;
        c->free_own = free_body;
        if (!ident_valid(add_body(c)->user_id)) {
                rest_problem(c, PARLEY_BAD_REQUEST, "userId must be the id of a user: 1 to %d of A-Z a-z 0-9 _ -",
                             IDENT_MAX);
                return;
        }
        if (!members_text_valid(add_body(c)->name, CHANGE_NAME_MAX)) {
                rest_problem(c, PARLEY_BAD_REQUEST, "name must be at most %d bytes without control characters",
                             CHANGE_NAME_MAX);
                return;
        }
        if (!rest_within_invites(c, 1))
                return;
        c->start = start_add;
        start_add(c);
}

/* --- remove --- */

static void remove_member(struct rest_call *c)
{
        const struct access *a = c->access;
        Parley__V1__Role present;
        enum parley_code code;
        struct change_member m;

        if (!a->found) {
                rest_refuse(c, access_unknown(c->claims.admin));
                return;
        }
        present = access_target_role(a, &a->targets[0]);
        code = members_may_remove(&a->channel, a->role, c->claims.admin, present);
        if (code != PARLEY_OK) {
                rest_refuse(c, code);
        } else if (present == PARLEY__V1__ROLE__none) {
                rest_problem(c, PARLEY_NOT_FOUND, "%s is not a member of this channel", a->targets[0].user_id);
        } else if (last_owner(a)) {
                rest_problem(c, PARLEY_CONFLICT, "the only owner cannot be removed");
        } else {
                m = member_of(&a->targets[0]);
                m.role = PARLEY__V1__ROLE__none;
                m.removed = true;
                run_change(c, &m, gone);
        }
}

static void start_remove(struct rest_call *c)
{
        const char *target = http_param(c->rq, "userId");

        rest_access(c, &target, 1, remove_member);
}

void rest_remove_member(struct http_request *rq, void *userdata)
{
        struct rest_call *c = rest_begin(rq, userdata);
        const char *target;

        if (!c)
                return;
        target = http_param(rq, "userId");
        if (!ident_valid(target)) {
                rest_problem(c, PARLEY_BAD_REQUEST, "the user's id must be 1 to %d of A-Z a-z 0-9 _ -", IDENT_MAX);
                return;
        }
        /* removing oneself is leaving */
        c->start = strcmp(target, c->claims.user_id) == 0 ? start_leave : start_remove;
        c->start(c);
}

/* --- list --- */

static const struct pg_stmt stmt_list = {
        "rest_members",
        "SELECT m.user_id, COALESCE(u.name, ''), m.role, CASE WHEN m.since_seq > m.left_seq THEN m.since_seq ELSE 0 END "
        "FROM members m LEFT JOIN users u ON u.id = m.user_id "
        "WHERE m.channel_id = $1::text AND m.role > 0 AND m.user_id > $2::text ORDER BY m.user_id LIMIT $3::bigint"};

struct listing {
        uint32_t limit;
        char after[IDENT_MAX + 1];
};

static void on_listed(int error, const struct pg_results *r, void *userdata)
{
        struct rest_call *c = userdata;
        unsigned limit = ((struct listing *)c->own)->limit, n = error ? 0 : pg_rows(r, 0);
        Parley__V1__MemberPage page = PARLEY__V1__MEMBER_PAGE__INIT;
        _cleanup_free_ Parley__V1__Member *members = NULL;
        _cleanup_free_ Parley__V1__Member **pointers = NULL;

        n = n > limit ? limit : n;
        members = calloc(n + 1, sizeof(*members));
        pointers = calloc(n + 1, sizeof(*pointers));
        if (error || !members || !pointers) {
                rest_unavailable(c, error ? error : -ENOMEM);
                return;
        }
        for (unsigned i = 0; i < n; i++) {
                parley__v1__member__init(&members[i]);
                members[i].user_id = (char *)pg_text(r, 0, i, 0);
                members[i].name = (char *)pg_text(r, 0, i, 1);
                members[i].role = (Parley__V1__Role)pg_i64(r, 0, i, 2);
                members[i].since_seq = (uint64_t)pg_i64(r, 0, i, 3);
                pointers[i] = &members[i];
        }
        page.members = pointers;
        page.n_members = n;
        page.everyone = c->access->channel.everyone;
        if (pg_rows(r, 0) > limit)
                page.next = members[n - 1].user_id;
        rest_json(c, 200, &page.base);
}

static void list(struct rest_call *c)
{
        const struct listing *own = c->own;
        struct pg_job *job = pg_job_new(PG_READ);

        if (!job) {
                rest_unavailable(c, -ENOMEM);
                return;
        }
        pg_job_add(job, &stmt_list);
        pg_arg_text(job, c->channel_id);
        pg_arg_text(job, own->after);
        pg_arg_i64(job, own->limit + 1);
        pg_run(c->rest->env->pg, job, 0, on_listed, c);
}

void rest_list_members(struct http_request *rq, void *userdata)
{
        struct rest_call *c = rest_begin(rq, userdata);
        const char *after;
        struct listing *own;
        char error[128];

        if (!c)
                return;
        after = http_query(rq, "after");
        own = c->own = calloc(1, sizeof(*own));
        c->free_own = free;
        if (!own) {
                rest_unavailable(c, -ENOMEM);
        } else if (page_parse_limit(http_query(rq, "limit"), LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX, &own->limit, error,
                                    sizeof(error)) < 0) {
                rest_problem(c, PARLEY_BAD_REQUEST, "%s", error);
        } else if (after && !ident_valid(after)) {
                rest_problem(c, PARLEY_BAD_REQUEST, "after must be the id of a user");
        } else {
                if (after)
                        memcpy(own->after, after, strlen(after) + 1);
                rest_access_for(c, POLICY_READ, list);
        }
}
