#include "history/env.h"

#include <stdio.h>
#include <time.h>
#include <uv.h>

#include "base/ident.h"

void env_name_instance(struct env *env)
{
        uint8_t random[6];

        random_bytes(random, sizeof(random));
        (void)snprintf(env->instance, sizeof(env->instance), "parley-history-%02x%02x%02x%02x%02x%02x", random[0],
                       random[1], random[2], random[3], random[4], random[5]);
}

int64_t env_now_ns(void)
{
        struct timespec t;

        (void)clock_gettime(CLOCK_REALTIME, &t);
        return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t env_stamp_ns(void)
{
        int64_t now = env_now_ns();

        return now - now % 1000000;
}

uint64_t env_now_ms(const struct env *env)
{
        return uv_now(env->loop);
}

uint64_t env_mono_ns(void)
{
        return uv_hrtime();
}
