#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

#define OUT_MAX (4 * 1024 * 1024)

static char out[OUT_MAX];
static int saved_stderr, file;

/* Everything that goes to stderr between these two is in `out` */
static void capture_begin(void)
{
        char name[] = "/tmp/parley-test-log-XXXXXX";

        file = mkstemp(name);
        assert_true(file >= 0);
        assert_int_equal(unlink(name), 0);
        assert_int_equal(fcntl(file, F_SETFL, O_APPEND), 0);
        saved_stderr = dup(STDERR_FILENO);
        assert_true(saved_stderr >= 0);
        assert_int_equal(dup2(file, STDERR_FILENO), STDERR_FILENO);
}

static void capture_end(void)
{
        ssize_t n;

        assert_int_equal(dup2(saved_stderr, STDERR_FILENO), STDERR_FILENO);
        close(saved_stderr);
        n = pread(file, out, sizeof(out) - 1, 0);
        assert_true(n >= 0);
        out[n] = '\0';
        close(file);
}

/* The time is cut out, checked and replaced by "T" */
static const char *without_time(char *line)
{
        static const char head[] = "{\"ts\":\"";
        char when[RFC3339_LEN + 1];
        size_t n_head = sizeof(head) - 1, n;
        int64_t seconds;
        int32_t nanos;

        assert_memory_equal(line, head, n_head);
        n = strcspn(line + n_head, "\"");
        assert_in_range(n, 20, RFC3339_LEN);
        memcpy(when, line + n_head, n);
        when[n] = '\0';
        assert_int_equal(rfc3339_parse(when, &seconds, &nanos), 0);
        assert_int_equal(nanos % 1000000, 0);
        line[n_head] = 'T';
        memmove(line + n_head + 1, line + n_head + n, strlen(line + n_head + n) + 1);
        return line;
}

static void test_fields(void **state)
{
        (void)state;
        log_init("test", LOG_INFO);
        capture_begin();
        log_info("all of them", LOG_S("s", "text"), LOG_S("none", NULL), LOG_U("u", UINT64_MAX), LOG_I("i", INT64_MIN),
                 LOG_I("zero", 0));
        capture_end();
        assert_string_equal(
                without_time(out),
                "{\"ts\":\"T\",\"level\":\"info\",\"service\":\"test\",\"msg\":\"all of them\",\"s\":\"text\","
                "\"none\":null,\"u\":18446744073709551615,\"i\":-9223372036854775808,\"zero\":0}\n");
}

static void test_no_fields(void **state)
{
        (void)state;
        log_init("test", LOG_DEBUG);
        capture_begin();
        log_error("bare");
        capture_end();
        assert_string_equal(without_time(out),
                            "{\"ts\":\"T\",\"level\":\"error\",\"service\":\"test\",\"msg\":\"bare\"}\n");
}

static void test_levels(void **state)
{
        enum log_level level = LOG_ERROR;

        (void)state;
        log_init("test", LOG_WARN);
        capture_begin();
        log_debug("no");
        log_info("no");
        log_warn("yes");
        log_error("yes");
        capture_end();
        assert_null(strstr(out, "no"));
        assert_non_null(strstr(out, "warn"));
        assert_non_null(strstr(out, "error"));

        assert_int_equal(log_level_parse("verbose", &level), -EINVAL);
        assert_int_equal(log_level_parse("", &level), -EINVAL);
        assert_int_equal(log_level_parse(NULL, &level), -EINVAL);
        assert_int_equal(level, LOG_ERROR);
        assert_int_equal(log_level_parse("debug", &level), 0);
        assert_int_equal(level, LOG_DEBUG);
        assert_int_equal(log_level_parse("info", &level), 0);
        assert_int_equal(level, LOG_INFO);
        assert_int_equal(log_level_parse("warn", &level), 0);
        assert_int_equal(level, LOG_WARN);
        assert_int_equal(log_level_parse("error", &level), 0);
        assert_int_equal(level, LOG_ERROR);
}

