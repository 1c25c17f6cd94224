/* Places where a test build can be made to fail, by the environment variable PARLEY_FAILPOINTS:
 *   name=action[@n][,name=action…]     action: kill (SIGKILL to itself), error, sleepMS (blocks: tests only)
 * The n-th time (from 1) that the place is reached the action is taken, once; without @n the first time. "@*": every time.
 * Compiled to nothing unless the build has PARLEY_FAILPOINTS. */
#pragma once

#ifdef PARLEY_FAILPOINTS
/* Returns 0, or -EIO for "error" */
int failpoint_hit(const char *name);
#define FAILPOINT(name) failpoint_hit(name)
#else
#define FAILPOINT(name) 0
#endif
