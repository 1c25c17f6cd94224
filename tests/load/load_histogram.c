/* Logarithmic buckets: 1 % wide, from 1 us on. */
#include <math.h>

#include "load.h"

void histogram_add(struct load_histogram *h, uint64_t us)
{
        double at = us < 2 ? 0 : log((double)us) / log(1.01);
        unsigned i = at >= LOAD_BUCKETS ? LOAD_BUCKETS - 1 : (unsigned)at;

        h->counts[i]++;
        h->n++;
        if (us > h->max_us)
                h->max_us = us;
}

uint64_t histogram_percentile(const struct load_histogram *h, double percent)
{
        uint64_t rank = (uint64_t)((double)h->n * percent / 100.0), seen = 0;

        for (unsigned i = 0; i < LOAD_BUCKETS; i++) {
                seen += h->counts[i];
                if (seen > rank)
                        return (uint64_t)pow(1.01, i + 0.5);
        }
        return h->max_us;
}
