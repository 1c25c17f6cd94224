/* libmicrohttpd's daemon on a libuv loop.
 *
 * Its epoll descriptor is watched by a uv_poll. What that descriptor does not announce (a resumed request, input that
 * was read but not yet worked on) is run by a uv_idle, which also keeps the loop from sleeping. Deadlines are ours:
 * libmicrohttpd's timeout begins again with each byte. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "http/internal.h"
#include "http/listen.h"

#define BACKLOG 1024
#define MAX_CONNECTIONS 1000
#define TIMEOUT_S 30
#define MAX_ANSWER_BYTES ((size_t)256 << 20)

static void server_free(struct http_server *s)
{
        if (!s)
                return;
        http_router_free(s->router);
        http_trusted_free(s->trusted);
        free(s->cors_origin);
        free(s->owned);
        free(s);
}
DEFINE_FREEP(struct http_server, server_free)

void http_server_handle_closed(struct http_server *s)
{
        void (*done)(void *) = s->done;
        void *userdata = s->done_userdata;

        if (--s->n_handles > 0)
                return;
        server_free(s);
        if (done)
                done(userdata);
}

static void handle_closed(uv_handle_t *handle)
{
        http_server_handle_closed(handle->data);
}

static void server_stop(struct http_server *s)
{
        s->stopped = true;
        uv_poll_stop(&s->poll);
        for (struct http_conn *c = s->conns; c; c = c->next) {
                if (!c->rq || !c->rq->suspended)
                        continue;
                c->rq->suspended = false;
                MHD_resume_connection(c->mhd); /* it must not be stopped with suspended ones */
        }
        MHD_stop_daemon(s->mhd);
        http_linger_stop_all(s);
        uv_close((uv_handle_t *)&s->poll, handle_closed);
        uv_close((uv_handle_t *)&s->again, handle_closed);
        uv_close((uv_handle_t *)&s->sweep, handle_closed);
        uv_close((uv_handle_t *)&s->grace, handle_closed);
}

static void on_again(uv_idle_t *idle);

static void server_run(struct http_server *s)
{
        unsigned before = s->n_conns;
        uint64_t wait;
        bool again;

        s->running = true;
        MHD_run(s->mhd);
        s->running = false;
        if (s->closing && s->n_conns == 0) {
                server_stop(s);
                return;
        }
        /* With a connection gone the listening socket may have to be watched again, which it does at the begin of a
         * run. */
        again = s->n_conns < before || (MHD_get_timeout64(s->mhd, &wait) == MHD_YES && wait == 0);
        if (again)
                uv_idle_start(&s->again, on_again);
        else
                uv_idle_stop(&s->again);
}

static void on_again(uv_idle_t *idle)
{
        server_run(idle->data);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
        (void)status; /* an error of the descriptor shows in the run */
        (void)events;
        server_run(poll->data);
}

static void on_sweep(uv_timer_t *timer)
{
        struct http_server *s = timer->data;

        http_conn_sweep(s);
        if (!s->conns && !s->lingers)
                uv_timer_stop(timer);
}

static void on_grace(uv_timer_t *timer)
{
        server_stop(timer->data);
}

void http_server_wake(struct http_server *s)
{
        uv_idle_start(&s->again, on_again);
}

void http_server_sweep_start(struct http_server *s)
{
        if (!uv_is_active((uv_handle_t *)&s->sweep))
                uv_timer_start(&s->sweep, on_sweep, HTTP_SWEEP_MS, HTTP_SWEEP_MS);
}

/* The target is decoded by our own rules: libmicrohttpd is to leave it as it is. */
static size_t leave_escaped(void *cls, struct MHD_Connection *mhd, char *s)
{
        (void)cls;
        (void)mhd;
        return strlen(s);
}

static int daemon_start(struct http_server *s, int fd)
{
        s->mhd = MHD_start_daemon(
                MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_THREAD_SAFETY, 0, http_conn_admit, s, http_access,
                s, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, s->max_connections,
                MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_POOL_BYTES,
                MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
                MHD_OPTION_URI_LOG_CALLBACK, http_access_begin, s, MHD_OPTION_NOTIFY_COMPLETED, http_access_end, s,
                MHD_OPTION_NOTIFY_CONNECTION, http_conn_notify, s, MHD_OPTION_END);
        return s->mhd ? 0 : -ENOMEM;
}

static int handles_start(struct http_server *s)
{
        int fd = MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, r;

        r = uv_poll_init(s->loop, &s->poll, fd);
        if (r < 0)
                return r;
        uv_idle_init(s->loop, &s->again);
        uv_timer_init(s->loop, &s->sweep);
        uv_timer_init(s->loop, &s->grace);
        s->poll.data = s->again.data = s->sweep.data = s->grace.data = s;
        s->n_handles = 4;
        uv_poll_start(&s->poll, UV_READABLE, on_event);
        http_server_wake(s); /* the listening socket is added to the epoll descriptor in the first run */
        return 0;
}

static int server_configure(struct http_server *s, const struct http_options *options)
{
        int r;

        s->loop = options->loop;
        s->on_request = options->on_request;
        s->userdata = options->userdata;
        s->max_connections = options->max_connections ? options->max_connections : MAX_CONNECTIONS;
        s->max_connections_per_ip = options->max_connections_per_ip;
        s->max_answer_bytes = options->max_answer_bytes ? options->max_answer_bytes : MAX_ANSWER_BYTES;
        s->max_answer_bytes_per_address = options->max_answer_bytes_per_address;
        s->timeout_ms = (options->timeout_s ? options->timeout_s : TIMEOUT_S) * 1000;
        if (options->cors_origin) {
                s->cors_origin = strdup(options->cors_origin);
                if (!s->cors_origin)
                        return -ENOMEM;
        }
        r = http_router_new(&s->router, options->routes, options->n_routes);
        if (r < 0)
                return r;
        return http_trusted_new(&s->trusted, options->trusted_proxies);
}

int http_server_new(struct http_server **ret_server, const struct http_options *options)
{
        _cleanup_(server_freep) struct http_server *s = NULL;
        int fd, r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        r = server_configure(s, options);
        if (r < 0)
                return r;
        r = http_listen(options->listen, BACKLOG, false, &fd, &s->port);
        if (r < 0)
                return r;
        r = daemon_start(s, fd);
        if (r < 0) {
                close(fd);
                return r;
        }
        r = handles_start(s);
        if (r < 0) {
                MHD_stop_daemon(s->mhd);
                return r;
        }
        *ret_server = s;
        s = NULL;
        return 0;
}

void http_server_close(struct http_server *s, uint32_t grace_ms, void (*done)(void *userdata), void *userdata)
{
        MHD_socket fd;

        if (!s) {
                if (done)
                        done(userdata);
                return;
        }
        s->done = done;
        s->done_userdata = userdata;
        s->closing = true;
        fd = MHD_quiesce_daemon(s->mhd);
        if (fd != MHD_INVALID_SOCKET)
                close(fd);
        for (struct http_conn *c = s->conns; c; c = c->next)
                if (c->phase == HTTP_PHASE_HEAD && !c->request_begun)
                        http_conn_cut(c);
        uv_timer_start(&s->grace, on_grace, grace_ms, 0);
        http_server_wake(s);
}

unsigned http_server_port(const struct http_server *s)
{
        return s->port;
}
