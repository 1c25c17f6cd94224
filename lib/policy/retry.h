/* A retry may have been stored long ago. When may it be published again without becoming a second event? Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* From when on the log itself knows the ids that were published, in unix ms: its memory of them ends with the window
 * (PARLEY_DEDUPE_WINDOW_MS), and begins with the stream (epoch_s: unix seconds of its creation). Clocks, and the way to the server, are
 * trusted within a tenth of the window, and 5 s at most. What history has ingested through this time or later can be published again:
 * either it is found, or the log would say "duplicate". */
int64_t dedupe_since_ms(uint64_t window_ms, uint64_t epoch_s, int64_t now_ms);

/* Whether what history does not find, having ingested through this time, was not stored before asked_ms (unix ms). Clocks, and the way of what was
 * sent just before, are trusted within 5 s: whoever is told so goes on under the same id, or not at all. */
bool retry_unstored(int64_t through_ms, int64_t asked_ms);
