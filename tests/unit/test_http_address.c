/* What one address may hold of a server. */
#include "unit.h"

#include <stdio.h>
#include <unistd.h>

#include "http_fixture.h"

#define GET_BY "GET %s HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: %s\r\n\r\n"

static void expect_by(const struct fixture *f, const char *path, const char *address, unsigned status)
{
        char text[256];
        struct answer a;

        (void)snprintf(text, sizeof(text), GET_BY, path, address);
        a = client_request(f, text);
        assert_int_equal(a.status, status);
        if (status == 429)
                assert_string_equal(answer_header(&a, "Retry-After"), "1");
        answer_done(&a);
}

/* same: an address that counts as one with the first */
static void expect_share(const char *first, const char *same, const char *other)
{
        struct fixture f;
        struct answer a;
        char text[256];
        int fd;

        fixture_start(&f, &(struct http_options){.max_answer_bytes_per_address = 40U << 20});
        fd = client_connect(&f);
        (void)snprintf(text, sizeof(text), GET_BY, "/api/big", first);
        client_send_str(fd, text);
        a = client_read(fd, true);
        assert_int_equal(a.status, 200);
        expect_by(&f, "/api/big", same, 429);
        expect_by(&f, "/api/things/x", same, 200);
        expect_by(&f, "/api/big", other, 200);
        close(fd);
        fixture_stop(&f);
}

static void test_answers_that_one_address_does_not_read(void **state)
{
        (void)state;
        expect_share("192.0.2.1", "192.0.2.1", "192.0.2.2");
        expect_share("2001:db8:1:2::1", "2001:db8:1:2:ffff::2", "2001:db8:1:3::1");
}

static void test_connection_limit_per_address(void **state)
{
        struct fixture f;
        int fds[3];

        (void)state;
        fixture_start(&f, &(struct http_options){.max_connections_per_ip = 2});
        for (int i = 0; i < 3; i++)
                fds[i] = client_connect(&f);
        for (int i = 0; i < 2; i++) {
                struct answer a;

                client_send_str(fds[i], "GET /api/things/x HTTP/1.1\r\nHost: x\r\n\r\n");
                a = client_read(fds[i], false);
                assert_int_equal(a.status, 200);
                answer_done(&a);
        }
        assert_true(client_closed(fds[2], 5000));
        for (int i = 0; i < 3; i++)
                close(fds[i]);
        fixture_stop(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_answers_that_one_address_does_not_read),
                cmocka_unit_test(test_connection_limit_per_address),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
