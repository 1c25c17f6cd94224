#include "upload/upload_metrics.h"

#include "base/cleanup.h"

#define COUNTER(n, h)                                                                                                  \
        {                                                                                                              \
                .name = (n), .help = (h), .type = METRIC_COUNTER                                                       \
        }
#define GAUGE(n, h)                                                                                                    \
        {                                                                                                              \
                .name = (n), .help = (h), .type = METRIC_GAUGE                                                         \
        }
#define HTTP(l)                                                                                                        \
        {                                                                                                              \
                .name = "parley_upload_http_requests_total", .help = "Answers to requests by class of status.",        \
                .type = METRIC_COUNTER, .labels = (l)                                                                  \
        }
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

struct metric metric_http[6] = {
        HTTP("status=\"other\""), HTTP("status=\"1xx\""), HTTP("status=\"2xx\""),
        HTTP("status=\"3xx\""),   HTTP("status=\"4xx\""), HTTP("status=\"5xx\""),
};
struct metric metric_begun = COUNTER("parley_upload_begun_total", "Uploads that were begun.");
struct metric metric_pending = GAUGE("parley_upload_pending",
                                     "Uploads that are neither completed nor over, at the last look.");
struct metric metric_completed = COUNTER("parley_upload_completed_total", "Uploads that became files.");
struct metric metric_rejected = COUNTER("parley_upload_rejected_total",
                                        "Uploads whose content was not what was announced, or not allowed.");
struct metric metric_swept = COUNTER("parley_upload_swept_total", "Uploads that were over and have been removed.");
struct metric metric_quarantined = COUNTER("parley_upload_quarantined_total", "Files that were quarantined.");
struct metric metric_file_releases = COUNTER("parley_upload_files_of_deleted_messages_total",
                                             "Files that were removed because no message carries them any more.");
struct metric metric_file_holds = COUNTER("parley_upload_files_held_total",
                                          "Times that such a file was kept, because descriptors may still be sent.");
struct metric metric_released = COUNTER("parley_upload_released_total",
                                        "Files that were released: found clean, or after a quarantine.");
struct metric metric_transfers = GAUGE("parley_upload_transfers", "Bodies that the local store is taking in.");
struct metric metric_cut[CUT_N] = {
        [CUT_SLOW] = CUT("slow"),
        [CUT_OTHERS] = CUT("for_others"),
        [CUT_SUPERSEDED] = CUT("superseded"),
};
struct metric metric_reads = GAUGE("parley_upload_reads", "Files that the local store is sending.");
struct metric metric_reads_cut = COUNTER("parley_upload_reads_cut_total",
                                         "Files whose sending was ended for somebody who holds fewer places.");
struct metric metric_received = COUNTER("parley_upload_received_bytes_total",
                                        "Bytes of bodies that the local store took in.");
struct metric metric_checks_waiting = GAUGE("parley_upload_checks_waiting",
                                            "Completed files that wait for their content to be looked at.");
struct metric metric_checks_refused = COUNTER("parley_upload_checks_refused_total",
                                              "Completions that were put off, because too many of these waited.");
struct metric metric_s3[3] = {S3("answered"), S3("refused"), S3("failed")};
struct metric metric_s3_running = GAUGE("parley_upload_s3_running", "Requests to the S3 server that are under way.");
struct metric metric_s3_waiting = GAUGE("parley_upload_s3_waiting", "Requests that wait for one of these to end.");
struct metric metric_s3_full = COUNTER("parley_upload_s3_full_total",
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
struct metric metric_compared_at = GAUGE("parley_upload_compared_timestamp_seconds",
                                         "When that comparison ended, unix; 0: there was none yet.");
struct metric metric_turn_max = GAUGE("parley_upload_loop_turn_max_seconds",
                                      "The longest turn of the event loop since the start.");
struct metric_histogram metric_http_seconds = {
        .name = "parley_upload_http_seconds",
        .help = "From a request's head to its answer.",
        .bounds = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60}};

void upload_metrics_register(void)
{
        struct metric *const all[] = {
                &metric_begun,       &metric_pending,        &metric_completed,     &metric_rejected,
                &metric_quarantined, &metric_released,       &metric_file_releases, &metric_swept,
                &metric_transfers,   &metric_received,       &metric_turn_max,      &metric_s3[0],
                &metric_s3[1],       &metric_s3[2],          &metric_s3_running,    &metric_s3_waiting,
                &metric_s3_full,     &metric_compared_at,    &metric_file_holds,    &metric_reads,
                &metric_reads_cut,   &metric_checks_waiting, &metric_checks_refused};

        for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
                metric_register(all[i]);
        for (unsigned i = 0; i < ARRAY_SIZE(metric_http); i++)
                metric_register(&metric_http[i]);
        for (unsigned i = 0; i < ARRAY_SIZE(metric_cut); i++)
                metric_register(&metric_cut[i]);
        for (unsigned i = 0; i < ARRAY_SIZE(metric_apart); i++)
                metric_register(&metric_apart[i]);
        metric_histogram_register(&metric_http_seconds);
}
