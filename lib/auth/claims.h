/* What a token says, once its signature is known to be good. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/auth.h"

struct auth_policy {
        const char *issuer;   /* NULL: not checked */
        const char *audience; /* NULL: not checked */
        uint32_t leeway_s;
        bool require_exp;
};

/* 0, AUTH_E_*, -ENOMEM */
int auth_claims_read(const char *json, size_t n, const struct auth_policy *policy, int64_t now_s,
                     struct auth_claims *ret_claims);
