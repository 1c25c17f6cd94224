/* What a comparison of objects, records and messages has seen, and what it reports. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "upload/reconcile_core.h"

#define ID_A "0190f5c0-0000-7000-8000-00000000000a"
#define ID_B "0190f5c0-0000-7000-8000-00000000000b"
#define ID_C "0190f5c0-0000-7000-8000-00000000000c"

static void test_names(void **state)
{
        static const char *const wrong[] = {"",
                                            "0-",
                                            "1-" ID_A,
                                            ID_A "x",
                                            "0-0-" ID_A,
                                            "0190F5C0-0000-7000-8000-00000000000A",
                                            "0-" ID_A ".1",
                                            "0190f5c0-0000-7000-8000-00000000000"};
        char id[UUID_LEN + 1];
        unsigned flag;

        (void)state;
        assert_true(findings_object_name(ID_A, id, &flag));
        assert_string_equal(id, ID_A);
        assert_int_equal(flag, SEEN_OBJECT);
        assert_true(findings_object_name("0-" ID_B, id, &flag));
        assert_string_equal(id, ID_B);
        assert_int_equal(flag, SEEN_THUMBNAIL);
        for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
                assert_false(findings_object_name(wrong[i], id, &flag));
}

static void test_files_are_found(void **state)
{
        struct findings *f = findings_new();
        char id[UUID_LEN + 1];

        (void)state;
        assert_false(findings_see(f, ID_A, SEEN_OBJECT));
        assert_int_equal(findings_add_file(f, ID_C, OLD, "ann", 1, true), 0);
        assert_int_equal(findings_add_file(f, ID_A, OLD | HAS_THUMBNAIL, "ann", 2, true), 0);
        assert_int_equal(findings_add_file(f, "no id", OLD, "ann", 2, true), -EINVAL);
        findings_sort(f);
        assert_true(findings_see(f, ID_A, SEEN_OBJECT));
        assert_true(findings_see(f, ID_A, SEEN_MESSAGE));
        assert_false(findings_see(f, ID_B, SEEN_OBJECT));
        assert_int_equal(findings_flags(f, ID_A), OLD | HAS_THUMBNAIL | SEEN_OBJECT | SEEN_MESSAGE);
        assert_int_equal(findings_flags(f, ID_B), 0);
        assert_int_equal(findings_files(f), 2);
        assert_int_equal(findings_file(f, 1, id), OLD);
        assert_string_equal(id, ID_C);
        findings_free(f);
}

/* What a user has is what his files come to, but where something is under way */
static void test_quotas(void **state)
{
        struct findings *f = findings_new();
        Parley__V1__UserFiles value = PARLEY__V1__USER_FILES__INIT;
        uint64_t bytes, files;

        (void)state;
        assert_int_equal(findings_add_file(f, ID_A, OLD, "ann", 10, true), 0);
        assert_int_equal(findings_add_file(f, ID_B, OLD, "ann", 5, true), 0);
        assert_int_equal(findings_add_file(f, ID_C, 0, "bob", 7, false), 0);
        findings_sort(f);
        value.bytes = 15;
        value.files = 2;
        assert_true(findings_user_right(f, "ann", &value, &bytes, &files));
        value.bytes = 14;
        assert_false(findings_user_right(f, "ann", &value, &bytes, &files));
        assert_true(bytes == 15 && files == 2);
        value.n_reservations = 1;
        assert_true(findings_user_right(f, "ann", &value, &bytes, &files));
        value.n_reservations = 0;
        assert_true(findings_user_right(f, "bob", &value, &bytes, &files));
        assert_false(findings_user_right(f, "eve", &value, &bytes, &files));
        assert_true(bytes == 0 && files == 0);
        findings_free(f);
}

static void check_report(Parley__V1__Reconciliation *r, void *userdata)
{
        (void)userdata;
        assert_int_equal(r->n_findings, _FINDING_N);
        for (size_t i = 0; i < r->n_findings; i++) {
                bool quota = strcmp(r->findings[i]->what, "quota_differs") == 0;

                assert_int_equal(r->findings[i]->count, quota ? FINDINGS_IDS_MAX + 5 : 0);
                assert_int_equal(r->findings[i]->n_ids, quota ? FINDINGS_IDS_MAX : 0);
                assert_int_equal(r->findings[i]->mended, quota ? 1 : 0);
                if (quota)
                        assert_string_equal(r->findings[i]->ids[1], "user-1");
        }
}

static void test_the_report_names_some(void **state)
{
        struct findings *f = findings_new();
        char name[32];

        (void)state;
        for (unsigned i = 0; i < FINDINGS_IDS_MAX + 5; i++) {
                (void)snprintf(name, sizeof(name), "user-%u", i);
                findings_note(f, FINDING_QUOTA_DIFFERS, name);
        }
        findings_mended(f, FINDING_QUOTA_DIFFERS);
        assert_int_equal(findings_count(f, FINDING_QUOTA_DIFFERS), FINDINGS_IDS_MAX + 5);
        findings_report(f, check_report, NULL);
        findings_free(f);
}

