/* What presence counts. */
#pragma once

#include "base/metrics.h"

extern struct metric metric_changes, metric_counts, metric_tidings, metric_snapshots_asked, metric_reports,
        metric_stored, metric_queries, metric_users, metric_online, metric_gateways, metric_gaps, metric_old,
        metric_leading;
extern struct metric_histogram metric_told_seconds;

void presence_metrics_register(void);
