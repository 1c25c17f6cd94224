/* Places where a test build can be made to fail, by the environment variable PARLEY_FAILPOINTS:
 *   name=action[@n][,name=action…]     action: kill (SIGKILL to itself), error, sleepMS (blocks: tests only)
 * The n-th time (from 1) that the place is reached the action is taken, once; without @n the first time.
 * "@*": every time.
 * Hits count for the process, over all threads. A specification that cannot be read aborts: a test with a misspelt
 * one would test nothing. Without PARLEY_FAILPOINTS in the build, nothing is compiled. */
#pragma once

#ifdef PARLEY_FAILPOINTS
/* Returns 0, or -EIO for "error" */
int failpoint_hit(const char *name);
#define FAILPOINT(name) failpoint_hit(name)
#else
static inline int failpoint_none(void)
{
        return 0;
}
#define FAILPOINT(name) failpoint_none()
#endif
