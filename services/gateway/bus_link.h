/* The core's way to NATS: lib/bus behind `struct upstream`, and what all gateways listen to. */
#pragma once

#include "gateway/core.h"

typedef struct uv_loop_s uv_loop_t;

struct bus_link;

/* Fills ret_upstream; nothing is called before bus_link_start. */
int bus_link_new(struct bus_link **ret_link, uv_loop_t *loop, const struct gateway_config *config,
                 struct upstream *ret_upstream);
/* Bytes that wait to be sent */
size_t bus_link_backlog(const struct bus_link *link);
int bus_link_start(struct bus_link *link, struct core *core);
/* done: on the loop, when no callback comes any more; then bus_link_free */
void bus_link_close(struct bus_link *link, void (*done)(void *userdata), void *userdata);
void bus_link_free(struct bus_link *link);
