/* One WebSocket client connection: as little of RFC 6455 as a load needs. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "auth/auth.h"
#include "base/ident.h"
#include "load.h"

static void watch(struct load_connection *c, bool writing)
{
        struct epoll_event e = {.events = EPOLLIN | (writing ? (uint32_t)EPOLLOUT : 0), .data.ptr = c};

        if (c->writing == writing)
                return;
        c->writing = writing;
        epoll_ctl(c->load->epoll, EPOLL_CTL_MOD, c->fd, &e);
}

int connection_open(struct load *load, struct load_connection *c)
{
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)load->options.port)},
                           from = {.sin_family = AF_INET};
        struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
        int on = 1;

        c->load = load;
        c->state = LOAD_CONNECTING;
        c->asked_ns = load_now_ns();
        c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (c->fd < 0)
                return -errno;
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
        inet_pton(AF_INET, load->options.host, &to.sin_addr);
        from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + c->number % load->options.sources);
        if (load->options.sources > 1 && bind(c->fd, (struct sockaddr *)&from, sizeof(from)))
                return -errno;
        c->writing = true;
        epoll_ctl(load->epoll, EPOLL_CTL_ADD, c->fd, &e);
        if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS)
                return -errno;
        return 0;
}

void connection_close(struct load_connection *c, unsigned code)
{
        struct load *load = c->load;

        if (c->state == LOAD_CLOSED)
                return;
        if (c->state == LOAD_READY)
                load->n_ready--;
        else
                load->n_opening--;
        load->n_closed++;
        load->closes[code < 5000 ? code : 0]++;
        c->state = LOAD_CLOSED;
        close(c->fd);
        if (!c->reading)
                free(c->in);
        free(c->out);
        c->in = c->out = NULL;
        c->n_in = c->n_out = c->cap_in = c->cap_out = 0;
}

static void flush_out(struct load_connection *c)
{
        while (c->n_out) {
                ssize_t n = send(c->fd, c->out, c->n_out, MSG_NOSIGNAL);

                if (n < 0 && errno == EAGAIN)
                        break;
                if (n <= 0) {
                        connection_close(c, 0);
                        return;
                }
                c->n_out -= (size_t)n;
                memmove(c->out, c->out + n, c->n_out);
        }
        watch(c, c->n_out > 0);
}

static void put(struct load_connection *c, const void *data, size_t n)
{
        if (c->n_out + n > c->cap_out) {
                c->cap_out = (c->n_out + n) * 2;
                c->out = realloc(c->out, c->cap_out);
                if (!c->out)
                        abort();
        }
        memcpy(c->out + c->n_out, data, n);
        c->n_out += n;
}

/* Masked with zeros: allowed, and cheap */
void connection_send(struct load_connection *c, const void *data, size_t n, bool binary)
{
        uint8_t head[14] = {(uint8_t)(0x80 | (binary ? 2 : 1))};
        size_t n_head = 2;

        if (n < 126) {
                head[1] = (uint8_t)(0x80 | n);
        } else {
                head[1] = 0x80 | 126;
                head[2] = (uint8_t)(n >> 8);
                head[3] = (uint8_t)n;
                n_head = 4;
        }
        put(c, head, n_head + 4);
        put(c, data, n);
        flush_out(c);
}

static void connected(struct load_connection *c)
{
        struct load *load = c->load;
        const struct load_options *o = &load->options;
        char request[512];
        int n = snprintf(
                request, sizeof(request),
                "GET /ws HTTP/1.1\r\nHost: load\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: parley.v1.%s\r\n\r\n",
                o->proto ? "proto" : "json");

        c->state = LOAD_UPGRADING;
        put(c, request, (size_t)n);
        flush_out(c);
}

/* hello, in JSON or as the bytes of Hello {token = 1; compress = 4} in ClientFrame {hello = 2} */
static void hello(struct load_connection *c, const char *token)
{
        const struct load_options *o = &c->load->options;
        size_t n_token = strlen(token);
        uint8_t data[4096], *p = data;

        if (!o->proto) {
                int n = snprintf((char *)data, sizeof(data),
                                 "{\"type\":\"hello\",\"ref\":1,\"token\":\"%s\",\"compress\":%s}", token,
                                 o->compress ? "true" : "false");

                connection_send(c, data, (size_t)n, false);
                return;
        }
        size_t body = 1 + 2 + n_token + (o->compress ? 2 : 0), frame = 1 + 2 + body;

        *p++ = (uint8_t)(frame | 0x80);
        *p++ = (uint8_t)(frame >> 7);
        *p++ = 2 << 3 | 2;
        *p++ = (uint8_t)(body | 0x80);
        *p++ = (uint8_t)(body >> 7);
        *p++ = 1 << 3 | 2;
        *p++ = (uint8_t)(n_token | 0x80);
        *p++ = (uint8_t)(n_token >> 7);
        memcpy(p, token, n_token);
        p += n_token;
        if (o->compress) {
                *p++ = 4 << 3;
                *p++ = 1;
        }
        connection_send(c, data, (size_t)(p - data), true);
}

