/* What a gateway tells presence about its connections. */
#include "bus/subjects.h"
#include "gateway/here.h"
#include "gateway_fake.h"
#include "parley/v1/presence.pb-c.h"

/* The messages on presence.gw.<gateway>, in order */
struct ear {
        Parley__V1__GatewayPresence *heard[64];
        unsigned n;
        struct bus_sub *sub;
};

static void on_told(const struct bus_msg *msg, void *userdata)
{
        struct ear *e = userdata;

        assert_in_range(e->n, 0, 63);
        e->heard[e->n] = parley__v1__gateway_presence__unpack(NULL, msg->len, msg->data);
        assert_non_null(e->heard[e->n]);
        assert_int_equal(e->heard[e->n]->counter, e->n ? e->heard[e->n - 1]->counter + 1 : e->heard[0]->counter);
        e->n++;
}

static void ear_open(struct ear *e, struct fake *f)
{
        char subject[SUBJECT_MAX];

        *e = (struct ear){0};
        subject_presence_gateway(subject, f->core->id);
        assert_int_equal(f->core->up.subscribe(f->core->up.self, subject, on_told, e, &e->sub), 0);
}

static void ear_close(struct ear *e, struct fake *f)
{
        f->core->up.unsubscribe(f->core->up.self, e->sub);
        for (unsigned i = 0; i < e->n; i++)
                parley__v1__gateway_presence__free_unpacked(e->heard[i], NULL);
}

static void pass(struct fake *f, uint64_t ms)
{
        fake_advance(f, ms);
        fake_run(f);
}

/* The only user of the last message; NULL: it has none */
static const Parley__V1__GatewayUser *last_user(const struct ear *e)
{
        const Parley__V1__GatewayPresence *m = e->heard[e->n - 1];

        assert_in_range(m->n_users, 0, 1);
        return m->n_users ? m->users[0] : NULL;
}

static uint32_t say_idle(struct fake_client *c, bool idle)
{
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Idle body = PARLEY__V1__IDLE__INIT;

        body.idle = idle;
        frame.ref = ++c->next_ref;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_IDLE;
        frame.idle = &body;
        fake_client_send(c, &frame);
        fake_run(c->f);
        return frame.ref;
}

/* One that has said what it is: a page */
static struct fake_client *greeted(struct fake *f, const char *user, enum encoding encoding)
{
        struct fake_client *c = fake_connect(f, user, encoding);

        c->session->hello_seen = true;
        return c;
}

static struct fake *world(struct ear *e)
{
        struct fake *f = fake_new();

        fake_start(f);
        ear_open(e, f);
        pass(f, 1100); /* the first snapshot, of nobody */
        assert_int_equal(e->n, 1);
        assert_true(e->heard[0]->snapshot && e->heard[0]->first && e->heard[0]->last);
        assert_int_equal(e->heard[0]->n_users, 0);
        return f;
}

static void test_changes(void **state)
{
        struct ear e;
        struct fake *f = world(&e);
        struct fake_client *a = greeted(f, "ada", ENCODING_PROTO), *b;

        (void)state;
        pass(f, 1100);
        assert_int_equal(e.n, 2);
        assert_string_equal(last_user(&e)->user_id, "ada");
        assert_int_equal(last_user(&e)->n_devices, 1);
        assert_true(last_user(&e)->active);
        assert_int_equal(fake_answer(a, say_idle(a, true))->body_case, PARLEY__V1__SERVER_FRAME__BODY_ACK);
        pass(f, 1100);
        assert_false(last_user(&e)->active);
        b = greeted(f, "ada", ENCODING_PROTO); /* one of two is in use */
        pass(f, 1100);
        assert_true(last_user(&e)->active);
        assert_int_equal(e.n, 4);
        fake_client_drop(a); /* of two web connections one is left: nothing that others could see */
        pass(f, 1100);
        assert_int_equal(e.n, 4);
        fake_client_drop(b);
        pass(f, 1100);
        assert_int_equal(e.n, 5);
        assert_int_equal(last_user(&e)->n_devices, 0);
        ear_close(&e, f);
        fake_free(f);
}

/* Two tabs, one of which is idle: he is active while the other one is not. When that one's connection ends presence is told that it may come again; when it
 * becomes idle it is not. */
