/* The presence service of the fake world. */
#include <limits.h>

#include "bus/subjects.h"
#include "gateway_fake_impl.h"
#include "parley/v1/presence.pb-c.h"

/* An answer that is under way */
struct fake_held {
        struct fake_held *next;
        bus_reply_handler handler;
        void *userdata;
        size_t len;
        uint8_t data[];
};

struct fake_presence *fake_presence_new(struct fake *f)
{
        struct fake_presence *p = calloc(1, sizeof(*p));

        assert_non_null(p);
        p->f = f;
        p->counter = 7;
        strcpy(p->source, "first");
        p->last_held = &p->held;
        f->presence = p;
        return p;
}

void fake_presence_free(struct fake_presence *p)
{
        fake_presence_release(p, UINT_MAX, BUS_E_DISCONNECTED);
        p->f->presence = NULL;
        free(p);
}

static struct fake_presence_user *find(struct fake_presence *p, const char *user)
{
        for (size_t i = 0; i < p->n_users; i++)
                if (strcmp(p->users[i].id, user) == 0)
                        return &p->users[i];
        return NULL;
}

static bool may_see(struct fake_presence *p, const char *viewer, const char *user)
{
        for (size_t i = 0; i < p->n_hidden; i++)
                if (strcmp(p->hidden[i][0], viewer) == 0 && strcmp(p->hidden[i][1], user) == 0)
                        return false;
        return find(p, user);
}

/* One change, with what it points to */
struct told {
        Parley__V1__PresenceChange change;
        Parley__V1__UserPresence user;
};

static void tell(struct told *t, const struct fake_presence_user *u)
{
        parley__v1__presence_change__init(&t->change);
        parley__v1__user_presence__init(&t->user);
        t->user.user_id = (char *)u->id;
        t->user.availability = u->availability;
        t->change.user = &t->user;
        t->change.version = u->version;
        t->change.invisible = u->invisible;
}

/* --- what it says --- */

static void say(struct fake_presence *p, Parley__V1__PresenceChanges *m)
{
        uint8_t data[1000];

        m->source = p->source;
        m->counter = ++p->counter;
        assert_in_range(parley__v1__presence_changes__get_packed_size(m), 1, sizeof(data));
        fake_live(p->f, SUBJECT_PRESENCE_CHANGES, data, parley__v1__presence_changes__pack(m, data), 0, 0);
}

void fake_presence_set(struct fake_presence *p, const char *user, Parley__V1__UserPresence__Availability availability,
                       bool told)
{
        struct fake_presence_user *u = find(p, user);
        Parley__V1__PresenceChanges m = PARLEY__V1__PRESENCE_CHANGES__INIT;
        Parley__V1__PresenceChange *change;
        struct told t;

        if (!u) {
                assert_in_range(p->n_users, 0, FAKE_USERS - 1);
                u = &p->users[p->n_users++];
                strcpy(u->id, user);
        }
        u->availability = availability;
        u->version = ++p->version;
        if (!told)
                return;
        tell(&t, u);
        change = &t.change;
        m.changes = &change;
        m.n_changes = 1;
        say(p, &m);
}

void fake_presence_hide(struct fake_presence *p, const char *viewer, const char *user)
{
        assert_in_range(p->n_hidden, 0, 15);
        strcpy(p->hidden[p->n_hidden][0], viewer);
        strcpy(p->hidden[p->n_hidden++][1], user);
}

void fake_presence_speak(struct fake_presence *p, const char *regrouped)
{
        Parley__V1__PresenceChanges m = PARLEY__V1__PRESENCE_CHANGES__INIT;
        char *list[1] = {(char *)regrouped};

        m.regrouped = list;
        m.n_regrouped = regrouped != NULL;
        say(p, &m);
}

void fake_presence_regroup_all(struct fake_presence *p)
{
        Parley__V1__PresenceChanges m = PARLEY__V1__PRESENCE_CHANGES__INIT;

        m.regrouped_all = true;
        say(p, &m);
}

void fake_presence_count(struct fake_presence *p, const char *channel, uint32_t members, uint32_t online)
{
        Parley__V1__PresenceChanges m = PARLEY__V1__PRESENCE_CHANGES__INIT;
        Parley__V1__ChannelCount count = PARLEY__V1__CHANNEL_COUNT__INIT, *list = &count;

        count.channel_id = (char *)channel;
        p->counted = count.members = members;
        p->online = count.online = online;
        m.counts = &list;
        m.n_counts = 1;
        say(p, &m);
}

