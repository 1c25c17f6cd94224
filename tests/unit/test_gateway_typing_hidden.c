/* typing of those who do not want to be seen: nothing is told of them. */
#include "bus/subjects.h"
#include "gateway/channel.h"
#include "gateway/typing.h"
#include "gateway/user.h"
#include "gateway_fake_look.h"

#define ROOM "general"

static struct fake_client *reader(struct fake *f, const char *user)
{
        struct fake_client *c = fake_connect(f, user, ENCODING_PROTO);

        fake_focus(c, ROOM);
        return c;
}

static void count_signal(const struct bus_msg *msg, void *userdata)
{
        (void)msg;
        ++*(unsigned *)userdata;
}

/* Whoever is invisible is acknowledged, and not told of; it is read each time, wherever he says so */
static void test_invisible(void **state)
{
        struct fake_presence *p;
        struct fake *f = fake_look_new(&p);
        struct fake_client *a = reader(f, "ada"), *b = reader(f, "bob");
        struct bus_sub *sub;
        unsigned n = 0;

        (void)state;
        f->core->up.subscribe(f->core->up.self, "typing.0." ROOM, count_signal, &n, &sub);
        fake_put_mode(f, "ada", PARLEY__V1__STATUS__MODE__invisible, 0);
        fake_type(a, ROOM, "", false);
        fake_type(a, ROOM, "", true);
        fake_advance(f, 3100);
        assert_int_equal(n, 0);
        fake_put_mode(f, "ada", PARLEY__V1__STATUS__MODE__invisible, f->wall_ns / 1000000000 + 2);
        fake_type(a, ROOM, "", false);
        fake_advance(f, 3100);
        assert_int_equal(n, 0);
        fake_type(a, ROOM, "", false); /* its end has come */
        assert_int_equal(n, 1);
        fake_advance(f, 3100);
        assert_int_equal(fake_typing(b)->n_user_ids, 1);
        fake_put_mode(f, "ada", PARLEY__V1__STATUS__MODE__invisible, 0);
        fake_type(a, ROOM, "", false);
        assert_int_equal(n, 2); /* the end of what others see */
        fake_advance(f, 1100);
        assert_int_equal(fake_typing(b)->n_user_ids, 0);
        f->core->up.unsubscribe(f->core->up.self, sub);
        fake_look_free(f);
}

/* What is still being read is not told once he has stopped, or has sent */
static void test_read_too_late(void **state)
{
        struct fake_presence *p;
        struct fake *f = fake_look_new(&p);
        struct fake_client *a = reader(f, "ada");
        struct bus_sub *sub;
        unsigned n = 0;
        char id[37];

        (void)state;
        f->core->up.subscribe(f->core->up.self, "typing.0." ROOM, count_signal, &n, &sub);
        typing_write(a->session->user, channel_find(f->core, ROOM), "", false);
        typing_write(a->session->user, channel_find(f->core, ROOM), "", true);
        fake_run(f);
        assert_int_equal(n, 0);
        fake_advance(f, 3100);
        typing_write(a->session->user, channel_find(f->core, ROOM), "", false);
        fake_uuid(f, id);
        fake_client_message(a, ROOM, id, "done", false);
        fake_run(f);
        assert_int_equal(n, 0);
        fake_advance(f, 3100);
        fake_type(a, ROOM, "", false);
        assert_int_equal(n, 1);
        f->core->up.unsubscribe(f->core->up.self, sub);
        fake_look_free(f);
}

/* Presence tells that he has become invisible: he who was shown writing is so no more */
static void test_vanished(void **state)
{
        struct fake_presence *p;
        struct fake *f = fake_look_new(&p);
        struct fake_client *b = reader(f, "bob");

        (void)state;
        fake_presence_set(p, "ada", PARLEY__V1__USER_PRESENCE__AVAILABILITY__online, true);
        fake_signal(f, ROOM, "ada", "", false);
        fake_advance(f, 1100);
        assert_int_equal(fake_typing(b)->n_user_ids, 1);
        p->users[0].invisible = true; /* ada */
        fake_presence_set(p, "ada", PARLEY__V1__USER_PRESENCE__AVAILABILITY__offline, true);
        fake_run(f);
        fake_advance(f, 1100);
        assert_int_equal(fake_typing(b)->n_user_ids, 0);
        fake_look_free(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_invisible),
                cmocka_unit_test(test_read_too_late),
                cmocka_unit_test(test_vanished),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
