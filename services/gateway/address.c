#include "gateway/address.h"

#include <stdlib.h>
#include <string.h>

#define ADDRESS_KEEP_MS 60000

static struct address *address_new(struct core *core, const char *text)
{
        struct address *a;

        if (HASH_COUNT(core->addresses) >= core->config->max_addresses)
                return NULL;
        a = calloc(1, sizeof(*a));
        if (!a)
                return NULL;
        memcpy(a->text, text, strnlen(text, ADDRESS_MAX));
        HASH_ADD_STR(core->addresses, text, a);
        if (!a->hh.tbl) {
                free(a);
                return NULL;
        }
        return a;
}

enum parley_code address_enter(struct core *core, const char *text, struct address **ret_address,
                               uint32_t *ret_retry_ms)
{
        const struct gateway_config *config = core->config;
        struct address *a;
        uint32_t wait;

        HASH_FIND_STR(core->addresses, text, a);
        if (!a)
                a = address_new(core, text);
        *ret_retry_ms = 1000;
        if (!a)
                return PARLEY_RATE_LIMITED;
        if (config->max_connections_per_address && a->n_connections >= config->max_connections_per_address)
                return PARLEY_RATE_LIMITED;
        wait = ratelimit_take(&a->connections, core->now_ms, core_rate(core, config->rate_connections_per_address),
                              (uint32_t)config->burst_connections_per_address, 1);
        if (wait) {
                *ret_retry_ms = wait;
                return PARLEY_RATE_LIMITED;
        }
        a->n_connections++;
        *ret_address = a;
        return PARLEY_OK;
}

void address_leave(struct core *core, struct address *a)
{
        if (!a)
                return;
        a->n_connections--;
        a->left_ms = core->now_ms;
}

void address_sweep(struct core *core)
{
        struct address *a, *tmp;

        HASH_ITER (hh, core->addresses, a, tmp) {
                if (a->n_connections || core->now_ms - a->left_ms < ADDRESS_KEEP_MS)
                        continue;
                HASH_DEL(core->addresses, a);
                free(a);
        }
}

void address_free_all(struct core *core)
{
        struct address *a, *tmp;

        HASH_ITER (hh, core->addresses, a, tmp) {
                HASH_DEL(core->addresses, a);
                free(a);
        }
}
