/* Watchers whose sets change while presence's answers are under way, fail, or are about a past; whose messages are lost; who may see whom and
 * who is in the channel in focus changes, and sessions come and go: when it is quiet again, each sees what is so. And of somebody whose removal
 * presence has not heard of nobody is told anything meanwhile. */
#include "gateway/look.h"
#include "gateway_fake.h"

enum { RUNS = 150, STEPS = 120, VIEWERS = 3, USERS = 5, MEMBERS = 4 };

/* Shorter than a removal is remembered */
#define BEHIND_NS (30 * 1000000000ULL)
#define ROOM "general"
#define PRESENCE PARLEY__V1__SERVER_FRAME__BODY_PRESENCE
#define CHANNEL_PRESENCE PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_PRESENCE

struct model {
        struct fake *f;
        struct fake_presence *p;
        struct fake_client *clients[VIEWERS];
        bool watched[VIEWERS][USERS], focused[VIEWERS];
        bool hidden[VIEWERS][USERS];
        uint8_t availability[USERS + MEMBERS]; /* those who are watched, then those who may be in the channel */
        bool member[MEMBERS];
        uint64_t version; /* of memberships */
        unsigned seed, run;
        int leaver; /* a user who has left, and presence has not heard of it; -1: nobody */
        uint64_t left_ns;
        size_t n_before[VIEWERS]; /* frames that each had then */
};

static unsigned chance(struct model *m, unsigned n)
{
        m->seed = m->seed * 1103515245 + 12345;
        return (m->seed >> 16) % n;
}

static const char *name_of(unsigned user)
{
        static char names[USERS + MEMBERS][8];

        (void)snprintf(names[user], sizeof(names[user]), "%c%u", user < USERS ? 'u' : 'm', user % USERS);
        return names[user];
}

static const char *viewer(unsigned v)
{
        return (const char *[]){"v0", "v1", "v2"}[v];
}

/* --- what clients say --- */

static void send(struct fake_client *c, Parley__V1__ClientFrame *frame)
{
        frame->ref = ++c->next_ref;
        fake_client_send(c, frame);
        fake_run(c->f);
}

static void watch(struct model *m, unsigned v)
{
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Watch body = PARLEY__V1__WATCH__INIT;
        char *ids[USERS];

        for (unsigned u = 0; u < USERS; u++) {
                m->watched[v][u] = chance(m, 2);
                if (m->watched[v][u])
                        ids[body.n_user_ids++] = (char *)name_of(u);
        }
        body.user_ids = ids;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_WATCH;
        frame.watch = &body;
        send(m->clients[v], &frame);
}

static void focus(struct model *m, unsigned v, bool on)
{
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Focus body = PARLEY__V1__FOCUS__INIT;
        char *id = (char *)ROOM;

        m->focused[v] = on;
        body.channel_ids = &id;
        body.n_channel_ids = on;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_FOCUS;
        frame.focus = &body;
        send(m->clients[v], &frame);
}

static void reconnect(struct model *m, unsigned v)
{
        fake_client_drop(m->clients[v]);
        m->n_before[v] = 0;
        fake_run(m->f);
        m->clients[v] = fake_connect(m->f, viewer(v), ENCODING_PROTO);
        watch(m, v);
        focus(m, v, chance(m, 2));
}

/* --- what happens --- */

/* Nobody hears of it: only the counter shows it */
static bool is_lost(struct model *m)
{
        if (chance(m, 4))
                return false;
        m->p->counter++;
        return true;
}

static void change_state(struct model *m, unsigned user)
{
        m->availability[user] = (uint8_t)chance(m, 4);
        fake_presence_set(m->p, name_of(user), (Parley__V1__UserPresence__Availability)m->availability[user],
                          !is_lost(m));
}

/* What presence knows of it */
static void hide(struct model *m)
{
        m->p->n_hidden = 0;
        for (unsigned i = 0; i < VIEWERS * USERS; i++)
                if (m->hidden[i / USERS][i % USERS] && (int)(i % USERS) != m->leaver)
                        fake_presence_hide(m->p, viewer(i / USERS), name_of(i % USERS));
}

