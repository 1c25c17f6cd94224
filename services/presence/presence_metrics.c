#include "presence/presence_metrics.h"

#include <stddef.h>

#include "base/cleanup.h"

struct metric metric_changes = METRIC(COUNTER, "parley_presence_changes_total", "Changes of users that were told.");
struct metric metric_counts = METRIC(COUNTER, "parley_presence_counts_total",
                                     "Counts of large channels that were told.");
struct metric metric_tidings = METRIC(COUNTER, "parley_presence_tidings_total",
                                      "Messages to the gateways, in which changes and counts are collected.");
struct metric metric_snapshots_asked = METRIC(COUNTER, "parley_presence_snapshots_asked_total",
                                              "Requests for snapshots of gateways.");
struct metric metric_reports = METRIC(COUNTER, "parley_presence_reports_total", "Messages of gateways.");
struct metric metric_stored = METRIC(COUNTER, "parley_presence_last_seen_writes_total",
                                     "Writes of when users were here last.");
struct metric metric_queries = METRIC(COUNTER, "parley_presence_queries_total",
                                      "Questions that were answered over NATS.");
struct metric metric_users = METRIC(GAUGE, "parley_presence_users", "Users that are known.");
struct metric metric_online = METRIC(GAUGE, "parley_presence_online_users", "Users that are not offline.");
struct metric metric_gateways = METRIC(GAUGE, "parley_presence_gateways", "Gateways that are known.");
struct metric metric_gaps = METRIC(COUNTER, "parley_presence_gaps_total",
                                   "Breaks in what a gateway says, each mended by a snapshot.");
struct metric metric_old = METRIC(COUNTER, "parley_presence_old_reports_total",
                                  "Messages of gateways that came twice or too late.");
struct metric metric_leading = METRIC(GAUGE, "parley_presence_leading", "1: this instance speaks for all.");
struct metric_histogram metric_told_seconds = {
        .name = "parley_presence_convergence_seconds",
        .help = "From a change of who is here to its telling: of each message the oldest change in it.",
        .bounds = {0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30}};

void presence_metrics_register(void)
{
        struct metric *all[] = {&metric_changes, &metric_counts,   &metric_tidings, &metric_snapshots_asked,
                                &metric_reports, &metric_stored,   &metric_queries, &metric_users,
                                &metric_online,  &metric_gateways, &metric_gaps,    &metric_old,
                                &metric_leading};

        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
                metric_register(all[i]);
        metric_histogram_register(&metric_told_seconds);
}
