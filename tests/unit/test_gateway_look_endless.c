/* Doubt without an end: somebody leaves and comes back all the time, or each answer is older than what has happened since. */
#include "gateway/look.h"
#include "gateway_fake_look.h"

enum { COMER_MS = 20, COMER_LAG = 40 };

/* mallory leaves `general` and comes back fifty times a second. Those who watch him are in no other channel with him. */
struct comer {
        struct fake *f;
        struct fake_presence *p;
        struct fake_client *watchers[3];
        size_t n_checked[3]; /* of their frames */
        uint64_t version;
        unsigned lag;           /* presence hears of it so many steps later */
        bool member[COMER_LAG]; /* in the last steps, a ring */
        unsigned step;
};

static void comer_init(struct comer *m, unsigned lag)
{
        *m = (struct comer){.lag = lag, .version = 1};
        m->f = fake_look_new(&m->p);
        for (unsigned i = 0; i < COMER_LAG; i++)
                m->member[i] = true;
        fake_presence_set(m->p, "mallory", ONLINE, false);
}

/* Presence sees what was so many steps ago */
static void comer_heard(struct comer *m, bool member)
{
        m->p->n_hidden = 0;
        for (unsigned i = 0; !member && i < 3; i++)
                fake_presence_hide(m->p, (const char *[]){"w0", "w1", "w2"}[i], "mallory");
        m->p->behind = member ? "mallory" : NULL;
}

/* Nobody is shown him while he is out */
static void comer_check(struct comer *m)
{
        bool member = m->member[m->step % COMER_LAG];

        for (unsigned i = 0; i < 3; i++) {
                const struct fake_client *c = m->watchers[i];

                for (; c && m->n_checked[i] < c->n_frames; m->n_checked[i]++) {
                        const Parley__V1__ServerFrame *frame = c->frames[m->n_checked[i]];

                        for (size_t k = 0; frame->body_case == PRESENCE && k < frame->presence->n_users; k++)
                                if (strcmp(frame->presence->users[k]->user_id, "mallory") == 0 && !member)
                                        fail_msg("w%u is shown him in step %u (lag %u)", i, m->step, m->lag);
                }
        }
}

static void comer_move(struct comer *m, bool in)
{
        m->step++;
        m->member[m->step % COMER_LAG] = in;
        if (in)
                fake_joined(m->f, "general", "mallory", ++m->version);
        else
                fake_left(m->f, "general", "mallory", ++m->version);
        fake_run(m->f);
        comer_check(m);
        comer_heard(m, m->member[(m->step + COMER_LAG - m->lag) % COMER_LAG]);
        if (m->step % 25 == 0)
                fake_presence_speak(m->p, "mallory");
        fake_advance(m->f, COMER_MS);
        comer_check(m);
}

static void comer_moves(struct comer *m, unsigned ms)
{
        for (unsigned i = 0; i < ms / COMER_MS; i++)
                comer_move(m, !m->member[m->step % COMER_LAG]);
}

static void comer_watch(struct comer *m, unsigned i)
{
        m->watchers[i] = fake_connect(m->f, (const char *[]){"w0", "w1", "w2"}[i], ENCODING_PROTO);
        fake_watch(m->watchers[i], "bob", "mallory");
}

/* It ends with him in, or out, and presence hears of that */
static void comer_ends(struct comer *m, bool in)
{
        if (m->member[m->step % COMER_LAG] != in)
                comer_move(m, in);
        comer_heard(m, in);
        fake_presence_speak(m->p, "mallory");
        fake_run(m->f);
        fake_advance(m->f, 4000);
        fake_presence_set(m->p, "mallory", AWAY, true);
        fake_advance(m->f, 1200);
        comer_check(m);
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(fake_sees(m->watchers[i], "mallory"), in ? AWAY : FAKE_HIDDEN);
}

/* Who watches him before it begins, while it goes on, and when it is about to end: their snapshots come in time, what is new of others is told, and in the end all see what is so */
static void test_comes_and_goes(void **state)
{
        static const unsigned lags[] = {0, 1, 7, COMER_LAG - 1};
        static struct comer m;

        (void)state;
        for (unsigned way = 0; way < 8; way++) {
                comer_init(&m, lags[way / 2]);
                comer_watch(&m, 0);
                fake_advance(m.f, 1100);
                assert_int_equal(fake_sees(m.watchers[0], "mallory"), ONLINE);
                comer_check(&m);
                comer_moves(&m, 2000);
                comer_watch(&m, 1);
                comer_moves(&m, 3200);
                assert_int_equal(fake_sees(m.watchers[1], "bob"), ONLINE);
                assert_true(fake_sees(m.watchers[1], "mallory") != FAKE_UNTOLD);
                fake_presence_set(m.p, "bob", AWAY, true);
                comer_moves(&m, 1200);
                for (unsigned i = 0; i < 2; i++)
                        assert_int_equal(fake_sees(m.watchers[i], "bob"), AWAY);
                comer_watch(&m, 2);
                comer_moves(&m, 500);
                comer_ends(&m, way % 2);
                fake_look_free(m.f);
        }
}

/* What was asked is always older than what has happened since: an answer is never to be believed, and that is no reason to wait for ever */
static void test_answers_are_always_late(void **state)
{
        struct fake_presence *p;
        struct fake *f = fake_look_new(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        p->hold = true;
        fake_watch(c, "bob", "carla");
        for (unsigned i = 0; i < 11; i++) {
                fake_presence_speak(p, "bob"); /* his memberships have changed: he is to be asked for again */
                fake_run(f);
                fake_presence_release(p, 100, 0);
                fake_advance(f, 250);
                assert_int_equal(fake_count(c, PRESENCE), 0);
        }
        for (unsigned i = 0; i < 2; i++) {
                fake_presence_speak(p, "bob");
                fake_run(f);
                fake_presence_release(p, 100, 0);
                fake_advance(f, 250);
        }
        assert_true(fake_told(c)->snapshot && fake_hides(c, "bob"));
        assert_int_equal(fake_sees(c, "carla"), ONLINE);
        p->hold = false;
        fake_presence_release(p, 100, 0);
        fake_advance(f, 1200);
        assert_int_equal(fake_sees(c, "bob"), ONLINE);
        fake_look_free(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_comes_and_goes),
                cmocka_unit_test(test_answers_are_always_late),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