/* By the log, by the announcement, or both, and perhaps again after a repair */
static void tell_left(struct model *m, unsigned user)
{
        m->version++;
        for (unsigned i = chance(m, 4); i < 4; i++)
                fake_announce(m->f, ROOM, name_of(user), PARLEY__V1__ROLE__none, m->version, m->version);
}

static void change_sight(struct model *m)
{
        unsigned v = chance(m, VIEWERS), u = chance(m, USERS);

        if ((int)u == m->leaver)
                return;
        m->hidden[v][u] = !m->hidden[v][u];
        hide(m);
        if (m->hidden[v][u] && chance(m, 2)) /* the channel's log is sooner */
                tell_left(m, u);
        if (!is_lost(m))
                fake_presence_speak(m->p, chance(m, 2) ? viewer(v) : name_of(u));
}

/* Nobody shares a channel with him any more; presence will hear of it later */
static void leave(struct model *m)
{
        unsigned u = chance(m, USERS);

        m->leaver = (int)u;
        m->left_ns = m->f->now_ns;
        m->p->behind = name_of(u);
        for (unsigned v = 0; v < VIEWERS; v++) {
                m->hidden[v][u] = true;
                m->n_before[v] = m->clients[v]->n_frames;
        }
        tell_left(m, u);
}

static void presence_hears(struct model *m)
{
        const char *user = m->p->behind;

        m->leaver = -1;
        m->p->behind = NULL;
        hide(m);
        if (!is_lost(m))
                fake_presence_speak(m->p, user);
}

static void change_leaver(struct model *m)
{
        if (m->leaver < 0 && chance(m, 20) == 0)
                leave(m);
        else if (m->leaver >= 0 && (chance(m, 10) == 0 || m->f->now_ns - m->left_ns > BEHIND_NS))
                presence_hears(m);
}

static void change_members(struct model *m)
{
        unsigned i = chance(m, MEMBERS);

        m->member[i] = !m->member[i];
        m->p->n_members = 0;
        for (unsigned k = 0; k < MEMBERS; k++)
                if (m->member[k])
                        strcpy(m->p->members[m->p->n_members++], name_of(USERS + k));
        if (m->member[i])
                fake_joined(m->f, ROOM, name_of(USERS + i), ++m->version);
        else
                fake_left(m->f, ROOM, name_of(USERS + i), ++m->version);
        fake_run(m->f);
        if (!is_lost(m))
                fake_presence_speak(m->p, name_of(USERS + i));
}

static void act(struct model *m)
{
        unsigned v = chance(m, VIEWERS), what = chance(m, 20);

        if (what < 5)
                change_state(m, chance(m, USERS + MEMBERS));
        else if (what < 8)
                watch(m, v);
        else if (what < 9)
                reconnect(m, v);
        else if (what < 11)
                focus(m, v, chance(m, 3) != 0);
        else if (what < 13)
                change_sight(m);
        else if (what < 14)
                change_members(m);
        else if (what < 17)
                fake_presence_release(m->p, chance(m, 3), chance(m, 4) ? 0 : BUS_E_TIMEOUT);
        else if (what < 18)
                m->p->hold = chance(m, 3) != 0;
        else if (what < 19)
                fake_presence_speak(m->p, NULL);
        else
                fake_advance(m->f, chance(m, 2000));
        change_leaver(m);
        fake_run(m->f);
        fake_advance(m->f, 50);
}

/* --- what each sees --- */

enum { UNTOLD = 100, HIDDEN };

struct view {
        uint8_t watched[USERS], members[MEMBERS];
        uint32_t n_members;
};

static void take(struct view *view, const Parley__V1__UserPresence *u)
{
        unsigned i = (unsigned)(u->user_id[1] - '0');

        if (*u->user_id == 'u')
                view->watched[i] = (uint8_t)u->availability;
        else
                view->members[i] = (uint8_t)u->availability;
}

