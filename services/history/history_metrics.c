#include "history/history_metrics.h"

#include <stddef.h>

#include "base/cleanup.h"

struct metric metric_ingested = METRIC(COUNTER, "parley_history_ingested_events_total",
                                       "Events of the log that were applied to Postgres.");
struct metric metric_batches = METRIC(COUNTER, "parley_history_ingest_transactions_total",
                                      "Transactions of ingest that were committed.");
struct metric metric_duplicates = METRIC(COUNTER, "parley_history_duplicates_total",
                                         "Second events of one identity; stored as placeholders.");
struct metric metric_dead_letters = METRIC(COUNTER, "parley_history_dead_letters_total",
                                           "Messages of the log that could not be applied.");
struct metric metric_fenced = METRIC(
        COUNTER, "parley_history_fenced_total",
        "Transactions of ingest that were refused because another ingester had moved the cursor.");
struct metric metric_lag_events = METRIC(GAUGE, "parley_history_ingest_lag_events",
                                         "Events of the logs of this instance that are not applied yet.");
struct metric metric_lag_seconds = METRIC(
        GAUGE, "parley_history_ingest_lag_seconds",
        "Age of the oldest event that is not applied yet, or how long ingest stands still; the worst shard of this instance.");
struct metric metric_log_full = METRIC(GAUGE, "parley_history_log_full_ratio",
                                       "Bytes of the log by its max_bytes; the fullest log of this instance.");
struct metric metric_outbox_rows = METRIC(GAUGE, "parley_history_outbox_rows", "Changes that are being published.");
struct metric metric_outbox_published = METRIC(COUNTER, "parley_history_outbox_published_total",
                                               "Changes that were published and acknowledged.");
struct metric metric_unconfirmed = METRIC(COUNTER, "parley_history_changes_unconfirmed_total",
                                          "Changes that not every gateway confirmed in time.");
struct metric metric_bucket_writes = METRIC(COUNTER, "parley_history_bucket_writes_total",
                                            "Values written to MEMBERS and CHANNELS.");
struct metric metric_log_deletions = METRIC(COUNTER, "parley_history_log_deletions_total",
                                            "Messages removed from the log because they were deleted.");
struct metric metric_log_deletions_waiting = METRIC(
        GAUGE, "parley_history_log_deletions_waiting",
        "Deleted messages that must still be removed from the log (at most one batch is counted).");
struct metric metric_releases_waiting = METRIC(GAUGE, "parley_history_file_releases_waiting",
                                               "Files of deleted messages that upload should have removed by now.");
struct metric metric_releases_age = METRIC(GAUGE, "parley_history_file_releases_oldest_seconds",
                                           "How long the oldest of these should have been removed.");
struct metric metric_dead_letter_files = METRIC(GAUGE, "parley_history_dead_letter_files",
                                                "Files that are kept because a message with them is a dead letter.");
struct metric metric_trims = METRIC(COUNTER, "parley_history_log_trims_total",
                                    "Times that the log was trimmed by age.");
struct metric metric_early_trims = METRIC(COUNTER, "parley_history_log_early_trims_total",
                                          "Times that the log was trimmed before its time because it was filling up.");
struct metric metric_digests = METRIC(COUNTER, "parley_history_digests_total", "Digests published.");
struct metric metric_pg_connections = METRIC(GAUGE, "parley_history_pg_connections", "Open connections to Postgres.");
struct metric metric_pg_busy = METRIC(GAUGE, "parley_history_pg_busy", "Connections to Postgres that run a job.");
struct metric metric_pg_queued = METRIC(GAUGE, "parley_history_pg_queued",
                                        "Jobs that wait for a connection to Postgres.");
struct metric metric_send_backlog = METRIC(GAUGE, "parley_history_bus_send_backlog_bytes",
                                           "Bytes that wait to be sent to NATS.");
struct metric metric_rpc = METRIC(COUNTER, "parley_history_rpc_requests_total", "Requests answered over NATS.");
struct metric_histogram metric_batch_seconds = {
        .name = "parley_history_ingest_batch_seconds",
        .help = "From a complete batch to its commit.",
        .bounds = {0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12}};
struct metric_histogram metric_pg_wait_seconds = {
        .name = "parley_history_pg_wait_seconds",
        .help = "What a job waited for a connection to Postgres.",
        .bounds = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5}};

void history_metrics_register(void)
{
        struct metric *const all[] = {
                &metric_ingested,
                &metric_batches,
                &metric_duplicates,
                &metric_dead_letters,
                &metric_fenced,
                &metric_lag_events,
                &metric_lag_seconds,
                &metric_log_full,
                &metric_outbox_rows,
                &metric_outbox_published,
                &metric_unconfirmed,
                &metric_bucket_writes,
                &metric_log_deletions,
                &metric_log_deletions_waiting,
                &metric_releases_waiting,
                &metric_releases_age,
                &metric_dead_letter_files,
                &metric_trims,
                &metric_early_trims,
                &metric_digests,
                &metric_pg_connections,
                &metric_pg_busy,
                &metric_pg_queued,
                &metric_send_backlog,
                &metric_rpc,
        };

        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
                metric_register(all[i]);
        metric_histogram_register(&metric_batch_seconds);
        metric_histogram_register(&metric_pg_wait_seconds);
}
