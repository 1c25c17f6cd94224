#include "presence/roster_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "presence/status.h"

/* TICK_MS: resolution of all times here. SLOTS: 100 s a round, which holds the grace and the silence. */
enum { TICK_MS = 100, SLOTS = 1024 };

/* PAUSE_MS: the clock jumps by that much more than it is read apart: we stood still, and not who we listen to. HOLD_MS: how long the gateways
 * have then to say what was missed: they speak once a second. HEAR_MS: how long until each was heard of that was not known before, by
 * its gateway.alive every 2 s. KNOW_MS: one that has not answered until then is not waited for any more.
 * SKEW_S: of the wall clock against ours, that is looked at. */
enum { PAUSE_MS = 2000, HOLD_MS = 1500, HEAR_MS = 2200, KNOW_MS = 3000, SKEW_S = 2 };

_Static_assert(1 << PARLEY__V1__DEVICE__bot < PERSON_ACTIVE, "struct person has four bits for kinds of devices");

static struct roster *roster_of(const struct person *who)
{
        return (struct roster *)((char *)who->people - offsetof(struct roster, people));
}

/* --- who has changed --- */

void person_dirty(struct roster *r, struct person *who)
{
        who->version = ++r->version;
        if (who->dirty)
                return;
        who->dirty = true;
        who->next_dirty = NULL;
        if (r->dirty_last) {
                r->dirty_last->next_dirty = who;
        } else {
                r->dirty_first = who;
                r->dirty_since_ms = r->now_ms;
        }
        r->dirty_last = who;
        r->n_dirty++;
}

bool roster_listed(const struct roster *r, const struct place *c)
{
        return !c->everyone && people_members(&r->people, c) <= r->options.list_max;
}

static void place_dirty(struct place *c, void *userdata)
{
        struct roster *r = userdata;

        if (c->dirty || roster_listed(r, c))
                return;
        c->dirty = true;
        c->next_dirty = r->places_dirty;
        r->places_dirty = c;
}

void person_refresh(struct roster *r, struct person *who, bool told)
{
        uint8_t was = who->shown;
        uint8_t now = (uint8_t)status_availability(who->status, who->held & PERSON_DEVICES, who->held & PERSON_ACTIVE);
        uint8_t devices = now == OFFLINE ? 0 : who->held & PERSON_DEVICES;
        bool connected = who->held & PERSON_DEVICES, himself;

        if (now != was || devices != who->shown_devices)
                told = true;
        /* others see him offline all the time, he himself does not */
        himself = connected != who->connected && who->status &&
                  who->status->mode == PARLEY__V1__STATUS__MODE__invisible;
        who->shown = now;
        who->shown_devices = devices;
        who->connected = connected;
        if ((was == OFFLINE) != (now == OFFLINE))
                people_online(&r->people, who, now != OFFLINE, place_dirty, r);
        who->news = who->news || told;
        if (told || himself)
                person_dirty(r, who);
}

void roster_drop(struct roster *r, struct person *who)
{
        if (!who->n_channels && !who->reports && !who->status && !who->dirty && !who->last_seen_min &&
            !wheel_armed(&who->grace))
                people_forget(&r->people, who);
}

/* --- connections --- */

static void person_offline(struct roster *r, struct person *who)
{
        bool invisible = who->status && who->status->mode == PARLEY__V1__STATUS__MODE__invisible;

        if (r->options.last_seen && !invisible)
                who->last_seen_min = who->closed_min;
        person_refresh(r, who, false);
        if (who->last_seen_min != who->wrote_min)
                r->options.store(who->id, r->options.userdata);
        roster_drop(r, who);
}

/* What all gateways together have of him */
static uint8_t together_of(const struct person *who)
{
        uint8_t bits = 0;

        for (const struct report *p = who->reports; p; p = p->next)
                bits |= (uint8_t)((p->devices & PERSON_DEVICES) | (p->active ? PERSON_ACTIVE : 0));
        return bits;
}

/* Comparable within 54 minutes either way, which no grace takes */
static uint16_t grace_tick(uint64_t ms)
{
        return (uint16_t)(ms / TICK_MS);
}

