/* An upload that is begun again with the id of its client's own: one reservation. */
#include "unit.h"

#include <string.h>

#include "base/ident.h"
#include "upload/quota_core.h"

#define ID_A "0190f5c0-0000-7000-8000-00000000000a"
#define ID_B "0190f5c0-0000-7000-8000-00000000000b"
#define ID_C "0190f5c0-0000-7000-8000-00000000000c"
#define ID_D "0190f5c0-0000-7000-8000-00000000000d"

struct world {
        Parley__V1__UserFiles *files;
        char found[UUID_LEN + 1];
};

static int begin_of(struct world *w, const char *id, const char *client_id, uint64_t size, uint64_t now_ms)
{
        const struct quota_limits limits = {.max_bytes = 100, .max_pending = 2};

        w->found[0] = '\0';
        return quota_apply(w->files,
                           &(struct quota_change){.kind = QUOTA_RESERVE,
                                                  .id = id,
                                                  .size = size,
                                                  .client_id = client_id,
                                                  .ret_id = w->found,
                                                  .expires_at_ms = now_ms + 50},
                           &limits, now_ms);
}

static int begin(struct world *w, const char *id, const char *client_id, uint64_t now_ms)
{
        return begin_of(w, id, client_id, 60, now_ms);
}

static int setup(void **state)
{
        static struct world w;

        w.files = parley__v1__user_files__unpack(NULL, 0, (const uint8_t *)"");
        *state = &w;
        return w.files ? 0 : -1;
}

static int teardown(void **state)
{
        struct world *w = *state;

        protobuf_c_message_free_unpacked(&w->files->base, NULL);
        return 0;
}

/* Also where the quota has no room for a second one */
static void test_the_same(void **state)
{
        struct world *w = *state;

        assert_int_equal(begin(w, ID_A, "mine", 1), 0);
        for (unsigned i = 0; i < 5; i++) {
                assert_int_equal(begin(w, ID_B, "mine", 1), QUOTA_E_KNOWN);
                assert_string_equal(w->found, ID_A);
        }
        assert_int_equal(w->files->n_reservations, 1);
        assert_int_equal(begin(w, ID_B, "other", 1), QUOTA_E_BYTES);
        assert_string_equal(w->found, "");
}

/* Its plan would be made under a reservation that it has not */
static void test_another_size(void **state)
{
        struct world *w = *state;

        assert_int_equal(begin_of(w, ID_A, "mine", 1, 1), 0);
        assert_int_equal(begin_of(w, ID_B, "mine", 90, 1), QUOTA_E_OTHER);
        assert_int_equal(w->files->n_reservations, 1);
        assert_int_equal(begin_of(w, ID_B, "mine", 90, 60), 0); /* the first one's time is over */
}

/* Nor is one that is over, or has become a file, or was given up */
static void test_without_one_it_is_another(void **state)
{
        struct world *w = *state;

        assert_int_equal(begin(w, ID_A, "", 1), 0);
        assert_int_equal(begin(w, ID_B, "", 1), QUOTA_E_BYTES);
        assert_int_equal(begin(w, ID_B, NULL, 60), 0); /* the first one is over */
        assert_int_equal(begin(w, ID_C, "mine", 200), 0);
        assert_int_equal(begin(w, ID_B, "mine", 249), QUOTA_E_KNOWN);
        assert_int_equal(begin(w, ID_D, "mine", 250), 0);
        assert_int_equal(quota_apply(w->files, &(struct quota_change){.kind = QUOTA_RELEASE, .id = ID_D},
                                     &(struct quota_limits){0}, 251),
                         0);
        assert_int_equal(begin(w, ID_A, "mine", 252), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_the_same, setup, teardown),
                cmocka_unit_test_setup_teardown(test_another_size, setup, teardown),
                cmocka_unit_test_setup_teardown(test_without_one_it_is_another, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
