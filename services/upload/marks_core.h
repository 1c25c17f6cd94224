/* How long the marks stay that ends of uploads and deletions leave in the bucket FILES: as long as somebody could still make a file of an upload with this
 * id. Pure. Times in ms, unix, where nothing else is said. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "parley/v1/upload.pb-c.h"

/* In the state that all instances share: the longest that an upload may take which is not over. setting_s: PARLEY_UPLOAD_PENDING_TTL_S of this instance,
 * max_s: the most that it takes. True: the state was changed, and is to be written; at most once an hour while nothing is new. */
bool marks_remember(Parley__V1__ReconciliationState *s, uint64_t setting_s, uint64_t max_s, uint64_t now_ms);
/* Whether the mark of an upload that was begun then may go. ttl_s: of the state; 0: not known, it may not */
bool marks_over(uint64_t begun_ms, uint64_t ttl_s, uint64_t now_ms);