static void grace_begin(const struct roster *r, struct person *who, uint8_t bits)
{
        for (unsigned i = 0; i < PERSON_BITS; i++) {
                if (bits & (1U << i))
                        who->ends[i] = grace_tick(r->lived_ms + r->options.grace_ms + TICK_MS - 1);
        }
}

static void person_on_grace(struct wheel_timer *t, uint64_t now_ms);

/* One timer, for the first that ends, be there how many after it */
static void grace_arm(struct roster *r, struct person *who)
{
        uint8_t gone = who->held & (uint8_t)~who->reported;
        int16_t first = INT16_MAX;

        wheel_disarm(&who->grace);
        for (unsigned i = 0; i < PERSON_BITS; i++) {
                int16_t left = (int16_t)(who->ends[i] - grace_tick(r->lived_ms));

                if (gone & (1U << i) && left < first)
                        first = left;
        }
        if (gone)
                wheel_arm(r->wheel, &who->grace, (uint64_t)((int64_t)(r->lived_ms / TICK_MS) + first) * TICK_MS,
                          person_on_grace);
}

static void person_hold(struct roster *r, struct person *who, uint8_t held)
{
        who->held = held & PERSON_DEVICES ? held : 0;
        grace_arm(r, who);
        if (who->held)
                person_refresh(r, who, false);
        else
                person_offline(r, who);
}

void person_shed(struct roster *r, struct person *who)
{
        if (who->held != who->reported)
                person_hold(r, who, who->reported);
}

static void person_on_grace(struct wheel_timer *t, uint64_t now_ms)
{
        struct person *who = (struct person *)((char *)t - offsetof(struct person, grace));
        struct roster *r = roster_of(who);
        uint8_t over = 0;

        (void)now_ms;
        for (unsigned i = 0; i < PERSON_BITS; i++) {
                if ((int16_t)(grace_tick(r->lived_ms) - who->ends[i]) >= 0)
                        over |= (uint8_t)(1U << i);
        }
        person_hold(r, who, who->held & (uint8_t)(who->reported | ~over));
}

/* What comes is taken at once, what went when its grace is over: a device that connects again shows nothing, be it his only one or not, or one of
 * several of its kind of which the others are idle; and how often another one does so is nothing to it. That none is in use any more counts at once
 * when he says so himself. The silence of a gateway was the grace of what it had. */
static void person_touched(struct person *who, enum source_news news, void *userdata)
{
        struct roster *r = userdata;
        uint8_t now = together_of(who), went = who->reported & (uint8_t)~now, held = who->held;

        if (went && !now)
                who->closed_min = (uint32_t)(r->wall_s / 60);
        if (news == SOURCE_LEFT || (news == SOURCE_SAYS && went & PERSON_DEVICES))
                grace_begin(r, who, went);
        else
                held &= (uint8_t)~went;
        who->reported = now;
        if (now || who->held)
                person_hold(r, who, now | held);
        else
                roster_drop(r, who);
}

static void on_ask(const char *gateway_id, void *userdata)
{
        struct roster *r = userdata;

        r->options.ask(gateway_id, r->options.userdata);
}

struct person *person_get(struct roster *r, const char *user_id)
{
        struct person *who = people_find(&r->people, user_id);

        if (who)
                return who;
        who = people_get(&r->people, user_id);
        if (who)
                who->regrouped = true;
        return who;
}

static struct person *person_find(const char *user_id, void *userdata)
{
        return person_get(userdata, user_id);
}

int roster_report(struct roster *r, const Parley__V1__GatewayPresence *m)
{
        return sources_message(&r->sources, r->lived_ms, m);
}

void roster_alive(struct roster *r, const char *gateway_id)
{
        sources_alive(&r->sources, r->lived_ms, gateway_id);
}

/* --- memberships --- */

