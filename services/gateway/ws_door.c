#include "gateway/ws_door.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/log.h"
#include "gateway/stats.h"
#include "gateway/ws_tls.h"
#include "http/listen.h"
#include "http/peer.h"

#define BACKLOG 4096
#define ACCEPT_AT_ONCE 64
#define ACCEPT_PAUSE_MS 100
#define READ_BYTES 4096

struct door {
        uv_poll_t poll;
        int fd;
        uv_loop_t *loop;
        struct core *core;
        struct ws *ws;
        struct ws_tls *tls; /* NULL: without */
        struct http_trusted *trusted;
        struct visitor *visitors;
        unsigned n_visitors;
        bool paused, closing;
        struct wheel_timer resume;
};

struct visitor {
        uv_poll_t poll;
        struct door *door;
        struct visitor *prev, *next;
        struct address *address; /* counted already: the peer is no proxy */
        struct wheel_timer deadline;
        struct buf head;
        int fd; /* -1: handed on */
        char peer[HTTP_PEER_MAX], counted_as[HTTP_PEER_MAX];
};

static void door_listen(struct door *door);

static void visitor_freed(uv_handle_t *handle)
{
        struct visitor *v = handle->data;

        if (v->fd >= 0)
                close(v->fd);
        free(v);
}

static void visitor_end(struct visitor *v)
{
        struct door *door = v->door;

        wheel_disarm(&v->deadline);
        address_leave(door->core, v->address);
        buf_done(&v->head);
        if (v->prev)
                v->prev->next = v->next;
        else
                door->visitors = v->next;
        if (v->next)
                v->next->prev = v->prev;
        door->n_visitors--;
        uv_close((uv_handle_t *)&v->poll, visitor_freed);
        if (door->paused && !door->closing)
                door_listen(door);
}

