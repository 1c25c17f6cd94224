#include "upload/buckets.h"

#include <string.h>

#include "base/log.h"
#include "bus/bus.h"
#include "bus/subjects.h"

static void over(struct buckets *b, const char *name, const char *why)
{
        if (why)
                log_warn("a bucket cannot be made", LOG_S("bucket", name), LOG_S("why", why));
        b->busy = false;
        env_end(b->env);
}

static int ensure(const struct buckets *b, const char *name, const char *subject, bus_stream_handler handler)
{
        const struct bus_stream_config config = {.name = name,
                                                 .subject = subject,
                                                 .max_per_subject = 1,
                                                 .replicas = (uint32_t)b->env->config->stream_replicas,
                                                 .kv = true};

        if (!b->env->config->provision)
                return bus_stream_info(b->env->bus, name, handler, (void *)b);
        return bus_stream_ensure(b->env->bus, &config, handler, (void *)b);
}

static void on_files(int error, const struct bus_stream_info *info, const char *text, void *userdata)
{
        struct buckets *b = userdata;

        (void)info;
        b->env->buckets_there = error == 0;
        over(b, BUCKET_FILES, error ? text && *text ? text : bus_error_text(error) : NULL);
}

static void on_uploads(int error, const struct bus_stream_info *info, const char *text, void *userdata)
{
        struct buckets *b = userdata;

        (void)info;
        if (error)
                over(b, BUCKET_UPLOADS, text && *text ? text : bus_error_text(error));
        else if (ensure(b, "KV_" BUCKET_FILES, "$KV." BUCKET_FILES ".>", on_files) != 0)
                over(b, BUCKET_FILES, "not connected");
}

void buckets_ensure(struct buckets *b)
{
        if (b->busy || b->env->buckets_there)
                return;
        b->busy = ensure(b, "KV_" BUCKET_UPLOADS, "$KV." BUCKET_UPLOADS ".>", on_uploads) == 0;
        if (b->busy)
                env_begin(b->env);
}
