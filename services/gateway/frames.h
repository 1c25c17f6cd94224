/* What clients send: one handler for each frame. A new frame is a line in frames_table (frames.c) and its handler. */
#pragma once

#include "gateway/session.h"
#include "parley/v1/client.pb-c.h"
#include "policy/policy.h"

/* frames_session.c: opening, resuming, renewing, being there */
void frame_hello(struct session *s, const Parley__V1__ClientFrame *frame);
void frame_auth(struct session *s, const Parley__V1__ClientFrame *frame);
void frame_resume(struct session *s, const Parley__V1__ClientFrame *frame);
void frame_ping(struct session *s, const Parley__V1__ClientFrame *frame);
/* Answers what is done, and has nothing to tell but that: an ack with nothing but its ref */
void frame_ack(struct session *s, uint32_t ref);
/* The same of a frame that may come without a ref: then nobody waits for it */
void frame_done(struct session *s, uint32_t ref);

/* frames_presence.c: what others see of a user */
void frame_idle(struct session *s, const Parley__V1__ClientFrame *frame);
void frame_status(struct session *s, const Parley__V1__ClientFrame *frame);

/* frames_look.c: whom he looks at, and where he writes */
void frame_watch(struct session *s, const Parley__V1__ClientFrame *frame);
void frame_focus(struct session *s, const Parley__V1__ClientFrame *frame);
void frame_typing(struct session *s, const Parley__V1__ClientFrame *frame);

/* frames_mutation.c: what goes into the log */
void frame_send(struct session *s, const Parley__V1__ClientFrame *frame);
void frame_edit(struct session *s, const Parley__V1__ClientFrame *frame);
void frame_delete(struct session *s, const Parley__V1__ClientFrame *frame);
/* The channel, when this user may do this there; else NULL, and answered with an error */
struct channel *frame_channel(struct session *s, uint32_t ref, const char *id, enum policy_action action);
