#include "wsc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uint8_t scratch[1 << 20]; /* one thread; what is whole in here is never copied */

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
        memcpy(*data + *len, more, n);
        *len += n;
        return 0;
}

static int dial(unsigned index, const char *host, int port)
{
        struct sockaddr_in from = {.sin_family = AF_INET},
                           to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return -errno;
        from.sin_addr.s_addr = htonl(0x7f000002 + index % 8);
        setsockopt(fd, IPPROTO_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */, &one, sizeof(one));
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (inet_pton(AF_INET, host, &to.sin_addr) != 1 || bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0 ||
            connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
                int r = errno ? -errno : -EINVAL;

                close(fd);
                return r;
        }
        fcntl(fd, F_SETFL, O_NONBLOCK);
        return fd;
}

static int out(struct wsc *c, const void *data, size_t n)
{
        ssize_t w = 0;

        if (!c->out_len) {
                w = send(c->fd, data, n, MSG_NOSIGNAL);
                if (w < 0 && errno != EAGAIN)
                        return -errno;
                if (w < 0)
                        w = 0;
        }
        return (size_t)w == n ? 0 : keep(&c->out, &c->out_len, &c->out_cap, (const uint8_t *)data + w, n - (size_t)w);
}

int wsc_connect(struct wsc *c, unsigned index, const char *host, int port, const char *path, const char *protocol)
{
        char request[4096];
        int n, fd = dial(index, host, port);

        if (fd < 0)
                return fd;
        *c = (struct wsc){.fd = fd, .index = index};
        n = snprintf(request, sizeof(request),
                     "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s%s%s\r\n",
                     path, host, port, protocol ? "Sec-WebSocket-Protocol: " : "", protocol ? protocol : "",
                     protocol ? "\r\n" : "");
        if (n < 0 || (size_t)n >= sizeof(request))
                return -EINVAL;
        return out(c, request, (size_t)n);
}

void wsc_done(struct wsc *c)
{
        if (c->fd >= 0)
                close(c->fd);
        free(c->in);
        free(c->out);
        *c = (struct wsc){.fd = -1};
}

int wsc_send(struct wsc *c, const char *text, size_t n)
{
        uint8_t frame[65536 + 14] = {0x81};
        size_t head;

        if (n > 65535)
                return -EMSGSIZE;
        if (n < 126) {
                frame[1] = (uint8_t)(0x80 | n);
                head = 2;
        } else {
                frame[1] = 0x80 | 126;
                frame[2] = (uint8_t)(n >> 8);
                frame[3] = (uint8_t)n;
                head = 4;
        }
        memset(frame + head, 0, 4); /* a mask of zero: the text goes as it is */
        memcpy(frame + head + 4, text, n);
        return out(c, frame, head + 4 + n);
}

int wsc_flush(struct wsc *c)
{
        ssize_t w;

        if (!c->out_len)
                return 0;
        w = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);
        if (w < 0)
                return errno == EAGAIN ? 0 : -errno;
        memmove(c->out, c->out + w, c->out_len - (size_t)w);
        c->out_len -= (size_t)w;
        return 0;
}

/* Returns the bytes that the frame at p takes, 0 when it is not whole, -1 when it is unusable */
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
        if ((p[1] & 0x80) || len > (64u << 20))
                return -1; /* a server does not mask */
        if (n < head + len)
                return 0;
        if ((p[0] & 0x0f) == 1 || (p[0] & 0x0f) == 2)
                on_message(c, (const char *)p + head, len);
        if ((p[0] & 0x0f) == 8) {
                c->closed = true;
                c->close_code = len >= 2 ? (uint16_t)(p[head] << 8 | p[head + 1]) : 1005;
        }
        return (int64_t)(head + len);
}

static size_t upgrade_answer(struct wsc *c, const uint8_t *p, size_t n)
{
        const uint8_t *end = memmem(p, n, "\r\n\r\n", 4);

        if (!end)
                return 0;
        if (n < 12 || memcmp(p + 9, "101", 3) != 0)
                c->closed = true;
        c->open = true;
        return (size_t)(end - p) + 4;
}

/* Returns how many bytes were used up */
static size_t frames(struct wsc *c, const uint8_t *p, size_t n, wsc_message on_message)
{
        size_t at = 0;

        if (!c->open)
                at = upgrade_answer(c, p, n);
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

int64_t wsc_read(struct wsc *c, wsc_message on_message)
{
        ssize_t r;
        size_t used;

        /* what is left of before goes in front */
        if (c->in_len > sizeof(scratch) / 2)
                return -EMSGSIZE;
        memcpy(scratch, c->in, c->in_len);
        r = recv(c->fd, scratch + c->in_len, sizeof(scratch) - c->in_len, 0);
        if (r < 0 && errno == EAGAIN)
                return 0;
        if (r <= 0) {
                c->closed = true;
                return 0;
        }
        used = frames(c, scratch, c->in_len + (size_t)r, on_message);
        r = (ssize_t)(c->in_len + (size_t)r);
        c->in_len = 0;
        if (used < (size_t)r && keep(&c->in, &c->in_len, &c->in_cap, scratch + used, (size_t)r - used) < 0)
                return -ENOMEM;
        if (!c->in_len && c->in) {
                free(c->in);
                c->in = NULL;
                c->in_cap = 0;
        }
        return r;
}
