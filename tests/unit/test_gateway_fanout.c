/* What waits for a session, and how it leaves. */
#include "gateway_fake.h"

#include "base/close_codes.h"
#include "gateway/pack.h"
#include "gateway/stats.h"
#include "wire/wire.h"

#define ROOM "room"

static struct fake *world(void)
{
        struct fake *f = fake_new();

        f->config.max_connections_per_user = 0;
        fake_start(f);
        fake_put_channel(f, ROOM, true, false);
        return f;
}

/* Everything of a turn leaves in one message, put together once for all who get the same */
static void test_packed_and_shared(void **state)
{
        struct fake *f = world();
        struct fake_client *c[50];
        double packs, writes;

        (void)state;
        for (unsigned i = 0; i < 50; i++)
                c[i] = fake_connect(f, "ada", ENCODING_PROTO);
        packs = stat_packs.value;
        writes = stat_writes.value;
        for (unsigned i = 0; i < 20; i++)
                fake_message(f, ROOM, "bob", "x");
        for (unsigned i = 0; i < 50; i++)
                c[i]->n_messages = 0;
        fake_run(f);
        for (unsigned i = 0; i < 50; i++) {
                assert_int_equal(c[i]->n_messages, 1);
                fake_check_complete(c[i], ROOM);
                assert_null(c[i]->session->queue); /* memory only while it is used */
                assert_int_equal(c[i]->session->queue_bytes, 0);
        }
        assert_int_equal(stat_packs.value - packs, 1);
        assert_int_equal(stat_writes.value - writes, 50);
        assert_int_equal(f->core->queue_bytes, 0);
        fake_free(f);
}

static void test_plain_is_never_packed(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect_raw(f, ENCODING_JSON, true);
        char *token = fake_token(f, "ada");

        (void)state;
        session_authenticate(c->session, token, 0);
        free(token);
        fake_run(f);
        c->n_messages = 0;
        for (unsigned i = 0; i < 20; i++)
                fake_message(f, ROOM, "bob", "x");
        fake_run(f);
        assert_int_equal(c->n_messages, 20);
        assert_null(strchr(c->last_text, '\n'));
        fake_free(f);
}

static void test_batches_are_bounded(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        char *big = calloc(1, 10001);

        (void)state;
        memset(big, 'x', 10000);
        c->n_messages = 0;
        c->n_bytes = 0;
        for (unsigned i = 0; i < 20; i++)
                fake_message(f, ROOM, "bob", big);
        fake_run(f);
        fake_check_complete(c, ROOM);
        assert_in_range(c->n_messages, c->n_bytes / PACK_MAX_BYTES, 5);
        free(big);
        fake_free(f);
}

/* One who never reads is dropped within his limit; nobody else notices */
static void test_slow_client(void **state)
{
        struct fake *f = world();
        struct fake_client *slow = fake_connect(f, "eve", ENCODING_PROTO),
                           *fast = fake_connect(f, "ada", ENCODING_PROTO);
        char *big = calloc(1, 10001);
        unsigned n = 0;

        (void)state;
        memset(big, 'x', 10000);
        slow->stuck = true;
        while (!slow->close_code) {
                fake_message(f, ROOM, "bob", big);
                fake_run(f);
                assert_true(f->core->queue_bytes <= f->config.session_max_queue_bytes + 20000);
                assert_true(++n < 200);
        }
        assert_int_equal(slow->close_code, PARLEY_CLOSE_TOO_SLOW);
        assert_in_range(n, 90, 110);
        assert_null(slow->session);
        fake_message(f, ROOM, "bob", "x");
        fake_run(f);
        fake_check_complete(fast, ROOM);
        assert_int_equal(f->core->queue_bytes, 0);
        free(big);
        fake_free(f);
}

