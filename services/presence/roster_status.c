/* What users say of themselves, and what the bucket has of them. */
#include <errno.h>
#include <string.h>

#include "presence/roster_impl.h"
#include "presence/status.h"

/* He is not invisible any more: a grace hides breaks from those who saw him, and nobody did. Before it is so, for what he has left unseen is not
 * told as when he was seen last. */
static void status_reveal(struct roster *r, struct person *who, bool still)
{
        if (!still && who->status && who->status->mode == PARLEY__V1__STATUS__MODE__invisible)
                person_shed(r, who);
}

static void status_on_expiry(struct wheel_timer *t, uint64_t now_ms)
{
        struct status *s = (struct status *)((char *)t - offsetof(struct status, expiry));
        struct person *who = s->person;
        struct roster *r = s->roster;

        (void)now_ms;
        status_reveal(r, who, !s->mode_until_s || s->mode_until_s > r->wall_s);
        if (!status_expire(s, r->wall_s)) {
                status_arm(r, s);
                return;
        }
        if (status_empty(s)) {
                who->status = NULL;
                status_free(s);
        } else {
                status_arm(r, s);
        }
        person_refresh(r, who, true); /* told, and then forgotten when nothing is left of him */
}

void status_arm(struct roster *r, struct status *s)
{
        const int64_t look_s = 3600; /* what the wheel can count */
        int64_t left = status_next_end(s) - r->wall_s;

        if (!status_next_end(s))
                return;
        if (left > look_s)
                left = look_s;
        wheel_arm(r->wheel, &s->expiry, r->lived_ms + (left > 0 ? (uint64_t)left * 1000 : 0), status_on_expiry);
}

static void status_replace(struct roster *r, struct person *who, struct status *s)
{
        status_free(who->status);
        who->status = s;
        if (!s)
                return;
        s->roster = r;
        s->person = who;
        (void)status_expire(s, r->wall_s);
        status_arm(r, s);
}

static bool status_same(const struct status *a, const struct status *b)
{
        if (!a || !b)
                return status_empty(a) && status_empty(b);
        return a->mode == b->mode && a->mode_until_s == b->mode_until_s && a->text_until_s == b->text_until_s &&
               a->hide_last_seen == b->hide_last_seen && strcmp(a->text, b->text) == 0 &&
               strcmp(a->emoji, b->emoji) == 0;
}

int roster_status(struct roster *r, const char *user_id, const Parley__V1__Status *status)
{
        struct person *who = ident_valid(user_id) ? person_get(r, user_id) : NULL;
        struct status *s = who ? status_new(status) : NULL;

        if (!s)
                return ident_valid(user_id) ? -ENOMEM : -EINVAL;
        if (status_same(who->status, s)) {
                status_free(s);
                return 0;
        }
        status_reveal(r, who, s->mode == PARLEY__V1__STATUS__MODE__invisible);
        if (status_empty(s)) {
                status_free(s);
                s = NULL;
        }
        status_replace(r, who, s);
        person_refresh(r, who, true);
        return 0;
}

int roster_record(struct roster *r, const char *user_id, const Parley__V1__PresenceRecord *record, uint64_t revision)
{
        static const Parley__V1__Status none = PARLEY__V1__STATUS__INIT;
        struct person *who;
        int error;

        if (revision < roster_revision(r, user_id))
                return 0;
        error = roster_status(r, user_id, record && record->status ? record->status : &none);
        who = error ? NULL : people_find(&r->people, user_id);
        if (!who)
                return error;
        who->revision = revision;
        if (record && record->last_seen_at && r->options.last_seen &&
            record->last_seen_at->seconds / 60 >= who->last_seen_min)
                who->last_seen_min = who->wrote_min = (uint32_t)(record->last_seen_at->seconds / 60);
        if (who->regrouped && who->last_seen_min)
                person_dirty(r, who);
        roster_drop(r, who);
        return 0;
}

void roster_vanish(struct roster *r, const char *user_id)
{
        struct person *who = people_find(&r->people, user_id);

        if (who && who->shown != OFFLINE && r->options.last_seen)
                who->last_seen_min = (uint32_t)(r->wall_s / 60);
}

void roster_store(struct roster *r)
{
        for (uint32_t i = 0; i < r->people.n_persons; i++) {
                const struct person *who = r->people.persons[i];

                if (who && !who->held && who->last_seen_min != who->wrote_min)
                        r->options.store(who->id, r->options.userdata);
        }
}

void roster_written(struct roster *r, const char *user_id, uint64_t revision)
{
        struct person *who = people_find(&r->people, user_id);

        if (who && revision > who->revision)
                who->revision = revision;
}

uint64_t roster_revision(const struct roster *r, const char *user_id)
{
        const struct person *who = people_find(&r->people, user_id);

        return who ? who->revision : 0;
}

void roster_forget_revision(struct roster *r, const char *user_id)
{
        struct person *who = people_find(&r->people, user_id);

        if (who)
                who->revision = 0;
}

void roster_forget_revisions(struct roster *r)
{
        for (uint32_t i = 0; i < r->people.n_persons; i++) {
                if (r->people.persons[i])
                        r->people.persons[i]->revision = 0;
        }
}
