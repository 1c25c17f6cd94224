#include "base/service.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/process.h"

static int usage(const struct service *s, FILE *out)
{
        (void)fprintf(out, "usage: parley-%s [--check-config | --print-config-docs", s->name);
        for (size_t i = 0; i < s->n_modes; i++)
                (void)fprintf(out, " | %s", s->modes[i].option);
        (void)fputs(
                "]\nIt is set up by PARLEY_* environment variables; --check-config prints their effective values.\n",
                out);
        for (size_t i = 0; i < s->n_modes; i++)
                (void)fprintf(out, "%s %s\n", s->modes[i].option, s->modes[i].help);
        return out == stdout ? 0 : 2;
}

static const struct service_mode *find_mode(const struct service *s, const char *option)
{
        for (size_t i = 0; i < s->n_modes; i++)
                if (strcmp(s->modes[i].option, option) == 0)
                        return &s->modes[i];
        return NULL;
}

static int start(const struct service *s, bool check_only, int (*run)(const void *config))
{
        enum log_level level;
        char error[256];

        if (s->check && s->check(s->config, error, sizeof(error)) < 0) {
                (void)fprintf(stderr, "parley-%s: %s\n", s->name, error);
                return 1;
        }
        if (log_level_parse(*s->log_level, &level) < 0) {
                (void)fprintf(stderr, "parley-%s: PARLEY_LOG_LEVEL must be debug, info, warn or error, not %s\n",
                              s->name, *s->log_level);
                return 1;
        }
        log_init(s->name, level);
        if (check_only) {
                config_print(s->items, s->n_items, s->config, stdout);
                return 0;
        }
        process_metrics_register(s->name);
        return run(s->config) < 0;
}

void service_fail(void)
{
        _exit(1);
}

int service_main(const struct service *s, int argc, char **argv)
{
        const char *option = argc > 1 ? argv[1] : "";
        const struct service_mode *mode = find_mode(s, option);
        char error[256];
        int r;

        if (argc > 2 || (argc == 2 && strcmp(option, "--help") == 0))
                return usage(s, argc > 2 ? stderr : stdout);
        if (strcmp(option, "--print-config-docs") == 0) {
                config_print_docs(s->items, s->n_items, s->name, stdout);
                return 0;
        }
        if (*option && !mode && strcmp(option, "--check-config") != 0)
                return usage(s, stderr);
        if (config_load(s->items, s->n_items, s->config, NULL, NULL, error, sizeof(error)) < 0) {
                (void)fprintf(stderr, "parley-%s: %s\n", s->name, error);
                return 1;
        }
        r = start(s, *option && !mode, mode ? mode->run : s->run);
        config_done(s->items, s->n_items, s->config);
        return r;
}
