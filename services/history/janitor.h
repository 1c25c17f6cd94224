/* Behind ingest: removes what was deleted from the log, and trims the log by age, and by size when it fills up. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "history/env.h"

struct janitor;

int janitor_new(struct janitor **ret_janitor, struct env *env, const char *stream);
void janitor_free(struct janitor *j); /* NULL is fine; only after `done` of janitor_stop */
void janitor_start(struct janitor *j);
/* Bytes of the log by its max_bytes as it was at the last look; 0 when it has none */
double janitor_log_full(const struct janitor *j);
/* done: nothing is under way any more; may be called from within */
void janitor_stop(struct janitor *j, void (*done)(void *userdata), void *userdata);
