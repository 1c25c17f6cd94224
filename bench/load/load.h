/* parley-bench: load against a running gateway, and the raw limits beside it. It shares no code with the services. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "hist.h"
#include "wsc.h"

struct options {
        const char *mode;
        const char *host;
        int port;
        const char *tokens; /* a file with one token a line */
        const char *channel;
        const char *protocol;
        int conns;
        int senders;
        double rate; /* messages a second, all senders together */
        double seconds;
        int payload; /* bytes of content */
        int nats_port;
        const char *subject;
        int pid; /* of the server, for memory and CPU time; 0: not looked at */
};

static inline uint64_t now_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Each mode prints one JSON line and returns the exit status: 0, or 1 when something was lost, doubled or closed. */
int mode_room(const struct options *o);        /* latency and fan-out: senders to all members of one channel */
int mode_idle(const struct options *o);        /* connections that say nothing */
int mode_echo_server(const struct options *o); /* a bare WebSocket echo */
int mode_echo(const struct options *o);        /* open loop against it */
int mode_serial_ack(const struct options *o);  /* one JetStream publish after the other */

/* Resident memory of a process in KB, and its CPU time in microseconds; 0 when it cannot be read */
long rss_kb(int pid);
long cpu_us(int pid);
_Noreturn void die(const char *what);
/* Reads the tokens, one line each; exits when there are fewer than n */
char **read_tokens(const char *path, int n);
/* Waits on an epoll descriptor until `until` (ns, monotonic), with nanoseconds' resolution. Returns the number of events. */
struct epoll_event;
int wait_events(int ep, struct epoll_event *events, int max, uint64_t until);