static void upgraded(struct load_connection *c)
{
        const struct load_options *o = &c->load->options;
        static struct auth *auth;
        char sub[IDENT_MAX + 1], *token;

        if (!auth &&
            auth_new(&auth, &(struct auth_options){.secret = o->secret, .issuer = o->issuer, .audience = o->audience},
                     NULL, 0))
                abort();
        snprintf(sub, sizeof(sub), "%s-%u", o->user, c->number);
        if (auth_sign(auth, sub, sub, false, time(NULL), 86400, &token))
                abort();
        c->state = LOAD_OPENING;
        hello(c, token);
        free(token);
}

/* Takes whole WebSocket messages off the front. False: the connection is gone */
static bool take_messages(struct load_connection *c)
{
        size_t at = 0;

        while (c->n_in - at >= 2) {
                const uint8_t *p = c->in + at;
                size_t head = 2, len = p[1] & 0x7f;

                if (len == 126)
                        head = 4;
                else if (len == 127)
                        head = 10;
                if (c->n_in - at < head)
                        break;
                if (len == 126)
                        len = (size_t)p[2] << 8 | p[3];
                else if (len == 127)
                        len = (size_t)p[6] << 24 | (size_t)p[7] << 16 | (size_t)p[8] << 8 | p[9];
                if (c->n_in - at < head + len)
                        break;
                if ((p[0] & 15) == 8) {
                        connection_close(c, len >= 2 ? (unsigned)(p[head] << 8 | p[head + 1]) : 1005);
                        return false;
                }
                if ((p[0] & 15) == 9) {
                        const uint8_t pong[6] = {0x8a, 0x80};

                        put(c, pong, sizeof(pong));
                        flush_out(c);
                } else if ((p[0] & 15) <= 2) {
                        load_take(c, p + head, len);
                }
                at += head + len;
        }
        memmove(c->in, c->in + at, c->n_in - at);
        c->n_in -= at;
        return c->state != LOAD_CLOSED;
}

static bool take_upgrade(struct load_connection *c)
{
        uint8_t *end = memmem(c->in, c->n_in, "\r\n\r\n", 4);

        if (!end)
                return true;
        if (c->n_in < 12 || memcmp(c->in, "HTTP/1.1 101", 12) != 0) {
                snprintf(c->load->last_error, sizeof(c->load->last_error), "%.60s", (char *)c->in);
                connection_close(c, 0);
                return false;
        }
        c->n_in -= (size_t)(end + 4 - c->in);
        memmove(c->in, end + 4, c->n_in);
        upgraded(c);
        return take_messages(c);
}

/* Reads into one buffer for all; a connection keeps only what is incomplete */
static void readable(struct load_connection *c)
{
        static uint8_t shared[256 * 1024];

        for (;;) {
                ssize_t n;

                memcpy(shared, c->in ? c->in : shared, c->n_in);
                n = recv(c->fd, shared + c->n_in, sizeof(shared) - c->n_in, 0);
                if (n < 0 && errno == EAGAIN)
                        return;
                if (n <= 0) {
                        connection_close(c, 0);
                        return;
                }
                uint8_t *kept = c->in;
                size_t cap = c->cap_in;

                c->in = shared;
                c->reading = true;
                c->n_in += (size_t)n;
                if (!(c->state == LOAD_UPGRADING ? take_upgrade(c) : take_messages(c))) {
                        free(kept);
                        return;
                }
                c->reading = false;
                if (c->n_in > cap) {
                        cap = c->n_in * 2;
                        kept = realloc(kept, cap);
                        if (!kept)
                                abort();
                }
                if (c->n_in)
                        memcpy(kept, shared, c->n_in);
                c->in = kept;
                c->cap_in = cap;
                if (n < 65536)
                        return;
        }
}

void connection_event(struct load_connection *c, uint32_t events)
{
        if (c->state == LOAD_CLOSED)
                return;
        if (c->state == LOAD_CONNECTING && events & EPOLLOUT)
                connected(c);
        else if (events & EPOLLOUT)
                flush_out(c);
        if (c->state != LOAD_CLOSED && c->state != LOAD_CONNECTING && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                readable(c);
        else if (events & (EPOLLHUP | EPOLLERR))
                connection_close(c, 0);
}
