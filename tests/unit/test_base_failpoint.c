/* The failpoints, compiled in whatever the build has: this file's own copy comes before the library's. */
#ifndef PARLEY_FAILPOINTS
#define PARLEY_FAILPOINTS
#endif
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/failpoint.c" // NOLINT(bugprone-suspicious-include)

/* Runs a body in a process of its own: specifications are read once for each. Returns how it ended. */
static int in_child(const char *spec, int (*body)(void))
{
        int status;
        pid_t pid;

        fflush(NULL);
        pid = fork();
        assert_int_not_equal(pid, -1);
        if (pid == 0) {
                /* Not exit(): what cmocka has prepared belongs to the parent. And no core of a death that is wanted. */
                signal(SIGABRT, SIG_DFL);
                if (spec)
                        setenv("PARLEY_FAILPOINTS", spec, 1);
                else
                        unsetenv("PARLEY_FAILPOINTS");
                if (!freopen("/dev/null", "w", stderr))
                        _exit(99);
                _exit(body());
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return status;
}

static void check_exit(const char *spec, int (*body)(void), int expected)
{
        int status = in_child(spec, body);

        if (!WIFEXITED(status) || WEXITSTATUS(status) != expected)
                fail_msg("%s: status %x, expected exit %d", spec ? spec : "(unset)", (unsigned)status, expected);
}

static void check_signal(const char *spec, int (*body)(void), int expected)
{
        int status = in_child(spec, body);

        if (!WIFSIGNALED(status) || WTERMSIG(status) != expected)
                fail_msg("%s: status %x, expected signal %d", spec, (unsigned)status, expected);
}

/* Bits: which of five hits failed */
static int hit_five_times(void)
{
        int bits = 0;

        for (int i = 0; i < 5; i++)
                bits |= (FAILPOINT("a.b") == -EIO) << i;
        return bits;
}

static void test_error(void **state)
{
        (void)state;
        check_exit(NULL, hit_five_times, 0);
        check_exit("", hit_five_times, 0);
        check_exit("a.b=error", hit_five_times, 0x01);
        check_exit("a.b=error@1", hit_five_times, 0x01);
        check_exit("a.b=error@4", hit_five_times, 0x08);
        check_exit("a.b=error@6", hit_five_times, 0);
        check_exit("a.b=error@*", hit_five_times, 0x1f);
        check_exit("other=error@*", hit_five_times, 0);
        check_exit("a.b=error@2,other=kill,a.b=error@5", hit_five_times, 0x12);
}

static int hit_two_names(void)
{
        int bits = FAILPOINT("x") == -EIO;

        bits |= (FAILPOINT("y") == -EIO) << 1;
        bits |= (FAILPOINT("x") == -EIO) << 2;
        bits |= (FAILPOINT("y") == -EIO) << 3;
        return bits;
}

/* Each name counts for itself */
static void test_names(void **state)
{
        (void)state;
        check_exit("x=error@2,y=error@1", hit_two_names, 0x06);
}

static void test_kill(void **state)
{
        (void)state;
        check_signal("a.b=kill", hit_five_times, SIGKILL);
        check_signal("a.b=kill@5", hit_five_times, SIGKILL);
        check_exit("a.b=kill@6", hit_five_times, 0);
}

static int time_a_hit(void)
{
        struct timespec before, after;

        clock_gettime(CLOCK_MONOTONIC, &before);
        if (FAILPOINT("a.b") != 0)
                return 2;
        clock_gettime(CLOCK_MONOTONIC, &after);
        return (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 >= 30;
}

static void test_sleep(void **state)
{
        (void)state;
        check_exit("a.b=sleep30", time_a_hit, 1);
}

/* A test that misspells its failpoint must not pass */
static void test_bad(void **state)
{
        static const char *const bad[] = {
                "a.b",          "=error",      "a.b=",           "a.b=die",          "a.b=error@0", "a.b=error@-1",
                "a.b=error@",   "a.b=error@x", "a.b=sleep",      "a.b=sleep0",       "a.b=sleepx",  "a.b=sleep99999999",
                "a.b=error,,x", ",",           "a.b=error@1@2x", "a.b=error,broken",
        };

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                check_signal(bad[i], hit_five_times, SIGABRT);
}

static void *hit_often(void *counter)
{
        for (unsigned i = 0; i < 1000; i++)
                if (FAILPOINT("a.b") == -EIO)
                        __atomic_fetch_add((int *)counter, 1, __ATOMIC_RELAXED);
        return NULL;
}

/* Hits count for the process: of 4000 from four threads one is the 2500th */
static int hit_from_threads(void)
{
        pthread_t threads[4];
        int counter = 0;

        for (unsigned i = 0; i < 4; i++)
                if (pthread_create(&threads[i], NULL, hit_often, &counter) != 0)
                        return 99;
        for (unsigned i = 0; i < 4; i++)
                if (pthread_join(threads[i], NULL) != 0)
                        return 98;
        return counter;
}

static void test_threads(void **state)
{
        (void)state;
        check_exit("a.b=error@2500", hit_from_threads, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_error), cmocka_unit_test(test_names), cmocka_unit_test(test_kill),
                cmocka_unit_test(test_sleep), cmocka_unit_test(test_bad),   cmocka_unit_test(test_threads),
        };
        return cmocka_run_group_tests_name("base/failpoint", tests, NULL, NULL);
}
