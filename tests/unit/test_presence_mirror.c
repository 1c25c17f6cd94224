/* When the buckets are known: from the first time that all of them were read, and, after a break, once all of them were given again. */
#include <stdio.h>

#include "bus/bus.h"
#include "bus/subjects.h"
#include "presence/mirror.h"
#include "presence_world.h"

enum { MEMBERS, CHANNELS, PRESENCE, N };

static struct {
        struct bus_reader_options readers[N];
        unsigned n, n_before, n_next;
} t;

/* --- in place of the bus --- */

int bus_reader_new(struct bus_reader **ret_reader, struct bus *bus, const struct bus_reader_options *options)
{
        (void)bus;
        assert_in_range(t.n, 0, N - 1);
        t.readers[t.n++] = *options;
        *ret_reader = (struct bus_reader *)&t; /* only handed back */
        return 0;
}

void bus_reader_next(struct bus_reader *reader)
{
        (void)reader;
        t.n_next++;
}

void bus_reader_free(struct bus_reader *reader)
{
        (void)reader;
}

/* --- what it gives --- */

static void on_before(void *userdata)
{
        (void)userdata;
        t.n_before++;
}

static void give(unsigned which, const char *key, uint64_t seq, uint64_t pending)
{
        static const char *const prefixes[] = {
                "$KV." BUCKET_MEMBERS ".", "$KV." BUCKET_CHANNELS "." KEY_EVERYONE_PREFIX, "$KV." BUCKET_PRESENCE "."};
        char subject[200];
        struct bus_msg msg = {.subject = subject, .data = (const uint8_t *)"", .seq = seq, .pending = pending};

        (void)snprintf(subject, sizeof(subject), "%s%s", prefixes[which], key);
        t.readers[which].handler(&msg, t.readers[which].userdata);
}

static void end_batch(unsigned which, int error, unsigned n)
{
        t.readers[which].batch_end(error, n, t.readers[which].userdata);
}

static struct mirror *begin(struct world *w)
{
        struct mirror *m = NULL;

        memset(&t, 0, sizeof(t));
        assert_int_equal(mirror_new(&m, NULL, w->roster, on_before, NULL), 0);
        assert_int_equal(t.n, N);
        return m;
}

/* All that is there, in three buckets */
static void give_all(struct mirror *m)
{
        give(MEMBERS, "ada", 7, 1);
        give(MEMBERS, "bob", 9, 0);
        give(CHANNELS, "general", 3, 0);
        assert_false(mirror_complete(m));
        give(PRESENCE, "ada", 5, 0);
}

static void test_read_once(void **state)
{
        struct mirror *m = begin(*state);

        give_all(m);
        assert_true(mirror_complete(m));
        assert_int_equal(t.n_before, 4);
        give(MEMBERS, "carla", 10, 3); /* much is new, and it follows */
        assert_true(mirror_complete(m));
        mirror_free(m);
}

static void test_empty_buckets(void **state)
{
        struct mirror *m = begin(*state);

        for (unsigned i = 0; i < N; i++) {
                end_batch(i, BUS_E_DISCONNECTED, 0);
                assert_false(mirror_complete(m));
        }
        for (unsigned i = 0; i < N; i++)
                end_batch(i, 0, 0);
        assert_true(mirror_complete(m));
        assert_int_equal(t.n_next, 2 * N);
        mirror_free(m);
}

/* The connection was gone: an instance that speaks before it has read all again would show whom has been removed meanwhile */
static void test_connection_lost(void **state)
{
        struct mirror *m = begin(*state);

        give_all(m);
        mirror_broken(m);
        assert_false(mirror_complete(m));
        for (unsigned i = 0; i < N; i++)
                end_batch(i, BUS_E_DISCONNECTED, 0);
        assert_false(mirror_complete(m));
        give_all(m);
        assert_true(mirror_complete(m));
        mirror_free(m);
}

/* A consumer was lost, the connection was not: what was there before comes again */
static void test_given_again(void **state)
{
        struct mirror *m = begin(*state);

        give_all(m);
        give(MEMBERS, "ada", 7, 2);
        assert_false(mirror_complete(m));
        give(MEMBERS, "bob", 9, 1);
        assert_false(mirror_complete(m));
        give(MEMBERS, "carla", 11, 0);
        assert_true(mirror_complete(m));
        give(PRESENCE, "ada", 5, 0); /* the only one there is */
        assert_true(mirror_complete(m));
        mirror_free(m);
}

/* The bucket was lost and made anew: what it has of somebody is taken, below the revision that he had */
static void test_made_anew(void **state)
{
        struct world *w = *state;
        struct mirror *m = begin(w);

        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        give_all(m);
        give(PRESENCE, "ada", 50, 0);
        assert_int_equal(roster_revision(w->roster, "ada"), 50);
        mirror_broken(m);
        give(PRESENCE, "ada", 2, 0);
        assert_int_equal(roster_revision(w->roster, "ada"), 2);
        mirror_free(m);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_read_once, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_empty_buckets, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_connection_lost, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_given_again, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_made_anew, world_setup, world_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
