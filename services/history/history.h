/* The service: everything that it consists of, from start to stop. */
#pragma once

#include "history/history_config.h"

/* Runs until SIGTERM or SIGINT. 0, or a negative errno that was logged. */
int history_run(const struct history_config *config);