static void test_tabs_of_one_kind(void **state)
{
        struct ear e;
        struct fake *f = world(&e);
        struct fake_client *used = greeted(f, "ada", ENCODING_PROTO), *idle = greeted(f, "ada", ENCODING_PROTO);

        (void)state;
        pass(f, 1100);
        say_idle(idle, true);
        pass(f, 1100);
        assert_int_equal(e.n, 2);
        assert_true(last_user(&e)->active && !last_user(&e)->left);
        fake_client_drop(used);
        pass(f, 1100);
        assert_int_equal(e.n, 3);
        assert_true(last_user(&e)->n_devices == 1 && !last_user(&e)->active && last_user(&e)->left);
        used = greeted(f, "ada", ENCODING_PROTO);
        pass(f, 1100);
        assert_true(last_user(&e)->active && !last_user(&e)->left);
        fake_client_drop(idle); /* nothing others could see */
        idle = greeted(f, "ada", ENCODING_PROTO);
        say_idle(idle, true);
        fake_client_drop(greeted(f, "ada", ENCODING_PROTO));
        pass(f, 1100);
        assert_int_equal(e.n, 4);
        pass(f, 20000); /* as often as he likes */
        say_idle(used, true);
        pass(f, 1100);
        assert_true(!last_user(&e)->active && !last_user(&e)->left);
        ear_close(&e, f);
        fake_free(f);
}

/* However often users come and go, there is one message a second */
static void test_one_message_a_second(void **state)
{
        struct ear e;
        struct fake *f = world(&e);
        char user[16];

        (void)state;
        for (unsigned i = 0; i < 50; i++) {
                snprintf(user, sizeof(user), "u%u", i);
                fake_client_drop(greeted(f, user, ENCODING_PROTO));
                greeted(f, user, ENCODING_PROTO);
        }
        pass(f, 1100);
        assert_int_equal(e.n, 2);
        assert_int_equal(e.heard[1]->n_users, 50);
        ear_close(&e, f);
        fake_free(f);
}

/* They are forgotten with their last session: gone in one message, and not at all who has come again by then */
static void test_nobody_lingers(void **state)
{
        struct ear e;
        struct fake *f = world(&e);
        struct fake_client *clients[20];
        char user[16];

        (void)state;
        f->config.linger_ms = 0;
        for (unsigned i = 0; i < 20; i++) {
                snprintf(user, sizeof(user), "u%u", i);
                clients[i] = greeted(f, user, ENCODING_PROTO);
        }
        pass(f, 1100);
        assert_int_equal(e.n, 2);
        for (unsigned i = 0; i < 20; i++)
                fake_client_drop(clients[i]);
        fake_advance(f, 200);
        assert_null(f->core->users);
        assert_int_equal(e.n, 2);
        greeted(f, "u7", ENCODING_PROTO);
        pass(f, 1100);
        assert_int_equal(e.n, 3);
        assert_int_equal(e.heard[2]->n_users, 21);
        for (unsigned i = 0; i < 20; i++)
                assert_int_equal(e.heard[2]->users[i]->n_devices, 0);
        assert_string_equal(e.heard[2]->users[20]->user_id, "u7");
        assert_int_equal(e.heard[2]->users[20]->n_devices, 1);
        pass(f, 5000);
        assert_int_equal(e.n, 3);
        ear_close(&e, f);
        fake_free(f);
}

/* Who says twenty times a second that he is idle, and that he is not, is told of three times at once and then every ten seconds, as he is then */
static void test_idle_is_damped(void **state)
{
        struct ear e;
        struct fake *f = world(&e);
        struct fake_client *c = greeted(f, "ada", ENCODING_PROTO), *bot;
        unsigned told = 0;

        (void)state;
        pass(f, 1100);
        for (unsigned i = 0; i < 600; i++) {
                say_idle(c, (i + i / 20) % 2 == 0); /* another thing each time that it could be told */
                fake_advance(f, 50);
        }
        for (unsigned i = 2; i < e.n; i++)
                told += (unsigned)e.heard[i]->n_users;
        assert_in_range(told, 5, 6);
        say_idle(c, true);
        pass(f, 11100);
        say_idle(c, false);
        pass(f, 40000);                    /* as he is then */
        for (unsigned i = 0; i < 3; i++) { /* and as often as before, as he has been quiet */
                say_idle(c, i % 2 == 0);
                pass(f, 1100);
                assert_int_equal(last_user(&e)->active, i % 2);
        }
        told = e.n;
        say_idle(c, false);
        pass(f, 1100);
        assert_int_equal(e.n, told);
        bot = greeted(f, "bob", ENCODING_PROTO); /* somebody else does not wait for it */
        pass(f, 1100);
        assert_string_equal(last_user(&e)->user_id, "bob");
        say_idle(bot, true);
        pass(f, 1100);
        assert_string_equal(last_user(&e)->user_id, "bob");
        fake_client_drop(c); /* nor does he, to go */
        pass(f, 1100);
        assert_string_equal(last_user(&e)->user_id, "ada");
        assert_int_equal(last_user(&e)->n_devices, 0);
        ear_close(&e, f);
        fake_free(f);
}

