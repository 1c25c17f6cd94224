/* Requests over HTTP by libcurl's multi interface on the loop: as many at a time as allowed, the others wait. Nothing blocks: names are looked up
 * by libcurl's own thread, or c-ares. The only file of the service that includes libcurl. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

typedef struct uv_loop_s uv_loop_t;
struct s3_http;

struct s3_http_options {
        uv_loop_t *loop;
        const char *ca; /* "": the system's. Outlives the client, as the rest is copied */
        uint32_t connect_timeout_ms;
        unsigned max_requests, max_waiting;
};

/* One request and its answer; the caller's, and not to be touched between start and done */
struct s3_exchange {
        const char *method, *url;
        const struct buf *headers; /* "name: value" with a NUL each */
        const void *body;
        size_t n_body;
        uint64_t deadline_ms; /* of the loop's clock: also of what waits */
        struct buf answer;    /* its maximum is the caller's; released by the caller */
        bool cut;             /* a longer answer is cut; else it is an error */
        /* NULL, or given the body of a 2xx answer as it comes, instead of `answer`; other than 0 ends it with -EMSGSIZE */
        int (*piece)(struct s3_exchange *x, const void *data, size_t n);
        /* error: 0, then status is set; -ETIMEDOUT, -EMSGSIZE (longer than answer can be), -ECONNREFUSED (no connection came about: nothing was
         * asked), -EIO; text says more */
        void (*done)(struct s3_exchange *x, int error);

        unsigned status;
        uint64_t length;  /* Content-Length of the answer, also to HEAD; UINT64_MAX: none */
        char sha256[64];  /* x-amz-checksum-sha256; "": none */
        const char *text; /* static */

        struct s3_http *http; /* the client's from here on */
        struct s3_exchange *next;
        void *easy, *lines;
};

/* 0, -ENOMEM; -ENOTSUP: this libcurl would block on names */
int s3_http_new(struct s3_http **ret_http, const struct s3_http_options *options);
/* 0: done is called, never from here. -EAGAIN: too many wait; -ENOMEM */
int s3_http_start(struct s3_http *h, struct s3_exchange *x);
/* Nothing may be under way */
void s3_http_close(struct s3_http *h, void (*done)(void *userdata), void *userdata);
