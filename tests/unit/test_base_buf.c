#include "unit.h"

#include <errno.h>

#include "base/buf.h"

static void test_append(void **state)
{
        struct buf b = BUF_INIT(1000);

        (void)state;
        assert_null(b.data);
        assert_int_equal(buf_append(&b, "", 0), 0);
        assert_int_equal(buf_append(&b, NULL, 0), 0);
        assert_int_equal(b.len, 0);
        assert_int_equal(buf_append_str(&b, "hello "), 0);
        assert_int_equal(buf_append(&b, "world", 5), 0);
        assert_int_equal(b.len, 11);
        assert_memory_equal(b.data, "hello world", 11);
        buf_done(&b);
        assert_null(b.data);
        assert_int_equal(b.len, 0);
        buf_done(&b);
        buf_done(NULL);
}

/* Exactly the maximum fits, one byte more does not, and a refusal changes nothing */
static void test_limit(void **state)
{
        char text[101];
        struct buf b;

        (void)state;
        memset(text, 'x', sizeof(text));
        buf_init(&b, 100);
        assert_int_equal(buf_append(&b, text, 101), BUF_E_FULL);
        assert_null(b.data);
        assert_int_equal(buf_append(&b, text, 60), 0);
        assert_int_equal(buf_append(&b, text, 41), BUF_E_FULL);
        assert_int_equal(b.len, 60);
        assert_int_equal(buf_append(&b, text, 40), 0);
        assert_int_equal(b.len, 100);
        assert_true(b.cap <= 100);
        assert_int_equal(buf_append(&b, text, 1), BUF_E_FULL);
        assert_int_equal(buf_reserve(&b, SIZE_MAX), BUF_E_FULL);
        assert_int_equal(buf_reserve(&b, 0), 0);
        assert_int_equal(b.len, 100);
        buf_done(&b);
}

static void test_limit_zero(void **state)
{
        struct buf b = BUF_INIT(0);

        (void)state;
        assert_int_equal(buf_append(&b, "", 0), 0);
        assert_int_equal(buf_append(&b, "x", 1), BUF_E_FULL);
        assert_null(b.data);
}

/* A reservation that the maximum allows and memory does not */
static void test_no_memory(void **state)
{
        struct buf b = BUF_INIT(SIZE_MAX);

        (void)state;
        if (UNIT_SANITIZED)
                skip(); /* sanitizers end the process on such an allocation */
        assert_int_equal(buf_append_str(&b, "kept"), 0);
        assert_int_equal(buf_reserve(&b, PTRDIFF_MAX), -ENOMEM);
        assert_int_equal(b.len, 4);
        assert_memory_equal(b.data, "kept", 4);
        buf_done(&b);
}

static void test_consume(void **state)
{
        struct buf b = BUF_INIT(100);

        (void)state;
        buf_consume(&b, 0);
        buf_consume(&b, 10);
        assert_int_equal(buf_append_str(&b, "abcdef"), 0);
        buf_consume(&b, 0);
        assert_int_equal(b.len, 6);
        buf_consume(&b, 2);
        assert_int_equal(b.len, 4);
        assert_memory_equal(b.data, "cdef", 4);
        buf_consume(&b, 4);
        assert_int_equal(b.len, 0);
        assert_int_equal(buf_append_str(&b, "gh"), 0);
        buf_consume(&b, 100);
        assert_int_equal(b.len, 0);
        buf_done(&b);
}

static void test_reset(void **state)
{
        struct buf b = BUF_INIT(10000);

        (void)state;
        assert_int_equal(buf_reserve(&b, 5000), 0);
        buf_reset(&b, b.cap);
        assert_non_null(b.data);
        buf_reset(&b, b.cap - 1);
        assert_null(b.data);
        assert_int_equal(b.cap, 0);
        assert_int_equal(b.max, 10000);
        assert_int_equal(buf_append_str(&b, "again"), 0);
        buf_done(&b);
}

/* Random operations against a plain array */
static void test_model(void **state)
{
        static uint8_t model[4096];
        uint64_t seed = 1;
        struct buf b = BUF_INIT(sizeof(model));
        size_t n_model = 0;

        (void)state;
        for (unsigned i = 0; i < 20000; i++) {
                uint8_t bytes[300];
                size_t n = unit_random(&seed) % sizeof(bytes);

                if (unit_random(&seed) % 8 == 0) {
                        n = n < n_model ? n : n_model;
                        buf_consume(&b, n);
                        memmove(model, model + n, n_model - n);
                        n_model -= n;
                } else {
                        for (size_t k = 0; k < n; k++)
                                bytes[k] = (uint8_t)unit_random(&seed);
                        if (n_model + n > sizeof(model)) {
                                assert_int_equal(buf_append(&b, bytes, n), BUF_E_FULL);
                                buf_reset(&b, unit_random(&seed) % sizeof(model));
                                n_model = 0;
                        } else {
                                assert_int_equal(buf_append(&b, bytes, n), 0);
                                memcpy(model + n_model, bytes, n);
                                n_model += n;
                        }
                }
                assert_int_equal(b.len, n_model);
                if (n_model > 0)
                        assert_memory_equal(b.data, model, n_model);
                assert_true(b.cap <= b.max);
        }
        buf_done(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_append),    cmocka_unit_test(test_limit),   cmocka_unit_test(test_limit_zero),
                cmocka_unit_test(test_no_memory), cmocka_unit_test(test_consume), cmocka_unit_test(test_reset),
                cmocka_unit_test(test_model),
        };
        return cmocka_run_group_tests_name("base/buf", tests, NULL, NULL);
}
