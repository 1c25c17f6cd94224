/* The raw limits: a bare WebSocket echo, and JetStream publishes one after the other. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

static int tcp(const char *host, int port, bool server)
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

        inet_pton(AF_INET, host, &a.sin_addr);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        r = server ? bind(fd, (struct sockaddr *)&a, sizeof(a)) : connect(fd, (struct sockaddr *)&a, sizeof(a));
        if (r < 0 || (server && listen(fd, 1024) < 0))
                die("socket");
        return fd;
}

/* --- the echo server: one thread, blocking nowhere, a read and a write for each message --- */

/* The answer to the key that wsc.c always sends; RFC 6455 section 1.3 has this very pair. */
static const char accepted[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/* Turns one masked client frame at p into an unmasked one, in place. Returns its length in and out, 0 when it is not whole. */
static size_t turn(uint8_t *p, size_t n, uint8_t **ret, size_t *ret_n)
{
        size_t head = 2, len;

        if (n < 2)
                return 0;
        len = p[1] & 0x7f;
        if (len == 126) {
                head = 4;
                len = (size_t)p[2] << 8 | p[3];
        }
        if (n < head + 4 + len)
                return 0;
        p[1] &= 0x7f;
        memmove(p + 4, p, head); /* the zero mask makes room */
        *ret = p + 4;
        *ret_n = head + len;
        return head + 4 + len;
}

static void echo(int fd)
{
        static uint8_t in[1 << 18];
        ssize_t n = recv(fd, in, sizeof(in), 0);
        size_t at = 0, used;

        if (n <= 0) {
                close(fd);
                return;
        }
        if (in[0] == 'G') {
                if (send(fd, accepted, sizeof(accepted) - 1, MSG_NOSIGNAL) < 0)
                        close(fd);
                return;
        }
        while (at < (size_t)n) {
                uint8_t *out;
                size_t n_out;

                used = turn(in + at, (size_t)n - at, &out, &n_out);
                if (!used || send(fd, out, n_out, MSG_NOSIGNAL) < 0)
                        break;
                at += used;
        }
}

int mode_echo_server(const struct options *o)
{
        int ep = epoll_create1(EPOLL_CLOEXEC), listener = tcp(o->host, o->port, true), one = 1;
        uint64_t end = now_ns() + (uint64_t)(o->seconds * 1e9);
        struct epoll_event events[64];

        epoll_ctl(ep, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.fd = listener});
        while (now_ns() < end) {
                int n = wait_events(ep, events, 64, end);

                for (int i = 0; i < n; i++) {
                        if (events[i].data.fd != listener) {
                                echo(events[i].data.fd);
                                continue;
                        }
                        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

                        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
                        epoll_ctl(ep, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.fd = fd});
                }
        }
        return 0;
}

/* --- open loop against it --- */

static struct hist latencies;
static uint64_t *intended, n_intended, received;

static void on_echo(struct wsc *c, const char *data, size_t n)
{
        uint64_t i = n > 2 ? strtoull(data + 2, NULL, 10) : UINT64_MAX;

        (void)c;
        if (i < n_intended) {
                hist_add(&latencies, now_ns() - intended[i]);
                received++;
        }
}

static void print_latencies(const char *mode, double rate, uint64_t sent, uint64_t got)
{
        printf("{\"mode\":\"%s\",\"rate\":%.0f,\"sent\":%" PRIu64 ",\"received\":%" PRIu64
               ",\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f,\"max_ms\":%.3f}\n",
               mode, rate, sent, got, (double)hist_at(&latencies, 0.5) / 1e6, (double)hist_at(&latencies, 0.99) / 1e6,
               (double)hist_at(&latencies, 0.999) / 1e6, (double)latencies.max / 1e6);
}

