/* Which sequences of a channel a user may see. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parley/v1/event.pb-c.h"

enum { VISIBILITY_SPANS_MAX = 256 }; /* older stays than the last so many are not shown */

struct seq_span {
        uint64_t from, to; /* both included */
};

struct visibility {
        struct seq_span spans[VISIBILITY_SPANS_MAX]; /* ascending, apart from each other */
        unsigned n;
};

/* spans: the user's stays by the log, in any order; to UINT64_MAX: still there. `unlimited`: not as a member (an administrator, a
 * service's own repair). */
void visibility_compute(const Parley__V1__Channel *channel, const struct seq_span *spans, unsigned n_spans,
                        bool unlimited, struct visibility *ret_visibility);
bool visibility_sees(const struct visibility *v, uint64_t seq);
