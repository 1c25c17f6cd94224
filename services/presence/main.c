/* parley-presence: who is here. */
#include "base/service.h"
#include "presence/presence.h"

static int run(const void *config)
{
        return presence_run(config);
}

int main(int argc, char **argv)
{
        struct presence_config config = {0};
        const struct service service = {.name = "presence",
                                        .items = presence_config_items,
                                        .n_items = n_presence_config_items,
                                        .config = &config,
                                        .log_level = &config.log_level,
                                        .run = run};

        return service_main(&service, argc, argv);
}
