/* parley-history: ingests the log into Postgres and serves it. */
#include "base/service.h"
#include "history/history.h"

static int check(const void *config, char *ret_error, size_t n_error)
{
        return history_config_check(config, ret_error, n_error);
}

static int run(const void *config)
{
        return history_run(config);
}

int main(int argc, char **argv)
{
        struct history_config config = {0};
        const struct service service = {.name = "history",
                                        .items = history_config_items,
                                        .n_items = n_history_config_items,
                                        .config = &config,
                                        .log_level = &config.log_level,
                                        .check = check,
                                        .run = run};

        return service_main(&service, argc, argv);
}
