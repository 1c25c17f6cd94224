#include "hist.h"

static unsigned index_of(uint64_t v)
{
        unsigned shift;

        if (v < HIST_SUB)
                return (unsigned)v;
        shift = (unsigned)(63 - __builtin_clzll(v)) - 7;
        if (shift > 34)
                return HIST_N - 1;
        return (shift + 1) * HIST_SUB + (unsigned)((v >> shift) - HIST_SUB);
}

uint64_t hist_value(unsigned i)
{
        unsigned shift;

        if (i < 2 * HIST_SUB)
                return i;
        shift = i / HIST_SUB - 1;
        return ((uint64_t)(i % HIST_SUB) + HIST_SUB) << shift;
}

void hist_add(struct hist *h, uint64_t ns)
{
        h->counts[index_of(ns)]++;
        h->n++;
        if (ns > h->max)
                h->max = ns;
}

uint64_t hist_at(const struct hist *h, double q)
{
        uint64_t want = (uint64_t)(q * (double)h->n + 0.5), seen = 0;

        if (want < 1)
                want = 1;
        for (unsigned i = 0; i < HIST_N; i++) {
                seen += h->counts[i];
                if (seen >= want && h->n)
                        return hist_value(i);
        }
        return h->max;
}

void hist_merge(struct hist *h, const struct hist *other)
{
        for (unsigned i = 0; i < HIST_N; i++)
                h->counts[i] += other->counts[i];
        h->n += other->n;
        if (other->max > h->max)
                h->max = other->max;
}
