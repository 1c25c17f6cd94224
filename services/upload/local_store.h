/* The store in a folder: what store_local.c (the interface), local_transfer.c (bodies on their way) and local_read.c (files on their way) share.
 * Blocking work is done on libuv's pool. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>
#include <uv.h>

#include "http/http.h"
#include "upload/env.h"
#include "upload/local_files.h"
#include "upload/plan.h"
#include "upload/shares.h"
#include "upload/store.h"

#define LOCAL_NAME_MAX STORE_NAME_MAX
#define LOCAL_BUFFER (128u << 10)
#define LOCAL_RETRY_MS 500

struct local_store {
        struct store base;
        struct env *env;
        struct local_dir dir;
        struct local_transfer *transfers; /* by name and part */
        unsigned n_transfers;             /* with those that were given up and still have work on the pool */
        struct shares bodies, reads;
        uint64_t looked_ms;        /* local_transfers_look, last */
        struct local_job *holding; /* work on the pool that no body of its object may meet */
};

/* Whether the object is being sealed or removed right now: a body that is opened meanwhile could be written into what was looked at already */
bool local_store_held(const struct local_store *s, const char *name);

/* Nobody's body for this object is written any more; false: a piece is on its way to the disk right now */
bool local_transfers_stop(struct local_store *s, const char *name);

/* Each second: bodies that move too slowly are ended */
void local_transfers_look(struct local_store *s);
/* ... and which answers move is noted */
void local_reads_look(struct local_store *s);

/* What both take from an address: whether a parameter is a number of at most max; whether a name may be one of ours, an owner one of local_url's */
bool local_query_u64(const struct http_request *rq, const char *name, uint64_t max, uint64_t *ret);
bool local_name_valid(const char *name);
bool local_owner_valid(const char *owner);

int store_local_new(struct store **ret_store, struct env *env);

/* The routes of the local store; their userdata is the service's */
void local_put(struct http_request *rq, struct local_store *s);
void local_put_begin(struct http_request *rq, struct local_store *s);
size_t local_put_piece(struct http_request *rq, const uint8_t *data, size_t n);
void local_get(struct http_request *rq, struct local_store *s);
