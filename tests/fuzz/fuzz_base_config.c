/* The environment of each service: lines of NAME=value; what is taken is within its limits, and comes back as it was printed. */
#include "base/config.h"
#include "base/text.h"
#include "fuzz.h"
#include "gateway/gateway_config.h"
#include "history/history_config.h"
#include "presence/presence_config.h"
#include "upload/upload_config.h"

enum { TEXT_MAX = 16384 };

/* "NAME=value\n…": the first line of a name counts. Files are no part of this: whatever is named would be opened. */
static const char *get_line(const char *name, void *userdata)
{
        static char value[TEXT_MAX + 1];
        const char *line = userdata;
        size_t n_name = strlen(name);

        if (n_name > 5 && strcmp(name + n_name - 5, "_FILE") == 0)
                return NULL;
        while (*line) {
                const char *end = strchrnul(line, '\n');

                if (strncmp(line, name, n_name) == 0 && line[n_name] == '=') {
                        size_t n = (size_t)(end - line) - n_name - 1;

                        memcpy(value, line + n_name + 1, n);
                        value[n] = 0;
                        return value;
                }
                line = *end ? end + 1 : end;
        }
        return NULL;
}

static void check_error(const char *error)
{
        REQUIRE(error[0] && !strchr(error, '\n') && utf8_valid(error, strlen(error)));
}

static char *printed(const struct config_item *items, size_t n_items, const void *conf)
{
        char *text = NULL;
        size_t n = 0;
        FILE *out = open_memstream(&text, &n);

        REQUIRE(out);
        config_print(items, n_items, conf, out);
        REQUIRE(fclose(out) == 0);
        return text;
}

static void check_values(const struct config_item *items, size_t n_items, const void *conf)
{
        for (size_t i = 0; i < n_items; i++) {
                const void *member = (const char *)conf + items[i].offset;
                const char *text;

                if (items[i].type == CONFIG_U64) {
                        uint64_t v = *(const uint64_t *)member;

                        REQUIRE((v >= items[i].min && v <= items[i].max) || (items[i].zero_is_off && v == 0));
                } else if (items[i].type != CONFIG_BOOL) {
                        text = *(char *const *)member;
                        REQUIRE(text || !items[i].required);
                        REQUIRE(!text || utf8_valid(text, strlen(text)));
                }
        }
}

/* An unset secret is printed as such, which would set it; a set one comes back as "(set)", and is printed the same */
static void hide_secrets(const struct config_item *items, size_t n_items, char *text)
{
        for (size_t i = 0; i < n_items; i++) {
                char line[128], *at = text;
                int n = snprintf(line, sizeof(line), "%s=(unset)\n", items[i].name);

                if (items[i].type != CONFIG_SECRET)
                        continue;
                while ((at = strstr(at, line)) && at > text && at[-1] != '\n')
                        at++;
                if (at)
                        memset(at, '\n', (size_t)n);
        }
}

/* Without empty lines */
static void squeeze(char *text)
{
        size_t n = 0;

        for (const char *at = text; *at; at++)
                if (*at != '\n' || (n && text[n - 1] != '\n'))
                        text[n++] = *at;
        text[n] = 0;
}

/* What was taken and printed is taken again, and is the same */
static void check_again(const struct config_item *items, size_t n_items, const void *conf, void *again)
{
        char error[256] = "", *first = printed(items, n_items, conf), *second;

        hide_secrets(items, n_items, first);
        squeeze(first);
        REQUIRE(config_load(items, n_items, again, get_line, first, error, sizeof(error)) == 0);
        second = printed(items, n_items, again);
        hide_secrets(items, n_items, second);
        squeeze(second);
        REQUIRE(strcmp(first, second) == 0);
        config_done(items, n_items, again);
        free(first);
        free(second);
}

/* One service: its table, and what it checks beside that */
#define CHECK(name, items, n_items, check)                                                                             \
        static void check_##name(char *text)                                                                           \
        {                                                                                                              \
                struct name##_config conf, again;                                                                      \
                char error[256] = "";                                                                                  \
                                                                                                                       \
                if (config_load(items, n_items, &conf, get_line, text, error, sizeof(error))) {                        \
                        check_error(error);                                                                            \
                        return;                                                                                        \
                }                                                                                                      \
                check_values(items, n_items, &conf);                                                                   \
                if (check(&conf, error, sizeof(error)))                                                                \
                        check_error(error);                                                                            \
                check_again(items, n_items, &conf, &again);                                                            \
                config_done(items, n_items, &conf);                                                                    \
        }

/* presence has nothing to check beside its table */
static int presence_config_check(const struct presence_config *config, char *ret_error, size_t n_error)
{
        (void)config;
        (void)ret_error;
        (void)n_error;
        return 0;
}

CHECK(gateway, gateway_config_items, gateway_config_n_items, gateway_config_check)
CHECK(history, history_config_items, n_history_config_items, history_config_check)
CHECK(presence, presence_config_items, n_presence_config_items, presence_config_check)
CHECK(upload, upload_config_items, n_upload_config_items, upload_config_check)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        static void (*const checks[])(char *) = {check_history, check_gateway, check_presence, check_upload};
        char *text;

        if (n == 0 || n > TEXT_MAX)
                return 0;
        text = strndup((const char *)data + 1, n - 1);
        checks[data[0] % 4](text);
        free(text);
        return 0;
}
