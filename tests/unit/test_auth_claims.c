/* auth_verify: what a token with a good signature says, and whether that counts now and here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <uv.h>

#include "auth/jwks.h"
#include "auth/open.h"
#include "auth_tokens.h"
#include "base/cleanup.h"
#include "base/text.h"

static void test_times(void **state)
{
        static const struct {
                const char *claims;
                uint32_t leeway;
                int64_t now;
                int error;
        } cases[] = {
                {"{\"sub\":\"a\",\"exp\":100}", 0, 99, 0},
                {"{\"sub\":\"a\",\"exp\":100}", 0, 100, AUTH_E_EXPIRED},
                {"{\"sub\":\"a\",\"exp\":100}", 5, 104, 0},
                {"{\"sub\":\"a\",\"exp\":100}", 5, 105, AUTH_E_EXPIRED},
                {"{\"sub\":\"a\",\"exp\":100.9}", 0, 99, 0},
                {"{\"sub\":\"a\",\"exp\":100.9}", 0, 101, AUTH_E_EXPIRED},
                {"{\"sub\":\"a\",\"exp\":1e2}", 0, 99, 0},
                {"{\"sub\":\"a\",\"exp\":1e300}", 0, NOW, 0},
                {"{\"sub\":\"a\",\"exp\":-1e300}", 0, NOW, AUTH_E_EXPIRED},
                {"{\"sub\":\"a\",\"exp\":18446744073709551615}", 60, INT64_MAX - 1, 0},
                {"{\"sub\":\"a\",\"exp\":99999999999999999999999}", 0, NOW, 0},
                {"{\"sub\":\"a\",\"exp\":-1}", 0, 0, AUTH_E_EXPIRED},
                {"{\"sub\":\"a\",\"exp\":0}", 0, 0, AUTH_E_EXPIRED},
                {"{\"sub\":\"a\",\"exp\":-9223372036854775808}", 0, 0, AUTH_E_EXPIRED},
                {"{\"sub\":\"a\",\"exp\":\"100\"}", 0, 99, AUTH_E_MALFORMED},
                {"{\"sub\":\"a\",\"exp\":null}", 0, 99, AUTH_E_MALFORMED},
                {"{\"sub\":\"a\",\"exp\":1e999}", 0, 99, AUTH_E_MALFORMED},
                {"{\"sub\":\"a\",\"exp\":NaN}", 0, 99, AUTH_E_MALFORMED},
                {"{\"sub\":\"a\",\"exp\":100,\"exp\":999}", 0, 99, AUTH_E_MALFORMED},
                {"{\"sub\":\"a\",\"nbf\":100}", 0, 100, 0},
                {"{\"sub\":\"a\",\"nbf\":100}", 0, 99, AUTH_E_NOT_YET},
                {"{\"sub\":\"a\",\"nbf\":100}", 5, 95, 0},
                {"{\"sub\":\"a\",\"nbf\":100}", 5, 94, AUTH_E_NOT_YET},
                {"{\"sub\":\"a\",\"nbf\":100.5}", 0, 100, 0},
                {"{\"sub\":\"a\",\"nbf\":1e300}", 0, NOW, AUTH_E_NOT_YET},
                {"{\"sub\":\"a\",\"nbf\":true}", 0, 99, AUTH_E_MALFORMED},
        };

        (void)state;
        for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
                struct auth *a = make(&(struct auth_options){.secret = FIXTURE_SECRET, .leeway_s = cases[i].leeway});
                int r = verify(a, make_token(HEADER, cases[i].claims), cases[i].now);

                if (r != cases[i].error)
                        fail_msg("%s with %u at %lld: %d", cases[i].claims, cases[i].leeway, (long long)cases[i].now,
                                 r);
                auth_free(a);
        }
}

static void test_exp_required(void **state)
{
        struct auth *a = make(&(struct auth_options){.secret = FIXTURE_SECRET, .require_exp = true});
        struct auth *free_of_it = make(&(struct auth_options){.secret = FIXTURE_SECRET});
        const char *token = make_token(HEADER, "{\"sub\":\"ada\"}");
        struct auth_claims claims;

        (void)state;
        assert_int_equal(verify(a, token, NOW), AUTH_E_MALFORMED);
        assert_int_equal(auth_verify(free_of_it, token, strlen(token), NOW, &claims), 0);
        assert_true(claims.expires_at == INT64_MAX);
        auth_free(a);
        auth_free(free_of_it);
}

static void test_issuer_and_audience(void **state)
{
        static const struct {
                const char *claims;
                int error;
        } cases[] = {
                {"{\"sub\":\"a\",\"iss\":\"me\",\"aud\":\"us\"}", 0},
                {"{\"sub\":\"a\",\"iss\":\"me\",\"aud\":[\"them\",\"us\"]}", 0},
                {"{\"sub\":\"a\",\"iss\":\"Me\",\"aud\":\"us\"}", AUTH_E_ISSUER},
                {"{\"sub\":\"a\",\"iss\":\"me/\",\"aud\":\"us\"}", AUTH_E_ISSUER},
                {"{\"sub\":\"a\",\"aud\":\"us\"}", AUTH_E_ISSUER},
                {"{\"sub\":\"a\",\"iss\":[\"me\"],\"aud\":\"us\"}", AUTH_E_ISSUER},
                {"{\"sub\":\"a\",\"iss\":\"me\"}", AUTH_E_AUDIENCE},
                {"{\"sub\":\"a\",\"iss\":\"me\",\"aud\":\"them\"}", AUTH_E_AUDIENCE},
                {"{\"sub\":\"a\",\"iss\":\"me\",\"aud\":\"\"}", AUTH_E_AUDIENCE},
                {"{\"sub\":\"a\",\"iss\":\"me\",\"aud\":[]}", AUTH_E_AUDIENCE},
                {"{\"sub\":\"a\",\"iss\":\"me\",\"aud\":[[\"us\"],7,null]}", AUTH_E_AUDIENCE},
                {"{\"sub\":\"a\",\"iss\":\"me\",\"aud\":{\"us\":true}}", AUTH_E_AUDIENCE},
                {"{\"sub\":\"a\",\"iss\":\"me\",\"aud\":\"us\\u0000\"}", AUTH_E_MALFORMED},
        };
        struct auth *a = make(&(struct auth_options){.secret = FIXTURE_SECRET, .issuer = "me", .audience = "us"});

        (void)state;
        for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
                if (verify(a, make_token(HEADER, cases[i].claims), NOW) != cases[i].error)
                        fail_msg("%s: %d", cases[i].claims, verify(a, make_token(HEADER, cases[i].claims), NOW));
        auth_free(a);
}

/* "user id|external id|name|admin", or the error */
static const char *read_claims(const char *json, size_t n)
{
        static char text[1024];
        struct auth *a = make(&(struct auth_options){.secret = FIXTURE_SECRET});
        struct auth_claims c;
        const char *token = make_token_n(HEADER, json, n);
        int r = auth_verify(a, token, strlen(token), NOW, &c);

        if (r == 0)
                snprintf(text, sizeof(text), "%s|%s|%s|%d", c.user_id, c.external_id, c.name, c.admin);
        else
                snprintf(text, sizeof(text), "%d", r);
        auth_free(a);
        return text;
}

