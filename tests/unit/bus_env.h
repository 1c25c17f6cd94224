/* For tests of lib/bus: a nats-server of their own on a free port with a store of its own, and a loop with a bus on it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <uv.h>

#include "bus/bus.h"

struct server {
        pid_t pid; /* 0: not running */
        uint16_t port;
        char url[64];
        char dir[64];
};
/* Fails the test when there is no nats-server (scripts/deps) or it does not come up. extra: more lines of its configuration, or NULL. */
void server_start(struct server *s, const char *extra);
void server_kill(struct server *s, int signal); /* SIGKILL and SIGTERM wait for its end; the store stays */
void server_again(struct server *s);
void server_done(struct server *s); /* kills it and removes the store */

struct env {
        uv_loop_t loop;
        struct bus *bus;
        struct bus_options options; /* of env_open: may be changed before */
        unsigned connected, disconnected, losses, turns, errors;
        char last_error[256];
        bool closed;
        uv_timer_t watch; /* ends uv_run at the deadline */
};
void env_init(struct env *e, const struct server *s);
void env_open(struct env *e);    /* bus_new */
void env_connect(struct env *e); /* bus_new, and waits for on_connected */
void env_close(struct env *e);   /* bus_close, waits, and checks that nothing is left on the loop */
/* Runs the loop until *counter >= n. Fails the test after timeout_ms. */
#define env_until(e, counter, n, timeout_ms)                                                                           \
        env_wait((e), &(counter), (n), (timeout_ms), #counter " >= " #n, __FILE__, __LINE__)
void env_wait(struct env *e, const unsigned *counter, unsigned n, unsigned timeout_ms, const char *what,
              const char *file, int line);
/* Runs the loop for a time, for what must not happen */
void env_run(struct env *e, unsigned ms);
uint64_t now_ns(void);

/* What came, of each kind of callback, last one kept */
struct got {
        unsigned n, n_ok;
        int error;
        struct bus_ack ack;
        struct bus_stream_info info;
        char text[256];
        struct bus_msg msg; /* strings and data point into memory */
        char subject[256], msg_id[256], trace_id[256], reply[256];
        uint8_t data[4096];
};
/* Makes a call of which one callback comes, and waits for it in `got` */
#define env_call(e, got, expression)                                                                                   \
        do {                                                                                                           \
                memset((got), 0, sizeof(*(got)));                                                                      \
                assert_int_equal((expression), 0);                                                                     \
                env_until((e), (got)->n, 1, 6000);                                                                     \
        } while (0)
void got_msg(const struct bus_msg *msg, void *userdata);
void got_reply(int error, const struct bus_msg *msg, void *userdata);
void got_ack(int error, const struct bus_ack *ack, const char *text, void *userdata);
void got_stream(int error, const struct bus_stream_info *info, const char *text, void *userdata);
void got_done(int error, const char *text, void *userdata);
void got_flush(int error, void *userdata);

/* A stream over subjects "<prefix>.>"; waits for it */
void make_stream(struct env *e, const struct bus_stream_config *config);
