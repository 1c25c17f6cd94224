/* A server of lib/http on a loop in a thread of its own, and a blocking client: what the tests of the server share. */
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "http/http.h"

#define FIXTURE_HELD_MAX 64

struct fixture {
        pthread_t thread;
        uv_loop_t loop;
        uv_async_t call;
        sem_t called;
        void (*func)(struct fixture *f);
        struct http_server *server;
        unsigned port;
        struct http_options options;
        int result; /* of http_server_new */

        /* loop thread, or while the loop thread waits for nothing */
        struct http_request *held[FIXTURE_HELD_MAX]; /* requests to /api/held, not answered yet */
        unsigned n_held;
        unsigned n_contexts_freed;
        unsigned n_done;
        uint32_t grace_ms;
        char last_report[256]; /* "GET /api/things/{id} 200" */
        unsigned n_reports;
};

/* Starts it. options may be NULL; loop, listen, routes and on_request are filled in where they are not set. */
void fixture_start(struct fixture *f, const struct http_options *options);
/* Closes the server if it is open, ends the loop, and joins */
void fixture_stop(struct fixture *f);
/* Runs func on the loop's thread and returns when it has run */
void fixture_call(struct fixture *f, void (*func)(struct fixture *f));
/* Waits until func, run on the loop's thread, says so; false after 5 s */
bool fixture_wait(struct fixture *f, bool (*func)(struct fixture *f));
void fixture_release_held(struct fixture *f); /* answers all: for fixture_call */
bool fixture_has_held(struct fixture *f);     /* for fixture_wait */
bool fixture_is_done(struct fixture *f);      /* for fixture_wait */

/* --- the client --- */
struct answer {
        unsigned status;
        char head[16384];
        char *body;
        size_t n;
};

int client_connect(const struct fixture *f);
void client_send(int fd, const void *data, size_t n);
void client_send_str(int fd, const char *s);
/* Reads one answer (with Content-Length); status 0: the connection ended before it. timeout 10 s. head_only: of HEAD.
 * */
struct answer client_read(int fd, bool head_only);
void answer_done(struct answer *a);
/* The value of a header, or NULL; valid until the next call */
const char *answer_header(const struct answer *a, const char *name);
/* Waits for the end of the connection; false when there is other data, or nothing within timeout_ms */
bool client_closed(int fd, int timeout_ms);
/* Sends one request on a new connection and reads its answer */
struct answer client_request(const struct fixture *f, const char *request);