static void test_who(void **state)
{
        static const char *const cases[][2] = {
                {"{\"sub\":\"ada\"}", "ada|ada|ada|0"},
                {"{\"sub\":\"ada\",\"name\":\"Ada\",\"preferred_username\":\"al\",\"admin\":true}", "ada|ada|Ada|1"},
                {"{\"sub\":\"ada\",\"preferred_username\":\"al\",\"admin\":\"true\"}", "ada|ada|al|0"},
                {"{\"sub\":\"ada\",\"name\":7,\"admin\":1}", "ada|ada|ada|0"},
                {"{\"sub\":\"ada\",\"name\":\" \\n\\t \",\"preferred_username\":\"al\"}", "ada|ada|al|0"},
                {"{\"sub\":\"ada\",\"name\":\"  A\\nd\\u007fa \\r\\n\"}", "ada|ada|A d a|0"},
                {"{\"sub\":\"ada\",\"name\":\"Zo\\u00eb \\ud83d\\ude00\"}", "ada|ada|Zoë 😀|0"},
                {"{\"sub\":\"ada\",\"workspace\":\"main\"}", "ada|ada|ada|0"},
                {"{\"sub\":\"auth0|1\",\"name\":\"A\"}", "u_lT50yTdZywDqJlCdpEtLIZ|auth0|1|A|0"},
                {"{\"sub\":\"ada\",\"workspace\":\"acme\",\"name\":\"A\"}", "u_N47mKATQ9JPOJamoxNh1tp|ada|A|0"},
                {"{\"sub\":\"u_lT50yTdZywDqJlCdpEtLIZ\"}", "1"}, /* nobody may claim a mapped id */
                {"{\"sub\":\"ada\",\"workspace\":\"\"}", "1"},
                {"{\"sub\":\"ada\",\"workspace\":7}", "1"},
                {"{\"sub\":\"\"}", "1"},
                {"{\"sub\":7}", "1"},
                {"{\"sub\":null}", "1"},
                {"{\"sub\":\"a\\u0000b\"}", "1"},
                {"{\"sub\":\"ada\",\"name\":\"a\\u0000b\"}", "1"},
                {"{\"sub\":\"ada\",\"sub\":\"bob\"}", "1"},
                {"{\"sub\":\"ada\",\"x\":{\"a\":1,\"a\":2}}", "1"},
                {"{\"name\":\"Ada\"}", "1"},
                {"{}", "1"},
                {"null", "1"},
                {"[\"ada\"]", "1"},
                {"{\"sub\":\"ada\"", "1"},
                {"{\"sub\":\"ada\"} {}", "1"},
                {"{\"sub\":\"\xff\"}", "1"},
                {"{'sub':'ada'}", "1"},
        };

        (void)state;
        for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
                const char *got = read_claims(cases[i][0], strlen(cases[i][0]));

                if (strcmp(got, cases[i][1]) != 0)
                        fail_msg("%s: %s", cases[i][0], got);
        }
        assert_string_equal(read_claims("{\"sub\":\"a\"}\0", 12), "1");
}

