/* Who is writing in a channel in focus: heard on typing.<p>.<channel>, told to those who have it in focus, at most once a second.
 *
 * A writer counts for 6 s after the last word of him, in one place of the channel at a time. Nothing of it is kept or sent again by
 * NATS; what is lost is over soon. */
#pragma once

#include "gateway/look.h"

/* --- what is heard --- */
/* 0, or what subscribe returns */
int typing_listen(struct place *p);
void typing_deaf(struct place *p);
/* He sent a message: there he is done */
void typing_message(struct place *p, const char *user_id, const char *thread_id);
/* He is no member any more, or wants not to be seen */
void typing_left(struct place *p, const char *user_id);
/* The session has put channels in focus: it is told who writes there */
void typing_greet(struct session *s);

/* --- what is said (typing_say.c) --- */
/* A user of this gateway writes, or does so no more. Told to others not too often, not for nothing, and not of him who is invisible. */
void typing_write(struct user *u, struct channel *c, const char *thread_id, bool stopped);
/* He sends a message: what has not been told of his writing there is not told any more */
void typing_sent(struct user *u, const struct channel *c, const char *thread_id);
