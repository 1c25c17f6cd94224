/* A nats-server that wants TLS. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "bus_env.h"

static struct server server;
static char folder[] = "/tmp/parley-bus-tls-XXXXXX";
static char ca[128];

static void openssl(const char *const *arguments)
{
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                if (freopen("/dev/null", "w", stderr) != NULL)
                        execvp("openssl", (char *const *)(uintptr_t)arguments);
                _exit(127);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

static int setup(void **state)
{
        static char key[128], extra[512];

        (void)state;
        assert_non_null(mkdtemp(folder));
        snprintf(ca, sizeof(ca), "%s/cert.pem", folder);
        snprintf(key, sizeof(key), "%s/key.pem", folder);
        openssl((const char *const[]){"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                                      "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                                      "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out", ca, NULL});
        snprintf(extra, sizeof(extra), "tls { cert_file: \"%s\", key_file: \"%s\" }", ca, key);
        server_start(&server, extra);
        return 0;
}

static int teardown(void **state)
{
        char path[128];

        (void)state;
        server_done(&server);
        snprintf(path, sizeof(path), "%s/key.pem", folder);
        unlink(path);
        unlink(ca);
        rmdir(folder);
        return 0;
}

static void begin(struct env *e)
{
        env_init(e, &server);
        e->options.tls_ca = ca;
        env_connect(e);
}

static void test_messages(void **state)
{
        struct bus_stream_config c = {
                .name = "TLS", .subject = "tls.>", .republish_from = "tls.>", .republish_to = "tlive.>", .replicas = 1};
        static char data[100000];
        struct got acks = {0}, live = {0};
        struct bus_sub *sub;
        struct env e;

        (void)state;
        begin(&e);
        make_stream(&e, &c);
        assert_int_equal(bus_subscribe(e.bus, "tlive.>", NULL, got_msg, &live, &sub), 0);
        /* Records of TLS begin and end anywhere in messages, large and small. Few are under way: a server that gets no processor for
         * a moment is not to be taken for one that stopped reading (see test_stopped). */
        for (unsigned i = 0; i < 2000; i++) {
                size_t n = i % 50 == 0 ? sizeof(data) : i;

                while (i - acks.n > 100)
                        uv_run(&e.loop, UV_RUN_ONCE);
                assert_int_equal(bus_publish_stream(e.bus, "tls.a", NULL, data, n, "trace", got_ack, &acks), 0);
        }
        env_until(&e, acks.n_ok, 2000, 20000);
        env_until(&e, live.n, 2000, 5000);
        assert_int_equal(acks.n, 2000);
        assert_int_equal(e.disconnected, 0);
        env_close(&e);
}

static void test_wrong_authority(void **state)
{
        struct env e;

        (void)state;
        env_init(&e, &server);
        e.options.tls_ca = "/etc/hostname"; /* holds no certificate */
        env_open(&e);
        env_until(&e, e.errors, 1, 5000);
        assert_int_equal(e.connected, 0);
        assert_true(e.last_error[0] != '\0');
        env_close(&e);
}

/* nats.c waits within a TLS write for a server that stopped reading: bounded, once, then the connection is given up */
static void test_stopped(void **state)
{
        static char data[10000];
        struct got acks = {0};
        uint64_t worst = 0;
        unsigned n = 0;
        struct env e;

        (void)state;
        begin(&e);
        server_kill(&server, SIGSTOP);
        uint64_t begun = now_ns();
        while (e.disconnected == 0 && now_ns() - begun < UINT64_C(10000000000)) {
                uint64_t before = now_ns();

                n += bus_publish_stream(e.bus, "tls.a", NULL, data, sizeof(data), NULL, got_ack, &acks) == 0;
                uv_run(&e.loop, UV_RUN_NOWAIT);
                if (now_ns() - before > worst)
                        worst = now_ns() - before;
        }
        print_message("with TLS and a stopped server: longest turn of the loop %.0f ms, after %u publishes\n",
                      (double)worst / 1e6, n);
        assert_true(worst < UINT64_C(1500000000));
        assert_int_equal(e.disconnected, 1);
        server_kill(&server, SIGCONT);
        env_until(&e, e.connected, 2, 10000);
        env_until(&e, acks.n, n, 10000);
        env_close(&e);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_messages),
                cmocka_unit_test(test_wrong_authority),
                cmocka_unit_test(test_stopped),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
