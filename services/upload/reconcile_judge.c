/* Judging what was seen, and removing what nobody will ever send. */
#include <string.h>

#include "upload/carried.h"
#include "upload/reconcile_phases.h"

/* JUDGED: files a page. COLLECTED: that history is asked for at a time */
enum { JUDGED = 1000, COLLECTED = 100 };

void run_judge(struct reconcile_run *run)
{
        size_t end = run->judged + JUDGED, n = findings_files(run->findings);
        char id[UUID_LEN + 1];

        run->last = end >= n;
        for (; run->judged < (run->last ? n : end); run->judged++) {
                unsigned flags = findings_file(run->findings, run->judged, id),
                         there = SEEN_OBJECT | (flags & HAS_THUMBNAIL ? SEEN_THUMBNAIL : 0);

                if (flags & OLD && (flags & there) != there)
                        run_seems_missing(run, id);
                if (flags & (SEEN_MESSAGE | DELETED) || !(flags & UNSENDABLE) || !run->messages_known)
                        continue;
                findings_note(run->findings, FINDING_RECORD_WITHOUT_MESSAGE, id);
                run->n_unsent += flags & UNSENT_LONG ? 1 : 0;
        }
        run_ask_next(run);
}

/* --- what goes --- */

static const Parley__V1__CarriedFile *carried_of(const Parley__V1__FilesResponse *r, const char *id)
{
        for (size_t i = 0; i < r->n_files; i++)
                if (strcmp(r->files[i]->file_id, id) == 0)
                        return r->files[i];
        return NULL;
}

static void on_carried(int error, const Parley__V1__FilesResponse *r, void *userdata)
{
        struct reconcile_run *run = userdata;

        for (size_t i = 0; error == 0 && i < run->n_names; i++) {
                const char *id = run->names[i];
                const Parley__V1__CarriedFile *carried = carried_of(r, id);
                unsigned flags = findings_flags(run->findings, id);

                if (carried)
                        mend_channels(&run->mend, carried, run->now_ms);
                else if (findings_goes(run->findings, flags, run->n_unsent))
                        mend_collect(&run->mend, id, run->now_ms, flags & DELETED);
        }
        if (error)
                run_lacks(run, "history cannot say which files messages carry", error);
        run->last = run->last || error;
        run_page_over(run);
}

/* Asked once more, right before: what messages carry was read before the rest */
static void ask(struct reconcile_run *run)
{
        Parley__V1__FilesRequest rq = PARLEY__V1__FILES_REQUEST__INIT;
        char *ids[COLLECTED];
        int r;

        for (size_t i = 0; i < run->n_names; i++)
                ids[i] = run->names[i];
        rq.file_ids = ids;
        rq.n_file_ids = run->n_names;
        r = carried_ask(run->env, &rq, on_carried, run);
        if (r != 0)
                on_carried(r, NULL, run);
}

void run_collect(struct reconcile_run *run)
{
        size_t n = run->messages_known ? findings_files(run->findings) : 0;
        char id[UUID_LEN + 1];

        for (; run->collected < n && run->n_names < COLLECTED; run->collected++) {
                unsigned flags = findings_file(run->findings, run->collected, id);

                if (findings_goes(run->findings, flags, run->n_unsent) || (flags & UNSENDABLE && flags & IN_CHANNELS))
                        run_seems_missing(run, id);
        }
        run->last = run->collected >= n;
        if (run->n_names)
                ask(run);
        else
                run_page_over(run);
}
