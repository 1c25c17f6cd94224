#include <stdio.h>

#include "base/metrics.h"
#include "base/turn.h"

enum { NAME_MAX_BYTES = 64 };

static char seconds_name[NAME_MAX_BYTES], longest_name[NAME_MAX_BYTES];
static struct metric_histogram seconds_of_turns = {
        .name = seconds_name,
        .help = "Time that one turn of the event loop took, waiting not counted.",
        .bounds = {0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1}};
static struct metric longest = {
        .name = longest_name, .help = "The longest turn of the event loop since the start.", .type = METRIC_GAUGE};

static void on_turn(double seconds, void *userdata)
{
        (void)userdata;
        metric_observe(&seconds_of_turns, seconds);
        if (seconds > longest.value)
                metric_set(&longest, seconds);
}

int turn_measure(struct turn **ret_turn, uv_loop_t *loop, const char *service)
{
        (void)snprintf(seconds_name, sizeof(seconds_name), "parley_%s_loop_turn_seconds", service);
        (void)snprintf(longest_name, sizeof(longest_name), "parley_%s_loop_turn_max_seconds", service);
        metric_histogram_register(&seconds_of_turns);
        metric_register(&longest);
        return turn_new(ret_turn, loop, on_turn, NULL);
}
