/* The store in a bucket: what store_s3.c (the interface), store_s3_call.c (requests, tried again) and store_s3_seal.c share.
 *
 * One body goes to pending/<name> by a signed PUT, and is copied to files/<name> when it is sealed: what is sent to its address after that
 * changes nothing. Several parts become files/<name> when they are joined, which ends their addresses. Both are sealed one at a time here; across
 * services the copy has If-None-Match, and S3 joins parts once. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>
#include <uv.h>

#include "upload/env.h"
#include "upload/plan.h"
#include "upload/s3_answer.h"
#include "upload/s3_site.h"
#include "upload/store.h"
#include "upload/store_s3_http.h"

struct s3_op;

struct store_s3 {
        struct store base;
        struct env *env;
        struct s3_site site;
        struct s3_http *http;
        struct s3_op *sealing; /* by name: those that must not meet another */
        uv_timer_t second;     /* asks the bucket when nobody else does */
        uint64_t heard_ms;     /* when S3 last did what it was asked */
        bool known, there;     /* whether S3 can be used; nothing is known before the first answer */
        bool probing;
        unsigned n_closing;
        void (*closed)(void *userdata);
        void *userdata;
};

/* What a request came to, besides 0 and STORE_E_* */
enum { S3_E_EXISTS = 100 }; /* its condition was not met */

/* A checksum that is being computed */
struct s3_sum {
        struct mac_hash *part, *all;
        uint64_t n, total; /* bytes of this part, of all */
        uint8_t digest[MAC_LEN];
};

/* One operation of the interface, from its call to its handler: requests one after the other */
struct s3_op {
        struct store_s3 *store;
        store_handler handler;
        void *userdata;
        char name[STORE_NAME_MAX + 1], store_id[STORE_ID_MAX + 1], content_type[PLAN_TYPE_MAX + 1];
        struct store_object object; /* points to these */
        UT_hash_handle hh;
        bool sealing;

        /* the request that is under way; op_request begins one */
        struct s3_request rq;
        char key[S3_KEY_MAX + 1], text[STORE_CURSOR_MAX + 1]; /* text: a value of the query */
        struct buf source, body;
        bool patient;                     /* it may take long */
        bool probe;                       /* what is refused says that S3 cannot be used, not only this object */
        int (*restart)(struct s3_op *op); /* NULL, or called before each try */
        bool once; /* a second one would do more than the first: not sent again when nobody knows whether it was done */
        size_t max_head; /* above 0: so many bytes of the answer are enough, and are no XML */
        void (*then)(struct s3_op *op, int error);
        struct buf url, headers;
        struct s3_exchange x;
        unsigned tries;
        int failure; /* to be told in the next turn */

        struct s3_sum sum;
        void (*summed)(struct s3_op *op, int error);
        void (*listed)(struct s3_op *op, int error);
        size_t n_listed;
        struct s3_answer answer; /* gathers over requests */
        struct store_result result;
};

/* o may be NULL. NULL: out of memory, or a name that is too long */
struct s3_op *op_new(struct store_s3 *s, const struct store_object *o, store_handler handler, void *userdata);
/* Calls the handler and frees; result where error is 0 */
void op_end(struct s3_op *op, int error);
/* The same in the next turn */
int op_end_later(struct s3_op *op);
/* An empty request for this key; headers and query are then added. Strings are borrowed until the answer. */
void op_request(struct s3_op *op, const char *method, const char *key);
void op_query(struct s3_op *op, const char *name, const char *value);
void op_header(struct s3_op *op, const char *name, const char *value);
/* Sends it; then: 0, STORE_E_*, S3_E_EXISTS, negative errno; op->x has the answer, op->answer what was read of it */
void op_send(struct s3_op *op, void (*then)(struct s3_op *op, int error));

/* store_s3_seal.c */
int s3_seal(struct store *s, const struct store_object *o, store_handler handler, void *userdata);
/* Every part that is there; then as op_send's */
void s3_list_parts(struct s3_op *op, void (*then)(struct s3_op *op, int error));
/* store_s3_sum.c: op->result.sum of the sealed object, as large as it was planned; then as op_send's */
void s3_sum(struct s3_op *op, void (*then)(struct s3_op *op, int error));
/* Whether it is as it was planned */
bool s3_part_fits(const struct store_object *o, const struct s3_part *p);
