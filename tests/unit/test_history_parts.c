/* The small pure parts of history: arrays for Postgres, migrations, where the log goes on, settings, and others. */
#include <errno.h>

#include "base/ratetable.h"
#include "base/text.h"
#include "history/history_config.h"
#include "history/members_core.h"
#include "history/migrations.h"
#include "history/pg.h"
#include "history/pg_sqlstate.h"
#include "history/provision_core.h"
#include "history/schema_core.h"
#include "history/slug.h"
#include "history/waiters.h"
#include "unit.h"

/* --- arrays: against the bytes that PostgreSQL 15's array_send gives --- */

static void expect_bytes(struct pg_array *a, const void *bytes, size_t n)
{
        size_t got_n;
        const uint8_t *got = pg_array_finish(a, &got_n);

        assert_int_equal(got_n, n);
        assert_memory_equal(got, bytes, n);
        pg_array_done(a);
}

static void test_arrays(void **state)
{
        /* SELECT array_send(ARRAY['ab', NULL, '']::text[]), array_send(ARRAY[1, -2]::bigint[]), array_send('{}'::bytea[]) */
        static const uint8_t texts[] = {0, 0, 0, 1, 0, 0, 0, 1,   0,   0,    0,    25,   0,    0, 0, 3, 0,
                                        0, 0, 1, 0, 0, 0, 2, 'a', 'b', 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0};
        static const uint8_t numbers[] = {0, 0, 0, 1, 0, 0, 0,    0,    0,    0,    0,    20,   0,    0,   0,
                                          2, 0, 0, 0, 1, 0, 0,    0,    8,    0,    0,    0,    0,    0,   0,
                                          0, 1, 0, 0, 0, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe};
        static const uint8_t empty[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 17};
        struct pg_array a;

        (void)state;
        pg_array_init(&a, PG_TEXT, SIZE_MAX);
        pg_array_text(&a, "ab");
        pg_array_text(&a, NULL);
        pg_array_text(&a, "");
        expect_bytes(&a, texts, sizeof(texts));
        pg_array_init(&a, PG_INT8, SIZE_MAX);
        pg_array_i64(&a, 1);
        pg_array_i64(&a, -2);
        expect_bytes(&a, numbers, sizeof(numbers));
        pg_array_init(&a, PG_BYTEA, SIZE_MAX);
        expect_bytes(&a, empty, sizeof(empty));
}

static void test_array_takes_anything(void **state)
{
        /* nothing has to be quoted: what is special in a literal is a byte like any other */
        static const char odd[] = "{\"a\\,',NULL}\n";
        struct pg_array a;
        const uint8_t *p;
        size_t n;

        (void)state;
        pg_array_init(&a, PG_TEXT, SIZE_MAX);
        pg_array_text(&a, odd);
        p = pg_array_finish(&a, &n);
        assert_int_equal(n, 24 + strlen(odd));
        assert_memory_equal(p + 24, odd, strlen(odd));
        pg_array_done(&a);
}

static void test_array_limit(void **state)
{
        struct pg_array a;
        size_t n = 1;

        (void)state;
        pg_array_init(&a, PG_TEXT, 30);
        pg_array_text(&a, "ab");
        pg_array_text(&a, "does not fit");
        pg_array_text(&a, "");
        assert_int_not_equal(a.error, 0);
        assert_int_equal(a.n, 1);
        assert_null(pg_array_finish(&a, &n));
        assert_int_equal(n, 0);
        pg_array_done(&a);
}

/* --- migrations --- */

static void test_migrations(void **state)
{
        (void)state;
        assert_true(n_migrations >= 1);
        for (unsigned i = 0; i < n_migrations; i++) {
                char prefix[16];

                assert_int_equal(migrations[i].version, i + 1);
                (void)snprintf(prefix, sizeof(prefix), "%04u_", i + 1);
                assert_int_equal(strncmp(migrations[i].name, prefix, 5), 0);
                assert_int_equal(strlen(migrations[i].checksum), 64);
                assert_in_range(migrations[i].min_reader, 1, migrations[i].version);
                assert_true(strlen(migrations[i].sql) > 0);
                for (const char *p = migrations[i].sql; *p; p++)
                        assert_true((unsigned char)*p < 0x80);
                /* each runs in a transaction of its own, together with its entry in schema_migrations */
                assert_null(strstr(migrations[i].sql, "\nCOMMIT"));
        }
        /* What was released must never change: a database that has it would be refused. */
        assert_non_null(strstr(migrations[0].sql, "CREATE TABLE streams"));
}

