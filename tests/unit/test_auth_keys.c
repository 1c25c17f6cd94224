/* Keys, signatures and key sets: the vectors of RFC 7515 (appendix A) and RFC 8037, and what a set may not hold. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/key.h"
#include "auth/keyset.h"
#include "auth_fixtures.h"
#include "base/cleanup.h"
#include "base/text.h"

#define RFC7515_PAYLOAD "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define RFC7515_N                                                                                                      \
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZ" \
        "S-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2" \
        "R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcD" \
        "TW9gb54h4FRWyuXpoQ"
#define RFC7515_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define RFC7515_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define RFC8037_X "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"

#define SET(keys) "{\"keys\":[" keys "]}"
#define RSA(n, e, more) "{\"kty\":\"RSA\",\"n\":\"" n "\",\"e\":\"" e "\"" more "}"
#define EC(x, y, more) "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" x "\",\"y\":\"" y "\"" more "}"
#define OKP(x, more) "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" x "\"" more "}"

static int set_new(const char *json, struct auth_keyset **ret_set, char error[200])
{
        error[0] = 0;
        return auth_keyset_new(ret_set, json, strlen(json), error, 200);
}

static struct auth_keyset *set_make(const char *json)
{
        struct auth_keyset *set = NULL;
        char error[200];

        if (set_new(json, &set, error) != 0)
                fail_msg("%s", error);
        return set;
}

/* signing input and signature in base64url */
static bool verify(const struct auth_key *key, const char *input, const char *signature)
{
        uint8_t bytes[1024];
        int n = base64url_decode(signature, strlen(signature), bytes, sizeof(bytes));

        assert_true(n > 0);
        return auth_key_verify(key, input, strlen(input), bytes, (size_t)n);
}

