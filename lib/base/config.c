#include "base/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/text.h"

/* The longest secret read from a file: keys and PEM bundles are far below */
#define FILE_MAX_BYTES 65536
/* How much of a wrong value an error shows */
#define SHOWN_MAX 64
#define NAME_MAX_LEN 128

struct load {
        const char *(*get)(const char *name, void *userdata);
        void *userdata;
        void *conf;
        char *error;
        size_t n_error;
};

static const char *get_env(const char *name, void *userdata)
{
        (void)userdata;
        return getenv(name);
}

/* An empty variable counts as unset: compose files and charts write VAR= for "nothing" */
static const char *load_get(const struct load *l, const char *name)
{
        const char *value = l->get(name, l->userdata);

        return value && *value ? value : NULL;
}

_printf_(2, 3) static int load_error(const struct load *l, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        vsnprintf(l->error, l->n_error, format, ap);
        va_end(ap);
        return -EINVAL;
}

static void *member(void *conf, const struct config_item *item)
{
        return (char *)conf + item->offset;
}

static const void *member_const(const void *conf, const struct config_item *item)
{
        return (const char *)conf + item->offset;
}

static bool is_text(const struct config_item *item)
{
        return item->type == CONFIG_STRING || item->type == CONFIG_SECRET;
}

/* A wrong value as an error shows it: one line of ASCII, cut, without control characters */
static const char *shown(const char *value, char text[SHOWN_MAX + 4])
{
        size_t n = strnlen(value, SHOWN_MAX + 1);

        for (size_t i = 0; i < n && i < SHOWN_MAX; i++)
                text[i] = (unsigned char)value[i] < 0x20 || (unsigned char)value[i] >= 0x7f ? '?' : value[i];
        if (n > SHOWN_MAX)
                memcpy(text + SHOWN_MAX, "...", 4);
        else
                text[n] = '\0';
        return text;
}

static int parse_u64(const struct load *l, const struct config_item *item, const char *value)
{
        char text[SHOWN_MAX + 4];
        uint64_t n;
        bool ok;

        ok = text_parse_u64(value, item->min, item->max, &n) == 0 ||
             (item->zero_is_off && text_parse_u64(value, 0, 0, &n) == 0);
        if (!ok)
                return load_error(l, "%s=%s: takes a whole number from %" PRIu64 " to %" PRIu64 "%s%s%s", item->name,
                                  shown(value, text), item->min, item->max, item->unit ? " " : "",
                                  item->unit ? item->unit : "", item->zero_is_off ? ", or 0 for no limit" : "");
        memcpy(member(l->conf, item), &n, sizeof(n));
        return 0;
}

static int parse_bool(const struct load *l, const struct config_item *item, const char *value)
{
        static const char *const words[][2] = {{"0", "1"}, {"false", "true"}, {"off", "on"}, {"no", "yes"}};
        char text[SHOWN_MAX + 4];

        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                for (unsigned b = 0; b < 2; b++)
                        if (strcasecmp(value, words[i][b]) == 0) {
                                bool on = b == 1;
                                memcpy(member(l->conf, item), &on, sizeof(on));
                                return 0;
                        }
        return load_error(l, "%s=%s: takes on or off (or 1/0, true/false, yes/no)", item->name, shown(value, text));
}

static int parse_text(const struct load *l, const struct config_item *item, const char *value)
{
        char *copy;

        if (!utf8_valid(value, strlen(value)))
                return load_error(l, "%s: the value is not valid UTF-8", item->name);
        if (item->type == CONFIG_STRING && strpbrk(value, "\r\n\t"))
                return load_error(l, "%s: takes one line of text", item->name);
        copy = strdup(value);
        if (!copy)
                return -ENOMEM;
        memcpy(member(l->conf, item), &copy, sizeof(char *));
        return 0;
}

static int parse(const struct load *l, const struct config_item *item, const char *value)
{
        switch (item->type) {
        case CONFIG_STRING:
        case CONFIG_SECRET:
                return parse_text(l, item, value);
        case CONFIG_U64:
                return parse_u64(l, item, value);
        case CONFIG_BOOL:
                return parse_bool(l, item, value);
        }
        return load_error(l, "%s: has no known type", item->name);
}

