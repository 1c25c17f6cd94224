/* The metrics of history, for /metrics */
#pragma once

#include "base/metrics.h"

extern struct metric metric_ingested, metric_batches, metric_duplicates, metric_dead_letters, metric_fenced;
extern struct metric metric_lag_events, metric_lag_seconds, metric_log_full;
extern struct metric metric_outbox_rows, metric_outbox_published, metric_unconfirmed, metric_bucket_writes;
extern struct metric metric_log_deletions, metric_log_deletions_waiting, metric_releases_waiting, metric_releases_age;
extern struct metric metric_dead_letter_files;
extern struct metric metric_trims, metric_early_trims, metric_digests;
extern struct metric metric_pg_connections, metric_pg_busy, metric_pg_queued;
extern struct metric metric_send_backlog, metric_rpc, metric_http[6]; /* by the first digit of the status */
extern struct metric_histogram metric_batch_seconds, metric_pg_wait_seconds;

void history_metrics_register(void);
