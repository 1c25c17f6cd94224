/* The counters of all workers together, and what is printed of them. */
#pragma once

#include "tally.h"

struct report {
        uint64_t ready, closed, sent, to_ack, acked, expected, delivered, measured, doubled, breaks, errors, gaps,
                other, retries, filled;
        uint64_t frames, bytes, segments, late_ns, last_ns;
        bool sent_all;
        struct shared *shared;
        unsigned procs;
};

/* While a command runs the counters are only roughly of one time */
void report_sum(struct report *r, struct shared *shared, unsigned procs);
void report_load(const struct report *r, const struct command *c, unsigned conns, double rate);
void report_resume(const struct report *r, unsigned conns, uint64_t start);
