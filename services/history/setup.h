/* What is done once before the services run, each as a run of its own: an installer gives it the rights that the services then do not need.
 * Safe beside running services, and twice at once. */
#pragma once

#include "history/history_config.h"

/* Both: 0, or negative after PARLEY_SETUP_TIMEOUT_S or an error that time does not mend. What was in the way is logged. */

/* Brings the schema to this program's version. That limit is of waiting, for PostgreSQL and for whoever else is at it: what has begun goes on. */
int setup_migrate(const struct history_config *config);
/* Makes the streams and buckets, or changes them to what the settings say. The schema has to be there: a log that was lost has to begin above
 * what PostgreSQL has of it. */
int setup_provision(const struct history_config *config);
