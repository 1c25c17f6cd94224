/* parley-gateway: WebSocket sessions, and what they may do. */
#include "base/service.h"
#include "gateway/gateway.h"

static int check(const void *config, char *ret_error, size_t n_error)
{
        return gateway_config_check(config, ret_error, n_error);
}

static int run(const void *config)
{
        return gateway_run(config);
}

int main(int argc, char **argv)
{
        struct gateway_config config = {0};
        const struct service service = {.name = "gateway",
                                        .items = gateway_config_items,
                                        .n_items = gateway_config_n_items,
                                        .config = &config,
                                        .log_level = &config.log_level,
                                        .check = check,
                                        .run = run};

        return service_main(&service, argc, argv);
}
