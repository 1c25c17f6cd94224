/* Connections: how long each phase may take, and the way out of a socket whose client is still sending. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/acked.h"
#include "http/internal.h"

struct http_conn *http_conn_of(struct MHD_Connection *mhd)
{
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

        return info ? info->socket_context : NULL;
}

void http_conn_phase(struct http_conn *c, enum http_phase phase, size_t n_bytes)
{
        uint64_t transfer_ms = (uint64_t)n_bytes * 1000 / HTTP_BYTES_PER_S;
        uint64_t wait_ms = c->server->timeout_ms;

        if (phase == HTTP_PHASE_BODY && wait_ms > HTTP_BODY_MS)
                wait_ms = HTTP_BODY_MS;
        c->phase = phase;
        c->phase_ms = uv_now(c->server->loop);
        c->deadline_ms = phase == HTTP_PHASE_HANDLER ? 0 : c->phase_ms + wait_ms + transfer_ms;
}

void http_conn_cut(struct http_conn *c)
{
        c->cut = true;
        c->deadline_ms = 0;
        shutdown(c->fd, SHUT_RDWR);
}

/* --- lingering: closing a socket with unread input sends a reset, which can destroy the answer on its way --- */

static void linger_closed(uv_handle_t *handle)
{
        struct http_linger *l = handle->data;
        struct http_server *s = l->server;

        close(l->fd);
        free(l);
        http_server_handle_closed(s);
}

static void linger_stop(struct http_linger *l)
{
        struct http_server *s = l->server;

        if (l->closing)
                return;
        l->closing = true;
        if (l->prev)
                l->prev->next = l->next;
        else
                s->lingers = l->next;
        if (l->next)
                l->next->prev = l->prev;
        s->n_lingers--;
        uv_close((uv_handle_t *)&l->poll, linger_closed);
}