/* Nothing from outside can end a line, forge a field, or make it no UTF-8 */
static void test_escapes(void **state)
{
        (void)state;
        log_init("test", LOG_INFO);
        capture_begin();
        log_info("m\"\\\n",
                 LOG_S("s",
                       "\",\"admin\":true,\"x\":\"\r\n\t\x01\x1f\x7f \xc3\xa9 \xf0\x9f\x91\x8d \xff\xc3 \xed\xa0\x80"));
        capture_end();
        assert_string_equal(
                without_time(out),
                "{\"ts\":\"T\",\"level\":\"info\",\"service\":\"test\",\"msg\":\"m\\\"\\\\\\u000a\","
                "\"s\":\"\\\",\\\"admin\\\":true,\\\"x\\\":\\\"\\u000d\\u000a\\u0009\\u0001\\u001f\\u007f \xc3\xa9 "
                "\xf0\x9f\x91\x8d \\ufffd\\ufffd \\ufffd\\ufffd\\ufffd\"}\n");
}

/* Cut at 512 bytes, and never inside a character */
static void test_cut(void **state)
{
        char text[2000], expected[2100];

        (void)state;
        log_init("test", LOG_INFO);
        for (size_t ahead = 0; ahead < 4; ahead++) {
                memset(text, 'a', ahead);
                for (size_t i = ahead; i + 4 < sizeof(text); i += 4)
                        memcpy(text + i, "\xf0\x9f\x91\x8d", 5);
                capture_begin();
                log_info("m", LOG_S("s", text));
                capture_end();
                snprintf(expected, sizeof(expected), "\"s\":\"%.*s\"}\n", (int)(ahead + (512 - ahead) / 4 * 4), text);
                assert_non_null(strstr(out, expected));
        }

        memset(text, 'b', 512);
        text[512] = '\0';
        capture_begin();
        log_info("m", LOG_S("s", text));
        capture_end();
        snprintf(expected, sizeof(expected), "\"s\":\"%s\"}\n", text);
        assert_non_null(strstr(out, expected));
}

/* A line that would pass its maximum loses whole fields at the end */
static void test_too_many_fields(void **state)
{
        struct log_field fields[100];
        char text[513];

        (void)state;
        log_init("test", LOG_INFO);
        memset(text, '\x01', 512);
        text[512] = '\0';
        for (size_t i = 0; i < 100; i++)
                fields[i] = LOG_S("field", text);
        capture_begin();
        log_write(LOG_INFO, "m", fields, 100);
        capture_end();
        assert_true(strlen(out) <= 8192);
        assert_string_equal(out + strlen(out) - 9, "\\u0001\"}\n");
        assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
}

#define THREADS 4
#define LINES 2000

static void *log_often(void *name)
{
        for (unsigned i = 0; i < LINES; i++)
                log_info("from a thread", LOG_S("thread", name), LOG_U("i", i));
        return NULL;
}

/* Lines of several threads do not mix */
static void test_threads(void **state)
{
        static const char *const names[THREADS] = {"a", "b", "c", "d"};
        pthread_t threads[THREADS];
        unsigned n = 0;
        char *rest = out, *line;

        (void)state;
        log_init("test", LOG_INFO);
        capture_begin();
        for (unsigned i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, log_often, (void *)names[i]), 0);
        for (unsigned i = 0; i < THREADS; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        capture_end();
        while ((line = strsep(&rest, "\n")) && *line) {
                assert_memory_equal(line, "{\"ts\":\"", 7);
                assert_int_equal(line[strlen(line) - 1], '}');
                n++;
        }
        assert_int_equal(n, THREADS * LINES);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fields),  cmocka_unit_test(test_no_fields),
                cmocka_unit_test(test_levels),  cmocka_unit_test(test_escapes),
                cmocka_unit_test(test_cut),     cmocka_unit_test(test_too_many_fields),
                cmocka_unit_test(test_threads),
        };
        return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
