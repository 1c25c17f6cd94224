/* parley-gateway: WebSocket sessions, and what they may do. */
#include <malloc.h>

#include "base/log.h"
#include "base/service.h"
#include "gateway/gateway.h"

/* Large frames (`ready` with thousands of channels) are mapped on their own, and go back to the system when they are
 * freed: by default the threshold grows with the first of them, and the heap keeps what one user has made it grow. */
#define MMAP_FROM_BYTES (256 << 10)

static int check(const void *config, char *ret_error, size_t n_error)
{
        return gateway_config_check(config, ret_error, n_error);
}

static int run(const void *config)
{
        if (!mallopt(M_MMAP_THRESHOLD, MMAP_FROM_BYTES))
                log_warn("the allocator keeps its own threshold for large blocks");
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
