/* What the roster tells of itself, and answers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "presence/roster.h"
#include "presence/status.h"

static void set_time(Google__Protobuf__Timestamp *t, int64_t seconds)
{
        google__protobuf__timestamp__init(t);
        t->seconds = seconds;
}

/* --- one user --- */

static void shown_fill(const struct roster *r, const struct person *who, struct shown *ret)
{
        const struct status *s = who->status;

        parley__v1__presence_change__init(&ret->change);
        parley__v1__user_presence__init(&ret->user);
        ret->change.user = &ret->user;
        ret->change.version = who->version;
        ret->user.user_id = (char *)who->id;
        ret->user.availability = (Parley__V1__UserPresence__Availability)who->shown;
        ret->user.devices = ret->devices;
        for (unsigned d = 0; d < 4; d++) {
                if (who->shown_devices & (1U << d))
                        ret->devices[ret->user.n_devices++] = (Parley__V1__Device)d;
        }
        if (s) {
                ret->change.invisible = who->held && s->mode == PARLEY__V1__STATUS__MODE__invisible;
                ret->user.status_text = (char *)s->text;
                ret->user.status_emoji = s->emoji;
        }
        if (s && s->text_until_s) {
                set_time(&ret->status_until, s->text_until_s);
                ret->user.status_until = &ret->status_until;
        }
        if (!who->shown && who->last_seen_min && r->options.last_seen && !(s && s->hide_last_seen)) {
                set_time(&ret->last_seen, (int64_t)who->last_seen_min * 60);
                ret->user.last_seen_at = &ret->last_seen;
        }
}

/* --- what has changed --- */

int tidings_init(struct tidings *t, unsigned max)
{
        *t = (struct tidings){.max = max,
                              .shown = calloc(max, sizeof(*t->shown)),
                              .changes = calloc(max, sizeof(*t->changes)),
                              .counts = calloc(max, sizeof(*t->counts)),
                              .count_list = calloc(max, sizeof(*t->count_list)),
                              .regrouped = calloc(max, sizeof(*t->regrouped))};
        if (t->shown && t->changes && t->counts && t->count_list && t->regrouped)
                return 0;
        tidings_done(t);
        return -ENOMEM;
}

void tidings_done(struct tidings *t)
{
        free(t->shown);
        free((void *)t->changes);
        free(t->counts);
        free((void *)t->count_list);
        free((void *)t->regrouped);
        *t = (struct tidings){0};
}

static struct person *take_dirty(struct roster *r)
{
        struct person *who = r->dirty_first;

        if (!who)
                return NULL;
        r->dirty_first = who->next_dirty;
        if (!r->dirty_first)
                r->dirty_last = NULL;
        who->next_dirty = NULL;
        who->dirty = false;
        r->n_dirty--;
        return who;
}

static void take_persons(struct roster *r, struct tidings *t)
{
        Parley__V1__PresenceChanges *m = &t->message;
        struct person *who;

        while (m->n_changes < t->max && (who = take_dirty(r))) {
                struct shown *s = &t->shown[m->n_changes];

                memset(s, 0, sizeof(*s));
                shown_fill(r, who, s);
                s->news = who->news;
                who->news = false;
                t->changes[m->n_changes++] = &s->change;
                if (who->regrouped)
                        t->regrouped[m->n_regrouped++] = who->id;
                who->regrouped = false;
        }
}

/* Those that were told a moment ago stay for later */
static void take_counts(struct roster *r, struct tidings *t)
{
        Parley__V1__PresenceChanges *m = &t->message;
        struct place **at = &r->places_dirty, *c;

        while ((c = *at) && m->n_counts < t->max) {
                Parley__V1__ChannelCount *count = &t->counts[m->n_counts];

                if (c->counted_ms && r->now_ms - c->counted_ms < r->options.count_ms) {
                        at = &c->next_dirty;
                        continue;
                }
                *at = c->next_dirty;
                c->dirty = false;
                c->counted_ms = r->now_ms;
                parley__v1__channel_count__init(count);
                count->channel_id = c->id;
                count->members = people_members(&r->people, c);
                count->online = people_members_online(&r->people, c);
                t->count_list[m->n_counts++] = count;
        }
}

bool roster_changes(struct roster *r, struct tidings *t)
{
        Parley__V1__PresenceChanges *m = &t->message;

        parley__v1__presence_changes__init(m);
        m->changes = t->changes;
        m->counts = t->count_list;
        m->regrouped = t->regrouped;
        m->regrouped_all = r->regrouped_all;
        r->regrouped_all = false;
        take_persons(r, t);
        take_counts(r, t);
        return m->n_changes || m->n_counts || m->regrouped_all;
}

