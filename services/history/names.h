/* What users are called, by their own tokens: who has only read so far has a name, too. */
#pragma once

#include "history/env.h"

/* Keeps the name of a user whose token has another one than the one that is known. Nothing waits for it; what is not kept now is with
 * his next request. */
void names_learn(struct env *env, const char *user_id, const char *name);
