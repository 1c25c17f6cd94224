/* The channel `general`, open to all: created where it is not there. Who does not want it archives it. */
#pragma once

#include "history/env.h"

#define GENERAL_ID "general"
#define SYSTEM_ACTOR "system" /* who does what nobody asked for */

/* Call now and then until env->general_there */
void general_ensure(struct env *env);
