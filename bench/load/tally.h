/* What the parent tells its workers and what they count, in memory that all of them share. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "hist.h"

#define MAX_WORKERS 16
#define MAX_CLOSE_CODE 5000

enum phase { PHASE_IDLE, PHASE_CONNECT, PHASE_LOAD, PHASE_CUT, PHASE_RESUME };

/* Written by the parent before it wakes the workers */
struct command {
        enum phase phase;
        uint32_t serial;
        unsigned n;       /* connect: how many clients, the first of the plan */
        uint64_t start;   /* load, resume: when it begins (ns, monotonic) */
        double interval;  /* load: ns between two messages, all senders together */
        uint64_t total;   /* load: messages */
        uint64_t warm;    /* load: messages meant to be sent before this time are in no percentile */
        unsigned senders; /* load: the first of the plan */
        unsigned edits;   /* load: of 1000 messages */
        uint8_t run;      /* load: tells its messages from those of others */
        unsigned keep;    /* cut: clients that stay, the first of the plan */
        unsigned expect;  /* resume: events that each room of each client has missed */
};

/* Written by one worker. While a command runs the parent looks only at the counters that it waits for. */
struct tally {
        uint32_t serial; /* of the command that this worker has begun, and for PHASE_IDLE and PHASE_CUT ended */
        bool sent_all;
        /* since the beginning */
        uint64_t ready, closed, refused;
        uint32_t closes[MAX_CLOSE_CODE];
        /* since the last command but PHASE_IDLE */
        uint64_t sent, to_ack, acked, expected, delivered, measured, doubled, breaks, errors, gaps, other, retries,
                filled;
        uint64_t frames, bytes, segments;
        uint64_t late_ns; /* the worst delay of our own sending, which is part of every latency */
        uint64_t last_ns; /* when the last one came */
        struct hist delivery, ack;
};

struct shared {
        struct command command;
        struct tally tallies[MAX_WORKERS];
};
