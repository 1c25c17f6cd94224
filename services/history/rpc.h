/* rpc.history.*: backfill and identities for the gateways, and for upload what files messages carry, over NATS. */
#pragma once

#include "history/env.h"

struct rpc;

int rpc_new(struct rpc **ret_rpc, struct env *env);
void rpc_free(struct rpc *rpc); /* after the bus is closed; NULL is fine */
/* The bus is connected (again) */
void rpc_connected(struct rpc *rpc);
/* Answers no more; what is running ends (env_end) */
void rpc_stop(struct rpc *rpc);
