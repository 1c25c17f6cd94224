#include "unit.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "base/config.h"

struct conf {
        char *url;
        char *nick;
        char *secret;
        uint64_t limit;
        uint64_t rate;
        bool on;
};

static const struct config_item items[] = {
        {.name = "PARLEY_T_URL",
         .type = CONFIG_STRING,
         .offset = offsetof(struct conf, url),
         .def = "nats://127.0.0.1:8422",
         .help = "Where NATS is"},
        {.name = "PARLEY_T_NICK", .type = CONFIG_STRING, .offset = offsetof(struct conf, nick), .help = "A|B"},
        {.name = "PARLEY_T_SECRET",
         .type = CONFIG_SECRET,
         .offset = offsetof(struct conf, secret),
         .required = true,
         .help = "Signs tokens"},
        {.name = "PARLEY_T_LIMIT",
         .type = CONFIG_U64,
         .offset = offsetof(struct conf, limit),
         .def = "65536",
         .min = 1024,
         .max = 1048576,
         .unit = "bytes",
         .help = "The largest frame"},
        {.name = "PARLEY_T_RATE",
         .type = CONFIG_U64,
         .offset = offsetof(struct conf, rate),
         .def = "10",
         .min = 5,
         .max = UINT64_MAX,
         .zero_is_off = true,
         .help = "Frames a second"},
        {.name = "PARLEY_T_ON",
         .type = CONFIG_BOOL,
         .offset = offsetof(struct conf, on),
         .def = "off",
         .help = "Whether"},
};
#define N_ITEMS (sizeof(items) / sizeof(items[0]))

/* An environment: pairs, ended by NULL */
static const char *get(const char *name, void *userdata)
{
        for (const char *const *pair = userdata; *pair; pair += 2)
                if (strcmp(pair[0], name) == 0)
                        return pair[1];
        return NULL;
}

static char error[512];

static int load(struct conf *conf, const char *const *env)
{
        memset(error, 0, sizeof(error));
        memset(conf, 0xee, sizeof(*conf));
        return config_load(items, N_ITEMS, conf, get, (void *)env, error, sizeof(error));
}

/* Loads with the secret set and one more variable */
static int load_with(struct conf *conf, const char *name, const char *value)
{
        const char *const env[] = {"PARLEY_T_SECRET", "s3cret", name, value, NULL};

        return load(conf, env);
}

/* The error names the variable, is one line, and nothing is left in the struct */
static void check_bad(const char *name, const char *value, const char *says)
{
        struct conf conf;

        if (load_with(&conf, name, value) != -EINVAL)
                fail_msg("%s=%s is taken", name, value);
        assert_memory_equal(error, name, strlen(name));
        assert_null(strchr(error, '\n'));
        if (!strstr(error, says))
                fail_msg("\"%s\" does not say \"%s\"", error, says);
        assert_null(conf.url);
        assert_null(conf.secret);
        assert_int_equal(conf.limit, 0);
}

static void test_defaults(void **state)
{
        struct conf conf;

        (void)state;
        assert_int_equal(load_with(&conf, "PARLEY_SOMEBODY_ELSE", "x"), 0);
        assert_string_equal(conf.url, "nats://127.0.0.1:8422");
        assert_null(conf.nick);
        assert_string_equal(conf.secret, "s3cret");
        assert_int_equal(conf.limit, 65536);
        assert_int_equal(conf.rate, 10);
        assert_false(conf.on);
        config_done(items, N_ITEMS, &conf);
        assert_null(conf.url);
        assert_null(conf.secret);
        config_done(items, N_ITEMS, &conf);
}

static void test_all_set(void **state)
{
        static const char *const env[] = {"PARLEY_T_URL",
                                          "nats://n\xc3\xa4h:4222",
                                          "PARLEY_T_NICK",
                                          "a b",
                                          "PARLEY_T_SECRET",
                                          "line\nline",
                                          "PARLEY_T_LIMIT",
                                          "1048576",
                                          "PARLEY_T_RATE",
                                          "18446744073709551615",
                                          "PARLEY_T_ON",
                                          "yes",
                                          NULL};
        struct conf conf;

        (void)state;
        assert_int_equal(load(&conf, env), 0);
        assert_string_equal(conf.url, "nats://n\xc3\xa4h:4222");
        assert_string_equal(conf.nick, "a b");
        assert_string_equal(conf.secret, "line\nline");
        assert_int_equal(conf.limit, 1048576);
        assert_true(conf.rate == UINT64_MAX);
        assert_true(conf.on);
        config_done(items, N_ITEMS, &conf);
}

