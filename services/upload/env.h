/* What every part of upload is given: who else there is. Nothing here is owned by who receives it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "upload/upload_config.h"

typedef struct uv_loop_s uv_loop_t;
struct bus;
struct quota;
struct sniffer;
struct store;

struct env {
        uv_loop_t *loop;
        const struct upload_config *config;
        struct bus *bus;
        struct store *store;
        struct quota *quota;
        struct sniffer *sniffer;
        bool buckets_there; /* the buckets were made: before that nothing can be begun */
        unsigned n_running; /* requests and other work that must end before the bus and the store are closed */
        void (*on_idle)(struct env *env); /* NULL, or called when n_running becomes 0 */
};

static inline void env_begin(struct env *env)
{
        env->n_running++;
}

static inline void env_end(struct env *env)
{
        if (--env->n_running == 0 && env->on_idle)
                env->on_idle(env);
}

/* Wall clock, unix */
uint64_t env_wall_ms(void);
static inline int64_t env_wall_s(void)
{
        return (int64_t)(env_wall_ms() / 1000);
}
/* Monotonic: of this turn of the loop */
uint64_t env_now_ms(const struct env *env);
