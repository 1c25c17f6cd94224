/* parley-presence: who is here. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "presence/presence.h"

static int usage(FILE *out)
{
        (void)fprintf(
                out, "usage: parley-presence [--check-config | --print-config-docs]\n"
                     "It is set up by PARLEY_* environment variables; --check-config prints their effective values.\n");
        return out == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
        struct presence_config config = {0};
        const char *option = argc > 1 ? argv[1] : "";
        enum log_level level;
        char error[256];
        int r;

        if (argc > 2 || (argc == 2 && strcmp(option, "--help") == 0))
                return usage(argc > 2 ? stderr : stdout);
        if (strcmp(option, "--print-config-docs") == 0) {
                config_print_docs(presence_config_items, n_presence_config_items, "presence", stdout);
                return 0;
        }
        if (*option && strcmp(option, "--check-config") != 0)
                return usage(stderr);
        if (config_load(presence_config_items, n_presence_config_items, &config, NULL, NULL, error, sizeof(error)) <
            0) {
                (void)fprintf(stderr, "parley-presence: %s\n", error);
                return 1;
        }
        if (log_level_parse(config.log_level, &level) < 0) {
                (void)fprintf(stderr, "parley-presence: PARLEY_LOG_LEVEL must be debug, info, warn or error, not %s\n",
                              config.log_level);
                config_done(presence_config_items, n_presence_config_items, &config);
                return 1;
        }
        log_init("presence", level);
        if (*option) {
                config_print(presence_config_items, n_presence_config_items, &config, stdout);
                r = 0;
        } else {
                r = presence_run(&config);
        }
        config_done(presence_config_items, n_presence_config_items, &config);
        return r < 0;
}
