/* Removing a file for good. From the first step on nobody reads it any more; a removal that was interrupted leaves a record in the state removing, and
 * whoever asks for it again goes on. Of an id without a record the objects are removed all the same. */
#pragma once

#include "upload/env.h"

/* error: 0 (it is gone, or was), or what could not be asked for it: BUS_E_*, STORE_E_*, negative errno; then it may be called again. what: "NATS" or "the
 * store" */
typedef void (*removal_handler)(int error, const char *what, void *userdata);
/* 0: handler is called later; or BUS_E_* and negative errno. id: of a file; copied */
int removal_run(struct env *env, const char *id, removal_handler handler, void *userdata);
/* The same, because somebody wants it so while messages may carry the file: a record of that stays, until a comparison finds no message (reconcile_judge.c)
 * or history releases it */
int removal_delete(struct env *env, const char *id, removal_handler handler, void *userdata);

/* held_until_ms: 0, or not gone: descriptors may be sent until then, unix */
typedef void (*release_handler)(int error, const char *what, uint64_t held_until_ms, void *userdata);
/* The same of a file that no message carried at checked_at_ms (0: now). While descriptors of it may still be sent its bytes stay, and its record says that it
 * is released: it is read only where history says that a message carries it again. */
int removal_release(struct env *env, const char *id, uint64_t checked_at_ms, release_handler handler, void *userdata);
/* The same of a file that nobody ever sent: where descriptors may still be sent its record stays as it is, and whoever read it reads it */
int removal_collect(struct env *env, const char *id, uint64_t checked_at_ms, release_handler handler, void *userdata);
