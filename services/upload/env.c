#include "upload/env.h"

#include <time.h>
#include <uv.h>

uint64_t env_wall_ms(void)
{
        struct timespec t;

        (void)clock_gettime(CLOCK_REALTIME, &t);
        return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t env_now_ms(const struct env *env)
{
        return uv_now(env->loop);
}