static void test_rfc_vectors(void **state)
{
        static const struct {
                const char *set;
                enum auth_alg alg;
                const char *input, *signature;
        } vectors[] = {
                {SET(RSA(RFC7515_N, "AQAB", "")), AUTH_ALG_RS256, "eyJhbGciOiJSUzI1NiJ9." RFC7515_PAYLOAD, /* A.2 */
                 "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdb"
                 "F9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383"
                 "LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWy"
                 "wlVmtVrBp0igcN_IoypGlUPQGe77Rw"},
                {SET(EC(RFC7515_X, RFC7515_Y, "")), AUTH_ALG_ES256, "eyJhbGciOiJFUzI1NiJ9." RFC7515_PAYLOAD, /* A.3 */
                 "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
                {SET(OKP(RFC8037_X, "")), AUTH_ALG_EDDSA,
                 "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc", /* A.4 */
                 "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"},
        };

        (void)state;
        for (unsigned i = 0; i < ARRAY_SIZE(vectors); i++) {
                struct auth_keyset *set = set_make(vectors[i].set);
                const struct auth_key *key;
                char other[1024];

                assert_int_equal(auth_keyset_find(set, NULL, vectors[i].alg, &key), 0);
                assert_int_equal(auth_key_alg(key), vectors[i].alg);
                assert_true(verify(key, vectors[i].input, vectors[i].signature));
                snprintf(other, sizeof(other), "%s.", vectors[i].input);
                assert_false(verify(key, other, vectors[i].signature));
                assert_false(verify(key, vectors[i].input, "AAAA"));
                assert_false(auth_key_verify(key, "", 0, NULL, 0));
                auth_keyset_free(set);
        }
}

/* RFC 7515 A.1; its key is not text, but has no NUL */
static void test_rfc_hs256(void **state)
{
        static const char key_text[] =
                "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        uint8_t secret[64];
        struct auth_key *key;

        (void)state;
        assert_int_equal(base64url_decode(key_text, strlen(key_text), secret, sizeof(secret)), 64);
        assert_int_equal(auth_key_new_hs256(&key, secret, 64), 0);
        assert_true(verify(key, "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." RFC7515_PAYLOAD,
                           "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        assert_false(verify(key, "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." RFC7515_PAYLOAD,
                            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXg"));
        assert_false(verify(key, "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." RFC7515_PAYLOAD, "dBjftJeZ4CVP"));
        auth_key_free(key);
        auth_key_free(NULL);
        assert_int_equal(auth_key_new_hs256(&key, secret, 31), -EINVAL);
}

/* ECDSA: r and s of 0 or of the order verify nothing, and neither does DER in the place of r and s. */
static void test_ecdsa_edges(void **state)
{
        struct auth_keyset *set = set_make(SET(EC(RFC7515_X, RFC7515_Y, "")));
        const struct auth_key *key;
        uint8_t signature[72] = {0};

        (void)state;
        assert_int_equal(auth_keyset_find(set, NULL, AUTH_ALG_ES256, &key), 0);
        for (size_t n = 0; n <= sizeof(signature); n++)
                assert_false(auth_key_verify(key, "x", 1, signature, n));
        memset(signature, 0xff, sizeof(signature));
        assert_false(auth_key_verify(key, "x", 1, signature, 64));
        memset(signature, 0, 64);
        signature[31] = signature[63] = 1;
        assert_false(auth_key_verify(key, "x", 1, signature, 64));
        auth_keyset_free(set);
}

static void test_set_passes_over_others(void **state)
{
        struct auth_keyset *set = set_make(FIXTURE_JWKS);
        const struct auth_key *key;
        char error[200];

        (void)state;
        assert_int_equal(auth_keyset_find(set, "rsa", AUTH_ALG_RS256, &key), 0);
        assert_int_equal(auth_keyset_find(set, "ec", AUTH_ALG_ES256, &key), 0);
        assert_int_equal(auth_keyset_find(set, "ed", AUTH_ALG_EDDSA, &key), 0);
        assert_int_equal(auth_keyset_find(set, "rsa", AUTH_ALG_ES256, &key), AUTH_E_ALGORITHM);
        assert_int_equal(auth_keyset_find(set, "symmetric", AUTH_ALG_HS256, &key), AUTH_E_UNKNOWN_KEY);
        assert_int_equal(auth_keyset_find(set, NULL, AUTH_ALG_HS256, &key), AUTH_E_UNKNOWN_KEY);
        assert_int_equal(auth_keyset_find(set, "encryption", AUTH_ALG_RS256, &key), AUTH_E_UNKNOWN_KEY);
        assert_int_equal(auth_keyset_find(set, "pss", AUTH_ALG_RS256, &key), AUTH_E_UNKNOWN_KEY);
        assert_int_equal(auth_keyset_find(set, "wraps", AUTH_ALG_RS256, &key), AUTH_E_UNKNOWN_KEY);
        assert_int_equal(auth_keyset_find(set, "RSA", AUTH_ALG_RS256, &key), AUTH_E_UNKNOWN_KEY);
        auth_keyset_free(set);
        auth_keyset_free(NULL);
        assert_int_equal(set_new(FIXTURE_JWKS_OTHERS, &set, error), -EINVAL);
        assert_non_null(strstr(error, "no key for"));
}

static void test_bad_sets(void **state)
{
        static const struct {
                const char *json, *error;
        } cases[] = {
                {"", "JSON object"},
                {"[]", "JSON object"},
                {"{\"keys\":[],\"keys\":[]}", "duplicate"},
                {"{}", "no array 'keys'"},
                {"{\"keys\":{}}", "no array 'keys'"},
                {SET(""), "no key for"},
                {SET("7"), "key 1 of the set is not an object"},
                {SET(OKP(RFC8037_X, "") ",null"), "key 2 of the set is not an object"},
                {FIXTURE_JWKS_WEAK, "2048"},
                {FIXTURE_JWKS_OFF_CURVE, "not a point of P-256"},
                {FIXTURE_JWKS_PRIVATE, "private key"},
                {SET(RSA(RFC7515_N, "AA", "")), "RSA key"},                /* exponent 0 */
                {SET(RSA(RFC7515_N, "AQ", "")), "RSA key"},                /* 1: every signature verifies itself */
                {SET(RSA(RFC7515_N, "BA", "")), "RSA key"},                /* even */
                {SET(RSA(RFC7515_N, "AQAAAAAAAAAAAQ", "")), "member 'e'"}, /* too long */
                {SET(RSA("", "AQAB", "")), "member 'n'"},
                {SET(RSA("AQAB", "AQAB", "")), "RSA key"},
                {SET(RSA(RFC7515_N "=", "AQAB", "")), "member 'n'"},
                {SET("{\"kty\":\"RSA\",\"e\":\"AQAB\"}"), "member 'n'"},
                {SET("{\"kty\":\"RSA\",\"n\":7,\"e\":\"AQAB\"}"), "member 'n'"},
                {SET(EC(RFC7515_X, RFC7515_X, "")), "not a point"},
                {SET(EC("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                        "")),
                 "not a point"},
                {SET(EC("f83O", RFC7515_Y, "")), "member 'x'"},
                {SET(EC(RFC7515_X, "", "")), "member 'y'"},
                {SET(OKP("11qY", "")), "member 'x'"},
                {SET(OKP(RFC8037_X "AA", "")), "member 'x'"},
                {SET(OKP(RFC8037_X, ",\"kid\":7")), "kid"},
                {SET(OKP(RFC8037_X, ",\"kid\":\"a\"") "," OKP(RFC8037_X, ",\"kid\":\"a\"")),
                 "key 2 of the set has the kid"},
                {SET(OKP(RFC8037_X, ",\"kid\":\"a\",\"x\":\"\"")), "duplicate"},
        };

        (void)state;
        for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
                struct auth_keyset *set = NULL;
                char error[200];
                int r = set_new(cases[i].json, &set, error);

                if (r != -EINVAL || set || !strstr(error, cases[i].error))
                        fail_msg("case %u (%.60s): %d, %s", i, cases[i].json, r, error);
        }
}

static void test_same_kid_of_two_types(void **state)
{
        struct auth_keyset *set = set_make(
                SET(OKP(RFC8037_X, ",\"kid\":\"a\"") "," EC(RFC7515_X, RFC7515_Y, ",\"kid\":\"a\"")));
        const struct auth_key *ed, *ec;

        (void)state;
        assert_int_equal(auth_keyset_find(set, "a", AUTH_ALG_EDDSA, &ed), 0);
        assert_int_equal(auth_keyset_find(set, "a", AUTH_ALG_ES256, &ec), 0);
        assert_ptr_not_equal(ed, ec);
        assert_int_equal(auth_keyset_find(set, "a", AUTH_ALG_RS256, &ec), AUTH_E_ALGORITHM);
        auth_keyset_free(set);
}

static void test_set_limits(void **state)
{
        char *json = malloc(4 * AUTH_JWKS_MAX), error[200], *s;
        struct auth_keyset *set = NULL;

        (void)state;
        for (unsigned n = AUTH_KEYS_MAX; n <= AUTH_KEYS_MAX + 1; n++) {
                s = json + sprintf(json, "{\"keys\":[");
                for (unsigned i = 0; i < n; i++)
                        s += sprintf(s, "%s" OKP(RFC8037_X, ",\"kid\":\"%u\""), i ? "," : "", i);
                strcpy(s, "]}");
                assert_int_equal(set_new(json, &set, error), n == AUTH_KEYS_MAX ? 0 : -EINVAL);
                if (n == AUTH_KEYS_MAX)
                        auth_keyset_free(set);
        }
        assert_non_null(strstr(error, "32"));
        sprintf(json, SET(OKP(RFC8037_X, ",\"x5c\":\"%0*d\"")), AUTH_JWKS_MAX, 0);
        assert_int_equal(set_new(json, &set, error), -EINVAL);
        assert_non_null(strstr(error, "too large"));
        s = json + sprintf(json, "{\"keys\":[" OKP(RFC8037_X, ""));
        for (unsigned i = 0; i < 128; i++)
                s += sprintf(s, ",{}");
        strcpy(s, "]}");
        assert_int_equal(set_new(json, &set, error), -EINVAL);
        free(json);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rfc_vectors), cmocka_unit_test(test_rfc_hs256),
                cmocka_unit_test(test_ecdsa_edges), cmocka_unit_test(test_set_passes_over_others),
                cmocka_unit_test(test_bad_sets),    cmocka_unit_test(test_same_kid_of_two_types),
                cmocka_unit_test(test_set_limits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
