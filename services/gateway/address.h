/* What comes from one address. */
#pragma once

#include <stdint.h>
#include <uthash.h>

#include "base/codes.h"
#include "base/ratelimit.h"
#include "gateway/core.h"

#define ADDRESS_MAX 45 /* INET6_ADDRSTRLEN without its NUL */

struct address {
        unsigned n_connections;
        uint64_t left_ms; /* when the last connection ended */
        struct ratelimit frames, connections;
        UT_hash_handle hh;
        char text[ADDRESS_MAX + 1];
};

/* Counts a new connection. PARLEY_OK: address_leave must follow; PARLEY_RATE_LIMITED: too many, or too fast; *ret_retry_ms when to try again. */
enum parley_code address_enter(struct core *core, const char *text, struct address **ret_address,
                               uint32_t *ret_retry_ms);
void address_leave(struct core *core, struct address *a); /* NULL is fine */
/* Drops those that nobody came from for a while */
void address_sweep(struct core *core);
void address_free_all(struct core *core);
