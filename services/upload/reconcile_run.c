/* The phases, in this order: what is later judged by what was seen before.
 *
 *   files     the records of the bucket FILES; scans that nobody answered are asked for again
 *   users     their quotas, against the sum of their files
 *   objects   published objects, against the records
 *   messages  the files that messages carry, against the records
 *   judge     records without an object, or without a message; those with one are marked as sent
 *   collect   of those without a message the ones that nobody ever sent go; of the others the channels that they are in no more. What was sent stays
 *   pending   what is left of bodies whose upload is over
 *
 * What seems to be missing is asked for by itself before it counts. Nothing of what messages carry, or whose record may be what was lost, is ever removed
 * here. What is removed is bodies whose upload is over, and files that nobody can send any more and no message carries. */
#include "upload/reconcile_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/ticker.h"
#include "bus/bus.h"
#include "upload/reconcile_phases.h"

/* REST: after a page of so many ms nine times as many without work */
enum { REST = 9, REST_MAX_MS = 10000 };
/* MENDS_MAX: that are under way before another page is read; then it is looked at again after so many ms */
enum { MENDS_MAX = 100, MENDS_MS = 20 };

/* --- the end --- */

static void run_free(struct reconcile_run *run)
{
        findings_free(run->findings);
        ticker_free(run->ticker);
        free(run->names);
        free(run);
}

static void finish(struct reconcile_run *run)
{
        struct env *env = run->env;

        run->phase = OVER;
        ticker_stop(run->ticker);
        bus_reader_free(run->reader);
        run->reader = NULL;
        if (run->mend.n_running)
                return; /* comes here again */
        run->terms.done(run->findings, run->incomplete, run->terms.userdata);
        run_free(run);
        env_end(env);
}

static void on_mended(void *userdata)
{
        struct reconcile_run *run = userdata;

        if (run->phase == OVER)
                finish(run);
}

void run_lacks(struct reconcile_run *run, const char *what, int error)
{
        if (!*run->incomplete)
                (void)snprintf(run->incomplete, sizeof(run->incomplete), "%s (error %d)", what, error);
}

void run_give_up(struct reconcile_run *run, const char *what, int error)
{
        run_lacks(run, what, error);
        finish(run);
}

/* --- pages --- */

void run_page_over(struct reconcile_run *run)
{
        uint64_t ms = (env_now_ms(run->env) - run->page_ms) * REST;

        run->n_names = run->at = 0;
        if (run->last) {
                bus_reader_free(run->reader);
                run->reader = NULL;
                run->last = false;
                run->cursor[0] = '\0';
                if (run->phase == FILES)
                        findings_sort(run->findings);
                run->phase++;
        }
        if (run->stopping || run->phase == OVER)
                finish(run);
        else
                ticker_start(run->ticker, ms > REST_MAX_MS ? REST_MAX_MS : ms, 0);
}

/* --- life --- */

static void step(void *userdata)
{
        static void (*const phases[])(struct reconcile_run * run) = {
                [FILES] = run_read_bucket,      [USERS] = run_read_bucket, [OBJECTS] = run_read_store,
                [MESSAGES] = run_read_messages, [JUDGE] = run_judge,       [COLLECT] = run_collect,
                [PENDING] = run_read_store};
        struct reconcile_run *run = userdata;

        if (run->mend.n_running >= MENDS_MAX) {
                ticker_start(run->ticker, MENDS_MS, 0);
                return;
        }
        run->page_ms = env_now_ms(run->env);
        phases[run->phase](run);
}

int reconcile_run_start(struct reconcile_run **ret_run, struct env *env, const struct reconcile_terms *terms)
{
        struct reconcile_run *run = calloc(1, sizeof(*run));

        if (!run)
                return -ENOMEM;
        run->env = env;
        run->terms = *terms;
        run->now_ms = env_wall_ms();
        run->findings = findings_new();
        run->mend = (struct mend){.env = env, .findings = run->findings, .idle = on_mended, .userdata = run};
        run->ticker = ticker_new(env->loop, step, run);
        if (!run->findings || !run->ticker) {
                run_free(run);
                return -ENOMEM;
        }
        mend_remember(&run->mend, terms->before);
        env_begin(env);
        ticker_start(run->ticker, 0, 0);
        *ret_run = run;
        return 0;
}

void reconcile_run_stop(struct reconcile_run *run, const char *why)
{
        run_lacks(run, why, 0);
        run->stopping = true;
        if (run->phase != OVER && (ticker_active(run->ticker) || run->phase == FILES || run->phase == USERS))
                finish(run);
}
