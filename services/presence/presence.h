/* parley-presence: one process, one loop. */
#pragma once

#include "presence/presence_config.h"

/* Runs until SIGTERM or SIGINT. 0, or negative errno when it could not start; why is in the log. */
int presence_run(const struct presence_config *config);
