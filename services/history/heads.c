#include "history/heads.h"

#include <errno.h>
#include <stdlib.h>

#include "base/ticker.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "history/pg.h"

enum { AGAIN_MS = 50 };

static const struct pg_stmt stmt_ingested = {
        "heads_ingested",
        "SELECT NOT EXISTS (SELECT FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS h(name, epoch, seq) "
        "LEFT JOIN streams s ON s.name = h.name AND s.epoch = h.epoch AND s.last_seq >= h.seq WHERE s.name IS NULL)"};

struct heads {
        struct env *env;
        heads_handler handler;
        void *userdata;
        struct ticker *ticker;
        uint64_t until_ms;
        unsigned n, n_awaited;
        int error;
        struct head {
                struct heads *all;
                uint64_t epoch, last_seq;
        } shards[];
};

static void heads_free(struct heads *h)
{
        ticker_free(h->ticker);
        free(h);
}

static void over(struct heads *h, int error, bool ingested)
{
        struct env *env = h->env;

        h->handler(error, ingested, h->userdata);
        heads_free(h);
        env_end(env);
}

static void on_compared(int error, const struct pg_results *r, void *userdata)
{
        struct heads *h = userdata;

        if (error)
                over(h, error, false);
        else if (!pg_bool(r, 0, 0, 0) && env_now_ms(h->env) < h->until_ms)
                ticker_start(h->ticker, AGAIN_MS, 0);
        else
                over(h, 0, pg_bool(r, 0, 0, 0));
}

static void compare(void *userdata)
{
        struct heads *h = userdata;
        struct pg_job *job = pg_job_new(PG_READ);
        struct pg_array names, epochs, seqs;
        char stream[SUBJECT_MAX];

        if (!job) {
                over(h, -ENOMEM, false);
                return;
        }
        pg_array_init(&names, PG_TEXT, SIZE_MAX);
        pg_array_init(&epochs, PG_INT8, SIZE_MAX);
        pg_array_init(&seqs, PG_INT8, SIZE_MAX);
        for (unsigned i = 0; i < h->n; i++) {
                subject_chat_stream(stream, i);
                pg_array_text(&names, stream);
                pg_array_i64(&epochs, (int64_t)h->shards[i].epoch);
                pg_array_i64(&seqs, (int64_t)h->shards[i].last_seq);
        }
        pg_job_add(job, &stmt_ingested);
        pg_arg_array(job, &names);
        pg_arg_array(job, &epochs);
        pg_arg_array(job, &seqs);
        pg_array_done(&names);
        pg_array_done(&epochs);
        pg_array_done(&seqs);
        pg_run(h->env->pg, job, 0, on_compared, h);
}

static void on_info(int error, const struct bus_stream_info *info, const char *text, void *userdata)
{
        struct head *head = userdata;
        struct heads *h = head->all;

        (void)text;
        if (error) {
                h->error = error;
        } else {
                head->epoch = info->epoch;
                head->last_seq = info->last_seq;
        }
        if (--h->n_awaited)
                return;
        if (h->error)
                over(h, h->error, false);
        else
                compare(h);
}

/* With some asked already an error is told when these have answered */
static int ask(struct heads *h)
{
        char stream[SUBJECT_MAX];

        for (unsigned i = 0; i < h->n && h->error == 0; i++) {
                h->shards[i].all = h;
                subject_chat_stream(stream, i);
                h->error = bus_stream_info(h->env->bus, stream, on_info, &h->shards[i]);
                h->n_awaited += h->error == 0;
        }
        return h->n_awaited ? 0 : h->error;
}

int heads_wait_ingested(struct env *env, uint32_t wait_ms, heads_handler handler, void *userdata)
{
        unsigned n = (unsigned)env->config->shards;
        struct heads *h = calloc(1, sizeof(*h) + n * sizeof(h->shards[0]));
        int r = -ENOMEM;

        if (!h)
                return r;
        h->env = env;
        h->n = n;
        h->handler = handler;
        h->userdata = userdata;
        h->until_ms = env_now_ms(env) + wait_ms;
        h->ticker = ticker_new(env->loop, compare, h);
        if (h->ticker)
                r = ask(h);
        if (r == 0)
                env_begin(env);
        else
                heads_free(h);
        return r;
}