static void test_environment(void **state)
{
        struct conf conf;

        (void)state;
        assert_int_equal(setenv("PARLEY_T_SECRET", "from the environment", 1), 0);
        assert_int_equal(config_load(items, N_ITEMS, &conf, NULL, NULL, error, sizeof(error)), 0);
        assert_string_equal(conf.secret, "from the environment");
        config_done(items, N_ITEMS, &conf);
        unsetenv("PARLEY_T_SECRET");
        assert_int_equal(config_load(items, N_ITEMS, &conf, NULL, NULL, error, sizeof(error)), -EINVAL);
}

static void test_required(void **state)
{
        static const char *const none[] = {NULL}, *const empty[] = {"PARLEY_T_SECRET", "", NULL};
        struct conf conf;

        (void)state;
        assert_int_equal(load(&conf, none), -EINVAL);
        assert_string_equal(error, "PARLEY_T_SECRET (or its _FILE) must be set: Signs tokens");
        assert_null(conf.url);
        assert_int_equal(load(&conf, empty), -EINVAL);
        assert_string_equal(error, "PARLEY_T_SECRET (or its _FILE) must be set: Signs tokens");
}

/* An empty variable is an unset one */
static void test_empty(void **state)
{
        struct conf conf;

        (void)state;
        assert_int_equal(load_with(&conf, "PARLEY_T_LIMIT", ""), 0);
        assert_int_equal(conf.limit, 65536);
        config_done(items, N_ITEMS, &conf);
        assert_int_equal(load_with(&conf, "PARLEY_T_URL", ""), 0);
        assert_string_equal(conf.url, "nats://127.0.0.1:8422");
        config_done(items, N_ITEMS, &conf);
}

static void test_u64(void **state)
{
        static const char *const bad[] = {"-1",  "+2000", " 2000", "2000 ", "2e3",     "2k",
                                          "abc", "0x800", "1023",  "0",     "1048577", "99999999999999999999999"};
        struct conf conf;

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                check_bad("PARLEY_T_LIMIT", bad[i], "takes a whole number from 1024 to 1048576 bytes");
        check_bad("PARLEY_T_LIMIT", "1023", "PARLEY_T_LIMIT=1023:");
        check_bad("PARLEY_T_RATE", "4", "takes a whole number from 5 to 18446744073709551615, or 0 for no limit");
        check_bad("PARLEY_T_RATE", "18446744073709551616", "PARLEY_T_RATE=18446744073709551616");
        assert_int_equal(load_with(&conf, "PARLEY_T_RATE", "0"), 0);
        assert_int_equal(conf.rate, 0);
        config_done(items, N_ITEMS, &conf);
        assert_int_equal(load_with(&conf, "PARLEY_T_RATE", "5"), 0);
        assert_int_equal(conf.rate, 5);
        config_done(items, N_ITEMS, &conf);
}

static void test_bool(void **state)
{
        static const char *const yes[] = {"1", "true", "on", "yes", "TRUE", "On"};
        static const char *const no[] = {"0", "false", "off", "no", "FALSE", "Off"};
        static const char *const bad[] = {"2", "y", "enabled", "on ", "-1", "truefalse"};
        struct conf conf;

        (void)state;
        for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
                assert_int_equal(load_with(&conf, "PARLEY_T_ON", yes[i]), 0);
                assert_true(conf.on);
                config_done(items, N_ITEMS, &conf);
                assert_int_equal(load_with(&conf, "PARLEY_T_ON", no[i]), 0);
                assert_false(conf.on);
                config_done(items, N_ITEMS, &conf);
        }
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                check_bad("PARLEY_T_ON", bad[i], "takes on or off");
}

static void test_string(void **state)
{
        char longest[5000];

        (void)state;
        check_bad("PARLEY_T_URL", "a\nb", "one line");
        check_bad("PARLEY_T_URL", "a\rb", "one line");
        check_bad("PARLEY_T_URL", "a\xff", "not valid UTF-8");

        /* A wrong value is shown, but neither all of it nor what would break the line */
        memset(longest, '7', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = '\0';
        check_bad("PARLEY_T_LIMIT", longest, "7777...: takes");
        assert_true(strlen(error) < 200);
        check_bad("PARLEY_T_LIMIT", "1\n2", "=1?2: takes");
}

static void write_file(char *path, const char *text, size_t n)
{
        int fd;

        snprintf(path, PATH_MAX, "/tmp/parley-test-config-XXXXXX");
        fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, n), (ssize_t)n);
        close(fd);
}

