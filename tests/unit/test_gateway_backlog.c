/* What waits for all sessions together, and who goes when it is too much. */
#include "gateway_fake.h"

#include "base/close_codes.h"
#include "gateway/backlog.h"
#include "gateway/stats.h"

#define ROOM "room"
#define LIMIT 200000

static struct fake *world(void)
{
        struct fake *f = fake_new();

        f->config.max_connections_per_user = 0;
        f->config.max_queue_bytes = LIMIT;
        fake_start(f);
        fake_put_channel(f, ROOM, true, false);
        return f;
}

static size_t held(const struct fake *f)
{
        return f->core->queue_bytes + f->core->kept_bytes;
}

static void say(struct fake *f, const char *channel, size_t n)
{
        char *big = calloc(1, n + 1);

        assert_non_null(big);
        memset(big, 'x', n);
        fake_message(f, channel, "bob", big);
        fake_run(f);
        free(big);
}

/* What many wait for is there once */
static void test_shared_counts_once(void **state)
{
        struct fake *f = world();
        struct fake_client *c[50];

        (void)state;
        for (unsigned i = 0; i < 50; i++) {
                c[i] = fake_connect(f, "ada", ENCODING_PROTO);
                c[i]->stuck = true;
        }
        for (unsigned i = 0; i < 10; i++)
                say(f, ROOM, 10000);
        assert_in_range(held(f), 100000, 120000);
        for (unsigned i = 0; i < 50; i++) {
                assert_int_equal(c[i]->close_code, 0);
                c[i]->stuck = false;
        }
        fake_run(f);
        assert_int_equal(held(f), 0);
        for (unsigned i = 0; i < 50; i++)
                fake_check_complete(c[i], ROOM);
        fake_free(f);
}

/* Sessions that take their `ready` and read nothing of it: they go, and nobody else does */
static void test_silent_sessions(void **state)
{
        struct fake *f = world();
        struct fake_client *good, *silent[50];
        double shed = stat_shed.value;
        unsigned closed = 0;
        char id[16];

        (void)state;
        for (unsigned i = 0; i < 60; i++) {
                snprintf(id, sizeof(id), "c%u", i);
                fake_put_channel(f, id, true, false);
        }
        good = fake_connect(f, "ada", ENCODING_PROTO);
        for (unsigned i = 0; i < 50; i++) {
                silent[i] = fake_connect_raw(f, ENCODING_JSON, false);
                silent[i]->clogged = true;
                char *token = fake_token(f, "eve");

                session_authenticate(silent[i]->session, token, 0);
                free(token);
                fake_advance(f, 50);
                assert_true(held(f) <= LIMIT);
                say(f, ROOM, 10);
        }
        for (unsigned i = 0; i < 50; i++) {
                if (!silent[i]->close_code)
                        continue;
                assert_int_equal(silent[i]->close_code, PARLEY_CLOSE_TOO_SLOW);
                closed++;
        }
        assert_in_range(closed, 10, 49);
        assert_int_equal(silent[49]->close_code, 0); /* the newest has held it for the shortest time */
        assert_true(stat_shed.value - shed == closed);
        assert_int_equal(good->close_code, 0);
        fake_check_complete(good, ROOM);
        assert_int_equal(fake_view(good, ROOM)->n_seqs, 50);
        fake_free(f);
        assert_true(stat_kept_bytes.value <= LIMIT);
}

/* A large `ready` that is on its way is no reason: it is the one who has read nothing for long */
static void test_long_silence_weighs_more(void **state)
{
        struct fake *f = world();
        struct fake_client *old = fake_connect(f, "eve", ENCODING_PROTO), *fresh;

        (void)state;
        old->stuck = true;
        say(f, ROOM, 16000);
        fake_advance(f, 10000);
        f->config.max_queue_bytes = 32000; /* a quarter is freed */
        fresh = fake_connect(f, "ada", ENCODING_PROTO);
        fake_put_channel(f, "other", true, false);
        fake_run(f);
        fresh->clogged = true;
        say(f, ROOM, 20000);
        assert_int_equal(old->close_code, PARLEY_CLOSE_TOO_SLOW);
        assert_null(old->session);
        assert_int_equal(fresh->close_code, 0);
        assert_in_range(held(f), 20000, 24000);
        fresh->stuck = fresh->clogged = false;
        fake_run(f);
        assert_int_equal(held(f), 0);
        fake_free(f);
}

/* While too much waits no `ready` is made; a session that has to wait opens when there is room */
static void test_openings_wait(void **state)
{
        struct fake *f = world();
        struct fake_client *stuck = fake_connect(f, "eve", ENCODING_PROTO), *late;
        char *token = fake_token(f, "ada");

        (void)state;
        stuck->stuck = true;
        say(f, ROOM, 16000);
        f->config.max_queue_bytes = 8000;
        late = fake_connect_raw(f, ENCODING_PROTO, false);
        session_authenticate(late->session, token, 0);
        free(token);
        while (f->tasks)
                fake_step(f);
        assert_int_equal(late->session->state, SESSION_LOADING);
        assert_true(f->core->opening_waits);
        fake_run(f);
        assert_int_equal(stuck->close_code, PARLEY_CLOSE_TOO_SLOW);
        fake_run(f);
        assert_int_equal(late->session->state, SESSION_LIVE);
        assert_int_equal(fake_count(late, PARLEY__V1__SERVER_FRAME__BODY_READY), 1);
        assert_false(f->core->opening_waits);
        fake_free(f);
}

/* What the transport keeps of a closed session counts until it is gone, but closes nobody else */
static void test_leaving_closes_nobody(void **state)
{
        struct fake *f = world();
        struct fake_client *a = fake_connect(f, "eve", ENCODING_PROTO), *b = fake_connect(f, "bob", ENCODING_PROTO);

        (void)state;
        f->silent = true; /* nothing is taken down before it is looked at */
        a->stuck = b->stuck = true;
        backlog_kept(a->session, LIMIT);
        backlog_kept(b->session, 1000);
        backlog_limit(f->core);
        assert_int_equal(a->close_code, PARLEY_CLOSE_TOO_SLOW);
        assert_int_equal(f->core->leaving_bytes, LIMIT);
        assert_true(backlog_is_full(f->core));
        backlog_limit(f->core);
        assert_int_equal(b->close_code, 0);
        fake_client_drop(a);
        assert_int_equal(f->core->leaving_bytes, 0);
        assert_int_equal(held(f), 1000);
        assert_false(backlog_is_full(f->core));
        f->config.max_queue_bytes = 0; /* no limit */
        backlog_kept(b->session, LIMIT * 2);
        backlog_limit(f->core);
        assert_int_equal(b->close_code, 0);
        fake_free(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_shared_counts_once),       cmocka_unit_test(test_silent_sessions),
                cmocka_unit_test(test_long_silence_weighs_more), cmocka_unit_test(test_openings_wait),
                cmocka_unit_test(test_leaving_closes_nobody),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
