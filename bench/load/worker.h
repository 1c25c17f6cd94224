/* One process of the load: every procs-th client of the plan, on one epoll. */
#pragma once

#include "session.h"

/* Runs until the pipe, from which each byte announces the next command, is closed; then ends the process. */
_Noreturn void worker_run(const struct load_options *o, struct shared *shared, unsigned index, int pipe);