/* By docs/protocol.md, from all that came */
static void look_at(const struct fake_client *c, struct view *ret)
{
        memset(ret, 0, sizeof(*ret));
        memset(ret->watched, UNTOLD, sizeof(ret->watched));
        for (size_t i = 0; i < c->n_frames; i++) {
                const Parley__V1__ServerFrame *frame = c->frames[i];

                if (frame->body_case == PRESENCE && frame->presence->snapshot)
                        memset(ret->watched, UNTOLD, sizeof(ret->watched));
                for (size_t k = 0; frame->body_case == PRESENCE && k < frame->presence->n_users; k++)
                        take(ret, frame->presence->users[k]);
                for (size_t k = 0; frame->body_case == PRESENCE && k < frame->presence->n_hidden_user_ids; k++)
                        ret->watched[frame->presence->hidden_user_ids[k][1] - '0'] = HIDDEN;
                if (frame->body_case != CHANNEL_PRESENCE)
                        continue;
                memset(ret->members, 0, sizeof(ret->members));
                ret->n_members = frame->channel_presence->members;
                for (size_t k = 0; k < frame->channel_presence->n_users; k++)
                        take(ret, frame->channel_presence->users[k]);
        }
}

/* While presence has not heard of it: since the last time */
static void check_leaver(struct model *m, unsigned v)
{
        const struct fake_client *c = m->clients[v];

        for (; m->leaver >= 0 && m->n_before[v] < c->n_frames; m->n_before[v]++) {
                const Parley__V1__ServerFrame *frame = c->frames[m->n_before[v]];

                for (size_t k = 0; frame->body_case == PRESENCE && k < frame->presence->n_users; k++)
                        if (strcmp(frame->presence->users[k]->user_id, name_of((unsigned)m->leaver)) == 0)
                                fail_msg("run %u: %s is told of %s, who has left", m->run, viewer(v),
                                         name_of((unsigned)m->leaver));
        }
}

static void check(const struct model *m, unsigned v)
{
        struct view view;

        look_at(m->clients[v], &view);
        for (unsigned u = 0; u < USERS; u++) {
                unsigned is = !m->watched[v][u] ? UNTOLD : m->hidden[v][u] ? HIDDEN : m->availability[u];

                if (view.watched[u] != is)
                        fail_msg("run %u: %s sees %s as %u, and not as %u", m->run, viewer(v), name_of(u),
                                 view.watched[u], is);
        }
        if (!m->focused[v])
                return;
        if (view.n_members != m->p->n_members)
                fail_msg("run %u: %s sees %u members, and not %zu", m->run, viewer(v), view.n_members, m->p->n_members);
        for (unsigned i = 0; i < MEMBERS; i++)
                if (m->member[i] && view.members[i] != m->availability[USERS + i])
                        fail_msg("run %u: %s sees the member %s as %u, and not as %u", m->run, viewer(v),
                                 name_of(USERS + i), view.members[i], m->availability[USERS + i]);
}

/* --- a run --- */

static void begin(struct model *m, unsigned run)
{
        *m = (struct model){.seed = run + 1, .run = run, .version = 1, .leaver = -1, .f = fake_new()};
        fake_start(m->f);
        fake_put_channel(m->f, ROOM, true, false);
        m->p = fake_presence_new(m->f);
        for (unsigned u = 0; u < USERS + MEMBERS; u++)
                fake_presence_set(m->p, name_of(u), PARLEY__V1__USER_PRESENCE__AVAILABILITY__offline, false);
        for (unsigned v = 0; v < VIEWERS; v++) {
                m->clients[v] = fake_connect(m->f, viewer(v), ENCODING_PROTO);
                watch(m, v);
        }
        m->p->hold = true;
}

/* What was lost shows with the next words of presence; doubt, and a channel without an answer, take some seconds */
static void become_quiet(struct model *m)
{
        m->p->hold = false;
        if (m->leaver >= 0)
                presence_hears(m);
        for (unsigned i = 0; i < 30; i++) {
                fake_presence_release(m->p, 100, 0);
                fake_presence_speak(m->p, NULL);
                fake_run(m->f);
                fake_advance(m->f, 500);
        }
}

static void test_converges(void **state)
{
        static struct model m;

        (void)state;
        for (unsigned run = 0; run < RUNS; run++) {
                begin(&m, run);
                for (unsigned i = 0; i < STEPS; i++) {
                        act(&m);
                        for (unsigned v = 0; v < VIEWERS; v++)
                                check_leaver(&m, v);
                }
                become_quiet(&m);
                for (unsigned v = 0; v < VIEWERS; v++)
                        check(&m, v);
                fake_presence_free(m.p);
                fake_free(m.f);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_converges)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
