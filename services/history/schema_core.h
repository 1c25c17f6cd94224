/* Whether this program may work with the schema that a database has, by the rows of schema_migrations. Pure. */
#pragma once

#include <stddef.h>

#include "history/migrations.h"

struct schema_row {
        unsigned version;
        const char *checksum;
        unsigned min_reader; /* 0: not said, by a program that did not know it */
};

/* row is the one at `index` of the rows by version. What is known must be there as this program has it; what is newer must let it read: its
 * min_reader is no newer than the newest migration that is known. 0, or -ENOTSUP and why, for the log. */
int schema_row_fits(const struct migration *known, unsigned n_known, unsigned index, const struct schema_row *row,
                    char *ret_why, size_t n);
