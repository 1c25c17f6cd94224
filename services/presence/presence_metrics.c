#include "presence/presence_metrics.h"

#include <stddef.h>

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
                .name = "parley_presence_http_requests_total", .help = "Answers to requests by class of status.",      \
                .type = METRIC_COUNTER, .labels = (l)                                                                  \
        }

struct metric metric_changes = COUNTER("parley_presence_changes_total", "Changes of users that were told.");
struct metric metric_counts = COUNTER("parley_presence_counts_total", "Counts of large channels that were told.");
struct metric metric_tidings = COUNTER("parley_presence_tidings_total",
                                       "Messages to the gateways, in which changes and counts are collected.");
struct metric metric_snapshots_asked = COUNTER("parley_presence_snapshots_asked_total",
                                               "Requests for snapshots of gateways.");
struct metric metric_reports = COUNTER("parley_presence_reports_total", "Messages of gateways.");
struct metric metric_stored = COUNTER("parley_presence_last_seen_writes_total", "Writes of when users were here last.");
struct metric metric_queries = COUNTER("parley_presence_queries_total", "Questions that were answered over NATS.");
struct metric metric_users = GAUGE("parley_presence_users", "Users that are known.");
struct metric metric_online = GAUGE("parley_presence_online_users", "Users that are not offline.");
struct metric metric_gateways = GAUGE("parley_presence_gateways", "Gateways that are known.");
struct metric metric_gaps = COUNTER("parley_presence_gaps_total",
                                    "Breaks in what a gateway says, each mended by a snapshot.");
struct metric metric_old = COUNTER("parley_presence_old_reports_total",
                                   "Messages of gateways that came twice or too late.");
struct metric metric_leading = GAUGE("parley_presence_leading", "1: this instance speaks for all.");
struct metric metric_http[6] = {
        HTTP("status=\"other\""), HTTP("status=\"1xx\""), HTTP("status=\"2xx\""),
        HTTP("status=\"3xx\""),   HTTP("status=\"4xx\""), HTTP("status=\"5xx\""),
};
struct metric metric_turn_max = GAUGE("parley_presence_loop_turn_max_seconds",
                                      "The longest turn of the event loop since the start.");
struct metric_histogram metric_told_seconds = {
        .name = "parley_presence_convergence_seconds",
        .help = "From a change of who is here to its telling: of each message the oldest change in it.",
        .bounds = {0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30}};
struct metric_histogram metric_http_seconds = {.name = "parley_presence_http_request_seconds",
                                               .help = "Time from a request to its answer.",
                                               .bounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5}};

void presence_metrics_register(void)
{
        struct metric *all[] = {&metric_changes, &metric_counts,   &metric_tidings, &metric_snapshots_asked,
                                &metric_reports, &metric_stored,   &metric_queries, &metric_users,
                                &metric_online,  &metric_gateways, &metric_gaps,    &metric_old,
                                &metric_leading, &metric_turn_max};

        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
                metric_register(all[i]);
        for (size_t i = 0; i < ARRAY_SIZE(metric_http); i++)
                metric_register(&metric_http[i]);
        metric_histogram_register(&metric_http_seconds);
        metric_histogram_register(&metric_told_seconds);
}