void roster_told(struct roster *r, struct tidings *t)
{
        Parley__V1__PresenceChanges *m = &t->message;

        for (size_t i = 0; i < m->n_changes; i++)
                roster_drop(r, people_find(&r->people, m->changes[i]->user->user_id));
        for (size_t i = 0; i < m->n_counts; i++)
                people_prune(&r->people, people_place(&r->people, m->counts[i]->channel_id));
        parley__v1__presence_changes__init(m);
}

void roster_discard(struct roster *r)
{
        struct person *who;

        while ((who = take_dirty(r))) {
                who->regrouped = who->news = false;
                roster_drop(r, who);
        }
        while (r->places_dirty) {
                struct place *c = r->places_dirty;

                r->places_dirty = c->next_dirty;
                c->dirty = false;
                people_prune(&r->people, c);
        }
        r->regrouped_all = false;
}

/* --- what is asked --- */

static enum parley_code wrong(const char **ret_why, enum parley_code code, const char *why)
{
        *ret_why = why;
        return code;
}

static void add_user(const struct roster *r, const struct person *who, struct answer *ret)
{
        Parley__V1__PresenceAnswer *m = &ret->message;

        shown_fill(r, who, &ret->shown[m->n_users]);
        ret->users[m->n_users] = &ret->shown[m->n_users].change;
        m->n_users++;
}

static int answer_init(struct answer *a, size_t n)
{
        parley__v1__presence_answer__init(&a->message);
        a->shown = calloc(n + 1, sizeof(*a->shown));
        a->users = calloc(n + 1, sizeof(*a->users));
        a->hidden = calloc(n + 1, sizeof(*a->hidden));
        a->message.users = a->users;
        a->message.hidden_user_ids = a->hidden;
        if (a->shown && a->users && a->hidden)
                return 0;
        answer_done(a);
        return -ENOMEM;
}

void answer_done(struct answer *a)
{
        free(a->shown);
        free((void *)a->users);
        free((void *)a->hidden);
        free(a->visible);
        free(a->behind);
        *a = (struct answer){0};
}

static void query_users(const struct roster *r, const Parley__V1__PresenceQuery *q, struct answer *ret)
{
        const struct person *viewer = *q->viewer_id ? people_find(&r->people, q->viewer_id) : NULL;

        for (size_t i = 0; i < q->n_user_ids; i++) {
                const struct person *who = people_find(&r->people, q->user_ids[i]);

                if (who && (!*q->viewer_id || people_may_see(&r->people, viewer, who)))
                        add_user(r, who, ret);
                else
                        ret->hidden[ret->message.n_hidden_user_ids++] = q->user_ids[i];
        }
}

/* Whom each viewer may see: nothing but that, so that many can be asked for at once */
bool roster_sights(const struct roster *r, const Parley__V1__PresenceQuery *q, struct sights_at *at,
                   protobuf_c_boolean *ret, size_t max)
{
        for (; at->sight < q->n_sights; at->sight++, at->user = 0) {
                const Parley__V1__Sight *sight = q->sights[at->sight];
                const struct person *viewer = people_find(&r->people, sight->viewer_id);

                for (; at->user < sight->n_user_ids; at->user++) {
                        if (max-- == 0)
                                return false;
                        ret[at->n++] = people_may_see(&r->people, viewer,
                                                      people_find(&r->people, sight->user_ids[at->user]));
                }
        }
        return true;
}

const char *roster_sights_check(const Parley__V1__PresenceQuery *q, size_t *ret_n)
{
        *ret_n = 0;
        for (size_t i = 0; i < q->n_sights; i++) {
                if (!ident_valid(q->sights[i]->viewer_id))
                        return "the viewer of a sight is not a user's id";
                *ret_n += q->sights[i]->n_user_ids;
        }
        for (size_t i = 0; i < q->n_left; i++) {
                if (!ident_valid(q->left[i]->user_id) || !ident_valid(q->left[i]->channel_id))
                        return "who left, or what, is not an id";
        }
        if (q->n_left > ROSTER_LEFT_MAX)
                return "at most 256 who left";
        return *ret_n > ROSTER_SIGHTS_MAX ? "at most 4096 users in all sights" : NULL;
}

