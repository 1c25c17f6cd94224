/* Under the same names in every service: who scrapes them tells services apart by their jobs. */
#include "base/metrics.h"
#include "bus/bus_impl.h"

static struct metric connected = {
        .name = "parley_nats_connected", .help = "1: there is a connection to NATS.", .type = METRIC_GAUGE};
static struct metric connects = {
        .name = "parley_nats_connects_total", .help = "Connections to NATS that were made.", .type = METRIC_COUNTER};
static struct metric disconnects = {
        .name = "parley_nats_disconnects_total", .help = "Connections to NATS that ended.", .type = METRIC_COUNTER};
static struct metric losses = {.name = "parley_nats_losses_total",
                               .help = "Times that messages of NATS were dropped here because too many waited.",
                               .type = METRIC_COUNTER};
static struct metric timeouts = {.name = "parley_nats_timeouts_total",
                                 .help = "Requests and publications that NATS did not answer in time.",
                                 .type = METRIC_COUNTER};

static struct metric holes = {
        .name = "parley_nats_holes_total",
        .help = "Messages of the log that the copy which was read lacked and its leader had; they were taken from there.",
        .type = METRIC_COUNTER};

void bus_metrics_register(void)
{
        metric_register(&connected);
        metric_register(&connects);
        metric_register(&disconnects);
        metric_register(&losses);
        metric_register(&timeouts);
        metric_register(&holes);
}

void bus_metrics_connected(void)
{
        metric_add(&connected, 1);
        metric_add(&connects, 1);
}

void bus_metrics_disconnected(void)
{
        metric_add(&connected, -1);
        metric_add(&disconnects, 1);
}

void bus_metrics_loss(void)
{
        metric_add(&losses, 1);
}

void bus_metrics_timeouts(unsigned n)
{
        metric_add(&timeouts, n);
}

void bus_metrics_hole(void)
{
        metric_add(&holes, 1);
}