int mode_echo(const struct options *o)
{
        uint64_t total = (uint64_t)(o->rate * o->seconds), start, sent = 0;
        int ep = epoll_create1(EPOLL_CLOEXEC);
        struct epoll_event event;
        struct wsc c;
        char *text = malloc((size_t)o->payload + 64);

        if (!text || wsc_connect(&c, 0, o->host, o->port, "/", NULL) < 0)
                die("echo");
        epoll_ctl(ep, EPOLL_CTL_ADD, c.fd, &(struct epoll_event){.events = EPOLLIN});
        while (!c.open && !c.closed) {
                wait_events(ep, &event, 1, now_ns() + 1000000000);
                wsc_read(&c, on_echo);
        }
        intended = calloc(total, sizeof(*intended));
        n_intended = total;
        start = now_ns() + 10000000;
        while (received < total && !c.closed && now_ns() < start + (uint64_t)(o->seconds * 1e9) + 5000000000u) {
                uint64_t due = start + (uint64_t)((double)sent * 1e9 / o->rate);

                if (sent < total && now_ns() >= due) {
                        intended[sent] = due;
                        int n = snprintf(text, (size_t)o->payload + 64, "n=%" PRIu64 " %0*d", sent, o->payload, 0);

                        sent++;
                        if (wsc_send(&c, text, (size_t)n) < 0)
                                die("send");
                        continue;
                }
                if (wait_events(ep, &event, 1, sent < total ? due : now_ns() + 10000000) > 0)
                        wsc_read(&c, on_echo);
        }
        print_latencies("echo", o->rate, sent, received);
        return received == total ? 0 : 1;
}

/* --- serial JetStream acks, in NATS' own text protocol, each with a deduplication id as Parley's have; paced, so that it sleeps and wakes as
 * often as what it is compared with --- */

static char line[1 << 16];
static size_t have;

/* Reads until a MSG came; returns false when the server closed. Its payload is not looked at but for "error". */
static bool read_ack(int fd)
{
        for (;;) {
                char *msg = memmem(line, have, "MSG ", 4),
                     *end = msg ? memmem(msg, have - (size_t)(msg - line), "}\r\n", 3) : NULL;
                ssize_t n;

                if (end) {
                        size_t used = (size_t)(end + 3 - line);
                        bool bad = memmem(line, used, "\"error\"", 7) != NULL;

                        memmove(line, line + used, have - used);
                        have -= used;
                        return !bad;
                }
                if (have == sizeof(line))
                        have = 0;
                n = recv(fd, line + have, sizeof(line) - have, 0);
                if (n <= 0)
                        return false;
                have += (size_t)n;
        }
}

static void sleep_until(uint64_t ns)
{
        struct timespec ts = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};

        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

int mode_serial_ack(const struct options *o)
{
        static const char hello[] =
                "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}\r\nSUB raw.ack.* 1\r\n";
        uint64_t total = (uint64_t)(o->rate * o->seconds);
        int fd = tcp(o->host, o->nats_port, false);
        char *text = malloc((size_t)o->payload + 512);

        if (!text || recv(fd, line, sizeof(line), 0) <= 0 || send(fd, hello, sizeof(hello) - 1, MSG_NOSIGNAL) < 0)
                die("nats");
        for (uint64_t i = 0, first = now_ns(); i < total; i++) {
                char header[128];
                int n_header = snprintf(header, sizeof(header),
                                        "NATS/1.0\r\nNats-Msg-Id: %" PRIx64 "-%" PRIu64 "\r\n\r\n", first, i);
                int n = snprintf(text, (size_t)o->payload + 512, "HPUB %s raw.ack.%" PRIu64 " %d %d\r\n%s%0*d\r\n",
                                 o->subject, i, n_header, n_header + o->payload, header, o->payload, 0);

                sleep_until(first + (uint64_t)((double)i * 1e9 / o->rate));
                uint64_t start = now_ns();
                if (send(fd, text, (size_t)n, MSG_NOSIGNAL) < 0 || !read_ack(fd)) {
                        fprintf(stderr, "parley-bench: publish %" PRIu64 " to %s was not acked\n", i, o->subject);
                        return 1;
                }
                hist_add(&latencies, now_ns() - start);
        }
        print_latencies("serial-ack", o->rate, total, latencies.n);
        return 0;
}
