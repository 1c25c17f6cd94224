/* A latency histogram: log-linear, 128 steps a power of two (error under 1 %), nanoseconds up to 2^42 (73 minutes). */
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
/* The value at quantile q in [0, 1], in ns; 0 when empty */
uint64_t hist_at(const struct hist *h, double q);
