/* What every process says of itself beside its own metrics, under the names that Prometheus' client libraries gave them. */
#pragma once

/* Registers process_* and parley_build_info{service=…}. Loop thread, as all of metrics.h. service must outlive the process. */
void process_metrics_register(const char *service);
/* Reads the values of now from the kernel; what it does not tell stays as it was. Before metrics_write. */
void process_metrics_update(void);
