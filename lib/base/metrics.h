/* Counters, gauges and histograms of a process, written in the Prometheus text format. Loop thread only.
 * A metric is a static object registered once; names end in _total for counters, base units (seconds, bytes). */
#pragma once

#include <stdint.h>

struct buf;

enum metric_type { METRIC_COUNTER, METRIC_GAUGE };

struct metric {
        const char *name; /* "parley_gateway_acks_total" */
        const char *help;
        enum metric_type type;
        const char *labels; /* "code=\"unavailable\"" or NULL; metrics of one name stand beside each other */
        double value;
        struct metric *next;
};

/* struct metric m = METRIC(COUNTER, "parley_gateway_acks_total", "What it counts."); */
#define METRIC(type_, name_, help_)                                                                                    \
        {                                                                                                              \
                .name = (name_), .help = (help_), .type = METRIC_##type_                                               \
        }

#define METRIC_BUCKETS 16
struct metric_histogram {
        const char *name;
        const char *help;
        double bounds[METRIC_BUCKETS]; /* ascending; 0 ends; +Inf is implied */
        uint64_t counts[METRIC_BUCKETS + 1];
        double sum;
        uint64_t count;
        struct metric_histogram *next;
};

/* Registering the same object again does nothing. name, help and labels must outlive the process. */
void metric_register(struct metric *m);
void metric_histogram_register(struct metric_histogram *h);
static inline void metric_add(struct metric *m, double v)
{
        m->value += v;
}
static inline void metric_set(struct metric *m, double v)
{
        m->value = v;
}
void metric_observe(struct metric_histogram *h, double v);
/* Appends all, or nothing: 0, BUF_E_FULL, -ENOMEM */
int metrics_write(struct buf *out);
