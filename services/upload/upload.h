#pragma once

#include "upload/upload_config.h"

/* Runs until SIGTERM or SIGINT. 0, or negative errno when it could not start; the reason is logged. */
int upload_run(const struct upload_config *config);
