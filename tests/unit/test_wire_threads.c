/* Types are met for the first time by several threads at once: each gets a whole plan, and all the same result (tsan looks, too). */
#include <pthread.h>

#include "kinds.pb-c.h"
#include "unit.h"
#include "wire/plan.h"
#include "wire/wire.h"
#include "wire_random.h"

#define N_THREADS 4

static pthread_barrier_t barrier;

struct worker {
        struct buf json;
        struct wire_plan *plans[32];
};

static void *work(void *arg)
{
        struct worker *w = arg;

        pthread_barrier_wait(&barrier);
        for (size_t t = 0; t < wire_n_all_types; t++) {
                uint64_t seed = t;
                ProtobufCMessage *message = wire_random_message(wire_all_types[t], 4, &seed);

                if (wire_json_encode(message, &w->json) != 0 || wire_plan_get(wire_all_types[t], &w->plans[t]) != 0)
                        abort();
                protobuf_c_message_free_unpacked(message, NULL);
        }
        return NULL;
}

static void test_first_use(void **state)
{
        struct worker workers[N_THREADS];
        pthread_t threads[N_THREADS];

        (void)state;
        assert_int_equal(pthread_barrier_init(&barrier, NULL, N_THREADS), 0);
        for (unsigned i = 0; i < N_THREADS; i++) {
                workers[i] = (struct worker){.json = BUF_INIT(1 << 24)};
                assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
        }
        for (unsigned i = 0; i < N_THREADS; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        for (unsigned i = 1; i < N_THREADS; i++) {
                assert_int_equal(workers[i].json.len, workers[0].json.len);
                assert_memory_equal(workers[i].json.data, workers[0].json.data, workers[0].json.len);
                assert_memory_equal(workers[i].plans, workers[0].plans, wire_n_all_types * sizeof(workers[0].plans[0]));
        }
        for (unsigned i = 0; i < N_THREADS; i++)
                buf_done(&workers[i].json);
        pthread_barrier_destroy(&barrier);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_first_use)};

        return cmocka_run_group_tests_name("wire/threads", tests, NULL, NULL);
}
