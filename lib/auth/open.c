#include "auth/open.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auth/auth.h"
#include "auth/jwks.h"

static int open_keys(struct auth **ret_auth, const struct auth_config *config, char *ret_error, size_t n_error)
{
        const struct auth_options options = {.secret = config->secret,
                                             .issuer = config->issuer,
                                             .audience = config->audience,
                                             .leeway_s = (uint32_t)config->leeway_s};
        char why[160] = "";
        int r;

        if (!config->secret && !config->jwks_url) {
                (void)snprintf(ret_error, n_error,
                               "neither PARLEY_TOKEN_SECRET nor PARLEY_TOKEN_JWKS_URL is set: nobody could come in");
                return -EINVAL;
        }
        r = auth_new(ret_auth, &options, why, sizeof(why));
        if (r < 0)
                (void)snprintf(ret_error, n_error, "PARLEY_TOKEN_SECRET cannot be used: %s", *why ? why : strerror(-r));
        return r;
}

int auth_open(struct auth **ret_auth, struct jwks **ret_jwks, uv_loop_t *loop, const struct auth_config *config,
              void (*on_result)(int error, const char *text, void *userdata), void *userdata, char *ret_error,
              size_t n_error)
{
        struct auth *auth;
        struct jwks *jwks = NULL;
        int r = open_keys(&auth, config, ret_error, n_error);

        if (r < 0)
                return r;
        if (config->jwks_url) {
                r = jwks_new(&jwks, loop, auth, config->jwks_url, (uint32_t)config->jwks_interval_s, on_result,
                             userdata);
                if (r < 0) {
                        (void)snprintf(ret_error, n_error, "PARLEY_TOKEN_JWKS_URL cannot be used: %s", strerror(-r));
                        auth_free(auth);
                        return r;
                }
        }
        *ret_auth = auth;
        *ret_jwks = jwks;
        return 0;
}