static int load_file(struct conf *conf, const char *text, size_t n)
{
        char path[PATH_MAX];
        const char *const env[] = {"PARLEY_T_SECRET_FILE", path, NULL};
        int r;

        write_file(path, text, n);
        r = load(conf, env);
        unlink(path);
        return r;
}

static void check_file(const char *text, size_t n, const char *expected)
{
        struct conf conf;

        assert_int_equal(load_file(&conf, text, n), 0);
        assert_string_equal(conf.secret, expected);
        config_done(items, N_ITEMS, &conf);
}

static void check_bad_file(const char *text, size_t n, const char *says)
{
        struct conf conf;

        assert_int_equal(load_file(&conf, text, n), -EINVAL);
        assert_memory_equal(error, "PARLEY_T_SECRET", 15);
        if (!strstr(error, says))
                fail_msg("\"%s\" does not say \"%s\"", error, says);
        assert_null(strstr(error, "k3y"));
        assert_null(conf.url);
}

static void test_secret_file(void **state)
{
        static char big[65538];

        (void)state;
        check_file("k3y", 3, "k3y");
        check_file("k3y\n", 4, "k3y");
        check_file("k3y\n\n", 5, "k3y\n");
        check_file(" k3y ", 5, " k3y ");
        check_file("a\nb\n", 4, "a\nb");
        check_bad_file("", 0, "is empty");
        check_bad_file("\n", 1, "is empty");
        check_bad_file("k3y\0k3y", 7, "NUL");
        check_bad_file("k3y\xff", 4, "not valid UTF-8");

        memset(big, 'x', sizeof(big));
        check_bad_file(big, 65537, "longer than 65536 bytes");
        big[65536] = '\0';
        check_file(big, 65536, big);
}

static void test_secret_file_missing(void **state)
{
        static const char *const missing[] = {"PARLEY_T_SECRET_FILE", "/nonexistent/file", NULL};
        static const char *const folder[] = {"PARLEY_T_SECRET_FILE", "/tmp", NULL};
        static const char *const both[] = {"PARLEY_T_SECRET", "k3y", "PARLEY_T_SECRET_FILE", "/etc/hostname", NULL};
        static const char *const empty[] = {"PARLEY_T_SECRET", "s3cret", "PARLEY_T_SECRET_FILE", "", NULL};
        struct conf conf;

        (void)state;
        assert_int_equal(load(&conf, missing), -EINVAL);
        assert_string_equal(error,
                            "PARLEY_T_SECRET_FILE=/nonexistent/file: cannot be opened: No such file or directory");
        assert_int_equal(load(&conf, folder), -EINVAL);
        assert_non_null(strstr(error, "PARLEY_T_SECRET_FILE=/tmp: cannot be read"));
        assert_int_equal(load(&conf, both), -EINVAL);
        assert_string_equal(error, "PARLEY_T_SECRET and PARLEY_T_SECRET_FILE are both set: set one of them");
        assert_int_equal(load(&conf, empty), 0);
        assert_string_equal(conf.secret, "s3cret");
        config_done(items, N_ITEMS, &conf);
}

/* Only secrets have a file */
static void expect_again(const char *loaded, const char *expected)
{
        char *text = config_secret_again("PARLEY_T_SECRET", loaded);

        if (expected)
                assert_string_equal(text, expected);
        else
                assert_null(text);
        free(text);
}

static void write_text(const char *path, const char *text)
{
        FILE *f = fopen(path, "w");

        assert_non_null(f);
        assert_int_equal(fputs(text, f) < 0, 0);
        assert_int_equal(fclose(f), 0);
}

static void test_secret_again(void **state)
{
        char path[] = "/tmp/parley-test-XXXXXX";
        int fd = mkstemp(path);

        (void)state;
        assert_true(fd >= 0);
        (void)close(fd);
        expect_again("loaded", "loaded");
        expect_again(NULL, NULL);
        assert_int_equal(setenv("PARLEY_T_SECRET_FILE", path, 1), 0);
        write_text(path, "first\n");
        expect_again("loaded", "first");
        write_text(path, "second");
        expect_again("loaded", "second");
        write_text(path, ""); /* in the middle of a change */
        expect_again("loaded", "loaded");
        assert_int_equal(unlink(path), 0);
        expect_again("loaded", "loaded");
        assert_int_equal(unsetenv("PARLEY_T_SECRET_FILE"), 0);
}

static void test_no_file_for_others(void **state)
{
        struct conf conf;

        (void)state;
        assert_int_equal(load_with(&conf, "PARLEY_T_URL_FILE", "/nonexistent"), 0);
        config_done(items, N_ITEMS, &conf);
}

