/* Which of the server's errors are the data's fault. Pure. */
#pragma once

/* PG_E_DATA, PG_E_RETRY or PG_E_SERVER */
int pg_classify(const char *sqlstate);