size_t roster_behind(const struct roster *r, const Parley__V1__PresenceQuery *q, uint32_t *ret)
{
        size_t n = 0;

        for (uint32_t i = 0; i < q->n_left; i++) {
                if (people_is_member(people_find(&r->people, q->left[i]->user_id),
                                     people_place(&r->people, q->left[i]->channel_id)))
                        ret[n++] = i;
        }
        return n;
}

static enum parley_code query_channel(const struct roster *r, const Parley__V1__PresenceQuery *q, struct answer *ret,
                                      const char **ret_why)
{
        const struct place *c = people_place(&r->people, q->channel_id);
        const struct person *viewer = *q->viewer_id ? people_find(&r->people, q->viewer_id) : NULL;
        bool listed;

        if (*q->viewer_id && !people_is_member(viewer, c))
                return wrong(ret_why, PARLEY_NOT_A_MEMBER, "you are not a member of this channel");
        if (!c)
                return wrong(ret_why, PARLEY_NOT_FOUND, "there is no such channel, or nobody is in it");
        listed = roster_listed(r, c);
        if (answer_init(ret, listed ? c->n_members : 0) < 0)
                return wrong(ret_why, PARLEY_UNAVAILABLE, "out of memory");
        ret->message.members = people_members(&r->people, c);
        ret->message.online = people_members_online(&r->people, c);
        ret->message.counted = !listed;
        for (uint32_t i = 0; listed && i < c->n_members; i++)
                add_user(r, r->people.persons[c->members[i]], ret);
        return PARLEY_OK;
}

enum parley_code roster_query(struct roster *r, const Parley__V1__PresenceQuery *q, struct answer *ret,
                              const char **ret_why)
{
        struct sights_at at = {0};
        size_t n_sights;

        *ret = (struct answer){0};
        if (*q->viewer_id && !ident_valid(q->viewer_id))
                return wrong(ret_why, PARLEY_BAD_REQUEST, "the viewer is not a user's id");
        if (*q->channel_id)
                return ident_valid(q->channel_id) ? query_channel(r, q, ret, ret_why)
                                                  : wrong(ret_why, PARLEY_BAD_REQUEST, "the channel is not an id");
        if (q->n_user_ids > ROSTER_QUERY_MAX)
                return wrong(ret_why, PARLEY_TOO_LARGE, "at most 500 users at once");
        for (size_t i = 0; i < q->n_user_ids; i++) {
                if (!ident_valid(q->user_ids[i]))
                        return wrong(ret_why, PARLEY_BAD_REQUEST, "a user's id must be 1 to 64 of A-Z a-z 0-9 _ -");
        }
        *ret_why = roster_sights_check(q, &n_sights);
        if (*ret_why)
                return PARLEY_BAD_REQUEST;
        if (answer_init(ret, q->n_user_ids) < 0)
                return wrong(ret_why, PARLEY_UNAVAILABLE, "out of memory");
        ret->visible = ret->message.visible = calloc(n_sights + 1, sizeof(*ret->visible));
        ret->behind = ret->message.behind = calloc(q->n_left + 1, sizeof(*ret->behind));
        if (!ret->visible || !ret->behind) {
                answer_done(ret);
                return wrong(ret_why, PARLEY_UNAVAILABLE, "out of memory");
        }
        query_users(r, q, ret);
        ret->message.n_behind = roster_behind(r, q, ret->behind);
        (void)roster_sights(r, q, &at, ret->visible, n_sights);
        ret->message.n_visible = at.n;
        return PARLEY_OK;
}

/* --- what is kept --- */

void roster_to_record(const struct roster *r, const char *user_id, struct record *ret)
{
        const struct person *who = people_find(&r->people, user_id);
        const struct status *s = who ? who->status : NULL;

        *ret = (struct record){0};
        parley__v1__presence_record__init(&ret->message);
        parley__v1__status__init(&ret->status);
        ret->message.status = &ret->status;
        if (s) {
                ret->status.mode = (Parley__V1__Status__Mode)s->mode;
                ret->status.text = (char *)s->text;
                ret->status.emoji = s->emoji;
                ret->status.hide_last_seen = s->hide_last_seen;
                set_time(&ret->mode_until, s->mode_until_s);
                set_time(&ret->text_until, s->text_until_s);
                ret->status.mode_until = s->mode_until_s ? &ret->mode_until : NULL;
                ret->status.text_until = s->text_until_s ? &ret->text_until : NULL;
        }
        if (who && who->last_seen_min) {
                set_time(&ret->last_seen, (int64_t)who->last_seen_min * 60);
                ret->message.last_seen_at = &ret->last_seen;
        }
}
