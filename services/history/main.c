/* parley-history: ingests the log into Postgres and serves it. */
#include "base/service.h"
#include "history/history.h"
#include "history/setup.h"

static int check(const void *config, char *ret_error, size_t n_error)
{
        return history_config_check(config, ret_error, n_error);
}

static int run(const void *config)
{
        return history_run(config);
}

static int migrate(const void *config)
{
        return setup_migrate(config);
}

static int provision(const void *config)
{
        return setup_provision(config);
}

int main(int argc, char **argv)
{
        static const struct service_mode modes[] = {
                {"--migrate", "brings the schema of PostgreSQL to this program's version, and ends", migrate},
                {"--provision", "makes streams and buckets, or changes them to what the settings say, and ends",
                 provision},
        };
        struct history_config config = {0};
        const struct service service = {.name = "history",
                                        .items = history_config_items,
                                        .n_items = n_history_config_items,
                                        .config = &config,
                                        .log_level = &config.log_level,
                                        .check = check,
                                        .run = run,
                                        .modes = modes,
                                        .n_modes = sizeof(modes) / sizeof(modes[0])};

        return service_main(&service, argc, argv);
}
