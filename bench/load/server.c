/* The raw limit of what connections can do: a bare WebSocket server without memory, one send() for each copy of each message.
 *
 * What a client says: "J<room>" joins a room and is answered "joined"; "S<room> text" is sent to everybody in the room, in the bytes in which it
 * came; "G<n>" is answered by n bytes that end in "joined" (the missed messages of a storm); all else goes back to whom it came from.
 * Rooms are the digits at the end of the name, or 0. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

#define MAX_ROOMS 65536
#define MAX_FD 65536

struct room {
        int *fds;
        unsigned n;
};

static struct room rooms[MAX_ROOMS];
static unsigned n_rooms;      /* the highest that anybody is in, and one */
static uint8_t *kept[MAX_FD]; /* what came of a frame that is not whole */
static size_t n_kept[MAX_FD];

/* The answer to the key that wsc.c always sends; RFC 6455 section 1.3 has this very pair. */
static const char accepted[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

static unsigned room_number(const char *p, size_t n)
{
        size_t from = 0, v = 0;

        for (size_t i = 0; i < n && p[i] != ' '; i++) {
                if (p[i] < '0' || p[i] > '9')
                        from = i + 1;
                else if (i == from)
                        v = (size_t)(p[i] - '0');
                else
                        v = v * 10 + (size_t)(p[i] - '0');
        }
        return (unsigned)(v % MAX_ROOMS);
}

static void join(int fd, unsigned number)
{
        struct room *r = &rooms[number];

        if ((r->n & (r->n - 1)) == 0) {
                r->fds = reallocarray(r->fds, r->n ? 2 * (size_t)r->n : 1, sizeof(*r->fds));
                if (!r->fds)
                        die("memory");
        }
        r->fds[r->n++] = fd;
        n_rooms = number >= n_rooms ? number + 1 : n_rooms;
}

/* A blocking send: the client reads all the time */
static void put(int fd, const void *data, size_t n)
{
        while (n) {
                ssize_t w = send(fd, data, n, MSG_NOSIGNAL);

                if (w < 0 && errno != EINTR)
                        return; /* its end is noticed where it is read */
                if (w > 0) {
                        data = (const uint8_t *)data + w;
                        n -= (size_t)w;
                }
        }
}

static size_t make_head(uint8_t *head, size_t n)
{
        head[0] = 0x81;
        if (n < 126) {
                head[1] = (uint8_t)n;
                return 2;
        }
        if (n < 65536) {
                head[1] = 126;
                head[2] = (uint8_t)(n >> 8);
                head[3] = (uint8_t)n;
                return 4;
        }
        head[1] = 127;
        for (unsigned i = 0; i < 8; i++)
                head[2 + i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
        return 10;
}

static void greet(int fd, size_t n)
{
        static uint8_t frame[10 + (1 << 20)];
        size_t head;

        n = n < 6 ? 6 : n > 1 << 20 ? 1 << 20 : n;
        head = make_head(frame, n);
        memset(frame + head, 'x', n);
        memcpy(frame + head + n - 6, "joined", 6);
        put(fd, frame, head + n);
}

/* One message, whose frame without a mask begins at `frame` */
static void on_text(int fd, const uint8_t *frame, size_t n_frame, const char *text, size_t n)
{
        const struct room *r;

        if (n && text[0] == 'J') {
                join(fd, room_number(text + 1, n - 1));
                greet(fd, 6);
        } else if (n && text[0] == 'G') {
                greet(fd, strtoul(text + 1, NULL, 10));
        } else if (n && text[0] == 'S') {
                r = &rooms[room_number(text + 1, n - 1)];
                for (unsigned i = 0; i < r->n; i++)
                        put(r->fds[i], frame, n_frame);
        } else {
                put(fd, frame, n_frame);
        }
}

/* One frame of a client, its mask taken out in place (it is zero). Returns the bytes that it takes, 0 when it is not whole. */
static size_t on_frame(int fd, uint8_t *p, size_t n)
{
        size_t head = 2, len;

        if (n < 2)
                return 0;
        len = p[1] & 0x7f;
        if (len == 126 && n >= 4) {
                head = 4;
                len = (size_t)p[2] << 8 | p[3];
        }
        if (len == 127 || n < head + 4 + len)
                return 0;
        p[1] &= 0x7f;
        memmove(p + 4, p, head);
        on_text(fd, p + 4, head + len, (const char *)p + 4 + head, len);
        return head + 4 + len;
}

static void forget(int fd)
{
        for (unsigned i = 0; i < n_rooms; i++)
                for (unsigned k = 0; k < rooms[i].n; k++)
                        if (rooms[i].fds[k] == fd)
                                rooms[i].fds[k--] = rooms[i].fds[--rooms[i].n];
        free(kept[fd]);
        kept[fd] = NULL;
        n_kept[fd] = 0;
        close(fd);
}

static void keep(int fd, const uint8_t *p, size_t n)
{
        free(kept[fd]);
        kept[fd] = n ? malloc(n) : NULL;
        n_kept[fd] = kept[fd] ? n : 0;
        if (kept[fd])
                memcpy(kept[fd], p, n);
}

static void on_data(int fd)
{
        static uint8_t in[1 << 18];
        size_t have = n_kept[fd], at = 0, used;
        ssize_t n;

        if (have)
                memcpy(in, kept[fd], have);
        n = recv(fd, in + have, sizeof(in) - have, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
                return;
        if (n <= 0) {
                forget(fd);
                return;
        }
        have += (size_t)n;
        if (in[0] == 'G' && have > 4 && memcmp(in, "GET ", 4) == 0) {
                const uint8_t *end = memmem(in, have, "\r\n\r\n", 4);

                if (end) {
                        put(fd, accepted, sizeof(accepted) - 1);
                        at = (size_t)(end - in) + 4;
                }
        }
        while (in[at] == 0x81 && (used = on_frame(fd, in + at, have - at)))
                at += used;
        keep(fd, in + at, have - at);
}

static int listen_at(const char *port)
{
        struct sockaddr_in a = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                .sin_port = htons((uint16_t)atoi(port))};
        int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 65535) < 0)
                die("the server's port");
        return fd;
}

static void accept_all(int ep, int listener)
{
        int one = 1, fd;

        while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
                if (fd >= MAX_FD)
                        die("too many connections");
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
                epoll_ctl(ep, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.fd = fd});
        }
}

int mode_server(int argc, char **argv)
{
        int ep = epoll_create1(EPOLL_CLOEXEC), listener;
        struct epoll_event events[256];

        if (argc != 2) {
                fprintf(stderr, "usage: parley-bench server PORT\n");
                return 2;
        }
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        listener = listen_at(argv[1]);
        epoll_ctl(ep, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.fd = listener});
        for (;;) {
                int n = wait_events(ep, events, 256, now_ns() + 1000000000u);

                for (int i = 0; i < n; i++) {
                        if (events[i].data.fd == listener)
                                accept_all(ep, listener);
                        else
                                on_data(events[i].data.fd);
                }
        }
}
