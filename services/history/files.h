/* Which files messages carry: what upload asks before it removes anything, and to see what has come apart. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "history/env.h"
#include "parley/v1/internal.pb-c.h"

/* FILES_IDS_MAX: in one question, and on one page of ids; with the attachments FILES_WHOLE_MAX (each has up to about 2 KiB) */
enum { FILES_IDS_MAX = 500, FILES_WHOLE_MAX = 100 };

/* error: 0, BUS_E_*, PG_E_*, -ENOMEM; response, which is set apart from its `error`, is borrowed and NULL then */
typedef void (*files_handler)(int error, const Parley__V1__FilesResponse *response, void *userdata);
/* What of the request is wrong; NULL: nothing */
const char *files_wrong(const Parley__V1__FilesRequest *rq);
/* Answers from a moment at which everything is ingested that was acknowledged before the call; when ingest does not get there within 2 s, from then, with
 * caught_up false. 0: handler is called later; -ENOMEM, BUS_E_*. rq: one in which files_wrong finds nothing; copied */
int files_run(struct env *env, const Parley__V1__FilesRequest *rq, files_handler handler, void *userdata);
