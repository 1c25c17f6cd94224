#include "auth_tokens.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/key.h"
#include "base/text.h"

struct auth *make(const struct auth_options *options)
{
        char error[200] = "";
        struct auth *a = NULL;

        if (auth_new(&a, options, error, sizeof(error)) != 0)
                fail_msg("%s", error);
        return a;
}

int verify(const struct auth *a, const char *token, int64_t now)
{
        struct auth_claims claims;

        return auth_verify(a, token, strlen(token), now, &claims);
}

const char *make_token_n(const char *header, const char *claims, size_t n_claims)
{
        static char token[65536];
        uint8_t signature[AUTH_HASH_LEN];
        struct auth_key *key;
        size_t n;

        n = base64url_encode((const uint8_t *)header, strlen(header), token);
        token[n++] = '.';
        n += base64url_encode((const uint8_t *)claims, n_claims, token + n);
        assert_int_equal(auth_key_new_hs256(&key, FIXTURE_SECRET, strlen(FIXTURE_SECRET)), 0);
        assert_int_equal(auth_key_sign(key, token, n, signature), 0);
        auth_key_free(key);
        token[n++] = '.';
        base64url_encode(signature, sizeof(signature), token + n);
        return token;
}

const char *make_token(const char *header, const char *claims)
{
        return make_token_n(header, claims, strlen(claims));
}
