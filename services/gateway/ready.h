/* What a session is told of its channels: ready, channelAdded, channelRemoved. */
#pragma once

#include "gateway/session.h"

/* LOADING is over: sends `ready`, then the replays, and everything is live */
void ready_go_live(struct session *s);
/* hello came after the implied opening: `ready` again, under its ref, then the replays of its cursors */
void ready_again(struct session *s, uint32_t ref);
/* LIVE: replays for the kept cursors; without answer_all only where the client stands elsewhere than at the head */
void ready_resume(struct session *s, bool answer_all);
void ready_channel_added(struct session *s, struct link *l);
/* Removes the link and says so */
void ready_channel_removed(struct session *s, struct link *l);
