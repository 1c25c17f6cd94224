/* One comparison of objects, records, messages and quotas: page by page, with pauses, and at most a tenth of the time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "upload/env.h"
#include "upload/reconcile_core.h"

struct reconcile_run;

struct reconcile_terms {
        uint64_t since_revision; /* of the bucket FILES: what is newer has changed meanwhile */
        uint64_t pending_ttl_s;  /* of marks_over */
        bool collect;            /* anyway: of findings_goes */
        const Parley__V1__Reconciliation
                *before; /* the last report, or NULL: a quota is mended when it differs a second time. Copied */
        /* incomplete: why not everything was compared; "": it was. Both are valid during the call, the last one. */
        void (*done)(const struct findings *f, const char *incomplete, void *userdata);
        void *userdata;
};

/* 0, -ENOMEM. Counts in env until done. */
int reconcile_run_start(struct reconcile_run **ret_run, struct env *env, const struct reconcile_terms *terms);
/* Ends it soon: done is called, perhaps before this returns */
void reconcile_run_stop(struct reconcile_run *run, const char *why);
