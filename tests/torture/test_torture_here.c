/* What presence is told of a gateway's users while memory runs out, once at each place: it is right a moment later. */
#include "bus/subjects.h"
#include "gateway/user.h"
#include "gateway_fake.h"
#include "parley/v1/presence.pb-c.h"
#include "torture.h"

static struct upstream fake_up; /* of the fake world, called without failures */

static int up_publish(void *self, const char *subject, const void *data, size_t len)
{
        torture_pause();
        int r = fake_up.publish(self, subject, data, len);
        torture_resume();
        return r;
}

static void up_unsubscribe(void *self, struct bus_sub *sub)
{
        torture_pause();
        fake_up.unsubscribe(self, sub);
        torture_resume();
}

/* What presence makes of it: is ann there? */
static void on_here(const struct bus_msg *msg, void *userdata)
{
        Parley__V1__GatewayPresence *m = parley__v1__gateway_presence__unpack(NULL, msg->len, msg->data);
        bool *there = userdata;

        assert_non_null(m);
        if (m->snapshot && m->first)
                *there = false;
        for (size_t i = 0; i < m->n_users; i++)
                if (strcmp(m->users[i]->user_id, "ann") == 0)
                        *there = m->users[i]->n_devices > 0;
        parley__v1__gateway_presence__free_unpacked(m, NULL);
}

/* She is forgotten before it was told that she has left */
static void run_leaving(void *arg)
{
        struct fake *f = fake_new();
        char subject[SUBJECT_MAX];
        struct fake_client *ann;
        struct bus_sub *sub;
        bool there = false;

        (void)arg;
        fake_start(f);
        fake_up = f->core->up;
        f->core->up.publish = up_publish;
        f->core->up.unsubscribe = up_unsubscribe;
        subject_presence_gateway(subject, f->core->id);
        assert_int_equal(fake_up.subscribe(f, subject, on_here, &there, &sub), 0);
        ann = fake_connect(f, "ann", ENCODING_PROTO);
        fake_advance(f, 2100);
        assert_true(there);
        fake_client_drop(ann);
        torture_begin();
        user_free(user_find(f->core, "ann"));
        torture_end();
        fake_advance(f, 2100);
        assert_false(there);
        fake_up.unsubscribe(f, sub);
        fake_free(f);
}

static void test_leaving(void **state)
{
        (void)state;
        assert_in_range(torture_each(run_leaving, NULL), 1, 10);
}

/* --- more users than are in one message --- */

enum { MANY = 2001 };

struct crowd {
        bool there[MANY];
        uint64_t counter;
        bool broken; /* something was lost, and no snapshot was whole since */
        bool whole;  /* the one that is coming in */
};

/* As presence takes it */
static void on_crowd(const struct bus_msg *msg, void *userdata)
{
        Parley__V1__GatewayPresence *m = parley__v1__gateway_presence__unpack(NULL, msg->len, msg->data);
        struct crowd *c = userdata;

        assert_non_null(m);
        assert_true(m->n_users < MANY);
        if (m->counter != c->counter + 1)
                c->broken = true, c->whole = false;
        c->counter = m->counter;
        if (m->snapshot && m->first) {
                memset(c->there, 0, sizeof(c->there));
                c->whole = true;
        }
        for (size_t i = 0; i < m->n_users; i++)
                c->there[atoi(m->users[i]->user_id + 1)] = m->users[i]->n_devices > 0;
        if (m->snapshot && m->last && c->whole)
                c->broken = false;
        parley__v1__gateway_presence__free_unpacked(m, NULL);
}

/* They have come, and are told in two messages. wanted: of a snapshot */
static void run_crowd(void *arg)
{
        struct fake *f = fake_new();
        struct crowd c = {0};
        char name[SUBJECT_MAX];
        struct bus_sub *sub;

        fake_start(f);
        fake_up = f->core->up;
        f->core->up.publish = up_publish;
        subject_presence_gateway(name, f->core->id);
        assert_int_equal(fake_up.subscribe(f, name, on_crowd, &c, &sub), 0);
        fake_advance(f, 1100);
        for (unsigned i = 0; i < MANY; i++) {
                (void)snprintf(name, sizeof(name), "u%u", i);
                (void)fake_connect(f, name, ENCODING_PROTO);
        }
        f->core->here.wanted = *(const bool *)arg;
        buf_done(&f->core->scratch);
        f->now_ns += 1100 * 1000000ULL;
        torture_begin();
        core_tick(f->core);
        torture_end();
        for (unsigned i = 0; i < 12; i++) { /* what is missing shows with a heartbeat, at the latest */
                fake_advance(f, 1100);
                f->core->here.wanted |= c.broken;
        }
        assert_false(c.broken);
        for (unsigned i = 0; i < MANY; i++)
                assert_true(c.there[i]);
        fake_up.unsubscribe(f, sub);
        fake_free(f);
}

static void test_crowd(void **state)
{
        bool wanted[] = {false, true};

        (void)state;
        for (unsigned i = 0; i < 2; i++)
                assert_in_range(torture_each(run_crowd, &wanted[i]), 2, 10);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_leaving), cmocka_unit_test(test_crowd)};

        return cmocka_run_group_tests_name("torture/here", tests, NULL, NULL);
}
