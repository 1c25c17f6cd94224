#include "history/lease.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "history/pg.h"

enum { TRY_MS = 300, MARGIN_MS = 300 };

static const struct pg_stmt stmt_owner = {"lease_owner", "SELECT owner FROM leases WHERE name = $1::text"};
static const struct pg_stmt stmt_take = {
        "lease_take", "INSERT INTO leases AS l (name, owner, until) "
                      "VALUES ($1::text, $2::text, clock_timestamp() + $3::bigint * interval '1 millisecond') "
                      "ON CONFLICT (name) DO UPDATE SET owner = EXCLUDED.owner, until = EXCLUDED.until "
                      "WHERE l.owner = EXCLUDED.owner OR l.until < clock_timestamp() "
                      "OR NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.application_name = l.owner)"};
static const struct pg_stmt stmt_end_owner = {
        "lease_end_owner",
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1::text AND usename = current_user"};
static const struct pg_stmt stmt_release = {"lease_release",
                                            "DELETE FROM leases WHERE name = $1::text AND owner = $2::text"};

static uint64_t now_ms(const struct lease *l)
{
        return env_now_ms(l->env);
}

static void release(struct lease *l);

static void gained(struct lease *l)
{
        log_info("took the lease", LOG_S("lease", l->name));
        l->held = true;
        l->on_gained(l->userdata);
}

static void lost(struct lease *l, const char *why)
{
        log_warn("lost the lease", LOG_S("lease", l->name), LOG_S("why", why));
        l->held = l->wanted = false; /* wanted again when the work on it has ended */
        l->on_lost(l->userdata);
}

/* A try has ended. Whether there is more to do with it. */
static bool over(struct lease *l)
{
        l->busy = false;
        if (!l->releasing)
                return true;
        release(l);
        return false;
}

static void on_owner_ended(int error, const struct pg_results *r, void *userdata)
{
        struct lease *l = userdata;

        /* When it failed, its locks end with its transactions after 5 s. */
        if (error == 0 && pg_i64(r, 0, 0, 0) > 0)
                log_warn("ended the connections of the last owner", LOG_S("lease", l->name),
                         LOG_I("connections", pg_i64(r, 0, 0, 0)));
        if (over(l) && l->wanted)
                gained(l);
}

static void end_owner(struct lease *l, const char *owner)
{
        struct pg_job *job = pg_job_new(PG_READ);

        if (!job) {
                (void)over(l);
                return;
        }
        pg_job_add(job, &stmt_end_owner);
        pg_arg_text(job, owner);
        pg_run(l->env->pg_worker, job, 0, on_owner_ended, l);
}

static void on_taken(int error, const struct pg_results *r, void *userdata)
{
        struct lease *l = userdata;

        if (!over(l))
                return;
        if (error) {
                /* What is held stays held until its time is over: the timer sees to that. */
                l->elsewhere = false;
                return;
        }
        if (pg_affected(r, 1) == 0) {
                l->elsewhere = true;
                if (l->held)
                        lost(l, "another instance has it");
                return;
        }
        l->elsewhere = false;
        l->valid_until_ms = l->sent_at_ms + l->env->config->lease_ms - MARGIN_MS;
        if (l->held || !l->wanted)
                return;
        if (pg_rows(r, 0) && strcmp(pg_text(r, 0, 0, 0), l->env->instance) != 0) {
                l->busy = true;
                end_owner(l, pg_text(r, 0, 0, 0));
        } else {
                gained(l);
        }
}

static void take(struct lease *l)
{
        struct pg_job *job = pg_job_new(PG_WRITE);

        if (!job)
                return;
        pg_job_add(job, &stmt_owner);
        pg_arg_text(job, l->name);
        pg_job_add(job, &stmt_take);
        pg_arg_text(job, l->name);
        pg_arg_text(job, l->env->instance);
        pg_arg_i64(job, (int64_t)l->env->config->lease_ms);
        l->busy = true;
        l->sent_at_ms = now_ms(l);
        pg_run(l->env->pg_worker, job, (uint32_t)l->env->config->lease_ms, on_taken, l);
}

static void on_tick(void *userdata)
{
        struct lease *l = userdata;

        if (l->held && now_ms(l) >= l->valid_until_ms)
                lost(l, "it could not be renewed in time");
        if (l->wanted && !l->busy && (!l->held || now_ms(l) >= l->sent_at_ms + l->env->config->lease_ms / 3))
                take(l);
}

int lease_init(struct lease *l, struct env *env, const char *name, void (*on_gained)(void *userdata),
               void (*on_lost)(void *userdata), void *userdata)
{
        *l = (struct lease){.env = env, .on_gained = on_gained, .on_lost = on_lost, .userdata = userdata};
        (void)snprintf(l->name, sizeof(l->name), "%s", name);
        l->ticker = ticker_new(env->loop, on_tick, l);
        return l->ticker ? 0 : -ENOMEM;
}

void lease_want(struct lease *l, bool wanted)
{
        if (wanted && !l->wanted)
                ticker_start(l->ticker, 0, TRY_MS);
        l->wanted = wanted;
}

static void on_deleted(int error, const struct pg_results *r, void *userdata)
{
        struct lease *l = userdata;

        (void)error; /* then it runs out by itself */
        (void)r;
        l->releasing = false;
        l->on_released(l->userdata);
}

static void release(struct lease *l)
{
        struct pg_job *job = pg_job_new(PG_WRITE);

        if (!job) {
                l->releasing = false;
                l->on_released(l->userdata);
                return;
        }
        pg_job_add(job, &stmt_release);
        pg_arg_text(job, l->name);
        pg_arg_text(job, l->env->instance);
        pg_run(l->env->pg_worker, job, 1000, on_deleted, l);
}

void lease_release(struct lease *l, void (*done)(void *userdata))
{
        l->wanted = l->held = false;
        l->releasing = true;
        l->on_released = done;
        ticker_stop(l->ticker);
        if (!l->busy)
                release(l);
}

void lease_done(struct lease *l)
{
        ticker_free(l->ticker);
        l->ticker = NULL;
}
