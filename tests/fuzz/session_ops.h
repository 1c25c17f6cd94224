/* The steps of the byte code that are not in fuzz_session.c. */
#pragma once

#include "session_world.h"

/* A sequence that is in the log, mostly; also one that never was */
uint64_t take_seq(struct world *w);

void op_connect(struct world *w);
void op_drop(struct world *w);
void op_stuck(struct world *w);
void op_pack(struct world *w);
void op_hello(struct world *w);
void op_resume(struct world *w);
void op_auth(struct world *w);
void op_send(struct world *w);
void op_change(struct world *w);
void op_garbage(struct world *w);
void op_pong(struct world *w);
void op_watch(struct world *w);
void op_focus(struct world *w);
void op_typing(struct world *w);
void op_presence(struct world *w);
