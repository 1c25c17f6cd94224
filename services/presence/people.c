#include "presence/people.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An entry of person.channels */
static uint32_t entry_of(const struct place *c, bool excluded)
{
        return c->number * 2 + (excluded ? 1 : 0);
}

static int compare_u32(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return x < y ? -1 : x > y;
}

/* Room for one more in an array of n */
static int grow(void **array, size_t size, uint32_t n, uint32_t *cap)
{
        uint32_t more = *cap ? *cap + *cap / 2 + 1 : 2;
        void *bigger;

        if (n < *cap)
                return 0;
        bigger = realloc(*array, more * size);
        if (!bigger)
                return -ENOMEM;
        *array = bigger;
        *cap = more;
        return 0;
}

/* A free number of a table, with room made for it. 0, -ENOMEM */
static int number_new(void ***table, uint32_t *n, uint32_t *cap, uint32_t *look, uint32_t *ret)
{
        int r;

        for (; *look < *n; (*look)++) {
                if (!(*table)[*look]) {
                        *ret = (*look)++;
                        return 0;
                }
        }
        r = grow((void **)table, sizeof(void *), *n, cap);
        if (r < 0)
                return r;
        (*table)[*n] = NULL;
        *ret = (*n)++;
        *look = *n;
        return 0;
}

void people_init(struct people *p)
{
        *p = (struct people){0};
}

void people_done(struct people *p)
{
        HASH_CLEAR(hh, p->by_id);
        HASH_CLEAR(hh, p->places);
        for (uint32_t i = 0; i < p->n_persons; i++) {
                if (p->persons[i])
                        free(p->persons[i]->channels);
                free(p->persons[i]);
        }
        for (uint32_t i = 0; i < p->n_places; i++) {
                if (p->by_number[i])
                        free(p->by_number[i]->members);
                free(p->by_number[i]);
        }
        free(p->persons);
        free(p->by_number);
        free(p->everyone);
        people_init(p);
}

/* --- persons --- */

struct person *people_find(const struct people *p, const char *user_id)
{
        struct person *who;

        HASH_FIND_STR(p->by_id, user_id, who);
        return who;
}

struct person *people_get(struct people *p, const char *user_id)
{
        struct person *who = people_find(p, user_id);
        size_t n = strlen(user_id) + 1;
        uint32_t number;

        if (who)
                return who;
        who = calloc(1, sizeof(*who) + n);
        if (!who)
                return NULL;
        if (number_new((void ***)&p->persons, &p->n_persons, &p->cap_persons, &p->free_person, &number) < 0) {
                free(who);
                return NULL;
        }
        memcpy(who->id, user_id, n);
        who->people = p;
        who->number = number;
        p->persons[number] = who;
        HASH_ADD_KEYPTR(hh, p->by_id, who->id, n - 1, who);
        return who;
}

void people_forget(struct people *p, struct person *who)
{
        HASH_DELETE(hh, p->by_id, who);
        p->persons[who->number] = NULL;
        if (who->number < p->free_person)
                p->free_person = who->number;
        free(who->channels);
        free(who);
}

/* --- places --- */

struct place *people_place(const struct people *p, const char *channel_id)
{
        struct place *c;

        HASH_FIND_STR(p->places, channel_id, c);
        return c;
}

static struct place *place_get(struct people *p, const char *channel_id)
{
        struct place *c = people_place(p, channel_id);
        size_t n = strlen(channel_id) + 1;
        uint32_t number;

        if (c)
                return c;
        c = calloc(1, sizeof(*c) + n);
        if (!c)
                return NULL;
        if (number_new((void ***)&p->by_number, &p->n_places, &p->cap_places, &p->free_place, &number) < 0) {
                free(c);
                return NULL;
        }
        memcpy(c->id, channel_id, n);
        c->number = number;
        p->by_number[number] = c;
        HASH_ADD_KEYPTR(hh, p->places, c->id, n - 1, c);
        return c;
}

static void place_remove(struct place *c, const struct person *who)
{
        for (uint32_t i = 0; i < c->n_members; i++) {
                if (c->members[i] == who->number) {
                        c->members[i] = c->members[--c->n_members];
                        break;
                }
        }
        if (who->shown && !c->everyone)
                c->n_online--;
}

