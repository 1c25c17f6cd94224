/* The raw limits of the log, in NATS' own text protocol over one TCP connection: JetStream publishes one after the other, and as many as a window
 * allows. Each has a deduplication id, as Parley's have. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hist.h"
#include "load.h"

struct publisher {
        int fd;
        const char *prefix; /* subjects are prefix.0, prefix.1, … */
        unsigned subjects, payload;
        uint64_t began, sent, acked;
        char in[1 << 16];
        size_t have;
        char *out; /* of one publish */
};

static int dial(int port)
{
        struct sockaddr_in a = {
                .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
        int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
                die("nats");
        return fd;
}

static void open_publisher(struct publisher *p, int port)
{
        static const char hello[] =
                "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}\r\nSUB rawack.* 1\r\n";

        p->fd = dial(port);
        p->out = malloc(p->payload + 512);
        p->began = now_ns();
        if (!p->out || recv(p->fd, p->in, sizeof(p->in), 0) <= 0 ||
            send(p->fd, hello, sizeof(hello) - 1, MSG_NOSIGNAL) < 0)
                die("nats");
}

static size_t make(struct publisher *p, char *out, size_t cap)
{
        char header[128];
        int n = snprintf(header, sizeof(header), "NATS/1.0\r\nNats-Msg-Id: %" PRIx64 "-%" PRIu64 "\r\n\r\n", p->began,
                         p->sent);

        n = snprintf(out, cap, "HPUB %s.%" PRIu64 " rawack.%" PRIu64 " %d %u\r\n%s%0*d\r\n", p->prefix,
                     p->sent % p->subjects, p->sent, n, (unsigned)n + p->payload, header, (int)p->payload, 0);
        p->sent++;
        return (size_t)n;
}

static void put(int fd, const char *data, size_t n)
{
        while (n) {
                ssize_t w = send(fd, data, n, MSG_NOSIGNAL);

                if (w < 0)
                        die("nats");
                data += w;
                n -= (size_t)w;
        }
}

/* Counts the acks that have come; waits for at least one. Each is MSG … {…}; an answer with "error" in it ends the process. */
static void read_acks(struct publisher *p)
{
        ssize_t n = recv(p->fd, p->in + p->have, sizeof(p->in) - p->have, 0);
        char *at = p->in, *end;

        if (n <= 0)
                die("nats");
        p->have += (size_t)n;
        if (memmem(at, p->have, "\"error\"", 7)) {
                fprintf(stderr, "parley-bench: %.*s\n", (int)p->have, at);
                exit(1);
        }
        while ((end = memmem(at, (size_t)(p->in + p->have - at), "}\r\n", 3))) {
                p->acked++;
                at = end + 3;
        }
        p->have -= (size_t)(at - p->in);
        memmove(p->in, at, p->have);
}

static void sleep_until(uint64_t ns)
{
        struct timespec ts = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};

        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static int read_options(struct publisher *p, int argc, char **argv, double *ret_number, double *ret_seconds)
{
        if (argc != 7) {
                fprintf(stderr, "usage: parley-bench %s NATS-PORT PREFIX SUBJECTS BYTES %s SECONDS\n", argv[0],
                        strcmp(argv[0], "serial-ack") == 0 ? "RATE" : "WINDOW");
                return 2;
        }
        p->prefix = argv[2];
        p->subjects = (unsigned)atoi(argv[3]);
        p->payload = (unsigned)atoi(argv[4]);
        *ret_number = atof(argv[5]);
        *ret_seconds = atof(argv[6]);
        if (!p->subjects || !p->payload || p->payload > 100000 || *ret_number < 1 || *ret_seconds <= 0) {
                fprintf(stderr, "parley-bench: %s: a number is out of its range\n", argv[0]);
                return 2;
        }
        open_publisher(p, atoi(argv[1]));
        return 0;
}

/* Paced, so that it sleeps and wakes as often as what it is compared with; each counts from its own start, for it has nothing to wait behind */
int mode_serial_ack(int argc, char **argv)
{
        static struct publisher p;
        static struct hist latencies;
        double rate, seconds;
        int r = read_options(&p, argc, argv, &rate, &seconds);
        uint64_t total, first;

        if (r)
                return r;
        total = (uint64_t)(rate * seconds);
        first = now_ns();
        while (p.sent < total) {
                size_t n = make(&p, p.out, p.payload + 512);
                uint64_t start;

                sleep_until(first + (uint64_t)((double)p.sent * 1e9 / rate));
                start = now_ns();
                put(p.fd, p.out, n);
                while (p.acked < p.sent)
                        read_acks(&p);
                hist_add(&latencies, now_ns() - start);
        }
        printf("{\"sent\":%" PRIu64 ",\"acked\":%" PRIu64
               ",\"p50_ms\":%.4f,\"p99_ms\":%.4f,\"p999_ms\":%.4f,\"per_s\":%.1f}\n",
               p.sent, p.acked, (double)hist_at(&latencies, 0.5) / 1e6, (double)hist_at(&latencies, 0.99) / 1e6,
               (double)hist_at(&latencies, 0.999) / 1e6, (double)p.acked * 1e9 / (double)(now_ns() - first));
        return 0;
}

/* As many publishes as fit in one write, whenever half of the window is free */
int mode_async_ack(int argc, char **argv)
{
        static struct publisher p;
        static char batch[1 << 18];
        double window, seconds;
        int r = read_options(&p, argc, argv, &window, &seconds);
        uint64_t first, end, last;

        if (r)
                return r;
        first = now_ns();
        end = first + (uint64_t)(seconds * 1e9);
        while (now_ns() < end || p.acked < p.sent) {
                size_t n = 0;

                while (now_ns() < end && (double)(p.sent - p.acked) < window && n + p.payload + 512 < sizeof(batch))
                        n += make(&p, batch + n, sizeof(batch) - n);
                put(p.fd, batch, n);
                do
                        read_acks(&p);
                while (p.acked < p.sent && (now_ns() >= end || (double)(p.sent - p.acked) > window / 2));
        }
        last = now_ns();
        printf("{\"sent\":%" PRIu64 ",\"acked\":%" PRIu64 ",\"per_s\":%.1f}\n", p.sent, p.acked,
               (double)p.acked * 1e9 / (double)(last - first));
        return 0;
}
