/* What upload counts. */
#pragma once

#include "base/metrics.h"
#include "upload/reconcile_core.h"

extern struct metric metric_begun, metric_pending, metric_swept, metric_completed, metric_rejected, metric_quarantined,
        metric_released, metric_file_releases, metric_file_holds, metric_transfers, metric_received;
/* Why a body was ended before all of it had come */
enum cut_reason { CUT_SLOW, CUT_OTHERS, CUT_SUPERSEDED, CUT_N };
extern struct metric metric_cut[CUT_N], metric_reads, metric_reads_cut;
extern struct metric metric_checks_waiting, metric_checks_refused;
/* answered, refused, failed */
extern struct metric metric_s3[3], metric_s3_running, metric_s3_waiting, metric_s3_full;
extern struct metric metric_apart[_FINDING_N], metric_compared_at;

void upload_metrics_register(void);
