/* What the main function of every service does: reads the settings, checks them, prints them where that is asked for, or runs. */
#pragma once

#include <stddef.h>

#include "base/config.h"

/* Something else that the program can do with the same settings, and then ends: parley-<name> --<option> */
struct service_mode {
        const char *option; /* "--migrate" */
        const char *help;
        int (*run)(const void *config); /* negative: it failed */
};

struct service {
        const char *name; /* "history": of the log lines; the program is parley-<name> */
        const struct config_item *items;
        size_t n_items;
        void *config;     /* the struct that the rows describe, all zero */
        char **log_level; /* in it */
        /* Settings that contradict each other: -EINVAL with a line that names them. NULL: none can */
        int (*check)(const void *config, char *ret_error, size_t n_error);
        int (*run)(const void *config); /* negative: it could not start */
        const struct service_mode *modes;
        size_t n_modes;
};

/* For a `run` that could not start, and whose threads still use what it has opened: ends the process at once, with 1. To return would free what
 * they use, and to take it apart means to wait for them. */
_Noreturn void service_fail(void);

/* The exit status: 0; 1: a setting is wrong, or the service could not start; 2: wrong arguments */
int service_main(const struct service *s, int argc, char **argv);