static void place_add(struct place *c, const struct person *who)
{
        c->members[c->n_members++] = who->number; /* room was made */
        if (who->shown && !c->everyone)
                c->n_online++;
}

/* --- memberships --- */

/* The entries of a list, sorted, with room made in their channels. 0, -ENOMEM */
static int entries_make(struct people *p, const Parley__V1__Memberships *list, uint32_t *ret, uint32_t *ret_n)
{
        uint32_t n = 0;

        for (size_t i = 0; i < list->n_memberships; i++) {
                const Parley__V1__Membership *m = list->memberships[i];
                struct place *c;

                if (!ident_valid(m->channel_id))
                        continue;
                c = place_get(p, m->channel_id);
                if (!c || grow((void **)&c->members, sizeof(*c->members), c->n_members, &c->cap_members) < 0)
                        return -ENOMEM;
                ret[n++] = entry_of(c, m->role == PARLEY__V1__ROLE__none);
        }
        qsort(ret, n, sizeof(*ret), compare_u32);
        *ret_n = 0;
        for (uint32_t i = 0; i < n; i++) { /* each channel once, or its count would be wrong */
                if (!*ret_n || ret[*ret_n - 1] / 2 != ret[i] / 2)
                        ret[(*ret_n)++] = ret[i];
        }
        return 0;
}

static void entry_leave(struct people *p, struct person *who, uint32_t entry)
{
        struct place *c = p->by_number[entry / 2];

        if (entry & 1) {
                c->n_excluded--;
                c->n_excluded_online -= who->shown != 0;
        } else {
                place_remove(c, who);
        }
}

static void entry_enter(struct people *p, struct person *who, uint32_t entry)
{
        struct place *c = p->by_number[entry / 2];

        if (entry & 1) {
                c->n_excluded++;
                c->n_excluded_online += who->shown != 0;
        } else {
                place_add(c, who);
        }
}

/* From one sorted list of entries to the other */
static bool entries_apply(struct people *p, struct person *who, const uint32_t *now, uint32_t n_now)
{
        uint32_t i = 0, k = 0;
        bool changed = false;

        while (i < who->n_channels || k < n_now) {
                if (i < who->n_channels && k < n_now && who->channels[i] == now[k]) {
                        i++;
                        k++;
                } else if (k == n_now || (i < who->n_channels && who->channels[i] < now[k])) {
                        entry_leave(p, who, who->channels[i++]);
                        changed = true;
                } else {
                        entry_enter(p, who, now[k++]);
                        changed = true;
                }
        }
        return changed;
}

void people_prune(struct people *p, struct place *c)
{
        if (c->n_members || c->n_excluded || c->everyone || c->dirty)
                return;
        assert(p->places); /* it is in there */
        HASH_DELETE(hh, p->places, c);
        p->by_number[c->number] = NULL;
        if (c->number < p->free_place)
                p->free_place = c->number;
        free(c->members);
        free(c);
}

static void entries_prune(struct people *p, const uint32_t *entries, uint32_t n)
{
        for (uint32_t i = 0; i < n; i++) {
                struct place *c = p->by_number[entries[i] / 2];

                if (c)
                        people_prune(p, c);
        }
}

int people_set(struct people *p, struct person *who, const Parley__V1__Memberships *list, bool *ret_changed)
{
        uint32_t *now = malloc((list->n_memberships + 1) * sizeof(*now)), *old = who->channels, n_old = who->n_channels,
                 n;
        int r = now ? entries_make(p, list, now, &n) : -ENOMEM;
        uint32_t *exact;

        if (r < 0) {
                free(now);
                return r;
        }
        *ret_changed = entries_apply(p, who, now, n);
        exact = realloc(now, (n + !n) * sizeof(*now)); /* most users stay for long: no byte more than it takes */
        who->channels = exact ? exact : now;
        who->n_channels = n;
        entries_prune(p, old, n_old);
        free(old);
        return 0;
}

/* --- open to everyone --- */

static void everyone_count(struct people *p, struct place *c)
{
        c->n_online = 0;
        for (uint32_t i = 0; i < c->n_members; i++)
                c->n_online += p->persons[c->members[i]]->shown != 0;
}

