/* Tokens for the tests of lib/auth. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "auth/auth.h"
#include "auth_fixtures.h"

#define NOW 1800000000 /* between nbf and exp of the fixtures */
#define HEADER "{\"alg\":\"HS256\"}"

/* Fails the test where auth_new fails */
struct auth *make(const struct auth_options *options);
/* auth_verify without its claims */
int verify(const struct auth *a, const char *token, int64_t now);
/* A token of any header and claims, signed with FIXTURE_SECRET; in static memory */
const char *make_token(const char *header, const char *claims);
const char *make_token_n(const char *header, const char *claims, size_t n_claims);