/* --- what it answers --- */

static size_t answer_users(struct fake_presence *p, Parley__V1__PresenceAnswer *a, struct told *told, char *const *ids,
                           size_t n)
{
        for (size_t i = 0; i < n; i++) {
                const struct fake_presence_user *u = find(p, ids[i]);

                if (!u)
                        continue;
                tell(&told[a->n_users], u);
                a->users[a->n_users] = &told[a->n_users].change;
                a->n_users++;
        }
        return a->n_users;
}

static void answer_channel(struct fake_presence *p, Parley__V1__PresenceAnswer *a, struct told *told)
{
        a->counted = p->counted > 0;
        a->members = a->counted ? p->counted : (uint32_t)p->n_members;
        a->online = p->online;
        for (size_t i = 0; !a->counted && i < p->n_members; i++) {
                char *id = p->members[i];

                answer_users(p, a, told, &id, 1);
        }
}

static void answer(struct fake_presence *p, bus_reply_handler handler, void *userdata, const void *data, size_t len)
{
        struct fake_held *h;

        if (!p->hold) {
                fake_reply(p->f, 0, handler, userdata, data, len);
                return;
        }
        h = malloc(sizeof(*h) + len);
        assert_non_null(h);
        *h = (struct fake_held){.handler = handler, .userdata = userdata, .len = len};
        memcpy(h->data, data, len);
        *p->last_held = h;
        p->last_held = &h->next;
        p->n_held++;
}

bool fake_presence_release(struct fake_presence *p, unsigned n, int error)
{
        bool any = p->held != NULL;

        while (n-- && p->held) {
                struct fake_held *h = p->held;

                p->held = h->next;
                p->n_held--;
                if (!p->held)
                        p->last_held = &p->held;
                fake_reply(p->f, error, h->handler, h->userdata, error ? NULL : h->data, error ? 0 : h->len);
                free(h);
        }
        return any;
}

void fake_presence_query(struct fake *f, const void *data, size_t len, bus_reply_handler handler, void *userdata)
{
        struct fake_presence *p = f->presence;
        Parley__V1__PresenceQuery *q;
        Parley__V1__PresenceAnswer a = PARLEY__V1__PRESENCE_ANSWER__INIT;
        Parley__V1__RpcError error = PARLEY__V1__RPC_ERROR__INIT;
        struct told *told = calloc(1200, sizeof(*told));
        uint32_t behind[256];
        uint8_t *packed;

        if (!p || p->down) {
                fake_reply(f, BUS_E_NO_RESPONDERS, handler, userdata, NULL, 0);
                free(told);
                return;
        }
        q = parley__v1__presence_query__unpack(NULL, len, data);
        assert_non_null(q);
        assert_in_range(q->n_user_ids, 0, 500);
        p->n_queries++;
        a.users = calloc(1200, sizeof(Parley__V1__PresenceChange *));
        a.visible = calloc(8192, sizeof(*a.visible));
        a.source = p->source;
        a.counter = p->counter;
        error.code = (char *)"not_found";
        if (*q->channel_id && p->refused && strcmp(q->channel_id, p->refused) == 0)
                a.error = &error;
        else if (*q->channel_id)
                answer_channel(p, &a, told);
        answer_users(p, &a, told, q->user_ids, q->n_user_ids);
        for (size_t i = 0; i < q->n_sights; i++)
                for (size_t k = 0; k < q->sights[i]->n_user_ids; k++)
                        a.visible[a.n_visible++] = may_see(p, q->sights[i]->viewer_id, q->sights[i]->user_ids[k]);
        assert_in_range(a.n_visible, 0, 4096);
        assert_in_range(q->n_left, 0, 256);
        a.behind = behind;
        for (uint32_t i = 0; i < q->n_left; i++)
                if (p->behind_all || (p->behind && strcmp(q->left[i]->user_id, p->behind) == 0))
                        behind[a.n_behind++] = i;
        p->n_left = (unsigned)q->n_left;
        p->n_pairs += (unsigned)a.n_visible;
        packed = malloc(parley__v1__presence_answer__get_packed_size(&a) + 1);
        answer(p, handler, userdata, packed, parley__v1__presence_answer__pack(&a, packed));
        free(packed);
        free((void *)a.users);
        free(a.visible);
        free(told);
        parley__v1__presence_query__free_unpacked(q, NULL);
}
