/* auth_verify: keys, algorithms, shape and signature, with tokens that PyJWT made and tokens made here; and the rest of
 * auth.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth_tokens.h"
#include "base/cleanup.h"

#define EXP 2000000000

static const struct auth_options all_options = {
        .secret = FIXTURE_SECRET,
        .jwks_json = FIXTURE_JWKS,
        .issuer = FIXTURE_ISSUER,
        .audience = FIXTURE_AUDIENCE,
        .require_exp = true,
};

static int setup(void **state)
{
        *state = make(&all_options);
        return 0;
}

static int teardown(void **state)
{
        auth_free(*state);
        return 0;
}

/* --- good ones --- */

static void test_accepted(void **state)
{
        static const char *const tokens[] = {FIXTURE_HS256, FIXTURE_RS256, FIXTURE_ES256, FIXTURE_EDDSA,
                                             FIXTURE_RS256_NO_KID};

        for (unsigned i = 0; i < ARRAY_SIZE(tokens); i++) {
                struct auth_claims claims;

                assert_int_equal(auth_verify(*state, tokens[i], strlen(tokens[i]), NOW, &claims), 0);
                assert_string_equal(claims.user_id, "ada");
                assert_string_equal(claims.external_id, "ada");
                assert_string_equal(claims.name, "Ada Lovelace");
                assert_false(claims.admin);
                assert_int_equal(claims.expires_at, EXP);
        }
}

/* --- keys and algorithms --- */

static void test_keys_and_algorithms(void **state)
{
        static const struct {
                const char *token;
                int error;
        } cases[] = {
                {FIXTURE_NONE, AUTH_E_ALGORITHM},
                {FIXTURE_RS256_UNKNOWN_KID, AUTH_E_UNKNOWN_KEY},
                {FIXTURE_RS256_OTHER_KEY, AUTH_E_SIGNATURE},
                {FIXTURE_RS512, AUTH_E_ALGORITHM},
                {FIXTURE_PS256, AUTH_E_ALGORITHM},
                {FIXTURE_ES256_KID_OF_RSA, AUTH_E_ALGORITHM},
                {FIXTURE_EDDSA_KID_OF_EC, AUTH_E_ALGORITHM},
                /* "HS256", signed with the bytes of the public key: the secret alone verifies HS256 */
                {FIXTURE_CONFUSED_PEM, AUTH_E_SIGNATURE},
                {FIXTURE_CONFUSED_PEM_NO_NEWLINE, AUTH_E_SIGNATURE},
                {FIXTURE_CONFUSED_DER, AUTH_E_SIGNATURE},
                {FIXTURE_CONFUSED_MODULUS, AUTH_E_SIGNATURE},
                {FIXTURE_CONFUSED_EMPTY, AUTH_E_SIGNATURE},
        };

        for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
                if (verify(*state, cases[i].token, NOW) != cases[i].error)
                        fail_msg("case %u: %d", i, verify(*state, cases[i].token, NOW));
}

static void test_without_secret(void **state)
{
        struct auth *a = make(&(struct auth_options){.jwks_json = FIXTURE_JWKS});

        (void)state;
        assert_int_equal(verify(a, FIXTURE_RS256, NOW), 0);
        assert_int_equal(verify(a, FIXTURE_HS256, NOW), AUTH_E_ALGORITHM);
        assert_int_equal(verify(a, FIXTURE_CONFUSED_PEM, NOW), AUTH_E_ALGORITHM);
        assert_int_equal(verify(a, FIXTURE_CONFUSED_EMPTY, NOW), AUTH_E_ALGORITHM);
        auth_free(a);
}

static void test_without_keys(void **state)
{
        struct auth *a = make(&(struct auth_options){.secret = FIXTURE_SECRET});

        (void)state;
        assert_int_equal(verify(a, FIXTURE_HS256, NOW), 0);
        assert_int_equal(verify(a, FIXTURE_RS256, NOW), AUTH_E_ALGORITHM);
        auth_expect_jwks(a);
        assert_int_equal(verify(a, FIXTURE_RS256, NOW), AUTH_E_UNKNOWN_KEY);
        assert_int_equal(auth_set_jwks(a, FIXTURE_JWKS, strlen(FIXTURE_JWKS), NULL, 0), 0);
        assert_int_equal(verify(a, FIXTURE_RS256, NOW), 0);
        auth_free(a);
}