static void test_newer_schemas(void **state)
{
        static const struct migration known[] = {{.version = 1, .name = "0001_a", .checksum = "a", .min_reader = 1},
                                                 {.version = 2, .name = "0002_b", .checksum = "b", .min_reader = 1}};
        static const struct {
                unsigned index;
                struct schema_row row;
                const char *why; /* NULL: fits */
        } cases[] = {
                {0, {.version = 1, .checksum = "a"}, NULL},
                {1, {.version = 2, .checksum = "b", .min_reader = 2}, NULL},
                {1, {.version = 2, .checksum = "x", .min_reader = 1}, "0002_b was applied in another form"},
                {1, {.version = 3, .checksum = "b", .min_reader = 1}, "0002_b was applied in another form"},
                {2, {.version = 3, .checksum = "c", .min_reader = 2}, NULL},
                {3, {.version = 4, .checksum = "d", .min_reader = 1}, NULL},
                {2, {.version = 3, .checksum = "c", .min_reader = 3}, "version 3 is for programs that know 3"},
                {2, {.version = 3, .checksum = "c"}, "this one knows 2"}, /* by a program that did not say */
        };
        char why[128];

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                int r = schema_row_fits(known, 2, cases[i].index, &cases[i].row, why, sizeof(why));

                assert_int_equal(r, cases[i].why ? -ENOTSUP : 0);
                if (cases[i].why)
                        assert_non_null(strstr(why, cases[i].why));
        }
}

/* --- where the log goes on --- */

static void test_provision(void **state)
{
        struct log_cursor none = {0}, at100 = {.exists = true, .epoch = 7, .last_seq = 100}, next = {0};
        struct log_state fresh = {.exists = true, .epoch = 9, .first_seq = 1, .last_seq = 0};
        struct log_state same = {.exists = true, .epoch = 7, .first_seq = 50, .last_seq = 120};
        struct log_state above = {
                .exists = true, .epoch = 9, .first_seq = 100 + PROVISION_JUMP, .last_seq = 99 + PROVISION_JUMP};
        struct log_state behind = {.exists = true, .epoch = 7, .first_seq = 1, .last_seq = 90};
        struct log_state recreated = {.exists = true, .epoch = 9, .first_seq = 1, .last_seq = 500};
        struct log_state just_above = {.exists = true, .epoch = 9, .first_seq = 101, .last_seq = 500};

        (void)state;
        assert_int_equal(provision_first_seq(&none), 1);
        assert_true(provision_first_seq(&at100) == 100 + PROVISION_JUMP);
        assert_int_equal(provision_resume(&none, &fresh, &next), PROVISION_BEGIN);
        assert_true(next.exists && next.epoch == 9 && next.last_seq == 0);
        assert_int_equal(provision_resume(&none, &same, &next), PROVISION_BEGIN); /* an emptied database */
        assert_int_equal(next.last_seq, 49);
        assert_int_equal(provision_resume(&at100, &same, &next), PROVISION_CONTINUE);
        assert_true(next.epoch == 7 && next.last_seq == 100);
        assert_int_equal(provision_resume(&at100, &above, &next), PROVISION_NEW_EPOCH);
        assert_true(next.epoch == 9 && next.last_seq == 99 + PROVISION_JUMP);
        assert_int_equal(provision_resume(&at100, &just_above, &next), PROVISION_NEW_EPOCH);
        assert_int_equal(next.last_seq, 100);
        next.last_seq = 1234;
        assert_int_equal(provision_resume(&at100, &behind, &next), PROVISION_LOST_END);
        assert_int_equal(provision_resume(&at100, &recreated, &next), PROVISION_REPEATS);
        assert_int_equal(next.last_seq, 1234);
}

/* --- errors of the server --- */

