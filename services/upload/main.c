/* parley-upload: takes files in, checks them, and lets members read them. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "upload/upload.h"

static int usage(FILE *out)
{
        (void)fprintf(
                out, "usage: parley-upload [--check-config | --print-config-docs]\n"
                     "It is set up by PARLEY_* environment variables; --check-config prints their effective values.\n");
        return out == stdout ? 0 : 2;
}

static int run(const struct upload_config *config, bool check_only)
{
        enum log_level level;
        char error[256];

        if (upload_config_check(config, error, sizeof(error)) < 0) {
                (void)fprintf(stderr, "parley-upload: %s\n", error);
                return 1;
        }
        if (log_level_parse(config->log_level, &level) < 0) {
                (void)fprintf(stderr, "parley-upload: PARLEY_LOG_LEVEL must be debug, info, warn or error, not %s\n",
                              config->log_level);
                return 1;
        }
        log_init("upload", level);
        if (check_only) {
                config_print(upload_config_items, n_upload_config_items, config, stdout);
                return 0;
        }
        return upload_run(config) < 0;
}

int main(int argc, char **argv)
{
        struct upload_config config = {0};
        const char *option = argc > 1 ? argv[1] : "";
        char error[256];
        int r;

        if (argc > 2 || (argc == 2 && strcmp(option, "--help") == 0))
                return usage(argc > 2 ? stderr : stdout);
        if (strcmp(option, "--print-config-docs") == 0) {
                config_print_docs(upload_config_items, n_upload_config_items, "upload", stdout);
                return 0;
        }
        if (*option && strcmp(option, "--check-config") != 0)
                return usage(stderr);
        if (config_load(upload_config_items, n_upload_config_items, &config, NULL, NULL, error, sizeof(error)) < 0) {
                (void)fprintf(stderr, "parley-upload: %s\n", error);
                return 1;
        }
        r = run(&config, *option);
        config_done(upload_config_items, n_upload_config_items, &config);
        return r;
}
