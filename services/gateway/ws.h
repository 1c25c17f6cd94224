/* WebSocket connections: the only code here that knows libwebsockets.
 *
 * Connections come from the door (ws_door.h), which has read and checked the request that opens them. */
#pragma once

#include "gateway/address.h"
#include "gateway/core.h"
#include "gateway/upgrade.h"

typedef struct uv_loop_s uv_loop_t;

struct ws;

int ws_new(struct ws **ret_ws, uv_loop_t *loop, const struct gateway_config *config, struct transport *ret_transport);
void ws_start(struct ws *ws, struct core *core);
/* Takes over the descriptor, and the address where 0 is returned. head: the request for the library and what came behind it. */
int ws_adopt(struct ws *ws, int fd, const struct upgrade *upgrade, const struct buf *head, struct address *address);
/* Memory is left for one more connection with permessage-deflate */
bool ws_deflate_left(const struct ws *ws);
/* Ends all connections. The loop must turn until uv_run ends, then ws_free. */
void ws_close(struct ws *ws);
void ws_free(struct ws *ws);
