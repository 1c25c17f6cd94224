/* User ids for the demo sign-in. Pure. */
#pragma once

#include <stdint.h>

#include "base/ident.h"

/* "Ada Lovelace" -> "ada-lovelace-7k2m9qxw": letters and digits of the name, then 40 random bits. Always a valid id that begins with
 * neither "u_" nor a dash. */
void slug_user_id(const char *name, const uint8_t random[5], char ret[IDENT_MAX + 1]);