static void test_no_kid_and_two_keys(void **state)
{
        struct auth *a = make(&(struct auth_options){.jwks_json = FIXTURE_JWKS_TWO_RSA});

        (void)state;
        assert_int_equal(verify(a, FIXTURE_RS256, NOW), 0);
        assert_int_equal(verify(a, FIXTURE_RS256_NO_KID, NOW), AUTH_E_UNKNOWN_KEY);
        auth_free(a);
}

/* A set that cannot be used leaves the old one. */
static void test_bad_set_keeps_old(void **state)
{
        struct auth *a = make(&(struct auth_options){.jwks_json = FIXTURE_JWKS_RSA});
        char error[100] = "";

        (void)state;
        assert_int_equal(auth_set_jwks(a, "{}", 2, error, sizeof(error)), -EINVAL);
        assert_int_not_equal(strlen(error), 0);
        assert_int_equal(auth_set_jwks(a, FIXTURE_JWKS_WEAK, strlen(FIXTURE_JWKS_WEAK), NULL, 0), -EINVAL);
        assert_int_equal(verify(a, FIXTURE_RS256, NOW), 0);
        auth_free(a);
}

static void test_secret_length(void **state)
{
        struct auth *a = NULL;
        char error[100];

        (void)state;
        assert_int_equal(
                auth_new(&a, &(struct auth_options){.secret = "0123456789012345678901234567890"}, error, sizeof(error)),
                -EINVAL);
        assert_non_null(strstr(error, "31 bytes"));
        assert_int_equal(auth_new(&a, &(struct auth_options){.secret = ""}, NULL, 0), -EINVAL);
        assert_int_equal(auth_new(&a, &(struct auth_options){.jwks_json = "["}, error, sizeof(error)), -EINVAL);
        assert_null(a);
}

/* --- the header --- */

static void test_header(void **state)
{
        static const struct {
                const char *header;
                int error;
        } cases[] = {
                {"{\"alg\":\"HS256\"}", 0},
                {"{\"alg\":\"HS256\",\"typ\":\"jwt\",\"kid\":\"any\"}", 0},
                {"{\"alg\":\"HS256\",\"typ\":\"application/at+jwt\"}", 0},
                {"{\"alg\":\"HS256\",\"typ\":\"logout+jwt\"}", AUTH_E_MALFORMED},
                {"{\"alg\":\"HS256\",\"typ\":7}", AUTH_E_MALFORMED},
                {"{\"alg\":\"hs256\"}", AUTH_E_ALGORITHM},
                {"{\"alg\":\"HS384\"}", AUTH_E_ALGORITHM},
                {"{\"alg\":\"none\"}", AUTH_E_ALGORITHM},
                {"{\"alg\":\"None\"}", AUTH_E_ALGORITHM},
                {"{\"alg\":\"\"}", AUTH_E_ALGORITHM},
                {"{\"alg\":\"HS256\\u0000\"}", AUTH_E_MALFORMED},
                {"{\"alg\":[\"HS256\"]}", AUTH_E_MALFORMED},
                {"{\"alg\":null}", AUTH_E_MALFORMED},
                {"{}", AUTH_E_MALFORMED},
                {"[]", AUTH_E_MALFORMED},
                {"\"HS256\"", AUTH_E_MALFORMED},
                {"{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", AUTH_E_MALFORMED},
                {"{\"alg\":\"HS256\",\"crit\":[]}", AUTH_E_MALFORMED},
                {"{\"alg\":\"HS256\",\"kid\":1}", AUTH_E_MALFORMED},
                {"{\"alg\":\"HS256\",\"alg\":\"HS256\"}", AUTH_E_MALFORMED},
                {"{\"alg\":\"none\",\"al\\u0067\":\"HS256\"}", AUTH_E_MALFORMED},
                {"{\"alg\":\"HS256\",}", AUTH_E_MALFORMED},
                {"{\"alg\":\"HS256\"}x", AUTH_E_MALFORMED},
                {"{\"alg\":\"HS256\",\"x\":\"\xff\"}", AUTH_E_MALFORMED},
                {"{\"alg\":\"HS256\",\"x\":\"\\ud800\"}", AUTH_E_MALFORMED},
                {"\xef\xbb\xbf{\"alg\":\"HS256\"}", AUTH_E_MALFORMED},
                {"{\"alg\":\"HS256\",\"a\":[[[[[[[[[]]]]]]]]]}", AUTH_E_MALFORMED},
                {"", AUTH_E_MALFORMED},
        };
        struct auth *a = make(&(struct auth_options){.secret = FIXTURE_SECRET});

        (void)state;
        for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
                if (verify(a, make_token(cases[i].header, "{\"sub\":\"ada\"}"), NOW) != cases[i].error)
                        fail_msg("%s: %d", cases[i].header,
                                 verify(a, make_token(cases[i].header, "{\"sub\":\"ada\"}"), NOW));
        auth_free(a);
}