static void linger_readable(uv_poll_t *poll, int status, int events)
{
        struct http_linger *l = poll->data;
        char scratch[16384];
        ssize_t n;

        (void)events;
        n = status < 0 ? 0 : recv(l->fd, scratch, sizeof(scratch), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
                linger_stop(l);
}

/* Takes over the socket by a second descriptor. Where that fails the socket is closed now, as it would be without. */
static void linger_start(struct http_conn *c)
{
        struct http_server *s = c->server;
        struct http_linger *l;

        if (s->n_lingers >= HTTP_LINGER_MAX)
                return;
        l = calloc(1, sizeof(*l));
        if (!l)
                return;
        l->server = s;
        l->fd = dup(c->fd);
        if (l->fd < 0 || uv_poll_init(s->loop, &l->poll, l->fd) < 0) {
                if (l->fd >= 0)
                        close(l->fd);
                free(l);
                return;
        }
        shutdown(l->fd, SHUT_WR);
        l->poll.data = l;
        l->deadline_ms = uv_now(s->loop) + HTTP_LINGER_MS;
        s->n_handles++;
        s->n_lingers++;
        l->next = s->lingers;
        if (l->next)
                l->next->prev = l;
        s->lingers = l;
        uv_poll_start(&l->poll, UV_READABLE, linger_readable);
}

void http_linger_stop_all(struct http_server *s)
{
        while (s->lingers)
                linger_stop(s->lingers);
}

static bool conn_incoming(const struct http_conn *c)
{
        return c->phase == HTTP_PHASE_HEAD || c->phase == HTTP_PHASE_BODY;
}

/* Whether it holds its place without anything moving. Of an answer that is known only from one look to the next. */
static bool conn_idle(const struct http_conn *c)
{
        return conn_incoming(c) ||
               (c->phase == HTTP_PHASE_ANSWER &&
                uv_now(c->server->loop) - c->phase_ms >= (uint64_t)HTTP_UNREAD_LOOKS * HTTP_SWEEP_MS);
}

/* Whether nobody has taken anything of the answer for so long that nobody will */
static bool conn_unread(struct http_conn *c)
{
        uint64_t acked;

        if (c->phase != HTTP_PHASE_ANSWER)
                return false;
        acked = acked_bytes(c->fd);
        if (acked != c->n_acked) {
                c->n_acked = acked;
                c->phase_ms = uv_now(c->server->loop);
        }
        return uv_now(c->server->loop) - c->phase_ms >= (uint64_t)HTTP_UNREAD_TIMEOUTS * c->server->timeout_ms;
}

static void conn_overdue(struct http_conn *c)
{
        if ((c->phase == HTTP_PHASE_HEAD && c->request_begun) || c->phase == HTTP_PHASE_BODY)
                http_problem_raw(c, 408, PARLEY_BAD_REQUEST, 0, "The request took too long to arrive");
        http_conn_cut(c);
}

void http_conn_make_room(struct http_server *s, const struct http_conn *newest)
{
        struct http_conn *oldest = NULL;

        if (s->n_conns < s->max_connections)
                return;
        for (struct http_conn *c = s->conns; c; c = c->next) {
                if (c->cut && !(c->rq && c->rq->suspended))
                        return; /* its room is on its way: each end would cut one more, and at last who has just come */
                if (c != newest && !c->cut && conn_idle(c) && (!oldest || c->phase_ms <= oldest->phase_ms))
                        oldest = c;
        }
        if (oldest)
                conn_overdue(oldest);
}

/* --- libmicrohttpd's notifications --- */

enum MHD_Result http_conn_admit(void *cls, const struct sockaddr *sa, socklen_t n)
{
        const struct http_server *s = cls;
        char peer[HTTP_PEER_MAX], counted_as[HTTP_PEER_MAX];
        unsigned there = 0;

        (void)n;
        if (!s->max_connections_per_ip)
                return MHD_YES;
        http_peer_format(sa, peer);
        http_peer_counted_as(peer, counted_as);
        for (const struct http_conn *c = s->conns; c; c = c->next)
                there += strcmp(c->counted_as, counted_as) == 0;
        return there < s->max_connections_per_ip ? MHD_YES : MHD_NO;
}

static void conn_begin(struct http_server *s, struct MHD_Connection *mhd, void **socket_context)
{
        struct http_conn *c = calloc(1, sizeof(*c));

        if (!c)
                return; /* its requests find no context, and are closed */
        c->server = s;
        c->mhd = mhd;
        c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        http_peer_format(MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr, c->peer);
        http_peer_counted_as(c->peer, c->counted_as);
        http_conn_phase(c, HTTP_PHASE_HEAD, 0);
        c->next = s->conns;
        if (c->next)
                c->next->prev = c;
        s->conns = c;
        s->n_conns++;
        http_conn_make_room(s, c);
        *socket_context = c;
        http_server_sweep_start(s);
}

static void conn_end(struct http_conn *c)
{
        struct http_server *s = c->server;
        int unread = 0;

        if (!c->cut && !s->stopped && (c->refused || (ioctl(c->fd, FIONREAD, &unread) == 0 && unread > 0)))
                linger_start(c);
        if (c->prev)
                c->prev->next = c->next;
        else
                s->conns = c->next;
        if (c->next)
                c->next->prev = c->prev;
        s->n_conns--;
        free(c);
}

void http_conn_notify(void *cls, struct MHD_Connection *mhd, void **socket_context,
                      enum MHD_ConnectionNotificationCode code)
{
        if (code == MHD_CONNECTION_NOTIFY_STARTED) {
                conn_begin(cls, mhd, socket_context);
        } else if (*socket_context) {
                conn_end(*socket_context);
                *socket_context = NULL;
        }
}

/* libmicrohttpd does not see the end of a client's input when it came together with a request: it takes a short read
 * for the last there is, and its epoll is edge-triggered. */
static bool conn_ended(const struct http_conn *c)
{
        char byte;

        return conn_incoming(c) && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void http_conn_sweep(struct http_server *s)
{
        uint64_t now = uv_now(s->loop);
        struct http_linger *l, *next;

        for (struct http_conn *c = s->conns; c; c = c->next) {
                if (c->cut)
                        continue;
                else if (c->deadline_ms && c->deadline_ms <= now)
                        conn_overdue(c);
                else if (conn_ended(c) || conn_unread(c))
                        http_conn_cut(c);
        }
        http_conn_make_room(s, NULL); /* answers become idle by the look above alone */
        for (l = s->lingers; l; l = next) {
                next = l->next;
                if (l->deadline_ms <= now)
                        linger_stop(l);
        }
}
