/* G7: cursors. What one client asks for keeps neither the loop nor the repairs of the channels busy. */
#include "gateway_fake.h"

#include "gateway/channel.h"

#define ROOM "room"

static struct fake *world(void)
{
        struct fake *f = fake_new();

        fake_start(f);
        fake_put_channel(f, ROOM, true, false);
        return f;
}

static uint32_t resume(struct fake_client *c, uint64_t from, size_t n)
{
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Resume body = PARLEY__V1__RESUME__INIT;
        Parley__V1__Cursor *cursors = calloc(n, sizeof(*cursors)), **list = calloc(n, sizeof(Parley__V1__Cursor *));

        for (size_t i = 0; i < n; i++) {
                parley__v1__cursor__init(&cursors[i]);
                cursors[i].channel_id = (char *)ROOM;
                cursors[i].seq = from + i;
                list[i] = &cursors[i];
        }
        body.cursors = list;
        body.n_cursors = n;
        frame.ref = ++c->next_ref;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_RESUME;
        frame.resume = &body;
        fake_client_send(c, &frame);
        free(cursors);
        free(list);
        return frame.ref;
}

static unsigned waiting(const struct gate *g)
{
        unsigned n = 0;

        for (const struct gate_item *i = g->queue.next; i != &g->queue; i = i->next)
                n++;
        return n;
}

/* Many cursors of one channel in a frame: one replay, from the last of them */
static void test_one_frame(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        for (unsigned i = 0; i < 100; i++)
                fake_message(f, ROOM, "bob", "x");
        fake_run(f);
        fake_view(c, ROOM)->cursor = 90;
        resume(c, 11, 80);
        fake_run(f);
        assert_int_equal(fake_count(c, PARLEY__V1__SERVER_FRAME__BODY_REPLAY), 1);
        assert_true(fake_last(c, PARLEY__V1__SERVER_FRAME__BODY_REPLAY)->replay->from_seq == 90);
        assert_int_equal(c->close_code, 0);
        fake_free(f);
}

/* Many frames whose cursors are in no tail: one fetch at a time, whatever was asked for before */
static void test_many_frames(void **state)
{
        struct fake *f = world();
        struct fake_client *c;

        (void)state;
        f->next_seq = 100000;
        fake_message(f, ROOM, "bob", "x");
        c = fake_connect(f, "ada", ENCODING_PROTO);
        f->silent = true;
        for (unsigned i = 0; i < 200; i++)
                resume(c, 1 + 100 * i, 100);
        assert_in_range(f->core->gate_replays.running, 1, 32);
        assert_in_range(waiting(&f->core->gate_replays), 0, 1);
        assert_int_equal(f->core->gate_repairs.running, 0);
        f->silent = false;
        fake_view(c, ROOM)->cursor = 20000;
        fake_run(f);
        assert_int_equal(f->core->gate_replays.running, 0);
        assert_int_equal(fake_count(c, PARLEY__V1__SERVER_FRAME__BODY_REPLAY), 1); /* of the last one */
        assert_true(fake_last(c, PARLEY__V1__SERVER_FRAME__BODY_REPLAY)->replay->from_seq == 20000);
        fake_free(f);
}

/* Who has gone away is not fetched for */
static void test_gone_meanwhile(void **state)
{
        struct fake *f = world();
        struct fake_client *c[100];

        (void)state;
        f->config.max_connections_per_user = 0;
        f->next_seq = 100000;
        fake_message(f, ROOM, "bob", "x");
        for (unsigned i = 0; i < 100; i++)
                c[i] = fake_connect(f, "ada", ENCODING_PROTO);
        f->silent = true;
        for (unsigned i = 0; i < 100; i++)
                resume(c[i], 1 + i, 1);
        assert_int_equal(waiting(&f->core->gate_replays), 100 - 32);
        for (unsigned i = 0; i < 100; i++)
                fake_client_drop(c[i]);
        assert_int_equal(waiting(&f->core->gate_replays), 0);
        f->silent = false;
        fake_run(f);
        assert_int_equal(f->core->gate_replays.running, 0);
        assert_in_range(f->n_direct + f->n_history, 1, 32);
        fake_free(f);
}

/* A channel is mended although as many replays are under way as may be */
static void test_repairs_do_not_wait(void **state)
{
        struct fake *f = world();
        struct fake_client *c[64];

        (void)state;
        f->config.max_connections_per_user = 0;
        f->next_seq = 100000;
        fake_message(f, ROOM, "bob", "x");
        for (unsigned i = 0; i < 64; i++)
                c[i] = fake_connect(f, "ada", ENCODING_PROTO);
        f->silent = true;
        for (unsigned i = 0; i < 64; i++)
                resume(c[i], 1 + i, 1);
        assert_int_equal(f->core->gate_replays.running, 32);
        chain_expect(channel_find(f->core, ROOM), 100001, 0);
        fake_advance(f, 100);
        assert_int_equal(f->core->gate_repairs.running, 1);
        f->silent = false;
        fake_run(f);
        fake_free(f);
}

/* Cursors cost as much as frames do */
static void test_rate(void **state)
{
        struct fake *f = fake_new();
        struct fake_client *c;
        uint32_t ref[10];

        (void)state;
        f->config.rate_limits = true;
        fake_start(f);
        fake_put_channel(f, ROOM, true, false);
        fake_message(f, ROOM, "bob", "x");
        c = fake_connect(f, "ada", ENCODING_PROTO);
        for (unsigned i = 0; i < 10; i++)
                ref[i] = resume(c, 1, 100);
        fake_run(f);
        assert_int_equal(fake_answer(c, ref[0])->body_case, PARLEY__V1__SERVER_FRAME__BODY_ACK);
        assert_int_equal(fake_answer(c, ref[9])->body_case, PARLEY__V1__SERVER_FRAME__BODY_ERROR);
        assert_string_equal(fake_answer(c, ref[9])->error->code, "rate_limited");
        assert_true(fake_answer(c, ref[9])->error->retry_ms > 0);
        fake_free(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_one_frame),      cmocka_unit_test(test_many_frames),
                cmocka_unit_test(test_gone_meanwhile), cmocka_unit_test(test_repairs_do_not_wait),
                cmocka_unit_test(test_rate),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
