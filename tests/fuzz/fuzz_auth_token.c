/* auth_verify with any bytes; and any header and any claims behind a good signature, which chance would never find. */
#include "auth/auth.h"
#include "auth/key.h"
#include "auth_fixtures.h"
#include "base/text.h"
#include "fuzz.h"

static struct auth *strict, *lenient;
static struct auth_key *key;

static void init(void)
{
        const struct auth_options options = {.secret = FIXTURE_SECRET,
                                             .jwks_json = FIXTURE_JWKS,
                                             .issuer = FIXTURE_ISSUER,
                                             .audience = FIXTURE_AUDIENCE,
                                             .require_exp = true};

        REQUIRE(auth_new(&strict, &options, NULL, 0) == 0);
        REQUIRE(auth_new(&lenient, &(struct auth_options){.secret = FIXTURE_SECRET}, NULL, 0) == 0);
        REQUIRE(auth_key_new_hs256(&key, FIXTURE_SECRET, strlen(FIXTURE_SECRET)) == 0);
}

static void check(const struct auth *a, const char *token, size_t n)
{
        struct auth_claims c;
        int r = auth_verify(a, token, n, 1800000000, &c);

        REQUIRE(r >= 0 && r <= AUTH_E_AUDIENCE);
        if (r != 0)
                return;
        REQUIRE(ident_valid(c.user_id));
        REQUIRE(c.name[0] && strlen(c.name) <= AUTH_NAME_MAX && utf8_valid(c.name, strlen(c.name)));
        REQUIRE(c.external_id[0] && utf8_valid(c.external_id, strlen(c.external_id)));
        REQUIRE(c.expires_at > 1800000000);
}

/* The input up to its first line break is the header, the rest the claims */
static void check_signed(const uint8_t *data, size_t n)
{
        const uint8_t *line = memchr(data, '\n', n);
        size_t n_header = line ? (size_t)(line - data) : 0, at;
        uint8_t signature[AUTH_HASH_LEN];
        static char token[2 * AUTH_TOKEN_MAX];

        if (!line || n > AUTH_TOKEN_MAX)
                return;
        at = base64url_encode(data, n_header, token);
        token[at++] = '.';
        at += base64url_encode(line + 1, n - n_header - 1, token + at);
        REQUIRE(auth_key_sign(key, token, at, signature) == 0);
        token[at++] = '.';
        at += base64url_encode(signature, sizeof(signature), token + at);
        check(lenient, token, at);
        check(strict, token, at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        if (!key)
                init();
        check(strict, (const char *)data, n);
        check_signed(data, n);
        return 0;
}
