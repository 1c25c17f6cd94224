/* parley-bench: load against a running system, and the raw limits beside it. It shares no code with the services. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <time.h>

static inline uint64_t now_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Says what failed, with errno's text, and ends the process with 2 */
_Noreturn void die(const char *what);
/* Waits on an epoll descriptor until `until` (ns, monotonic), with nanoseconds' resolution. Returns the number of events. */
int wait_events(int ep, struct epoll_event *events, int max, uint64_t until);

/* Each mode reads its own options, prints JSON lines and returns the exit status. main.c has their help. */
int mode_load(int argc, char **argv);
int mode_serial_ack(int argc, char **argv);
int mode_async_ack(int argc, char **argv);
int mode_server(int argc, char **argv);
