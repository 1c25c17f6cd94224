/* The comparison of what is kept, each PARLEY_UPLOAD_RECONCILE_S and when an administrator wants one: of all instances one does it, by a lease in the
 * bucket FILES, where its report stands for all of them. Who died at it is followed by another one, from the start. */
#pragma once

#include "parley/v1/upload.pb-c.h"
#include "upload/env.h"

struct reconcile;

int reconcile_new(struct reconcile **ret_reconcile, struct env *env);
/* Each second */
void reconcile_tick(struct reconcile *r);
/* Begins nothing new; what runs counts in env, and ends soon */
void reconcile_stop(struct reconcile *r);
void reconcile_free(struct reconcile *r); /* NULL is fine */

/* error: 0, BUS_E_*, -EBADMSG, -ENOMEM. state is NULL then, else borrowed; without one there is an empty one */
typedef void (*reconcile_handler)(int error, const Parley__V1__ReconciliationState *state, void *userdata);
/* How it stands; with `request` a comparison begins as soon as one that runs is over, with `collect` one that removes what no message carries though that
 * looks like a loss (findings_goes). 0: handler is called later, exactly once; or BUS_E_*,
 * negative errno */
int reconcile_ask(struct env *env, bool request, bool collect, reconcile_handler handler, void *userdata);
