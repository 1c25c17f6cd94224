/* The service: builds everything, runs it, and takes it apart in reverse. */
#pragma once

#include "gateway/gateway_config.h"

/* Runs until SIGTERM or SIGINT and the drain that follows. 0, or negative errno after a line in the log. */
int gateway_run(const struct gateway_config *config);
