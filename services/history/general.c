#include "history/general.h"

#include <stdlib.h>

#include "base/log.h"
#include "history/change.h"
#include "history/channel_rows.h"
#include "history/pg.h"

static const struct pg_stmt stmt_there = {"general_there", "SELECT EXISTS (SELECT FROM channels WHERE id = $1::text)"};

static void over(struct env *env)
{
        env->general_busy = false;
        env_end(env);
}

static void on_created(struct change *c, enum change_outcome outcome, void *userdata)
{
        struct env *env = userdata;

        env->general_there = outcome == CHANGE_IN_FORCE || outcome == CHANGE_ACCEPTED;
        if (env->general_there)
                log_info("created the channel that is open to all", LOG_S("channel", GENERAL_ID));
        change_free(c);
        over(env); /* after a failure, or where another instance was faster, the next look tells */
}

static void create(struct env *env)
{
        Parley__V1__Channel channel = PARLEY__V1__CHANNEL__INIT;
        Google__Protobuf__Timestamp now;
        struct change *c;

        time_from_ns(env_stamp_ns(), &now);
        channel.id = (char *)GENERAL_ID;
        channel.name = (char *)GENERAL_ID;
        channel.kind = PARLEY__V1__CHANNEL__KIND__open;
        channel.everyone = true;
        channel.version = 1;
        channel.created_at = &now;
        channel.created_by = (char *)SYSTEM_ACTOR;
        c = change_new(env, &channel, true, true, SYSTEM_ACTOR);
        if (!c || change_run(c, on_created, env) < 0) {
                change_free(c);
                over(env);
        }
}

static void on_there(int error, const struct pg_results *r, void *userdata)
{
        struct env *env = userdata;

        env->general_there = !error && pg_bool(r, 0, 0, 0);
        if (error || env->general_there)
                over(env);
        else
                create(env);
}

void general_ensure(struct env *env)
{
        struct pg_job *job = env->general_there || env->general_busy ? NULL : pg_job_new(PG_READ);

        if (!job)
                return;
        env->general_busy = true;
        env_begin(env);
        pg_job_add(job, &stmt_there);
        pg_arg_text(job, GENERAL_ID);
        pg_run(env->pg_worker, job, 0, on_there, env);
}