static void visitor_refuse(struct visitor *v, unsigned status, const char *problem, unsigned retry_s)
{
        struct buf answer = BUF_INIT(4096);

        metric_add(&stat_refused, 1);
        log_debug("a connection was refused", LOG_S("peer", v->peer), LOG_U("status", status), LOG_S("why", problem));
        /* once, as far as the socket takes it: nobody waits for somebody who is not let in */
        if (upgrade_refuse(status, problem, retry_s, &answer) == 0 &&
            send(v->fd, answer.data, answer.len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
                shutdown(v->fd, SHUT_WR);
        buf_done(&answer);
        visitor_end(v);
}

/* Who is not admitted at all. With TLS an answer would cost us the handshake. */
static void visitor_turn_away(struct visitor *v)
{
        if (!v->door->tls) {
                visitor_refuse(v, 429, "too many connections from this address", 1);
                return;
        }
        metric_add(&stat_refused, 1);
        visitor_end(v);
}

static void visitor_timeout(struct wheel_timer *t, uint64_t now_ms)
{
        (void)now_ms;
        visitor_end((struct visitor *)((char *)t - offsetof(struct visitor, deadline)));
}

/* --- a whole request is there --- */

static enum parley_code visitor_count(struct visitor *v, const struct upgrade *u, uint32_t *ret_retry_ms)
{
        char client[HTTP_PEER_MAX], counted_as[HTTP_PEER_MAX];

        if (v->address)
                return PARLEY_OK;
        http_peer_resolve(v->door->trusted, v->peer, u->forwarded, client);
        http_peer_counted_as(client, counted_as);
        return address_enter(v->door->core, counted_as, &v->address, ret_retry_ms);
}

static int visitor_adopt(struct visitor *v, struct upgrade *u, size_t n_head)
{
        struct door *door = v->door;
        struct buf request = BUF_INIT(UPGRADE_HEAD_MAX * 2);
        int r;

        u->deflate = u->deflate && ws_deflate_left(door->ws);
        r = upgrade_write(u, &request);
        if (r == 0)
                r = buf_append(&request, v->head.data + n_head, v->head.len - n_head);
        if (r == 0) {
                uv_poll_stop(&v->poll);
                if (ws_adopt(door->ws, v->fd, u, &request, v->address) == 0)
                        v->address = NULL; /* the session leaves it */
                v->fd = -1;
        }
        buf_done(&request);
        return r;
}

static void visitor_decide(struct visitor *v, size_t n_head)
{
        struct core *core = v->door->core;
        const struct gateway_config *config = core->config;
        struct upgrade u;
        uint32_t retry_ms = 1000;
        int r = upgrade_parse(&u, (const char *)v->head.data, n_head, config->allowed_origins);

        if (r > 0)
                visitor_refuse(v, u.status, u.problem, 0);
        else if (r < 0)
                visitor_refuse(v, 503, "no memory", 1);
        else if (core->draining)
                visitor_refuse(v, 503, "this gateway stops; connect again", 1);
        else if (config->max_connections && core->n_sessions >= config->max_connections)
                visitor_refuse(v, 503, "too many connections", 5);
        else if (visitor_count(v, &u, &retry_ms) != PARLEY_OK)
                visitor_refuse(v, 429, "too many connections from this address", retry_ms / 1000 + 1);
        else if (visitor_adopt(v, &u, n_head))
                visitor_refuse(v, 503, "no memory", 1);
        else
                visitor_end(v);
        upgrade_done(&u);
}

static void visitor_readable(uv_poll_t *poll, int status, int events)
{
        struct visitor *v = poll->data;
        char data[READ_BYTES];
        ssize_t n = recv(v->fd, data, sizeof(data), MSG_DONTWAIT);
        int n_head;

        (void)events;
        core_time(v->door->core);
        if (status < 0 || n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
                visitor_end(v);
                return;
        }
        if (n < 0)
                return;
        if (buf_append(&v->head, data, (size_t)n)) {
                visitor_refuse(v, 431, "the request is too large", 0);
                return;
        }
        n_head = upgrade_head_length((const char *)v->head.data, v->head.len);
        if (n_head < 0)
                visitor_refuse(v, 431, "the request is too large, or not HTTP", 0);
        else if (n_head > 0)
                visitor_decide(v, (size_t)n_head);
}

/* --- accepting --- */

static unsigned visitors_from(const struct door *door, const char *counted_as)
{
        unsigned n = 0;

        for (const struct visitor *v = door->visitors; v; v = v->next)
                n += strcmp(v->counted_as, counted_as) == 0;
        return n;
}

/* A peer that is no proxy is counted at once, before it has said anything */
static bool visitor_admit(struct visitor *v)
{
        struct door *door = v->door;
        uint32_t retry_ms;

        if (http_trusted_has(door->trusted, v->peer))
                return true;
        return visitors_from(door, v->counted_as) < door->core->config->max_opening_per_address &&
               address_enter(door->core, v->counted_as, &v->address, &retry_ms) == PARLEY_OK;
}

static void door_enter(struct door *door, int fd, const struct sockaddr *peer)
{
        struct visitor *v = calloc(1, sizeof(*v));
        int r = door->tls ? ws_tls_wrap(door->tls, fd, &fd) : 0;

        if (r) {
                log_error("a connection with TLS could not be taken", LOG_S("error", strerror(-r)));
                free(v);
                return;
        }
        if (!v || uv_poll_init(door->loop, &v->poll, fd)) {
                free(v);
                close(fd);
                return;
        }
        v->door = door;
        v->fd = fd;
        v->poll.data = v;
        buf_init(&v->head, UPGRADE_HEAD_MAX + READ_BYTES);
        http_peer_format(peer, v->peer);
        http_peer_counted_as(v->peer, v->counted_as);
        v->next = door->visitors;
        if (v->next)
                v->next->prev = v;
        door->visitors = v;
        door->n_visitors++;
        wheel_arm(door->core->wheel, &v->deadline, door->core->now_ms + door->core->config->handshake_timeout_ms,
                  visitor_timeout);
        if (!visitor_admit(v))
                visitor_turn_away(v);
        else if (uv_poll_start(&v->poll, UV_READABLE, visitor_readable))
                visitor_end(v);
}

static void door_resume(struct wheel_timer *t, uint64_t now_ms)
{
        struct door *door = (struct door *)((char *)t - offsetof(struct door, resume));

        (void)now_ms;
        door_listen(door);
}

/* Whoever comes now waits in the listen queue */
static void door_pause(struct door *door)
{
        door->paused = true;
        uv_poll_stop(&door->poll);
}

static void door_readable(uv_poll_t *poll, int status, int events)
{
        struct door *door = poll->data;

        (void)status;
        (void)events;
        core_time(door->core);
        for (unsigned i = 0; i < ACCEPT_AT_ONCE; i++) {
                struct sockaddr_storage peer;
                socklen_t n = sizeof(peer);
                int fd = accept4(door->fd, (struct sockaddr *)&peer, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

                if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
                        log_error("no more connections can be accepted", LOG_I("errno", errno));
                        door_pause(door);
                        wheel_arm(door->core->wheel, &door->resume, door->core->now_ms + ACCEPT_PAUSE_MS, door_resume);
                }
                if (fd < 0)
                        return;
                door_enter(door, fd, (struct sockaddr *)&peer);
                if (door->n_visitors >= door->core->config->max_opening) {
                        door_pause(door);
                        return;
                }
        }
}

static void door_listen(struct door *door)
{
        door->paused = false;
        uv_poll_start(&door->poll, UV_READABLE, door_readable);
}

/* An event often follows an ack: with Nagle's algorithm it would wait for the client's delayed TCP acknowledgement, 40 ms. */
static int door_socket(struct door *door, const struct door_options *options, char *ret_error, size_t n_error)
{
        unsigned port;
        int r = http_listen(options->listen, BACKLOG, true, &door->fd, &port);

        if (r)
                snprintf(ret_error, n_error, "%s=%s: %s%s", options->setting, options->listen,
                         r == -EINVAL ? "expected address:port" : "cannot listen there: ",
                         r == -EINVAL ? "" : strerror(-r));
        return r;
}

int door_new(struct door **ret_door, uv_loop_t *loop, struct core *core, struct ws *ws,
             const struct door_options *options, char *ret_error, size_t n_error)
{
        struct door *door = calloc(1, sizeof(*door));
        int r = door ? 0 : -ENOMEM;

        if (r == 0)
                r = http_trusted_new(&door->trusted, core->config->trusted_proxies);
        if (r) {
                snprintf(ret_error, n_error, "PARLEY_TRUSTED_PROXIES is no list of addresses and CIDRs");
                free(door);
                return r;
        }
        door->loop = loop;
        door->core = core;
        door->ws = ws;
        door->tls = options->tls;
        r = door_socket(door, options, ret_error, n_error);
        if (r == 0 && (r = uv_poll_init(loop, &door->poll, door->fd)) != 0)
                close(door->fd);
        if (r) {
                http_trusted_free(door->trusted);
                free(door);
                return r;
        }
        door->poll.data = door;
        door_listen(door);
        *ret_door = door;
        return 0;
}

static void door_freed(uv_handle_t *handle)
{
        struct door *door = handle->data;

        close(door->fd);
        http_trusted_free(door->trusted);
        free(door);
}

void door_close(struct door *door)
{
        if (!door)
                return;
        door->closing = true;
        wheel_disarm(&door->resume);
        while (door->visitors)
                visitor_end(door->visitors);
        uv_close((uv_handle_t *)&door->poll, door_freed);
}
