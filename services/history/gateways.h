/* The gateways that live (living.h), and their confirmation that a change of a membership is in force everywhere.
 *
 * Where one has not answered the change is not confirmed. It still delivers nothing from behind a removal, as that is ruled by its place in the log,
 * but may take a frame of the removed member until it hears of it. */
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
