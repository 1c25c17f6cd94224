/* The gateways that live, and their confirmation that a change of a membership is in force everywhere.
 *
 * They are known by their names alone, in GatewayAlive as in MembershipApplied: of two processes of one name the first answer confirms for
 * both, and where one of them stops neither is waited for until the other one is heard again, at most 2 s later. The one that has
 * not answered still delivers nothing from behind the removal, as that is ruled by its place in the log, but may take a frame of the removed
 * member until it hears of it. To tell them apart both messages would have to carry the epoch that GatewayPresence has. */
#pragma once

#include <stdbool.h>

#include "history/env.h"
#include "parley/v1/internal.pb-c.h"

struct gateways;

int gateways_new(struct gateways **ret_gateways, struct env *env);
void gateways_free(struct gateways *g); /* after the bus is closed */
/* The bus is connected (again) */
void gateways_connected(struct gateways *g);
/* Tells every gateway and waits, at most 1 s, until each that lives has answered. Just after a connect it waits first until those
 * that live have been heard of. done: exactly once, perhaps from within. */
void gateways_confirm(struct gateways *g, const Parley__V1__MembershipChange *change,
                      void (*done)(bool confirmed, void *userdata), void *userdata);
