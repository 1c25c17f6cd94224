/* A latency histogram as HdrHistogram has it: log-linear, 128 steps a power of two (error under 1 %), nanoseconds up to 2^42 (73 minutes).
 * HdrHistogram_c is not in Debian 12, and allocates for itself: this one lies in memory that the processes of a load share. */
#pragma once

#include <stdint.h>

#define HIST_SUB 128
#define HIST_N (36 * HIST_SUB)

struct hist {
        uint64_t counts[HIST_N];
        uint64_t n;
        uint64_t max;
};

void hist_add(struct hist *h, uint64_t ns);
/* The least value, in ns, that is counted in counts[i] */
uint64_t hist_value(unsigned i);
void hist_merge(struct hist *h, const struct hist *other);
/* The value at quantile q in [0, 1], in ns; 0 when empty */
uint64_t hist_at(const struct hist *h, double q);
