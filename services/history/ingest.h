/* The ingester of one shard: reads the log in order and applies it to Postgres, a batch a transaction, with the cursor in it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "history/env.h"
#include "history/ingest_core.h"

struct bus_reader;
struct ingest;

enum ingest_end {
        INGEST_STOPPED, /* was asked to */
        INGEST_FENCED,  /* another ingester moved the cursor: this one must not go on */
        INGEST_FAILED,  /* the database or the stream is not there: read the cursor again and start anew */
};

struct ingest_events {
        /* So much is committed now. For each channel of the batch `head` came before. */
        void (*head)(const char *channel_id, uint64_t seq, void *userdata);
        void (*committed)(uint64_t last_seq, void *userdata);
        void (*ended)(enum ingest_end end, const char *why, void *userdata);
        void *userdata;
};

int ingest_new(struct ingest **ret_ingest, struct env *env, const char *stream, const struct ingest_events *events);
/* Not running */
void ingest_free(struct ingest *in);
/* Goes on behind last_seq */
void ingest_start(struct ingest *in, uint64_t epoch, uint64_t last_seq);
/* Ends after the transaction that is under way; `ended` says when, also when it was not running */
void ingest_stop(struct ingest *in);
uint64_t ingest_last_seq(const struct ingest *in);
/* The epoch of the log that it read last; 0: none yet */
uint64_t ingest_epoch(const struct ingest *in);
/* What the log is known to hold behind the last commit, and the age of the oldest of it; also while it does not run, as it was at the end */
void ingest_lag(const struct ingest *in, uint64_t *ret_events, double *ret_seconds);
