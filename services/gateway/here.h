/* Who is connected here, told to presence: what has changed, once a second; everything, when it is asked for.
 *
 * Messages are counted, so that presence sees what it missed. Each holds all that this gateway has of the users it names. */
#pragma once

#include "gateway/core.h"

struct user;
struct session;

/* Listens for presence.sync, and begins to tell. 0, or what subscribe returns; fine when it runs already. */
int here_start(struct core *core);
void here_stop(struct core *core);
/* A session of this user came, or became idle or active */
void here_touch(struct user *u);
/* One is about to go */
void here_left(struct session *s);
/* The user is about to be freed */
void here_forget(struct user *u);
/* Everybody is gone, and nobody will come */
void here_leave(struct core *core);
