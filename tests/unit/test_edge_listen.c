/* Where the entry of the image `web` has nginx listen */
#include "unit.h"

#include <errno.h>

#include "docker/listen.h"
#include "no_ipv6.h"

static void expect(const char *setting, bool has_ipv6, const char *words)
{
        char text[64];

        assert_int_equal(edge_listen(setting, has_ipv6, text, sizeof(text)), 0);
        assert_string_equal(text, words);
}

static void test_addresses(void **state)
{
        (void)state;
        expect(":8080", true, "0.0.0.0:8080 [::]:8080");
        expect(":8080", false, "0.0.0.0:8080");
        expect("0.0.0.0:8080", true, "0.0.0.0:8080");
        expect("[::1]:8080", true, "[::1]:8080");
        expect("127.0.0.1:8080,[::1]:8080", true, "127.0.0.1:8080,[::1]:8080");
}

static void test_room(void **state)
{
        char text[sizeof("0.0.0.0:8080 [::]:8080")];

        (void)state;
        assert_int_equal(edge_listen(":8080", true, text, sizeof(text)), 0);
        assert_int_equal(edge_listen(":8080", true, text, sizeof(text) - 1), -ENAMETOOLONG);
}

static bool is_missed(void)
{
        return !edge_has_ipv6();
}

static void test_kernel_without_ipv6(void **state)
{
        (void)state;
        without_ipv6(is_missed);
}

static void test_kernel_with_ipv6(void **state)
{
        int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void)state;
        if (fd < 0)
                skip();
        close(fd);
        assert_true(edge_has_ipv6());
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_addresses),
                cmocka_unit_test(test_room),
                cmocka_unit_test(test_kernel_without_ipv6),
                cmocka_unit_test(test_kernel_with_ipv6),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