static void closefp(FILE **f)
{
        if (*f)
                fclose(*f);
}

/* The content of a secret's file, without one newline at its end */
static int read_file(const struct load *l, const char *variable, const char *path, char **ret_text)
{
        _cleanup_(closefp) FILE *f = NULL;
        _cleanup_free_ char *text = NULL;
        size_t n;

        f = fopen(path, "re");
        if (!f)
                return load_error(l, "%s=%s: cannot be opened: %s", variable, path, strerror(errno));
        text = malloc(FILE_MAX_BYTES + 1);
        if (!text)
                return -ENOMEM;
        n = fread(text, 1, FILE_MAX_BYTES + 1, f);
        if (ferror(f))
                return load_error(l, "%s=%s: cannot be read: %s", variable, path, strerror(errno));
        if (n > FILE_MAX_BYTES)
                return load_error(l, "%s=%s: is longer than %d bytes", variable, path, FILE_MAX_BYTES);
        if (n > 0 && text[n - 1] == '\n')
                n--;
        if (n == 0)
                return load_error(l, "%s=%s: is empty", variable, path);
        if (memchr(text, '\0', n))
                return load_error(l, "%s=%s: contains a NUL byte", variable, path);
        text[n] = '\0';
        *ret_text = text;
        text = NULL;
        return 0;
}

/* *ret_text is NULL when NAME_FILE is not set */
static int load_secret_file(const struct load *l, const struct config_item *item, bool name_is_set, char **ret_text)
{
        char variable[NAME_MAX_LEN];
        const char *path;

        if (snprintf(variable, sizeof(variable), "%s_FILE", item->name) >= (int)sizeof(variable))
                return load_error(l, "%s: the name is too long", item->name);
        path = load_get(l, variable);
        if (!path) {
                *ret_text = NULL;
                return 0;
        }
        if (name_is_set)
                return load_error(l, "%s and %s are both set: set one of them", item->name, variable);
        return read_file(l, variable, path, ret_text);
}

char *config_secret_again(const char *name, const char *loaded)
{
        const struct config_item item = {.name = name, .type = CONFIG_SECRET};
        char unused[256];
        struct load l = {.get = get_env, .error = unused, .n_error = sizeof(unused)};
        char *text = NULL;

        if (load_secret_file(&l, &item, false, &text) == 0 && text && utf8_valid(text, strlen(text)))
                return text;
        free(text);
        return loaded ? strdup(loaded) : NULL;
}

static int load_item(const struct load *l, const struct config_item *item)
{
        _cleanup_free_ char *from_file = NULL;
        const char *value = load_get(l, item->name);
        int r;

        if (item->type == CONFIG_SECRET) {
                r = load_secret_file(l, item, value != NULL, &from_file);
                if (r < 0)
                        return r;
                if (from_file)
                        value = from_file;
        }
        if (!value && item->required && !item->def)
                return load_error(l, "%s%s must be set: %s", item->name,
                                  item->type == CONFIG_SECRET ? " (or its _FILE)" : "", item->help);
        if (!value)
                value = item->def;
        if (!value)
                return 0;
        return parse(l, item, value);
}

static void clear(const struct config_item *item, void *conf)
{
        switch (item->type) {
        case CONFIG_STRING:
        case CONFIG_SECRET:
                memset(member(conf, item), 0, sizeof(char *));
                break;
        case CONFIG_U64:
                memset(member(conf, item), 0, sizeof(uint64_t));
                break;
        case CONFIG_BOOL:
                memset(member(conf, item), 0, sizeof(bool));
                break;
        }
}

static const char *text_of(const struct config_item *item, const void *conf)
{
        const char *text;

        memcpy(&text, member_const(conf, item), sizeof(char *));
        return text;
}

void config_done(const struct config_item *items, size_t n_items, void *conf)
{
        for (size_t i = 0; i < n_items; i++) {
                if (is_text(&items[i])) {
                        char *text = *(char **)member(conf, &items[i]);

                        if (text && items[i].type == CONFIG_SECRET)
                                explicit_bzero(text, strlen(text));
                        free(text);
                }
                clear(&items[i], conf);
        }
}

