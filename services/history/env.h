/* What every part of history is given: who else there is. Nothing here is owned by who receives it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "history/history_config.h"

typedef struct uv_loop_s uv_loop_t;
struct bus;
struct pg;
struct waiters;
struct gateways;

struct env {
        uv_loop_t *loop;
        const struct history_config *config;
        struct bus *bus;
        struct pg *pg;        /* REST, rpc and changes */
        struct pg *pg_worker; /* ingest, leases, outbox: never waits behind the others */
        struct waiters *waiters;
        struct gateways *gateways;
        char instance[48];                /* application_name of every connection; owner of leases */
        bool migrated;                    /* the schema is there: before that nobody uses pg */
        bool general_there, general_busy; /* general.h */
        unsigned n_learning;              /* names.h */
        unsigned n_running;               /* requests and other work that must end before pg and bus are closed */
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

/* A name that no other instance has */
void env_name_instance(struct env *env);

/* Wall clock, unix */
int64_t env_now_ns(void);
/* For what is kept and shown: in whole milliseconds, as docs/protocol.md says of times */
int64_t env_stamp_ns(void);
/* Monotonic: of this turn of the loop, in milliseconds; right now, in nanoseconds */
uint64_t env_now_ms(const struct env *env);
uint64_t env_mono_ns(void);
static inline int64_t env_now_s(void)
{
        return env_now_ns() / 1000000000;
}
