#include "http_fixture.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

/* --- handlers --- */

static void on_thing(struct http_request *rq, void *userdata)
{
        struct buf out = BUF_INIT(65536);
        const char *parts[] = {http_param(rq, "id"), http_query(rq, "q"), http_header(rq, "X-Test"), http_bearer(rq),
                               http_peer(rq)};

        (void)userdata;
        for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
                buf_append_str(&out, parts[i] ? parts[i] : "-");
                buf_append_str(&out, "|");
        }
        http_respond(rq, 200, "text/plain", out.data, out.len);
        buf_done(&out);
}

static void on_static(struct http_request *rq, void *userdata)
{
        (void)userdata;
        http_set_header(rq, "Cache-Control", "max-age=5");
        http_respond(rq, 200, "text/plain", "static", 6);
}

static void on_body(struct http_request *rq, void *userdata)
{
        struct buf out = BUF_INIT(1U << 20);
        const uint8_t *body;
        size_t n;

        (void)userdata;
        body = http_body(rq, &n);
        assert(buf_append(&out, body, n) == 0);
        http_respond_json(rq, 201, &out);
}

static void context_free(void *context)
{
        struct fixture *f = context;

        f->n_contexts_freed++;
}

static void on_held(struct http_request *rq, void *userdata)
{
        struct fixture *f = userdata;

        assert(f->n_held < FIXTURE_HELD_MAX);
        http_set_context(rq, f, context_free);
        f->held[f->n_held++] = rq;
}

static void on_big(struct http_request *rq, void *userdata)
{
        struct buf out = BUF_INIT(64U << 20);

        http_set_context(rq, userdata, context_free);
        assert(buf_reserve(&out, 32U << 20) == 0);
        out.len = 32U << 20;
        memset(out.data, 'x', out.len);
        http_respond_json(rq, 200, &out);
}

static void on_bad_header(struct http_request *rq, void *userdata)
{
        (void)userdata;
        http_set_header(rq, "X-Split", "a\r\nSet-Cookie: b");
        http_respond(rq, 200, "text/plain", "x", 1);
}

static void on_conflict(struct http_request *rq, void *userdata)
{
        (void)userdata;
        http_problem(rq, PARLEY_UNAVAILABLE, 1500, "No \"%s\" \x01 %s", "quotes",
                     http_query(rq, "q") ? http_query(rq, "q") : "");
}

static void on_private(struct http_request *rq, void *userdata)
{
        (void)userdata;
        http_problem(rq, PARLEY_UNAUTHENTICATED, 0, "A token is needed");
}

/* Closes the server from inside of a handler */
static void on_shutdown(struct http_request *rq, void *userdata);

static const struct http_route routes[] = {
        {.method = "GET", .path = "/api/things/{id}", .handler = on_thing},
        {.method = "GET", .path = "/api/things/static", .handler = on_static},
        {.method = "POST", .path = "/api/body", .handler = on_body, .max_body = 100000},
        {.method = "POST", .path = "/api/body/{id}", .handler = on_body, .max_body = 1000},
        {.method = "GET", .path = "/api/held", .handler = on_held},
        {.method = "POST", .path = "/api/held", .handler = on_held, .max_body = 1000},
        {.method = "GET", .path = "/api/big", .handler = on_big},
        {.method = "GET", .path = "/api/bad-header", .handler = on_bad_header},
        {.method = "GET", .path = "/api/conflict", .handler = on_conflict},
        {.method = "GET", .path = "/api/private", .handler = on_private},
        {.method = "POST", .path = "/api/shutdown", .handler = on_shutdown},
};

static void on_request(const char *method, const char *route, unsigned status, uint64_t microseconds, void *userdata)
{
        struct fixture *f = userdata;

        assert(microseconds < 60000000);
        snprintf(f->last_report, sizeof(f->last_report), "%s %s %u", method, route, status);
        f->n_reports++;
}

/* --- the loop's thread --- */

static void on_done(void *userdata)
{
        struct fixture *f = userdata;

        f->n_done++;
        f->server = NULL;
}

static void on_shutdown(struct http_request *rq, void *userdata)
{
        struct fixture *f = userdata;

        http_server_close(f->server, f->grace_ms, on_done, f);
        http_respond(rq, 200, "text/plain", "bye", 3);
}

static void on_call(uv_async_t *async)
{
        struct fixture *f = async->data;
        void (*func)(struct fixture *) = f->func;

        if (!func)
                return;
        f->func = NULL;
        func(f);
        sem_post(&f->called);
}

static void *thread_main(void *userdata)
{
        struct fixture *f = userdata;

        f->options.loop = &f->loop;
        f->result = http_server_new(&f->server, &f->options);
        f->port = f->result == 0 ? http_server_port(f->server) : 0;
        sem_post(&f->called);
        uv_run(&f->loop, UV_RUN_DEFAULT);
        return NULL;
}

