#include "wsc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

static uint8_t scratch[1 << 20]; /* one thread a process; what is whole in here is never copied */

static int keep(uint8_t **data, size_t *len, size_t *cap, const void *more, size_t n)
{
        if (*len + n > *cap) {
                size_t cap_new = *len + n < 1024 ? 1024 : (*len + n) * 2;
                uint8_t *p = realloc(*data, cap_new);

                if (!p)
                        return -ENOMEM;
                *data = p;
                *cap = cap_new;
        }
        if (n)
                memcpy(*data + *len, more, n);
        *len += n;
        return 0;
}

static int dial(unsigned index, const char *host, int port)
{
        struct sockaddr_in from = {.sin_family = AF_INET},
                           to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        int one = 1, fd = -1, r = -EINVAL;

        if (inet_pton(AF_INET, host, &to.sin_addr) != 1)
                return -EINVAL;
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (to.sin_addr.s_addr == htonl(INADDR_LOOPBACK)) {
                /* several addresses, for one has 28,000 ports */
                from.sin_addr.s_addr = htonl(0x7f000002 + index % 8);
                setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
                if (bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0)
                        goto failed;
        }
        if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)
                goto failed;
        return fd;
failed:
        r = -errno;
        close(fd);
        return r;
}

/* As the server sees a text that cannot be sent: ENOTCONN means that the handshake is under way */
static bool must_wait(int error)
{
        return error == EAGAIN || error == ENOTCONN;
}

static int out(struct wsc *c, const void *data, size_t n)
{
        ssize_t w = 0;

        if (!c->out_len) {
                w = send(c->fd, data, n, MSG_NOSIGNAL);
                if (w < 0 && !must_wait(errno))
                        return -errno;
                if (w < 0)
                        w = 0;
        }
        return (size_t)w == n ? 0 : keep(&c->out, &c->out_len, &c->out_cap, (const uint8_t *)data + w, n - (size_t)w);
}

int wsc_connect(struct wsc *c, unsigned index, const char *host, int port, const char *target, const char *protocol)
{
        char request[8192];
        int fd, n = snprintf(request, sizeof(request),
                             "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s%s%s\r\n",
                             target, host, port, *protocol ? "Sec-WebSocket-Protocol: " : "", protocol,
                             *protocol ? "\r\n" : "");

        if (n < 0 || (size_t)n >= sizeof(request))
                return -EINVAL;
        fd = dial(index, host, port);
        if (fd < 0)
                return fd;
        *c = (struct wsc){.fd = fd, .user = c->user};
        return keep(&c->out, &c->out_len, &c->out_cap, request, (size_t)n);
}

void wsc_done(struct wsc *c)
{
        if (c->fd >= 0)
                close(c->fd);
        free(c->in);
        free(c->out);
        *c = (struct wsc){.fd = -1, .user = c->user, .frames = c->frames, .bytes = c->bytes};
}

static int frame_out(struct wsc *c, unsigned opcode, const void *data, size_t n)
{
        uint8_t frame[65536 + 14] = {(uint8_t)(0x80 | opcode)};
        size_t head = n < 126 ? 2 : 4;

        if (n > 65535)
                return -EMSGSIZE;
        if (n < 126) {
                frame[1] = (uint8_t)(0x80 | n);
        } else {
                frame[1] = 0x80 | 126;
                frame[2] = (uint8_t)(n >> 8);
                frame[3] = (uint8_t)n;
        }
        memset(frame + head, 0, 4);
        if (n)
                memcpy(frame + head + 4, data, n);
        return out(c, frame, head + 4 + n);
}

int wsc_send(struct wsc *c, bool binary, const void *data, size_t n)
{
        return frame_out(c, binary ? 2 : 1, data, n);
}

static void flush(struct wsc *c)
{
        ssize_t w;

        while (c->out_len) {
                w = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);
                if (w < 0) {
                        if (!must_wait(errno))
                                c->closed = true;
                        return;
                }
                memmove(c->out, c->out + w, c->out_len - (size_t)w);
                c->out_len -= (size_t)w;
        }
        free(c->out);
        c->out = NULL;
        c->out_cap = 0;
}

