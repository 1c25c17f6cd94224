/* A JSON Web Key Set (RFC 7517), as far as tokens need it. */
#pragma once

#include <stddef.h>

#include "auth/auth.h"
#include "auth/key.h"

struct auth_keyset;

/* -EINVAL: ret_error says why; -ENOMEM. Keys for other purposes are passed over. */
int auth_keyset_new(struct auth_keyset **ret_set, const char *json, size_t n, char *ret_error, size_t n_error);
void auth_keyset_free(struct auth_keyset *set);
/* The key of this kid and algorithm; without a kid the only key of the algorithm. 0; AUTH_E_UNKNOWN_KEY;
 * AUTH_E_ALGORITHM: the key of this kid is of another algorithm */
int auth_keyset_find(const struct auth_keyset *set, const char *kid, enum auth_alg alg,
                     const struct auth_key **ret_key);
