/* Content-Disposition as RFC 6266 and RFC 8187 have it. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "upload/plan.h"

/* "attachment; filename=\"…\"; filename*=UTF-8''…" with each byte of the name as three characters at most, twice */
#define DISPOSITION_MAX (64 + PLAN_NAME_MAX * 4)

/* ret has DISPOSITION_MAX bytes. name: as plan_name_wrong accepts it */
void disposition_write(char *ret, const char *name, bool shown);