static void test_snapshot_and_heartbeat(void **state)
{
        struct ear e;
        struct fake *f = world(&e);
        Parley__V1__PresenceSync sync = PARLEY__V1__PRESENCE_SYNC__INIT;
        uint8_t data[100];
        size_t n;

        (void)state;
        greeted(f, "ada", ENCODING_PROTO);
        pass(f, 1100);
        sync.gateway_id = (char *)"another";
        n = parley__v1__presence_sync__pack(&sync, data);
        f->core->up.publish(f->core->up.self, SUBJECT_PRESENCE_SYNC, data, n);
        pass(f, 1100);
        assert_int_equal(e.n, 2);
        sync.gateway_id = f->core->id;
        n = parley__v1__presence_sync__pack(&sync, data);
        for (unsigned i = 0; i < 20; i++)
                f->core->up.publish(f->core->up.self, SUBJECT_PRESENCE_SYNC, data, n);
        pass(f, 1100);
        assert_int_equal(e.n, 3);
        assert_true(e.heard[2]->snapshot);
        assert_string_equal(last_user(&e)->user_id, "ada");
        pass(f, 9000);
        assert_int_equal(e.n, 3);
        pass(f, 2000); /* it lives */
        assert_int_equal(e.n, 4);
        assert_null(last_user(&e));
        assert_false(e.heard[3]->snapshot);
        ear_close(&e, f);
        fake_free(f);
}

/* Nobody is told as here who only knocked */
static void test_not_before_ready(void **state)
{
        struct ear e;
        struct fake *f = world(&e);

        (void)state;
        fake_connect_raw(f, ENCODING_PROTO, false);
        pass(f, 1100);
        assert_int_equal(e.n, 1);
        ear_close(&e, f);
        fake_free(f);
}

static void token_in_address(struct fake_client *c, const char *user)
{
        char *token = fake_token(c->f, user);

        session_authenticate(c->session, token, 0);
        free(token);
        fake_run(c->f);
}

/* A token in the address: the session is ready before it says what it is on */
static void test_not_before_it_says_what_it_is(void **state)
{
        struct ear e;
        struct fake *f = world(&e);
        struct fake_client *c = fake_connect_raw(f, ENCODING_PROTO, false), *silent;
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Hello hello = PARLEY__V1__HELLO__INIT;

        (void)state;
        fake_advance(f, 700);
        token_in_address(c, "ada");
        fake_advance(f, 500); /* presence is told meanwhile, but not of her */
        assert_int_equal(e.n, 1);
        hello.device = PARLEY__V1__DEVICE__mobile;
        frame.ref = ++c->next_ref;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_HELLO;
        frame.hello = &hello;
        fake_client_send(c, &frame);
        pass(f, 1100);
        assert_int_equal(e.n, 2);
        assert_int_equal(last_user(&e)->n_devices, 1);
        assert_int_equal(last_user(&e)->devices[0], PARLEY__V1__DEVICE__mobile);
        silent = fake_connect_raw(f, ENCODING_PROTO, false); /* it never says so */
        token_in_address(silent, "bob");
        pass(f, 2200);
        assert_int_equal(e.n, 3);
        assert_string_equal(last_user(&e)->user_id, "bob");
        assert_int_equal(last_user(&e)->devices[0], PARLEY__V1__DEVICE__web);
        ear_close(&e, f);
        fake_free(f);
}

static void test_drained(void **state)
{
        struct ear e;
        struct fake *f = world(&e);

        (void)state;
        here_leave(f->core);
        fake_run(f);
        assert_true(e.heard[e.n - 1]->stopping);
        pass(f, 30000);
        assert_int_equal(e.n, 2);
        ear_close(&e, f);
        fake_free(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_changes),
                cmocka_unit_test(test_one_message_a_second),
                cmocka_unit_test(test_nobody_lingers),
                cmocka_unit_test(test_not_before_it_says_what_it_is),
                cmocka_unit_test(test_tabs_of_one_kind),
                cmocka_unit_test(test_idle_is_damped),
                cmocka_unit_test(test_snapshot_and_heartbeat),
                cmocka_unit_test(test_not_before_ready),
                cmocka_unit_test(test_drained),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
