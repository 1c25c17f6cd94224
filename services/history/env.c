#include "history/env.h"

#include <time.h>
#include <uv.h>

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
