/* Which addresses are listened to. */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/listen.h"
#include "no_ipv6.h"

#define BACKLOG 8

static bool reached(int family, unsigned port)
{
        struct sockaddr_in v4 = {
                .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
        struct sockaddr_in6 v6 = {
                .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = in6addr_loopback};
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

        assert_true(fd >= 0);
        if (family == AF_INET)
                r = connect(fd, (struct sockaddr *)&v4, sizeof(v4));
        else
                r = connect(fd, (struct sockaddr *)&v6, sizeof(v6));
        assert_true(r == 0 || errno == ECONNREFUSED);
        close(fd);
        return r == 0;
}

static void expect(const char *text, bool by_v4, bool by_v6)
{
        unsigned port;
        int fd, r = http_listen(text, BACKLOG, false, &fd, &port);

        if (r != 0)
                fail_msg("'%s': %d", text, r);
        if (reached(AF_INET, port) != by_v4)
                fail_msg("'%s': by IPv4 it is %sreached", text, by_v4 ? "not " : "");
        if (reached(AF_INET6, port) != by_v6)
                fail_msg("'%s': by IPv6 it is %sreached", text, by_v6 ? "not " : "");
        close(fd);
}

static void test_families(void **state)
{
        struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
        int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool has_ipv6 = fd >= 0 && bind(fd, (struct sockaddr *)&loopback, sizeof(loopback)) == 0;

        (void)state;
        close(fd);
        if (!has_ipv6)
                skip();
        expect("127.0.0.1:0", true, false);
        expect("0.0.0.0:0", true, false);
        expect("[::1]:0", false, true);
        expect(":0", true, true);
        expect("[::]:0", true, true);
}

static bool without(void)
{
        unsigned port;
        int fd;

        if (http_listen("[::1]:0", BACKLOG, false, &fd, &port) != -EAFNOSUPPORT ||
            http_listen("[::]:0", BACKLOG, false, &fd, &port) != -EAFNOSUPPORT)
                return false;
        return http_listen(":0", BACKLOG, false, &fd, &port) == 0 && reached(AF_INET, port);
}

static void test_kernel_without_ipv6(void **state)
{
        (void)state;
        without_ipv6(without);
}

static void test_nodelay(void **state)
{
        (void)state;
        for (int wanted = 0; wanted < 2; wanted++) {
                socklen_t n = sizeof(int);
                int fd, is = -1;
                unsigned port;

                assert_int_equal(http_listen(":0", BACKLOG, wanted, &fd, &port), 0);
                assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &is, &n), 0);
                assert_int_equal(is, wanted);
                close(fd);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_families),
                cmocka_unit_test(test_kernel_without_ipv6),
                cmocka_unit_test(test_nodelay),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
