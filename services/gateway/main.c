#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "gateway/gateway.h"

static int usage(FILE *out, int status)
{
        fputs("parley-gateway [--check-config | --print-config-docs | --help]\n"
              "Configured by PARLEY_* environment variables; see docs/configuration.md.\n",
              out);
        return status;
}

/* Large frames (`ready` with thousands of channels) are mapped on their own, and go back to the system when they are
 * freed: by default the threshold grows with the first of them, and the heap keeps what one user has made it grow. */
#define MMAP_FROM_BYTES (256 << 10)

int main(int argc, char **argv)
{
        struct gateway_config config = {0};
        enum log_level level;
        char error[512];
        int r;

        if (argc > 2)
                return usage(stderr, 2);
        if (argc == 2 && strcmp(argv[1], "--help") == 0)
                return usage(stdout, 0);
        if (argc == 2 && strcmp(argv[1], "--print-config-docs") == 0) {
                config_print_docs(gateway_config_items, gateway_config_n_items, "gateway", stdout);
                return 0;
        }
        if (argc == 2 && strcmp(argv[1], "--check-config") != 0)
                return usage(stderr, 2);
        if (config_load(gateway_config_items, gateway_config_n_items, &config, NULL, NULL, error, sizeof(error))) {
                fprintf(stderr, "parley-gateway: %s\n", error);
                return 1;
        }
        if (gateway_config_check(&config, error, sizeof(error))) {
                fprintf(stderr, "parley-gateway: %s\n", error);
                config_done(gateway_config_items, gateway_config_n_items, &config);
                return 1;
        }
        if (log_level_parse(config.log_level, &level)) {
                fprintf(stderr, "parley-gateway: PARLEY_LOG_LEVEL=%s: debug, info, warn or error\n", config.log_level);
                config_done(gateway_config_items, gateway_config_n_items, &config);
                return 1;
        }
        if (argc == 2) {
                config_print(gateway_config_items, gateway_config_n_items, &config, stdout);
                r = 0;
        } else {
                log_init("gateway", level);
                if (!mallopt(M_MMAP_THRESHOLD, MMAP_FROM_BYTES))
                        log_warn("the allocator keeps its own threshold for large blocks");
                r = gateway_run(&config);
        }
        config_done(gateway_config_items, gateway_config_n_items, &config);
        return r ? 1 : 0;
}