/* What a printer wrote; the caller frees it */
static char *printed(const struct conf *conf)
{
        char *text = NULL;
        size_t n;
        FILE *f = open_memstream(&text, &n);

        assert_non_null(f);
        if (conf)
                config_print(items, N_ITEMS, conf, f);
        else
                config_print_docs(items, N_ITEMS, "Test", f);
        assert_int_equal(fclose(f), 0);
        return text;
}

static void test_print_no_password(void **state)
{
        static const char *const cases[][2] = {
                {"nats://ann:pass@host:4222", "nats://(hidden)@host:4222"},
                {"nats://token@host", "nats://(hidden)@host"},
                {"nats://a:b@one:1,tls://c:d@two:2, host:3", "nats://(hidden)@one:1,tls://(hidden)@two:2, host:3"},
                {"nats://a:p@ss@host/x@y", "nats://(hidden)@y"},
                {"nats://a:p/w@host", "nats://(hidden)@host"},
                {"https://host/path?to=a", "https://host/path?to=a"},
                {"://", "://"},
                {"a@b", "a@b"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                char expected[128];
                struct conf conf;
                char *text;

                assert_int_equal(load_with(&conf, "PARLEY_T_URL", cases[i][0]), 0);
                text = printed(&conf);
                snprintf(expected, sizeof(expected), "PARLEY_T_URL=%s\n", cases[i][1]);
                assert_memory_equal(text, expected, strlen(expected));
                free(text);
                config_done(items, N_ITEMS, &conf);
        }
}

static void test_print(void **state)
{
        struct conf conf;
        char *text;

        (void)state;
        assert_int_equal(load_with(&conf, "PARLEY_T_ON", "1"), 0);
        text = printed(&conf);
        assert_string_equal(text, "PARLEY_T_URL=nats://127.0.0.1:8422\nPARLEY_T_NICK=\nPARLEY_T_SECRET=(set)\n"
                                  "PARLEY_T_LIMIT=65536\nPARLEY_T_RATE=10\nPARLEY_T_ON=on\n");
        free(text);
        config_done(items, N_ITEMS, &conf);
        text = printed(&conf);
        assert_non_null(strstr(text, "PARLEY_T_SECRET=(unset)\n"));
        assert_non_null(strstr(text, "PARLEY_T_ON=off\n"));
        free(text);
}

static void test_print_docs(void **state)
{
        char *text = printed(NULL);

        (void)state;
        assert_string_equal(text,
                            "## Test\n\n"
                            "| variable | takes | default | what |\n"
                            "|---|---|---|---|\n"
                            "| `PARLEY_T_URL` | text | `nats://127.0.0.1:8422` | Where NATS is |\n"
                            "| `PARLEY_T_NICK` | text | unset | A\\|B |\n"
                            "| `PARLEY_T_SECRET` | secret, also `_FILE` | **required** | Signs tokens |\n"
                            "| `PARLEY_T_LIMIT` | 1024 to 1048576 bytes | `65536` | The largest frame |\n"
                            "| `PARLEY_T_RATE` | 5 to 18446744073709551615; 0: no limit | `10` | Frames a second |\n"
                            "| `PARLEY_T_ON` | on, off | `off` | Whether |\n");
        free(text);
}

/* A table whose own default is wrong is refused like a wrong value: it cannot be shipped unnoticed */
static void test_bad_default(void **state)
{
        static const struct config_item wrong = {
                .name = "PARLEY_T_WRONG", .type = CONFIG_U64, .def = "5", .min = 10, .max = 20, .help = "x"};
        uint64_t value;
        const char *const none[] = {NULL};

        (void)state;
        assert_int_equal(config_load(&wrong, 1, &value, get, (void *)none, error, sizeof(error)), -EINVAL);
        assert_non_null(strstr(error, "PARLEY_T_WRONG=5"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults),
                cmocka_unit_test(test_all_set),
                cmocka_unit_test(test_environment),
                cmocka_unit_test(test_required),
                cmocka_unit_test(test_empty),
                cmocka_unit_test(test_u64),
                cmocka_unit_test(test_bool),
                cmocka_unit_test(test_string),
                cmocka_unit_test(test_secret_file),
                cmocka_unit_test(test_secret_file_missing),
                cmocka_unit_test(test_no_file_for_others),
                cmocka_unit_test(test_print),
                cmocka_unit_test(test_secret_again),
                cmocka_unit_test(test_print_no_password),
                cmocka_unit_test(test_print_docs),
                cmocka_unit_test(test_bad_default),
        };
        return cmocka_run_group_tests_name("base/config", tests, NULL, NULL);
}
