#include "upload/upload_metrics.h"

#include "base/cleanup.h"

#define CUT(why_)                                                                                                       \
        {                                                                                                               \
                .name = "parley_upload_transfers_cut_total",                                                            \
                .help = "Bodies that the local store ended before all of them had come: below PARLEY_UPLOAD_MIN_RATE, " \
                        "for somebody who holds fewer places, or because the same part came again.",                    \
                .type = METRIC_COUNTER, .labels = "why=\"" why_ "\""                                                    \
        }
#define S3(outcome_)                                                                                                   \
        {                                                                                                              \
                .name = "parley_upload_s3_requests_total",                                                             \
                .help = "Requests to the S3 server, each try: answered, refused (429, 5xx) or failed (no answer).",    \
                .type = METRIC_COUNTER, .labels = "outcome=\"" outcome_ "\""                                           \
        }

struct metric metric_begun = METRIC(COUNTER, "parley_upload_begun_total", "Uploads that were begun.");
struct metric metric_pending = METRIC(GAUGE, "parley_upload_pending",
                                      "Uploads that are neither completed nor over, at the last look.");
struct metric metric_completed = METRIC(COUNTER, "parley_upload_completed_total", "Uploads that became files.");
struct metric metric_rejected = METRIC(COUNTER, "parley_upload_rejected_total",
                                       "Uploads whose content was not what was announced, or not allowed.");
struct metric metric_swept = METRIC(COUNTER, "parley_upload_swept_total",
                                    "Uploads that were over and have been removed.");
struct metric metric_quarantined = METRIC(COUNTER, "parley_upload_quarantined_total", "Files that were quarantined.");
struct metric metric_file_releases = METRIC(COUNTER, "parley_upload_files_of_deleted_messages_total",
                                            "Files that were removed because no message carries them any more.");
struct metric metric_file_holds = METRIC(COUNTER, "parley_upload_files_held_total",
                                         "Times that such a file was kept, because descriptors may still be sent.");
struct metric metric_released = METRIC(COUNTER, "parley_upload_released_total",
                                       "Files that were released: found clean, or after a quarantine.");
struct metric metric_transfers = METRIC(GAUGE, "parley_upload_transfers", "Bodies that the local store is taking in.");
struct metric metric_cut[CUT_N] = {
        [CUT_SLOW] = CUT("slow"),
        [CUT_OTHERS] = CUT("for_others"),
        [CUT_SUPERSEDED] = CUT("superseded"),
};
struct metric metric_reads = METRIC(GAUGE, "parley_upload_reads", "Files that the local store is sending.");
struct metric metric_reads_cut = METRIC(COUNTER, "parley_upload_reads_cut_total",
                                        "Files whose sending was ended for somebody who holds fewer places.");
struct metric metric_received = METRIC(COUNTER, "parley_upload_received_bytes_total",
                                       "Bytes of bodies that the local store took in.");
struct metric metric_checks_waiting = METRIC(GAUGE, "parley_upload_checks_waiting",
                                             "Completed files that wait for their content to be looked at.");
struct metric metric_checks_refused = METRIC(COUNTER, "parley_upload_checks_refused_total",
                                             "Completions that were put off, because too many of these waited.");
struct metric metric_s3[3] = {S3("answered"), S3("refused"), S3("failed")};
struct metric metric_s3_running = METRIC(GAUGE, "parley_upload_s3_running",
                                         "Requests to the S3 server that are under way.");
struct metric metric_s3_waiting = METRIC(GAUGE, "parley_upload_s3_waiting",
                                         "Requests that wait for one of these to end.");
struct metric metric_s3_full = METRIC(COUNTER, "parley_upload_s3_full_total",
                                      "Requests that were not made, because PARLEY_S3_MAX_WAITING waited.");
struct metric metric_apart[_FINDING_N] = {
#define X(id, text)                                                                                                    \
        [FINDING_##id] = {.name = "parley_upload_apart",                                                               \
                          .help = "What the last comparison of objects, records and messages found.",                  \
                          .type = METRIC_GAUGE,                                                                        \
                          .labels = "what=\"" text "\""},
        FINDING_MAP(X)
#undef X
};
struct metric metric_compared_at = METRIC(GAUGE, "parley_upload_compared_timestamp_seconds",
                                          "When that comparison ended, unix; 0: there was none yet.");

void upload_metrics_register(void)
{
        struct metric *const all[] = {
                &metric_begun,          &metric_pending,       &metric_completed,     &metric_rejected,
                &metric_quarantined,    &metric_released,      &metric_file_releases, &metric_swept,
                &metric_transfers,      &metric_received,      &metric_s3[0],         &metric_s3[1],
                &metric_s3[2],          &metric_s3_running,    &metric_s3_waiting,    &metric_s3_full,
                &metric_compared_at,    &metric_file_holds,    &metric_reads,         &metric_reads_cut,
                &metric_checks_waiting, &metric_checks_refused};

        for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
                metric_register(all[i]);
        for (unsigned i = 0; i < ARRAY_SIZE(metric_cut); i++)
                metric_register(&metric_cut[i]);
        for (unsigned i = 0; i < ARRAY_SIZE(metric_apart); i++)
                metric_register(&metric_apart[i]);
}