int roster_memberships(struct roster *r, const char *user_id, const Parley__V1__Memberships *list)
{
        static const Parley__V1__Memberships none = PARLEY__V1__MEMBERSHIPS__INIT;
        struct person *who;
        bool changed;
        int error;

        if (!ident_valid(user_id))
                return -EINVAL;
        who = people_get(&r->people, user_id);
        if (!who)
                return -ENOMEM;
        error = people_set(&r->people, who, list ? list : &none, &changed);
        if (error == 0 && changed) {
                who->regrouped = true;
                person_dirty(r, who);
        }
        roster_drop(r, who);
        return error;
}

int roster_everyone(struct roster *r, const char *channel_id, bool everyone)
{
        bool changed = false;
        int error = ident_valid(channel_id) ? people_set_everyone(&r->people, channel_id, everyone, &changed) : -EINVAL;

        r->regrouped_all = r->regrouped_all || changed;
        return error;
}

/* --- life --- */

int roster_new(struct roster **ret_roster, uint64_t now_ms, int64_t wall_s, const struct roster_options *options)
{
        struct roster *r = calloc(1, sizeof(*r));
        struct sources_options sources = {.silent_ms = options->silent_ms,
                                          .max = options->gateways_max,
                                          .ask = on_ask,
                                          .find = person_find,
                                          .touched = person_touched};
        int error;

        if (!r)
                return -ENOMEM;
        error = wheel_new(&r->wheel, now_ms, TICK_MS, SLOTS);
        if (error < 0) {
                free(r);
                return error;
        }
        r->options = *options;
        r->now_ms = r->lived_ms = r->doubt_ms = now_ms;
        r->wall_s = wall_s;
        r->skew_s = wall_s - (int64_t)(now_ms / 1000);
        people_init(&r->people);
        sources.wheel = r->wheel;
        sources.userdata = r;
        sources_init(&r->sources, &sources);
        *ret_roster = r;
        return 0;
}

void roster_free(struct roster *r)
{
        if (!r)
                return;
        sources_clear(&r->sources);
        wheel_free(r->wheel); /* it knows the timers of persons */
        for (uint32_t i = 0; i < r->people.n_persons; i++) {
                if (r->people.persons[i])
                        status_free(r->people.persons[i]->status);
        }
        people_done(&r->people);
        free(r);
}

/* The wall clock went another way than ours: it was set, or ours stood still */
static void look_at_ends(struct roster *r)
{
        int64_t skew_s = r->wall_s - (int64_t)(r->lived_ms / 1000);

        if (skew_s - r->skew_s <= SKEW_S && r->skew_s - skew_s <= SKEW_S)
                return;
        r->skew_s = skew_s;
        for (uint32_t i = 0; i < r->people.n_persons; i++) {
                if (r->people.persons[i] && r->people.persons[i]->status)
                        status_arm(r, r->people.persons[i]->status);
        }
}

bool roster_time(struct roster *r, uint64_t now_ms, int64_t wall_s)
{
        uint64_t passed_ms = now_ms > r->now_ms ? now_ms - r->now_ms : 0;
        bool paused = passed_ms > PAUSE_MS + r->options.read_ms;

        r->now_ms = now_ms;
        r->wall_s = wall_s;
        r->begun = r->begun || roster_known(r);
        if (paused)
                roster_doubt(r, true);
        if (paused || r->deaf || now_ms < r->held_until_ms)
                return paused;
        r->lived_ms += passed_ms;
        r->sources.now_ms = r->lived_ms;
        look_at_ends(r);
        (void)wheel_advance(r->wheel, r->lived_ms);
        return false;
}

void roster_deaf(struct roster *r)
{
        r->deaf = true;
}

void roster_doubt(struct roster *r, bool hold)
{
        r->deaf = false;
        r->doubt_ms = r->now_ms;
        if (hold)
                r->held_until_ms = r->now_ms + HOLD_MS;
        sources_doubt(&r->sources, r->lived_ms);
}

bool roster_known(const struct roster *r)
{
        uint64_t since_ms = r->now_ms - r->doubt_ms;

        if (r->deaf || since_ms < (r->begun ? HOLD_MS : HEAR_MS))
                return false;
        return since_ms >= KNOW_MS || sources_settled(&r->sources);
}