/* --- the shape --- */

static void test_shape(void **state)
{
        static const char *const bad[] = {"",
                                          ".",
                                          "..",
                                          "...",
                                          "a.b.c",
                                          "x",
                                          FIXTURE_HS256 ".",
                                          "." FIXTURE_HS256,
                                          FIXTURE_HS256 "=",
                                          FIXTURE_HS256 "\n",
                                          " " FIXTURE_HS256,
                                          FIXTURE_HS256 " ",
                                          "eyJhbGciOiJIUzI1NiJ9",
                                          "eyJhbGciOiJIUzI1NiJ9.e30",
                                          "eyJhbGciOiJIUzI1NiJ9=.e30.AA",
                                          "eyJhbGciOiJIUzI1NiJ9.e30.A",
                                          "eyJhbGciOiJIUzI1NiJ9..AA",
                                          ".e30.AA"};

        for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
                int r = verify(*state, bad[i], NOW);

                if (r != AUTH_E_MALFORMED && r != AUTH_E_SIGNATURE)
                        fail_msg("'%s': %d", bad[i], r);
        }
        assert_int_equal(verify(*state, "eyJhbGciOiJIUzI1NiJ9.e30.", NOW), AUTH_E_SIGNATURE); /* no signature at all */
        assert_int_equal(
                auth_verify(*state, FIXTURE_HS256 "\0", strlen(FIXTURE_HS256) + 1, NOW, &(struct auth_claims){0}),
                AUTH_E_MALFORMED);
}

static void test_size(void **state)
{
        struct auth *a = make(&(struct auth_options){.secret = FIXTURE_SECRET});
        char *claims = malloc(10000);
        size_t n;

        (void)state;
        for (unsigned fill = 5900; fill < 6200; fill++) {
                const char *token;

                sprintf(claims, "{\"sub\":\"ada\",\"x\":\"%0*d\"}", (int)fill, 1);
                token = make_token(HEADER, claims);
                n = strlen(token);
                assert_int_equal(verify(a, token, NOW), n <= AUTH_TOKEN_MAX ? 0 : AUTH_E_MALFORMED);
        }
        assert_true(n > AUTH_TOKEN_MAX);
        free(claims);
        auth_free(a);
}

