#include "gateway/stats.h"

#define X(var, kind, text, label, helptext)                                                                            \
        struct metric stat_##var = {.name = (text), .help = (helptext), .type = METRIC_##kind, .labels = (label)};
STATS_MAP(X)
#undef X

struct metric stat_errors[_PARLEY_CODE_N] = {
#define X(name_, text, http, title)                                                                                    \
        [PARLEY_##name_] = {.name = "parley_gateway_errors_total",                                                     \
                            .help = "Error frames by code",                                                            \
                            .type = METRIC_COUNTER,                                                                    \
                            .labels = "code=\"" text "\""},
        PARLEY_CODE_MAP(X)
#undef X
};
struct metric_histogram stat_publish_seconds = {
        .name = "parley_gateway_publish_seconds",
        .help = "From a mutation's arrival to its acknowledgement",
        .bounds = {0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5},
};
struct metric_histogram stat_delivery_lag_seconds = {
        .name = "parley_gateway_delivery_lag_seconds",
        .help = "From an event's creation, by the clock of who made it, to its delivery here",
        .bounds = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60},
};

void stats_register(void)
{
#define X(var, kind, text, label, helptext) metric_register(&stat_##var);
        STATS_MAP(X)
#undef X
        for (unsigned code = PARLEY_OK + 1; code < _PARLEY_CODE_N; code++)
                metric_register(&stat_errors[code]);
        metric_histogram_register(&stat_publish_seconds);
        metric_histogram_register(&stat_delivery_lag_seconds);
}
