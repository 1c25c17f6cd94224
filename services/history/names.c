#include "history/names.h"

#include "base/log.h"
#include "history/pg.h"

/* AT_ONCE: requests must find a connection while very many come for the first time */
enum { AT_ONCE = 8, WAIT_MS = 2000 };

static const struct pg_stmt stmt_learn = {
        "names_learn", "INSERT INTO users (id, name) VALUES ($1::text, $2::text) "
                       "ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name WHERE users.name <> EXCLUDED.name"};

static void on_learned(int error, const struct pg_results *r, void *userdata)
{
        struct env *env = userdata;

        if (error)
                log_warn("the name of a user was not kept",
                         LOG_S("why", *pg_message(r) ? pg_message(r) : pg_error_text(error)),
                         LOG_S("sqlstate", pg_sqlstate(r)));
        env->n_learning--;
        env_end(env);
}

void names_learn(struct env *env, const char *user_id, const char *name)
{
        struct pg_job *job = env->n_learning < AT_ONCE ? pg_job_new(PG_WRITE) : NULL;

        if (!job)
                return;
        env->n_learning++;
        env_begin(env);
        pg_job_add(job, &stmt_learn);
        pg_arg_text(job, user_id);
        pg_arg_text(job, name);
        pg_run(env->pg, job, WAIT_MS, on_learned, env);
}