/* Every other character in every place, and every single bit of it: refused. */
static void test_tampered(void **state)
{
        static const char *const tokens[] = {FIXTURE_HS256, FIXTURE_RS256, FIXTURE_ES256, FIXTURE_EDDSA};
        static const char other[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.= \n+/";

        for (unsigned i = 0; i < ARRAY_SIZE(tokens); i++) {
                size_t n = strlen(tokens[i]), step = i == 1 ? 17 : i == 0 ? 1 : 7; /* RSA and curves take their time */
                char *copy = strdup(tokens[i]);

                for (size_t at = 0; at < n; at++) {
                        for (unsigned bit = 0; bit < 8; bit++) {
                                copy[at] = (char)(tokens[i][at] ^ 1 << bit);
                                if (auth_verify(*state, copy, n, NOW, &(struct auth_claims){0}) == 0)
                                        fail_msg("token %u with bit %u of byte %zu turned", i, bit, at);
                        }
                        for (size_t c = at % step; c < sizeof(other) - 1; c += step) {
                                copy[at] = other[c];
                                if (copy[at] != tokens[i][at] &&
                                    auth_verify(*state, copy, n, NOW, &(struct auth_claims){0}) == 0)
                                        fail_msg("token %u with '%c' in place %zu", i, other[c], at);
                        }
                        copy[at] = tokens[i][at];
                        if (auth_verify(*state, copy, at, NOW, &(struct auth_claims){0}) == 0)
                                fail_msg("the first %zu bytes of token %u", at, i);
                }
                assert_int_equal(verify(*state, copy, NOW), 0);
                free(copy);
        }
}

/* --- the rest of auth.h --- */

static void test_user_id(void **state)
{
        char id[IDENT_MAX + 1], other[IDENT_MAX + 1], longest[IDENT_MAX + 2];

        (void)state;
        assert_int_equal(auth_user_id("main", "ada", id), 0);
        assert_string_equal(id, "ada");
        assert_int_equal(auth_user_id("main", "", id), -EINVAL);
        assert_int_equal(auth_user_id("acme", "", id), -EINVAL);
        assert_int_equal(auth_user_id("main", "u_x", id), -EINVAL);
        assert_int_equal(auth_user_id("main", "u", id), 0);
        assert_string_equal(id, "u");
        assert_int_equal(auth_user_id("acme", "u_x", id), 0);
        assert_memory_equal(id, "u_", 2);
        /* Nobody becomes the author of the service's own events. */
        assert_int_equal(auth_user_id("main", "system", id), 0);
        assert_memory_equal(id, "u_", 2);
        /* The workspace and the sub cannot run into each other. */
        assert_int_equal(auth_user_id("a", "bc", id), 0);
        assert_int_equal(auth_user_id("ab", "c", other), 0);
        assert_string_not_equal(id, other);
        assert_true(ident_valid(id));
        assert_int_equal(strlen(id), 24);
        memset(longest, 'a', sizeof(longest));
        longest[IDENT_MAX + 1] = 0;
        assert_int_equal(auth_user_id("main", longest, id), 0);
        assert_int_equal(strlen(id), 24);
        longest[IDENT_MAX] = 0;
        assert_int_equal(auth_user_id("main", longest, id), 0);
        assert_string_equal(id, longest);
}

static void test_sign(void **state)
{
        struct auth *without = make(&(struct auth_options){.jwks_json = FIXTURE_JWKS});
        struct auth_claims c;
        char *token;

        assert_int_equal(auth_sign(*state, "ada", "Ada \"L\" ä", true, NOW, 60, &token), 0);
        assert_int_equal(auth_verify(*state, token, strlen(token), NOW + 59, &c), 0);
        assert_string_equal(c.user_id, "ada");
        assert_string_equal(c.name, "Ada \"L\" ä");
        assert_true(c.admin);
        assert_int_equal(c.expires_at, NOW + 60);
        assert_int_equal(verify(*state, token, NOW + 60), AUTH_E_EXPIRED);
        free(token);
        assert_int_equal(auth_sign(*state, "ada", NULL, false, NOW, 60, &token), 0);
        assert_int_equal(auth_verify(*state, token, strlen(token), NOW, &c), 0);
        assert_string_equal(c.name, "ada");
        assert_false(c.admin);
        free(token);
        assert_int_equal(auth_sign(*state, "\xff", NULL, false, NOW, 60, &token), -EINVAL);
        assert_int_equal(auth_sign(*state, "ada", "\xff", false, NOW, 60, &token), -EINVAL);
        assert_int_equal(auth_sign(without, "ada", NULL, false, NOW, 60, &token), -EINVAL);
        auth_free(without);
}

static void test_secret_equal(void **state)
{
        (void)state;
        assert_true(auth_secret_equal("", ""));
        assert_true(auth_secret_equal("abc", "abc"));
        assert_false(auth_secret_equal("abc", "abd"));
        assert_false(auth_secret_equal("abc", "ab"));
        assert_false(auth_secret_equal("abc", "abcd"));
        assert_false(auth_secret_equal("", "a"));
        assert_false(auth_secret_equal(NULL, ""));
        assert_false(auth_secret_equal(NULL, NULL));
}

static void test_error_text(void **state)
{
        (void)state;
        for (int i = AUTH_E_MALFORMED; i <= AUTH_E_AUDIENCE; i++)
                for (int j = AUTH_E_MALFORMED; j < i; j++)
                        assert_string_not_equal(auth_error_text(i), auth_error_text(j));
        assert_string_equal(auth_error_text(-ENOMEM), "it cannot be checked now");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_accepted),
                cmocka_unit_test(test_keys_and_algorithms),
                cmocka_unit_test(test_without_secret),
                cmocka_unit_test(test_without_keys),
                cmocka_unit_test(test_no_kid_and_two_keys),
                cmocka_unit_test(test_bad_set_keeps_old),
                cmocka_unit_test(test_secret_length),
                cmocka_unit_test(test_header),
                cmocka_unit_test(test_shape),
                cmocka_unit_test(test_size),
                cmocka_unit_test(test_tampered),
                cmocka_unit_test(test_user_id),
                cmocka_unit_test(test_sign),
                cmocka_unit_test(test_secret_equal),
                cmocka_unit_test(test_error_text),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