static void test_sqlstate(void **state)
{
        (void)state;
        assert_int_equal(pg_classify("23505"), PG_E_DATA);
        assert_int_equal(pg_classify("22021"), PG_E_DATA);
        assert_int_equal(pg_classify("54000"), PG_E_DATA);
        assert_int_equal(pg_classify("PH004"), PG_E_DATA);
        assert_int_equal(pg_classify("40P01"), PG_E_RETRY);
        assert_int_equal(pg_classify("40001"), PG_E_RETRY);
        assert_int_equal(pg_classify("57014"), PG_E_RETRY);
        /* a mistake of ours, or a server in trouble, is no reason to throw events away */
        assert_int_equal(pg_classify("42P01"), PG_E_SERVER);
        assert_int_equal(pg_classify("53100"), PG_E_SERVER);
        assert_int_equal(pg_classify("57P01"), PG_E_SERVER);
        assert_int_equal(pg_classify(""), PG_E_SERVER);
}

/* --- waiting for the outbox --- */

static unsigned n_done;
static void on_done(struct waiter *w, uint64_t seq, bool confirmed)
{
        (void)w;
        assert_int_equal(seq, 42);
        assert_true(confirmed);
        n_done++;
}

static void test_waiters(void **state)
{
        struct waiters ws = {0};
        struct waiter a = {.event_id = "00000000-0000-4000-8000-000000000001", .done = on_done};
        struct waiter b = {.event_id = "00000000-0000-4000-8000-000000000002", .done = on_done};
        char text[WAITERS_TEXT_MAX], id[UUID_LEN + 1];
        uint64_t seq;
        bool confirmed;

        (void)state;
        waiters_add(&ws, &a);
        waiters_add(&ws, &b);
        assert_true(waiters_done(&ws, a.event_id, 42, true));
        assert_false(waiters_done(&ws, a.event_id, 42, true));
        waiters_remove(&ws, &a);
        waiters_remove(&ws, &b);
        assert_false(waiters_done(&ws, b.event_id, 42, true));
        assert_int_equal(n_done, 1);
        waiters_format(text, a.event_id, 18446744073709, false);
        assert_int_equal(waiters_parse(text, id, &seq, &confirmed), 0);
        assert_string_equal(id, a.event_id);
        assert_true(seq == 18446744073709 && !confirmed);
        for (size_t n = 0; n < strlen(text); n++) {
                char cut[WAITERS_TEXT_MAX];

                memcpy(cut, text, n);
                cut[n] = 0;
                assert_true(waiters_parse(cut, id, &seq, &confirmed) < 0);
        }
        assert_true(waiters_parse("00000000-0000-4000-8000-000000000001 x 1", id, &seq, &confirmed) < 0);
        assert_true(waiters_parse("00000000-0000-4000-8000-000000000001 1 2", id, &seq, &confirmed) < 0);
        assert_true(waiters_parse("00000000-0000-4000-8000-000000000001  1", id, &seq, &confirmed) < 0);
}

/* --- names of the demo sign-in --- */

static void expect_slug(const char *name, const char *slug)
{
        static const uint8_t random[5] = {0, 0, 0, 0, 31};
        char id[IDENT_MAX + 1];

        slug_user_id(name, random, id);
        assert_true(ident_valid(id));
        assert_string_equal(id, slug);
}

static void test_slug(void **state)
{
        (void)state;
        expect_slug("Ada", "ada-0000000z");
        expect_slug("Ada Lovelace", "ada-lovelace-0000000z");
        expect_slug("  --x!!y  ", "x-y-0000000z");
        expect_slug("Ünï", "n-0000000z");
        expect_slug("日本語", "user-0000000z");
        expect_slug("u_0123", "u-0123-0000000z");
        expect_slug("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-0000000z");
}

/* --- rates --- */

static void test_ratetable(void **state)
{
        struct ratetable *t;

        (void)state;
        assert_int_equal(ratetable_new(&t, 1, 2, 2), 0);
        assert_int_equal(ratetable_take(t, "a", 0, 1), 0);
        assert_int_equal(ratetable_take(t, "a", 0, 1), 0);
        assert_true(ratetable_take(t, "a", 0, 1) > 0);
        assert_int_equal(ratetable_take(t, "d", 0, 9), 0); /* dearer than the burst: all of it */
        assert_true(ratetable_take(t, "d", 0, 1) > 0);
        assert_int_equal(ratetable_take(t, "b", 0, 1), 0); /* others are not held up */
        assert_int_equal(ratetable_take(t, "a", 5000, 1), 0);
        /* the table is full: b, which was used longest ago, is forgotten */
        assert_int_equal(ratetable_take(t, "c", 5000, 1), 0);
        assert_int_equal(ratetable_take(t, "a", 5000, 1), 0);
        assert_true(ratetable_take(t, "a", 5000, 1) > 0);
        ratetable_free(t);
        assert_int_equal(ratetable_new(&t, 0, 1, 2), 0);
        for (unsigned i = 0; i < 100; i++)
                assert_int_equal(ratetable_take(t, "a", 0, 1), 0);
        ratetable_free(t);
}