int people_set_everyone(struct people *p, const char *channel_id, bool everyone, bool *ret_changed)
{
        struct place *c = everyone ? place_get(p, channel_id) : people_place(p, channel_id);

        if (!c && everyone)
                return -ENOMEM;
        *ret_changed = c && c->everyone != everyone;
        if (!*ret_changed)
                return 0;
        if (everyone) {
                if (grow((void **)&p->everyone, sizeof(*p->everyone), p->n_everyone, &p->cap_everyone) < 0) {
                        people_prune(p, c);
                        return -ENOMEM;
                }
                p->everyone[p->n_everyone++] = c->number;
                c->everyone = true;
                return 0;
        }
        for (uint32_t i = 0; i < p->n_everyone; i++) {
                if (p->everyone[i] == c->number)
                        p->everyone[i] = p->everyone[--p->n_everyone];
        }
        c->everyone = false;
        everyone_count(p, c);
        people_prune(p, c);
        return 0;
}

/* --- questions --- */

void people_online(struct people *p, struct person *who, bool online,
                   void (*changed)(struct place *place, void *userdata), void *userdata)
{
        p->n_online += online ? 1 : -1U;
        for (uint32_t i = 0; i < who->n_channels; i++) {
                struct place *c = p->by_number[who->channels[i] / 2];

                if (who->channels[i] & 1) {
                        c->n_excluded_online += online ? 1 : -1U;
                } else if (!c->everyone) {
                        c->n_online += online ? 1 : -1U;
                        changed(c, userdata);
                }
        }
        for (uint32_t i = 0; i < p->n_everyone; i++)
                changed(p->by_number[p->everyone[i]], userdata);
}

static bool has_entry(const struct person *who, uint32_t entry)
{
        return who->n_channels && bsearch(&entry, who->channels, who->n_channels, sizeof(entry), compare_u32);
}

bool people_is_member(const struct person *who, const struct place *place)
{
        if (!place)
                return false;
        if (!who)
                return place->everyone;
        return has_entry(who, entry_of(place, false)) || (place->everyone && !has_entry(who, entry_of(place, true)));
}

/* The first of the sorted entries in [from, n) that is not below: looked for in strides that double, so that few are looked at where the
 * other list is short, and never many more than there are */
static uint32_t entry_seek(const uint32_t *entries, uint32_t from, uint32_t n, uint32_t below)
{
        uint32_t stride = 1, to;

        while (from + stride < n && entries[from + stride] < below) {
                from += stride;
                stride *= 2;
        }
        to = from + stride < n ? from + stride : n;
        while (from < to) {
                uint32_t middle = from + (to - from) / 2;

                if (entries[middle] < below)
                        from = middle + 1;
                else
                        to = middle;
        }
        return from;
}

/* One has been given to both, and neither has left it */
static bool share_entry(const struct person *a, const struct person *b)
{
        uint32_t k = 0;

        if (a->n_channels > b->n_channels)
                return share_entry(b, a);
        for (uint32_t i = 0; i < a->n_channels && k < b->n_channels; i++) {
                if (a->channels[i] & 1)
                        continue;
                k = entry_seek(b->channels, k, b->n_channels, a->channels[i]);
                if (k < b->n_channels && b->channels[k] == a->channels[i])
                        return true;
        }
        return false;
}

bool people_may_see(const struct people *p, const struct person *viewer, const struct person *who)
{
        if (!who)
                return false;
        if (viewer == who || (viewer && share_entry(viewer, who)))
                return true;
        for (uint32_t i = 0; i < p->n_everyone; i++) {
                const struct place *c = p->by_number[p->everyone[i]];

                if (people_is_member(viewer, c) && people_is_member(who, c))
                        return true;
        }
        return false;
}

uint32_t people_members(const struct people *p, const struct place *place)
{
        return place->everyone ? HASH_COUNT(p->by_id) - place->n_excluded : place->n_members;
}

uint32_t people_members_online(const struct people *p, const struct place *place)
{
        return place->everyone ? p->n_online - place->n_excluded_online : place->n_online;
}
