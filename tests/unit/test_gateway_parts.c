/* Small parts: handles, gates, addresses. */
#include "gateway_fake.h"

#include "gateway/address.h"
#include "gateway/gate.h"
#include "gateway/handle.h"
#include "gateway/shard.h"

static void test_handles(void **state)
{
        struct handle_table t = {0};
        uint64_t h[1000], again;
        int objects[1000];

        (void)state;
        for (unsigned i = 0; i < 1000; i++) {
                assert_int_equal(handle_put(&t, &objects[i], &h[i]), 0);
                assert_true(h[i] != 0);
        }
        for (unsigned i = 0; i < 1000; i += 2)
                handle_remove(&t, h[i]);
        for (unsigned i = 0; i < 1000; i++)
                assert_ptr_equal(handle_get(&t, h[i]), i % 2 ? &objects[i] : NULL);
        assert_int_equal(handle_put(&t, &objects[0], &again), 0);
        assert_ptr_equal(handle_get(&t, again), &objects[0]);
        for (unsigned i = 0; i < 1000; i += 2)
                assert_null(handle_get(&t, h[i])); /* a place that is used again has another number */
        assert_null(handle_get(&t, 0));
        assert_null(handle_get(&t, UINT64_MAX));
        handle_remove(&t, h[0]);
        assert_int_equal(t.n, 1000);
        handle_table_done(&t);
}

struct guest {
        struct gate_item item;
        struct gate *gate;
        bool in, fails;
};

static unsigned inside;

static void guest_start(struct gate_item *item)
{
        struct guest *g = (struct guest *)item;

        g->in = true;
        inside++;
        if (g->fails) {
                inside--;
                gate_leave(g->gate);
        }
}

static void test_gate(void **state)
{
        struct gate gate;
        static struct guest guests[100000];

        (void)state;
        inside = 0;
        gate_init(&gate, 3);
        for (unsigned i = 0; i < 10; i++) {
                guests[i] = (struct guest){.gate = &gate};
                gate_enter(&gate, &guests[i].item, guest_start);
        }
        assert_int_equal(inside, 3);
        assert_true(gate_cancel(&guests[5].item));
        assert_false(gate_cancel(&guests[5].item));
        assert_false(gate_cancel(&guests[0].item)); /* is inside */
        for (unsigned i = 0; i < 9; i++) {
                assert_in_range(inside, 1, 3);
                inside--;
                gate_leave(&gate);
        }
        assert_int_equal(inside, 0);
        assert_false(guests[5].in);
        assert_true(guests[9].in);
        /* each fails at once: no recursion as deep as the queue is long */
        gate.running = 3;
        for (unsigned i = 0; i < 100000; i++) {
                guests[i] = (struct guest){.gate = &gate, .fails = true};
                gate_enter(&gate, &guests[i].item, guest_start);
        }
        gate_leave(&gate);
        for (unsigned i = 0; i < 100000; i++)
                assert_true(guests[i].in);
}

static void test_addresses(void **state)
{
        struct fake *f = fake_new();
        struct address *a[5], *other;
        uint32_t retry_ms;

        (void)state;
        f->config.max_connections_per_address = 3;
        fake_start(f);
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(address_enter(f->core, "192.0.2.1", &a[i], &retry_ms), PARLEY_OK);
        assert_int_equal(address_enter(f->core, "192.0.2.1", &a[3], &retry_ms), PARLEY_RATE_LIMITED);
        assert_int_equal(address_enter(f->core, "192.0.2.2", &other, &retry_ms), PARLEY_OK);
        address_leave(f->core, a[0]);
        assert_int_equal(address_enter(f->core, "192.0.2.1", &a[0], &retry_ms), PARLEY_OK);
        for (unsigned i = 0; i < 3; i++)
                address_leave(f->core, a[i]);
        address_leave(f->core, NULL);
        fake_advance(f, 61000);
        assert_int_equal(HASH_COUNT(f->core->addresses), 1); /* forgotten when nobody came for a while */
        address_leave(f->core, other);
        f->config.rate_limits = true;
        f->config.rate_connections_per_address = 1;
        f->config.burst_connections_per_address = 2;
        assert_int_equal(address_enter(f->core, "192.0.2.9", &a[0], &retry_ms), PARLEY_OK);
        assert_int_equal(address_enter(f->core, "192.0.2.9", &a[1], &retry_ms), PARLEY_OK);
        assert_int_equal(address_enter(f->core, "192.0.2.9", &a[2], &retry_ms), PARLEY_RATE_LIMITED);
        assert_in_range(retry_ms, 1, 1000);
        fake_free(f);
}

/* Why the log of a shard cannot be seen is kept for /readyz, until it can. */
static void test_trouble_of_a_shard(void **state)
{
        struct fake *f = fake_new();
        struct shard *shard;

        (void)state;
        fake_start(f);
        shard = &f->core->shards[0];
        assert_string_equal(shard->trouble, "");
        shard_refresh(shard);
        fake_fail_tasks(f, BUS_E_TIMEOUT);
        assert_string_not_equal(shard->trouble, "");
        fake_advance(f, 10000);
        assert_string_equal(shard->trouble, "");
        fake_free(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_handles),
                cmocka_unit_test(test_gate),
                cmocka_unit_test(test_addresses),
                cmocka_unit_test(test_trouble_of_a_shard),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
