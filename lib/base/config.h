/* Configuration: one table per service, read from PARLEY_* environment variables.
 *
 * An empty variable counts as unset. Text is UTF-8; other than a secret it is one line.
 * A secret NAME is also read from the file that NAME_FILE names (one trailing newline is cut; up to 64 KiB;
 * setting both is an error).
 * docs/configuration.md is generated from these tables (--print-config-docs) and checked by a test. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum config_type {
        CONFIG_STRING, /* char *, owned by the struct; NULL where the default is NULL */
        CONFIG_SECRET, /* char *, as above; hidden when printed */
        CONFIG_U64,    /* uint64_t within [min, max]; 0 is taken too where zero_is_off */
        CONFIG_BOOL,   /* bool; 1/0, true/false, on/off, yes/no */
};

struct config_item {
        const char *name; /* "PARLEY_MAX_FRAME_BYTES" */
        enum config_type type;
        size_t offset;     /* of the member in the service's struct */
        const char *def;   /* default as text; NULL: unset */
        uint64_t min, max; /* CONFIG_U64 */
        bool zero_is_off;  /* 0 means "no limit" */
        bool required;
        const char *unit; /* "bytes", "ms", …, or NULL */
        const char *help; /* one sentence */
};

/* Fills the struct at conf from the environment. On error writes one line to ret_error that names the variable and what
 * it takes, leaves nothing allocated in conf, and returns -EINVAL (or -ENOMEM). A secret's value is in no error.
 * get: NULL for getenv, else for tests.
 * A PARLEY_* variable that no table knows is not an error: other services share the environment. */
int config_load(const struct config_item *items, size_t n_items, void *conf,
                const char *(*get)(const char *name, void *userdata), void *userdata, char *ret_error, size_t n_error);
/* The secret `name` as its NAME_FILE in the environment has it by now, for what asks again while it runs; a copy of `loaded` where there is no
 * such file, or it cannot be read at the moment. loaded may be NULL. From any thread, as long as nobody changes the environment. NULL: out of
 * memory, or neither. The caller frees it. */
char *config_secret_again(const char *name, const char *loaded);
void config_done(const struct config_item *items, size_t n_items, void *conf);
/* NAME=value lines; secrets as "(set)" or "(unset)", and what stands before the @ of an address as "(hidden)" */
void config_print(const struct config_item *items, size_t n_items, const void *conf, FILE *out);
/* The Markdown table of one service */
void config_print_docs(const struct config_item *items, size_t n_items, const char *title, FILE *out);
