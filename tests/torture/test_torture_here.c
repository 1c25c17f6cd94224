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

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_leaving)};

        return cmocka_run_group_tests_name("torture/here", tests, NULL, NULL);
}