static void test_long_names(void **state)
{
        char claims[2048], *s;
        struct auth_claims c;
        struct auth *a = make(&(struct auth_options){.secret = FIXTURE_SECRET});

        (void)state;
        for (unsigned before = 0; before < 4; before++) {
                const char *token;

                s = claims + sprintf(claims, "{\"sub\":\"ada\",\"name\":\"%.*s", (int)before, "xxx");
                for (int i = 0; i < 100; i++)
                        s += sprintf(s, "😀");
                strcpy(s, "\"}");
                token = make_token(HEADER, claims);
                assert_int_equal(auth_verify(a, token, strlen(token), NOW, &c), 0);
                assert_true(utf8_valid(c.name, strlen(c.name)));
                assert_in_range(strlen(c.name), AUTH_NAME_MAX - 3, AUTH_NAME_MAX);
        }
        for (int n = AUTH_EXTERNAL_MAX - 1; n <= AUTH_EXTERNAL_MAX + 1; n++) {
                sprintf(claims, "{\"sub\":\"%0*d\"}", n, 0);
                assert_int_equal(verify(a, make_token(HEADER, claims), NOW),
                                 n <= AUTH_EXTERNAL_MAX ? 0 : AUTH_E_MALFORMED);
        }
        auth_free(a);
}

/* What every service does with its settings; a token without exp comes in everywhere, as docs/protocol.md says. */
static void test_open(void **state)
{
        struct auth_config config = {.leeway_s = 5};
        struct auth *a = NULL;
        struct jwks *jwks = NULL;
        char error[256] = "";
        uv_loop_t loop;

        (void)state;
        assert_int_equal(uv_loop_init(&loop), 0);
        assert_true(auth_open(&a, &jwks, &loop, &config, NULL, NULL, error, sizeof(error)) < 0);
        assert_non_null(strstr(error, "PARLEY_TOKEN_JWKS_URL"));
        config.secret = (char *)"short";
        assert_true(auth_open(&a, &jwks, &loop, &config, NULL, NULL, error, sizeof(error)) < 0);
        assert_non_null(strstr(error, "PARLEY_TOKEN_SECRET cannot be used"));
        config.secret = (char *)FIXTURE_SECRET;
        config.jwks_url = (char *)"ftp://keys";
        assert_true(auth_open(&a, &jwks, &loop, &config, NULL, NULL, error, sizeof(error)) < 0);
        assert_non_null(strstr(error, "PARLEY_TOKEN_JWKS_URL cannot be used"));
        assert_true(!a && !jwks);
        config.jwks_url = NULL;
        assert_int_equal(auth_open(&a, &jwks, &loop, &config, NULL, NULL, error, sizeof(error)), 0);
        assert_null(jwks);
        assert_int_equal(verify(a, make_token(HEADER, "{\"sub\":\"a\"}"), NOW), 0);
        assert_int_equal(verify(a, make_token(HEADER, "{\"sub\":\"a\",\"exp\":100}"), NOW), AUTH_E_EXPIRED);
        auth_free(a);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_open),         cmocka_unit_test(test_times),
                cmocka_unit_test(test_exp_required), cmocka_unit_test(test_issuer_and_audience),
                cmocka_unit_test(test_who),          cmocka_unit_test(test_long_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