void fixture_start(struct fixture *f, const struct http_options *options)
{
        memset(f, 0, sizeof(*f));
        if (options)
                f->options = *options;
        if (!f->options.listen)
                f->options.listen = "127.0.0.1:0";
        if (!f->options.routes) {
                f->options.routes = routes;
                f->options.n_routes = ARRAY_SIZE(routes);
        }
        f->options.on_request = on_request;
        f->options.userdata = f;
        f->grace_ms = 5000;
        uv_loop_init(&f->loop);
        uv_async_init(&f->loop, &f->call, on_call);
        f->call.data = f;
        sem_init(&f->called, 0, 0);
        pthread_create(&f->thread, NULL, thread_main, f);
        sem_wait(&f->called);
}

void fixture_call(struct fixture *f, void (*func)(struct fixture *f))
{
        f->func = func;
        uv_async_send(&f->call);
        sem_wait(&f->called);
}

static bool (*wait_func)(struct fixture *f);
static bool wait_result;

static void run_wait(struct fixture *f)
{
        wait_result = wait_func(f);
}

bool fixture_wait(struct fixture *f, bool (*func)(struct fixture *f))
{
        wait_func = func;
        for (unsigned i = 0; i < 500; i++) {
                fixture_call(f, run_wait);
                if (wait_result)
                        return true;
                poll(NULL, 0, 10);
        }
        return false;
}

void fixture_release_held(struct fixture *f)
{
        for (unsigned i = 0; i < f->n_held; i++)
                http_respond(f->held[i], 200, "text/plain", "released", 8);
        f->n_held = 0;
}

bool fixture_has_held(struct fixture *f)
{
        return f->n_held > 0;
}

bool fixture_is_done(struct fixture *f)
{
        return f->n_done > 0;
}

static void stop(struct fixture *f)
{
        fixture_release_held(f);
        if (f->server)
                http_server_close(f->server, 0, on_done, f);
        uv_close((uv_handle_t *)&f->call, NULL);
}

void fixture_stop(struct fixture *f)
{
        fixture_call(f, stop);
        pthread_join(f->thread, NULL);
        assert(uv_loop_close(&f->loop) == 0); /* every handle was closed */
        sem_destroy(&f->called);
}

/* --- the client --- */

int client_connect(const struct fixture *f)
{
        struct sockaddr_in a = {
                .sin_family = AF_INET, .sin_port = htons((uint16_t)f->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
        struct timeval timeout = {.tv_sec = 10};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert(fd >= 0);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
        if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
                close(fd);
                return -1;
        }
        return fd;
}

void client_send(int fd, const void *data, size_t n)
{
        const char *s = data;

        while (n > 0) {
                ssize_t r = send(fd, s, n, MSG_NOSIGNAL);

                if (r < 0)
                        return; /* closed by the server: the answer tells */
                s += r;
                n -= (size_t)r;
        }
}

void client_send_str(int fd, const char *s)
{
        client_send(fd, s, strlen(s));
}

static bool read_byte(int fd, char *c)
{
        ssize_t r;

        do
                r = recv(fd, c, 1, 0);
        while (r < 0 && errno == EINTR);
        return r == 1;
}

struct answer client_read(int fd, bool head_only)
{
        struct answer a = {0};
        size_t n = 0, got = 0;
        const char *length;

        while (n < sizeof(a.head) - 1 && read_byte(fd, &a.head[n])) {
                a.head[++n] = 0;
                if (n >= 4 && memcmp(&a.head[n - 4], "\r\n\r\n", 4) == 0)
                        break;
        }
        if (sscanf(a.head, "HTTP/1.1 %u", &a.status) != 1 || head_only)
                return a;
        length = answer_header(&a, "Content-Length");
        a.n = length ? strtoul(length, NULL, 10) : 0;
        a.body = calloc(1, a.n + 1);
        while (got < a.n) {
                ssize_t r = recv(fd, a.body + got, a.n - got, 0);

                if (r <= 0) {
                        a.status = 0;
                        break;
                }
                got += (size_t)r;
        }
        return a;
}

void answer_done(struct answer *a)
{
        free(a->body);
        a->body = NULL;
}

const char *answer_header(const struct answer *a, const char *name)
{
        static char value[1024];
        size_t n = strlen(name);

        for (const char *s = strstr(a->head, "\r\n"); s; s = strstr(s + 2, "\r\n")) {
                if (strncasecmp(s + 2, name, n) != 0 || s[2 + n] != ':')
                        continue;
                s += 3 + n;
                s += strspn(s, " ");
                snprintf(value, sizeof(value), "%.*s", (int)strcspn(s, "\r"), s);
                return value;
        }
        return NULL;
}

bool client_closed(int fd, int timeout_ms)
{
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char c;

        if (poll(&p, 1, timeout_ms) != 1)
                return false;
        return recv(fd, &c, 1, 0) <= 0;
}

struct answer client_request(const struct fixture *f, const char *request)
{
        struct answer a;
        int fd = client_connect(f);

        assert(fd >= 0);
        client_send_str(fd, request);
        a = client_read(fd, strncmp(request, "HEAD ", 5) == 0);
        close(fd);
        return a;
}
