/* The end of an upload that becomes no file. In this order, so that whoever comes after a death at any point goes on, by the record alone:
 *
 *   objects
 *   quota     it is reserved no more
 *   UPLOADS   the record is gone
 *
 * Nobody may be able to make a file of it any more: rest_bar, or its id was never told. */
#pragma once

#include "parley/v1/upload.pb-c.h"
#include "upload/env.h"
#include "upload/store.h"

/* error: 0, STORE_E_*, BUS_E_* (BUS_E_CONFLICT: the record is another one than that of `revision`) or negative errno. what: "the store", "NATS"
 * or "memory" */
typedef void (*ending_handler)(int error, const char *what, void *userdata);

struct ending_terms {
        const Parley__V1__PendingUpload *upload; /* has to stay until handler is called */
        uint64_t revision;                       /* of its record, or BUS_KV_ANY */
        bool unbegun;                            /* the store was not told of it */
        bool unrecorded;                         /* it has no record */
        bool untold; /* nobody has an address of it: no body comes, and the rest is done also where the store fails */
        ending_handler handler; /* called exactly once, perhaps before ending_run returns */
        void *userdata;
};

void ending_run(struct env *env, const struct ending_terms *terms);
