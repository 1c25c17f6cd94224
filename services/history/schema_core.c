#include "history/schema_core.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int schema_row_fits(const struct migration *known, unsigned n_known, unsigned index, const struct schema_row *row,
                    char *ret_why, size_t n)
{
        unsigned newest = n_known ? known[n_known - 1].version : 0;

        if (index < n_known) {
                if (row->version == known[index].version && strcmp(row->checksum, known[index].checksum) == 0)
                        return 0;
                (void)snprintf(ret_why, n, "%s was applied in another form than this program has it",
                               known[index].name);
                return -ENOTSUP;
        }
        if (row->min_reader != 0 && row->min_reader <= newest)
                return 0;
        (void)snprintf(ret_why, n,
                       "the database is newer than this program: its version %u is for programs that know %u, "
                       "this one knows %u",
                       row->version, row->min_reader ? row->min_reader : row->version, newest);
        return -ENOTSUP;
}
