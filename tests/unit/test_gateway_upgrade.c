/* The request that opens a WebSocket. */
#include "unit.h"

#include "gateway/upgrade.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define LINES                                                                                                                      \
        "Host: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY \
        "\r\n"

static int parse(struct upgrade *u, const char *target, const char *lines, const char *origins)
{
        char head[4096];

        snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\n%s\r\n", target, lines);
        return upgrade_parse(u, head, strlen(head), origins);
}

static void test_plain(void **state)
{
        struct upgrade u;
        struct buf out = BUF_INIT(4096);

        (void)state;
        assert_int_equal(parse(&u, "/ws", LINES, "*"), 0);
        assert_int_equal(u.protocol, UPGRADE_NONE);
        assert_null(u.token);
        assert_false(u.deflate);
        assert_int_equal(upgrade_write(&u, &out), 0);
        assert_int_equal(upgrade_head_length((char *)out.data, out.len), out.len);
        upgrade_done(&u);
        /* what is written is read again */
        assert_int_equal(upgrade_parse(&u, (char *)out.data, out.len, ""), 0);
        assert_string_equal(u.key, KEY);
        upgrade_done(&u);
        buf_done(&out);
}

static void test_token_of_the_query(void **state)
{
        struct upgrade u;

        (void)state;
        assert_int_equal(parse(&u, "/ws?a=b&token=ab%2Ec&x", LINES, "*"), 0);
        assert_string_equal(u.token, "ab.c");
        upgrade_done(&u);
        assert_int_equal(parse(&u, "/ws?token=", LINES, "*"), 0);
        assert_null(u.token);
        upgrade_done(&u);
        assert_int_equal(parse(&u, "/ws?token=a%00b", LINES, "*"), 1);
        assert_int_equal(u.status, 400);
        upgrade_done(&u);
        assert_int_equal(parse(&u, "/ws?token=a%4", LINES, "*"), 1);
        upgrade_done(&u);
}

static void test_bearer_among_the_subprotocols(void **state)
{
        struct upgrade u;
        struct buf out = BUF_INIT(4096);
        char lines[3000], token[2001];

        (void)state;
        memset(token, 'a', 2000);
        token[2000] = 0;
        snprintf(lines, sizeof(lines),
                 LINES "Sec-WebSocket-Protocol: other, parley.bearer.%s , parley.v1.proto,parley.v1.json\r\n", token);
        assert_int_equal(parse(&u, "/ws", lines, "*"), 0);
        assert_string_equal(u.token, token);
        assert_int_equal(u.protocol, UPGRADE_PROTO);
        assert_int_equal(upgrade_write(&u, &out), 0);
        assert_null(memmem(out.data, out.len, "bearer", 6)); /* the library never sees it */
        assert_non_null(memmem(out.data, out.len, "Sec-WebSocket-Protocol: parley.v1.proto\r\n", 41));
        upgrade_done(&u);
        buf_done(&out);
        assert_int_equal(parse(&u, "/ws", LINES "Sec-WebSocket-Protocol: parley.bearer.x\r\n", "*"), 1);
        assert_int_equal(u.status, 400);
        upgrade_done(&u);
        /* two header lines are one list */
        assert_int_equal(parse(&u, "/ws",
                               LINES
                               "Sec-WebSocket-Protocol: parley.bearer.x\r\nsec-websocket-protocol: parley.v1.json\r\n",
                               "*"),
                         0);
        assert_int_equal(u.protocol, UPGRADE_JSON);
        assert_string_equal(u.token, "x");
        upgrade_done(&u);
}

static void test_compression_must_be_asked_for(void **state)
{
        struct upgrade u;
        const char *offer = LINES "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";

        (void)state;
        assert_int_equal(parse(&u, "/ws", offer, "*"), 0);
        assert_false(u.deflate); /* every browser offers it */
        upgrade_done(&u);
        assert_int_equal(parse(&u, "/ws?compress=permessage-deflate", offer, "*"), 0);
        assert_true(u.deflate);
        upgrade_done(&u);
        assert_int_equal(parse(&u, "/ws?compress=permessage-deflate", LINES, "*"), 0);
        assert_false(u.deflate);
        upgrade_done(&u);
        assert_int_equal(parse(&u, "/ws?compress=permessage-deflate",
                               LINES "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n", "*"),
                         0);
        assert_false(u.deflate);
        upgrade_done(&u);
}

static void test_origins(void **state)
{
        static const struct {
                const char *origin, *allowed;
                bool ok;
        } cases[] = {
                {"https://chat.example", "https://chat.example", true},
                {"https://CHAT.example", "https://other.example, https://chat.example", true},
                {"https://chat.example", "*", true},
                {"https://evil.example", "https://chat.example", false},
                {"https://chat.example.evil", "https://chat.example", false},
                {"null", "https://chat.example", false},
                {"https://chat.example", "", false},
        };

        (void)state;
        for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct upgrade u;
                char lines[1024];

                snprintf(lines, sizeof(lines), LINES "Origin: %s\r\n", cases[i].origin);
                assert_int_equal(parse(&u, "/ws", lines, cases[i].allowed), !cases[i].ok);
                if (!cases[i].ok)
                        assert_int_equal(u.status, 403);
                upgrade_done(&u);
        }
}

static void test_refused(void **state)
{
        static const struct {
                const char *head;
                unsigned status;
        } cases[] = {
                {"POST /ws HTTP/1.1\r\n" LINES "\r\n", 405},
                {"GET /elsewhere HTTP/1.1\r\n" LINES "\r\n", 404},
                {"GET /ws HTTP/1.0\r\n" LINES "\r\n", 400},
                {"GET ws HTTP/1.1\r\n" LINES "\r\n", 400},
                {"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n", 426},
                {"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n", 426},
                {"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: " KEY
                 "\r\n\r\n",
                 426},
                {"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n",
                 400},
                {"GET /ws HTTP/1.1\r\nno colon\r\n\r\n", 400},
                {"GET /ws HTTP/1.1\r\n" LINES " folded: x\r\n\r\n", 400},
                {"GET /ws HTTP/1.1\r\n" LINES "X: a\x01"
                 "b\r\n\r\n",
                 400},
        };

        (void)state;
        for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct upgrade u;
                struct buf out = BUF_INIT(4096);
                int r = upgrade_parse(&u, cases[i].head, strlen(cases[i].head), "*");

                assert_int_equal(r, 1);
                assert_int_equal(u.status, cases[i].status);
                assert_int_equal(upgrade_refuse(u.status, u.problem, 0, &out), 0);
                assert_memory_equal(out.data, "HTTP/1.1 4", 10);
                buf_done(&out);
                upgrade_done(&u);
        }
}

static void test_length(void **state)
{
        char *big = malloc(UPGRADE_HEAD_MAX + 10);

        (void)state;
        assert_int_equal(upgrade_head_length("GET / HTTP/1.1\r\n", 16), 0);
        assert_int_equal(upgrade_head_length("GET / HTTP/1.1\r\n\r\nmore", 22), 18);
        memset(big, 'x', UPGRADE_HEAD_MAX + 10);
        assert_int_equal(upgrade_head_length(big, UPGRADE_HEAD_MAX - 1), 0);
        assert_int_equal(upgrade_head_length(big, UPGRADE_HEAD_MAX), -1);
        assert_int_equal(upgrade_head_length("GE\0", 3), -1);
        free(big);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_plain),
                cmocka_unit_test(test_token_of_the_query),
                cmocka_unit_test(test_bearer_among_the_subprotocols),
                cmocka_unit_test(test_compression_must_be_asked_for),
                cmocka_unit_test(test_origins),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_length),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
