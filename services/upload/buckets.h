/* Makes the buckets UPLOADS and FILES, or waits until somebody has, where PARLEY_PROVISION is off. */
#pragma once

#include "upload/env.h"

struct buckets {
        struct env *env;
        bool busy;
};

/* Unless they are there, or are being made; an error is logged, and the next call tries again */
void buckets_ensure(struct buckets *b);