/* --- settings --- */

static const char *only_pg(const char *name, void *userdata)
{
        const char *const *pair = userdata;

        if (pair && strcmp(name, pair[0]) == 0)
                return pair[1];
        return strcmp(name, "PARLEY_PG_URL") == 0 ? "dbname=x" : NULL;
}

static void test_config(void **state)
{
        const char *keep[] = {"PARLEY_LOG_KEEP_S", "3"}, *wrong[] = {"PARLEY_PG_POOL", "0"};
        struct history_config c = {0};
        char error[256] = "";

        (void)state;
        assert_int_equal(
                config_load(history_config_items, n_history_config_items, &c, only_pg, NULL, error, sizeof(error)), 0);
        assert_true(history_config_keep_ns(&c) == INT64_C(168) * 3600 * 1000000000);
        assert_int_equal(c.ingest_batch, 500);
        config_done(history_config_items, n_history_config_items, &c);
        assert_int_equal(config_load(history_config_items, n_history_config_items, &c, only_pg, (void *)keep, error,
                                     sizeof(error)),
                         0);
        assert_true(history_config_keep_ns(&c) == INT64_C(3000000000));
        config_done(history_config_items, n_history_config_items, &c);
        assert_true(config_load(history_config_items, n_history_config_items, &c, only_pg, (void *)wrong, error,
                                sizeof(error)) < 0);
        assert_non_null(strstr(error, "PARLEY_PG_POOL"));
        assert_int_equal(
                config_load(history_config_items, n_history_config_items, &c, only_pg, NULL, error, sizeof(error)), 0);
        assert_int_equal(history_config_check(&c, error, sizeof(error)), 0);
        c.max_content_bytes = c.max_event_bytes;
        assert_true(history_config_check(&c, error, sizeof(error)) < 0);
        assert_non_null(strstr(error, "PARLEY_MAX_CONTENT_BYTES=262144"));
        config_done(history_config_items, n_history_config_items, &c);
        for (size_t i = 0; i < n_history_config_items; i++)
                for (size_t k = 0; k < i; k++)
                        assert_string_not_equal(history_config_items[i].name, history_config_items[k].name);
}

/* --- an entry of MEMBERS after a leaving: an older value never replaces a newer one --- */

static void test_members_left(void **state)
{
        Parley__V1__Membership old = PARLEY__V1__MEMBERSHIP__INIT, left;

        (void)state;
        assert_true(members_left(NULL, 2, 0, &left));
        assert_true(left.role == PARLEY__V1__ROLE__none && left.version == 2 && left.left_seq == 0);
        old.role = PARLEY__V1__ROLE__member;
        old.version = 1;
        old.since_seq = 10;
        old.had_absence = true;
        assert_true(members_left(&old, 2, 0, &left));
        assert_true(left.role == PARLEY__V1__ROLE__none && left.since_seq == 0 && left.had_absence);
        /* said before it was published, and again with its sequence; then nothing more is known of it */
        assert_false(members_left(&left, 2, 0, &old));
        assert_true(members_left(&left, 2, 20, &old));
        assert_true(old.left_seq == 20);
        assert_false(members_left(&old, 2, 20, &left));
        assert_false(members_left(&old, 2, 0, &left));
        /* added again meanwhile */
        old.role = PARLEY__V1__ROLE__member;
        old.version = 3;
        assert_false(members_left(&old, 2, 20, &left));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_arrays),        cmocka_unit_test(test_array_takes_anything),
                cmocka_unit_test(test_array_limit),   cmocka_unit_test(test_migrations),
                cmocka_unit_test(test_newer_schemas), cmocka_unit_test(test_provision),
                cmocka_unit_test(test_sqlstate),      cmocka_unit_test(test_members_left),
                cmocka_unit_test(test_waiters),       cmocka_unit_test(test_slug),
                cmocka_unit_test(test_ratetable),     cmocka_unit_test(test_config),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