static void on_frame(struct wsc *c, unsigned opcode, const uint8_t *p, size_t n, wsc_message on_message)
{
        if (opcode <= 2) {
                c->frames++;
                on_message(c, (const char *)p, n);
        } else if (opcode == 9) {
                if (frame_out(c, 10, p, n) < 0)
                        c->closed = true;
        } else if (opcode == 8) {
                c->closed = true;
                c->close_code = n >= 2 ? (uint16_t)(p[0] << 8 | p[1]) : 1005;
        }
}

/* Returns the bytes that the frame at p takes, 0 when it is not whole, -1 when it is unusable. Servers that split messages into several
 * frames are not understood: none of those that are measured does. */
static int64_t one_frame(struct wsc *c, const uint8_t *p, size_t n, wsc_message on_message)
{
        uint64_t len;
        size_t head = 2;

        if (n < 2)
                return 0;
        len = p[1] & 0x7f;
        if (len == 126)
                head = 4;
        if (len == 127)
                head = 10;
        if (n < head)
                return 0;
        if (head > 2) {
                len = 0;
                for (size_t i = 2; i < head; i++)
                        len = len << 8 | p[i];
        }
        if ((p[1] & 0x80) || !(p[0] & 0x80) || len > (64u << 20))
                return -1;
        if (n < head + len)
                return 0;
        on_frame(c, p[0] & 0x0f, p + head, len, on_message);
        return (int64_t)(head + len);
}

static size_t upgrade_answer(struct wsc *c, const uint8_t *p, size_t n)
{
        const uint8_t *end = memmem(p, n, "\r\n\r\n", 4);

        if (!end)
                return 0;
        if (n < 12 || memcmp(p + 9, "101", 3) != 0)
                c->closed = true;
        else
                c->open = true;
        return (size_t)(end - p) + 4;
}

/* Returns how many bytes were used up */
static size_t frames(struct wsc *c, const uint8_t *p, size_t n, wsc_message on_message)
{
        size_t at = 0;

        if (!c->open) {
                at = upgrade_answer(c, p, n);
                if (c->open)
                        on_message(c, NULL, 0); /* the session may speak now */
        }
        while (c->open && at < n && !c->closed) {
                int64_t used = one_frame(c, p + at, n - at, on_message);

                if (used < 0)
                        c->closed = true;
                if (used <= 0)
                        break;
                at += (size_t)used;
        }
        return at;
}

/* Returns whether there may be more */
static bool read_once(struct wsc *c, wsc_message on_message, bool *ret_empty)
{
        size_t have = c->in_len, room = sizeof(scratch) - have, used;
        ssize_t r;

        if (have > sizeof(scratch) / 2) {
                c->closed = true; /* a single message of half a megabyte: nothing that is measured sends one */
                return false;
        }
        if (have)
                memcpy(scratch, c->in, have); /* what is left of before goes in front */
        r = recv(c->fd, scratch + have, room, 0);
        if (r < 0 && must_wait(errno)) {
                *ret_empty = true;
                return false;
        }
        if (r <= 0) {
                c->closed = true;
                return false;
        }
        c->read_ns = now_ns();
        c->bytes += (uint64_t)r;
        used = frames(c, scratch, have + (size_t)r, on_message);
        have += (size_t)r;
        c->in_len = 0;
        if (used < have && keep(&c->in, &c->in_len, &c->in_cap, scratch + used, have - used) < 0)
                c->closed = true;
        if (!c->in_len) {
                free(c->in);
                c->in = NULL;
                c->in_cap = 0;
        }
        return (size_t)r == room && !c->closed;
}

void wsc_ready(struct wsc *c, bool ended, wsc_message on_message)
{
        bool empty = false;

        if (c->closed)
                return;
        flush(c);
        /* A short read has emptied the socket, unless its end stands behind the data: that comes with no event of its own */
        while (!c->closed && (read_once(c, on_message, &empty) || (ended && !empty)))
                ;
        if (c->closed && !c->close_code)
                c->close_code = 1006;
}

uint64_t wsc_segments(const struct wsc *c)
{
        struct tcp_info info = {0};
        socklen_t n = sizeof(info);

        if (c->fd < 0 || getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0)
                return 0;
        return info.tcpi_data_segs_in;
}
