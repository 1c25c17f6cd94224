#include "base/codes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_known(void **state)
{
        (void)state;
        assert_string_equal(parley_code_text(PARLEY_OK), "ok");
        assert_int_equal(parley_code_http(PARLEY_OK), 200);
        assert_string_equal(parley_code_text(PARLEY_NOT_A_MEMBER), "not_a_member");
        assert_int_equal(parley_code_http(PARLEY_NOT_A_MEMBER), 403);
        assert_string_equal(parley_code_title(PARLEY_ARCHIVED), "The channel is archived");
}

/* Clients tell errors apart by the text: two codes with one text could not be told apart. */
static void test_distinct(void **state)
{
        (void)state;
        for (unsigned i = 0; i < _PARLEY_CODE_N; i++) {
                assert_in_range(parley_code_http((enum parley_code)i), 200, 599);
                assert_int_not_equal(strlen(parley_code_title((enum parley_code)i)), 0);
                for (unsigned j = 0; j < i; j++)
                        assert_string_not_equal(parley_code_text((enum parley_code)i),
                                                parley_code_text((enum parley_code)j));
        }
}

static void test_out_of_range(void **state)
{
        (void)state;
        assert_string_equal(parley_code_text(_PARLEY_CODE_N), "internal");
        assert_int_equal(parley_code_http((enum parley_code)(-1)), 500);
        assert_string_equal(parley_code_title((enum parley_code)10000), parley_code_title(PARLEY_INTERNAL));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_known),
                cmocka_unit_test(test_distinct),
                cmocka_unit_test(test_out_of_range),
        };
        return cmocka_run_group_tests_name("base/codes", tests, NULL, NULL);
}
