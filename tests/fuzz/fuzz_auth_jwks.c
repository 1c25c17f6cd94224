/* Key sets of any bytes; a set that is taken must find its keys, and verify nothing that was not signed. */
#include "auth/keyset.h"
#include "base/text.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        static const uint8_t signature[256] = {0};
        struct auth_keyset *set = NULL;
        const struct auth_key *key;
        char error[200] = "";
        int r = auth_keyset_new(&set, (const char *)data, n, error, sizeof(error));

        if (r != 0) {
                REQUIRE(!set && error[0] && utf8_valid(error, strlen(error)));
                return 0;
        }
        for (int alg = AUTH_ALG_HS256; alg <= AUTH_ALG_EDDSA; alg++) {
                r = auth_keyset_find(set, NULL, (enum auth_alg)alg, &key);
                REQUIRE(r == 0 || r == AUTH_E_UNKNOWN_KEY);
                if (r != 0)
                        continue;
                REQUIRE(auth_key_alg(key) == (enum auth_alg)alg && alg != AUTH_ALG_HS256);
                if (alg !=
                    AUTH_ALG_EDDSA) /* some points of Ed25519 verify such a signature: the set is trusted not to hold them */
                        REQUIRE(!auth_key_verify(key, "x", 1, signature, alg == AUTH_ALG_ES256 ? 64 : 256));
        }
        auth_keyset_free(set);
        return 0;
}
