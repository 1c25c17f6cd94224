/* The store in a folder: what store_local.c (the interface) and local_transfer.c (bodies on their way) share. Blocking work is done on libuv's
 * pool. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>
#include <uv.h>

#include "http/http.h"
#include "upload/env.h"
#include "upload/local_files.h"
#include "upload/plan.h"
#include "upload/store.h"

#define LOCAL_NAME_MAX STORE_NAME_MAX
#define LOCAL_BUFFER (128u << 10)

struct local_store {
        struct store base;
        struct env *env;
        struct local_dir dir;
        struct local_transfer *transfers; /* by name and part */
        unsigned n_transfers;             /* with those that were given up and still have work on the pool */
        struct local_job *holding;        /* work on the pool that no body of its object may meet */
};

/* Whether the object is being sealed or removed right now: a body that is opened meanwhile could be written into what was looked at already */
bool local_store_held(const struct local_store *s, const char *name);

/* Nobody's body for this object is written any more; false: a piece is on its way to the disk right now */
bool local_transfers_stop(struct local_store *s, const char *name);

int store_local_new(struct store **ret_store, struct env *env);

/* The routes of the local store; their userdata is the service's */
void local_put(struct http_request *rq, struct local_store *s);
void local_put_begin(struct http_request *rq, struct local_store *s);
size_t local_put_piece(struct http_request *rq, const uint8_t *data, size_t n);
void local_get(struct http_request *rq, struct local_store *s);