static void test_so_many_and_no_more(void **state)
{
        struct findings *f = findings_new();
        char id[UUID_LEN + 1];
        int r = 0;

        (void)state;
        for (unsigned i = 0; r == 0 && i <= FINDINGS_FILES_MAX; i++) {
                (void)snprintf(id, sizeof(id), "0190f5c0-0000-7000-8000-%012x", i);
                r = findings_add_file(f, id, 0, "ann", 1, true);
        }
        assert_int_equal(r, E2BIG);
        assert_int_equal(findings_files(f), FINDINGS_FILES_MAX);
        /* what was deleted takes nobody's place, and is bounded by itself */
        for (unsigned i = 0; i <= FINDINGS_DELETED_MAX; i++) {
                (void)snprintf(id, sizeof(id), "0190f5c0-0000-7000-8001-%012x", i);
                assert_int_equal(findings_add_file(f, id, DELETED, "ann", 1, true), 0);
        }
        assert_int_equal(findings_files(f), FINDINGS_FILES_MAX + FINDINGS_DELETED_MAX);
        assert_int_equal(findings_add_file(f, ID_A, OLD, "ann", 1, true), E2BIG);
        findings_free(f);
}

/* n users with a file each that stays, and n_due files of the first n_owners of them that are due */
static struct findings *findings_of(unsigned n_users, unsigned n_due, unsigned n_owners)
{
        struct findings *f = findings_new();
        char id[UUID_LEN + 1], user[16];

        for (unsigned i = 0; i < n_users + n_due; i++) {
                (void)snprintf(id, sizeof(id), "00000000-0000-7000-8000-%012x", i);
                (void)snprintf(user, sizeof(user), "u%u", i < n_users ? i : i % n_owners);
                assert_int_equal(findings_add_file(f, id, OLD, user, 1, true), 0);
        }
        findings_sort(f);
        for (unsigned i = n_users; i < n_users + n_due; i++)
                findings_due(f, i);
        return f;
}

static void test_what_goes(void **state)
{
        const unsigned unsent = OLD | UNSENDABLE | UNSENT_LONG;
        struct findings *f = findings_of(100, 50, 1);

        (void)state;
        assert_true(findings_goes(f, unsent, false));
        assert_false(findings_goes(f, unsent | SEEN_MESSAGE, false));
        assert_false(findings_goes(f, unsent | SEEN_MESSAGE, true));
        assert_false(findings_goes(f, OLD | UNSENDABLE, true));
        assert_true(findings_goes(f, DELETED | UNSENDABLE, false));
        assert_false(findings_goes(f, DELETED, true));
        assert_false(findings_goes(f, DELETED | UNSENDABLE | SEEN_MESSAGE, true));
        /* a message carried it: that was lost */
        assert_false(findings_goes(f, unsent | SENT, false));
        assert_true(findings_goes(f, unsent | SENT, true));
        assert_false(findings_goes(f, unsent | SENT | SEEN_MESSAGE, true));
        findings_free(f);
}

/* What is lost is lost for many: as many files of a few users as one likes are drafts */
static void test_one_user_keeps_nothing_from_going(void **state)
{
        static const struct {
                unsigned n_users, n_due, n_owners;
                bool goes;
        } cases[] = {
                {1, 5000, 1, true},    {2, 5000, 1, true},    {100, 5000, 1, true},   {100, 5000, 10, true},
                {100, 101, 11, false}, {100, 100, 11, true},  {100, 5000, 11, false}, {2, 101, 2, false},
                {5, 5000, 5, false},   {30, 5000, 30, false},
        };

        (void)state;
        for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
                struct findings *f = findings_of(cases[i].n_users, cases[i].n_due, cases[i].n_owners);

                assert_int_equal(findings_goes(f, OLD | UNSENDABLE | UNSENT_LONG, false), cases[i].goes);
                assert_true(findings_goes(f, OLD | UNSENDABLE | UNSENT_LONG, true));
                assert_true(findings_goes(f, DELETED | UNSENDABLE, false));
                findings_free(f);
        }
}

static void test_deleted_files_count_for_nobody(void **state)
{
        Parley__V1__UserFiles value = PARLEY__V1__USER_FILES__INIT;
        struct findings *f = findings_new();
        uint64_t bytes, files;

        (void)state;
        assert_int_equal(findings_add_file(f, ID_A, OLD, "ann", 10, true), 0);
        assert_int_equal(findings_add_file(f, ID_B, DELETED, "ann", 5, true), 0);
        findings_sort(f);
        assert_true(findings_see(f, ID_B, SEEN_MESSAGE));
        value.bytes = 10;
        value.files = 1;
        assert_true(findings_user_right(f, "ann", &value, &bytes, &files));
        findings_free(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_goes),
                cmocka_unit_test(test_one_user_keeps_nothing_from_going),
                cmocka_unit_test(test_deleted_files_count_for_nobody),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_files_are_found),
                cmocka_unit_test(test_quotas),
                cmocka_unit_test(test_the_report_names_some),
                cmocka_unit_test(test_so_many_and_no_more),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
