#include "history/pg_sqlstate.h"

#include <stddef.h>
#include <string.h>

#include "history/pg.h"

/* Classes and codes of appendix A of the PostgreSQL manual; PH… are raised by the functions in migrations/.
 * What is in no list (no such table, out of disk, shutting down) is neither the data's fault nor gone by the next try at once. */
static const char *const data_errors[] = {"22", "23", "54", "PH004"};
static const char *const retry_errors[] = {"40001", "40P01", "55P03", "57014"};

static int listed(const char *sqlstate, const char *const *list, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (strncmp(sqlstate, list[i], strlen(list[i])) == 0)
                        return 1;
        return 0;
}

int pg_classify(const char *sqlstate)
{
        if (listed(sqlstate, data_errors, sizeof(data_errors) / sizeof(*data_errors)))
                return PG_E_DATA;
        if (listed(sqlstate, retry_errors, sizeof(retry_errors) / sizeof(*retry_errors)))
                return PG_E_RETRY;
        return PG_E_SERVER;
}