/* A socket that takes no more for a moment: nothing is lost, and the rest leaves when it does */
static void test_busy_for_a_while(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        for (unsigned round = 0; round < 10; round++) {
                c->stuck = round % 2;
                for (unsigned i = 0; i < 30; i++)
                        fake_message(f, ROOM, "bob", "x");
                fake_run(f);
                if (c->stuck)
                        assert_true(c->session->blocked);
        }
        c->stuck = false;
        fake_run(f);
        fake_check_complete(c, ROOM);
        assert_int_equal(fake_view(c, ROOM)->n_seqs, 300);
        fake_free(f);
}

/* Many events in one turn are no backlog of a client that reads */
static void test_burst_of_one_turn(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        char *big = calloc(1, 16001);

        (void)state;
        memset(big, 'x', 16000);
        for (unsigned i = 0; i < 300; i++)
                fake_message(f, ROOM, "bob", big);
        fake_run(f);
        assert_int_equal(c->close_code, 0);
        fake_check_complete(c, ROOM);
        free(big);
        fake_free(f);
}

static int compressed_write(void *connection, uint8_t *data, size_t n, bool binary, size_t *ret_kept)
{
        struct fake_client *c = connection;

        (void)ret_kept;
        c->n_messages++;
        c->n_bytes += n;
        assert_true(binary);
        if (data[0] == 0)
                c->n_views++; /* counted here: compressed messages */
        return 0;
}

/* Large messages are compressed once for all who asked for it */
static void test_compressed_once(void **state)
{
        struct fake *f = world();
        struct fake_client *c[10];
        double in, out;

        (void)state;
        for (unsigned i = 0; i < 10; i++) {
                c[i] = fake_connect(f, "ada", ENCODING_PROTO);
                c[i]->session->compress = true;
                c[i]->n_views = 0;
                c[i]->n_bytes = 0;
        }
        f->core->transport.write = compressed_write;
        in = stat_deflated_in.value;
        out = stat_deflated_out.value;
        for (unsigned i = 0; i < 100; i++)
                fake_message(f, ROOM, "bob", "something that is said again and again, with other words around it");
        fake_run(f);
        for (unsigned i = 0; i < 10; i++) {
                assert_true(c[i]->n_views > 0);
                assert_true(c[i]->n_bytes < (stat_deflated_in.value - in) / 2);
        }
        assert_true(stat_deflated_in.value - in < 60000); /* once, not ten times */
        assert_true(stat_deflated_out.value - out < (stat_deflated_in.value - in) / 2);
        f->core->transport = fake_transport;
        for (unsigned i = 0; i < 10; i++)
                c[i]->n_views = 0;
        fake_free(f);
}

/* A turn writes only so much; the rest goes on in the next one, in order and fairly */
static void test_budget_of_a_turn(void **state)
{
        struct fake *f = world();
        struct fake_client *c[30];
        unsigned served = 0;

        (void)state;
        for (unsigned i = 0; i < 30; i++)
                c[i] = fake_connect(f, "ada", ENCODING_PROTO);
        fake_message(f, ROOM, "bob", "x");
        f->silent = true;
        fake_fail_tasks(f, 0);
        for (unsigned i = 0; i < 30; i++)
                c[i]->n_messages = 0;
        assert_true(core_flush(f->core, 10));
        for (unsigned i = 0; i < 30; i++)
                served += c[i]->n_messages;
        assert_int_equal(served, 10);
        assert_true(core_flush(f->core, 10));
        assert_false(core_flush(f->core, 10));
        for (unsigned i = 0; i < 30; i++)
                fake_check_complete(c[i], ROOM);
        f->silent = false;
        fake_free(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_packed_and_shared),   cmocka_unit_test(test_plain_is_never_packed),
                cmocka_unit_test(test_batches_are_bounded), cmocka_unit_test(test_slow_client),
                cmocka_unit_test(test_busy_for_a_while),    cmocka_unit_test(test_burst_of_one_turn),
                cmocka_unit_test(test_compressed_once),     cmocka_unit_test(test_budget_of_a_turn),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