int config_load(const struct config_item *items, size_t n_items, void *conf,
                const char *(*get)(const char *name, void *userdata), void *userdata, char *ret_error, size_t n_error)
{
        struct load l = {
                .get = get ? get : get_env,
                .userdata = userdata,
                .conf = conf,
                .error = ret_error,
                .n_error = n_error,
        };
        int r;

        for (size_t i = 0; i < n_items; i++)
                clear(&items[i], conf);
        for (size_t i = 0; i < n_items; i++) {
                r = load_item(&l, &items[i]);
                if (r < 0) {
                        if (r == -ENOMEM)
                                load_error(&l, "%s: out of memory", items[i].name);
                        config_done(items, n_items, conf);
                        return r;
                }
        }
        return 0;
}

/* Addresses may hold a user and a password: nats://user:password@host. Up to the last @, for not everybody encodes what a password may
 * not hold; rather a path is hidden than a part of one shown. */
static void print_text(FILE *out, const char *text)
{
        const char *scheme;

        while ((scheme = strstr(text, "://"))) {
                const char *host = scheme + 3, *end = host + strcspn(host, ", ");

                fprintf(out, "%.*s", (int)(host - text), text);
                text = host;
                for (const char *at = end; at > host; at--)
                        if (at[-1] == '@') {
                                fputs("(hidden)@", out);
                                text = at;
                                break;
                        }
        }
        fputs(text, out);
}

void config_print(const struct config_item *items, size_t n_items, const void *conf, FILE *out)
{
        for (size_t i = 0; i < n_items; i++) {
                const struct config_item *item = &items[i];
                const char *text;
                uint64_t n;

                switch (item->type) {
                case CONFIG_STRING:
                        text = text_of(item, conf);
                        fprintf(out, "%s=", item->name);
                        print_text(out, text ? text : "");
                        fputc('\n', out);
                        break;
                case CONFIG_SECRET:
                        fprintf(out, "%s=%s\n", item->name, text_of(item, conf) ? "(set)" : "(unset)");
                        break;
                case CONFIG_U64:
                        memcpy(&n, member_const(conf, item), sizeof(n));
                        fprintf(out, "%s=%" PRIu64 "\n", item->name, n);
                        break;
                case CONFIG_BOOL:
                        fprintf(out, "%s=%s\n", item->name, *(const bool *)member_const(conf, item) ? "on" : "off");
                        break;
                }
        }
}

/* A table's cell: a bar would end it, a newline the table */
static void print_cell(FILE *out, const char *text)
{
        for (; *text; text++) {
                if (*text == '|')
                        fputc('\\', out);
                fputc(*text == '\n' ? ' ' : *text, out);
        }
}

static void print_takes(FILE *out, const struct config_item *item)
{
        switch (item->type) {
        case CONFIG_STRING:
                fputs("text", out);
                break;
        case CONFIG_SECRET:
                fputs("secret, also `_FILE`", out);
                break;
        case CONFIG_U64:
                fprintf(out, "%" PRIu64 " to %" PRIu64, item->min, item->max);
                if (item->unit)
                        fprintf(out, " %s", item->unit);
                if (item->zero_is_off)
                        fputs("; 0: no limit", out);
                break;
        case CONFIG_BOOL:
                fputs("on, off", out);
                break;
        }
}

static void print_default(FILE *out, const struct config_item *item)
{
        if (item->def && *item->def) {
                fputc('`', out);
                print_cell(out, item->def);
                fputc('`', out);
        } else {
                fputs(item->required ? "**required**" : "unset", out);
        }
}

void config_print_docs(const struct config_item *items, size_t n_items, const char *title, FILE *out)
{
        fprintf(out, "## %s\n\n| variable | takes | default | what |\n|---|---|---|---|\n", title);
        for (size_t i = 0; i < n_items; i++) {
                fprintf(out, "| `%s` | ", items[i].name);
                print_takes(out, &items[i]);
                fputs(" | ", out);
                print_default(out, &items[i]);
                fputs(" | ", out);
                print_cell(out, items[i].help);
                fputs(" |\n", out);
        }
}
