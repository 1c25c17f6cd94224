#include "bus_env.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

uint64_t now_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- the server --- */

static const char *server_binary(void)
{
        static char path[512];
        const char *given = getenv("PARLEY_NATS_SERVER");

        if (given != NULL)
                return given;
        snprintf(path, sizeof(path), "%s/.deps/prefix/bin/nats-server", PARLEY_SOURCE_DIR);
        return access(path, X_OK) == 0 ? path : "nats-server";
}

static uint16_t free_port(void)
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t n = sizeof(a);
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
        close(fd);
        return ntohs(a.sin_port);
}

static bool port_open(uint16_t port)
{
        struct sockaddr_in a = {
                .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        bool open = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

        close(fd);
        return open;
}

void server_again(struct server *s)
{
        char conf[128], log[128];

        snprintf(conf, sizeof(conf), "%s/nats.conf", s->dir);
        snprintf(log, sizeof(log), "%s/nats.log", s->dir);
        s->pid = fork();
        assert_true(s->pid >= 0);
        if (s->pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves no server behind */
                execlp(server_binary(), "nats-server", "-c", conf, "-l", log, (char *)NULL);
                fprintf(stderr, "there is no nats-server: run scripts/deps, or set PARLEY_NATS_SERVER\n");
                _exit(127);
        }
        uint64_t deadline = now_ns() + 15 * UINT64_C(1000000000);
        while (!port_open(s->port)) {
                int status;
                struct timespec pause = {.tv_nsec = 5000000};

                if (waitpid(s->pid, &status, WNOHANG) == s->pid)
                        fail_msg("nats-server ended with status %d; its log is %s", status, log);
                if (now_ns() > deadline)
                        fail_msg("nats-server does not answer on port %u", s->port);
                nanosleep(&pause, NULL);
        }
}

void server_start(struct server *s, const char *extra)
{
        char path[128];

        memset(s, 0, sizeof(*s));
        snprintf(s->dir, sizeof(s->dir), "/tmp/parley-bus-XXXXXX");
        assert_non_null(mkdtemp(s->dir));
        s->port = free_port();
        snprintf(s->url, sizeof(s->url), "nats://127.0.0.1:%u", s->port);
        snprintf(path, sizeof(path), "%s/nats.conf", s->dir);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fprintf(f, "listen: 127.0.0.1:%u\njetstream { store_dir: \"%s/store\", max_file_store: 8GB }\n%s\n", s->port,
                s->dir, extra != NULL ? extra : "");
        fclose(f);
        server_again(s);
}

void server_kill(struct server *s, int signal)
{
        if (s->pid == 0)
                return;
        kill(s->pid, signal);
        if (signal == SIGKILL || signal == SIGTERM) {
                waitpid(s->pid, NULL, 0);
                s->pid = 0;
        }
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
        (void)st;
        (void)flag;
        (void)ftw;
        return remove(path);
}

void server_done(struct server *s)
{
        if (s->pid != 0)
                kill(s->pid, SIGCONT);
        server_kill(s, SIGKILL);
        assert_int_equal(nftw(s->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* --- the loop and the bus --- */

static void on_connected(void *userdata)
{
        ((struct env *)userdata)->connected++;
}

static void on_disconnected(void *userdata)
{
        ((struct env *)userdata)->disconnected++;
}

static void on_loss(void *userdata)
{
        ((struct env *)userdata)->losses++;
}

static void on_turn(void *userdata)
{
        ((struct env *)userdata)->turns++;
}

static void on_error(const char *text, void *userdata)
{
        struct env *e = userdata;

        e->errors++;
        snprintf(e->last_error, sizeof(e->last_error), "%s", text);
}

void env_init(struct env *e, const struct server *s)
{
        memset(e, 0, sizeof(*e));
        assert_int_equal(uv_loop_init(&e->loop), 0);
        uv_timer_init(&e->loop, &e->watch);
        e->options = (struct bus_options){
                .loop = &e->loop,
                .url = s->url,
                .name = "test",
                .on_connected = on_connected,
                .on_disconnected = on_disconnected,
                .on_loss = on_loss,
                .on_error = on_error,
                .turn_end = on_turn,
                .userdata = e,
        };
}

void env_open(struct env *e)
{
        assert_int_equal(bus_new(&e->bus, &e->options), 0);
}

void env_connect(struct env *e)
{
        env_open(e);
        env_until(e, e->connected, 1, 10000);
}

static void on_watch(uv_timer_t *timer)
{
        *(bool *)timer->data = true;
}

void env_wait(struct env *e, const unsigned *counter, unsigned n, unsigned timeout_ms, const char *what,
              const char *file, int line)
{
        bool over = false;

        e->watch.data = &over;
        uv_update_time(&e->loop);
        uv_timer_start(&e->watch, on_watch, timeout_ms, 0);
        while (*counter < n && !over)
                uv_run(&e->loop, UV_RUN_ONCE);
        uv_timer_stop(&e->watch);
        if (*counter < n) {
                print_error("%s is %u after %u ms, not %u\n", what, *counter, timeout_ms, n);
                _fail(file, line);
        }
}

void env_run(struct env *e, unsigned ms)
{
        bool over = false;

        e->watch.data = &over;
        uv_update_time(&e->loop);
        uv_timer_start(&e->watch, on_watch, ms, 0);
        while (!over)
                uv_run(&e->loop, UV_RUN_ONCE);
}

static void on_closed(void *userdata)
{
        ((struct env *)userdata)->closed = true;
}

void env_close(struct env *e)
{
        uint64_t deadline = now_ns() + 15 * UINT64_C(1000000000);

        if (e->bus != NULL)
                bus_close(e->bus, on_closed, e);
        uv_close((uv_handle_t *)&e->watch, NULL);
        while (uv_run(&e->loop, UV_RUN_NOWAIT) != 0 && now_ns() < deadline)
                ;
        assert_true(e->bus == NULL || e->closed);
        assert_int_equal(uv_loop_close(&e->loop), 0);
}

/* --- what came --- */

static void keep(struct got *g, const struct bus_msg *msg)
{
        g->msg = *msg;
        snprintf(g->subject, sizeof(g->subject), "%s", msg->subject);
        snprintf(g->msg_id, sizeof(g->msg_id), "%s", msg->msg_id != NULL ? msg->msg_id : "");
        snprintf(g->trace_id, sizeof(g->trace_id), "%s", msg->trace_id != NULL ? msg->trace_id : "");
        snprintf(g->reply, sizeof(g->reply), "%s", msg->reply != NULL ? msg->reply : "");
        memcpy(g->data, msg->data, msg->len < sizeof(g->data) ? msg->len : sizeof(g->data));
        g->msg.data = g->data;
}

void got_msg(const struct bus_msg *msg, void *userdata)
{
        struct got *g = userdata;

        g->n++;
        g->n_ok++;
        keep(g, msg);
}

void got_reply(int error, const struct bus_msg *msg, void *userdata)
{
        struct got *g = userdata;

        assert_true((error == 0) == (msg != NULL));
        g->n++;
        g->error = error;
        if (msg != NULL) {
                g->n_ok++;
                keep(g, msg);
        }
}

static void keep_text(struct got *g, int error, const char *text)
{
        assert_non_null(text);
        g->n++;
        g->n_ok += error == 0;
        g->error = error;
        snprintf(g->text, sizeof(g->text), "%s", text);
}

void got_ack(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        struct got *g = userdata;

        assert_true((error == 0) == (ack != NULL));
        keep_text(g, error, text);
        if (ack != NULL)
                g->ack = *ack;
}

void got_stream(int error, const struct bus_stream_info *info, const char *text, void *userdata)
{
        struct got *g = userdata;

        assert_true((error == 0) == (info != NULL));
        keep_text(g, error, text);
        if (info != NULL)
                g->info = *info;
}

void got_done(int error, const char *text, void *userdata)
{
        keep_text(userdata, error, text);
}

void got_flush(int error, void *userdata)
{
        keep_text(userdata, error, "");
}

void make_stream(struct env *e, const struct bus_stream_config *config)
{
        struct got g = {0};

        assert_int_equal(bus_stream_ensure(e->bus, config, got_stream, &g), 0);
        env_until(e, g.n, 1, 5000);
        if (g.error != 0)
                fail_msg("stream %s: %s", config->name, g.text);
}
