#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "load.h"

void die(const char *what)
{
        fprintf(stderr, "parley-bench: %s: %s\n", what, strerror(errno));
        exit(2);
}

long rss_kb(int pid)
{
        char path[64], line[256];
        long kb = 0;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        f = pid ? fopen(path, "re") : NULL;
        if (!f)
                return 0;
        while (fgets(line, sizeof(line), f))
                if (sscanf(line, "VmRSS: %ld", &kb) == 1)
                        break;
        fclose(f);
        return kb;
}

long cpu_us(int pid)
{
        char path[64], line[1024], *p;
        unsigned long user = 0, sys = 0;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        f = pid ? fopen(path, "re") : NULL;
        if (!f)
                return 0;
        p = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
        fclose(f);
        if (!p || sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) != 2)
                return 0;
        return (long)((user + sys) * 1000000 / (unsigned long)sysconf(_SC_CLK_TCK));
}

char **read_tokens(const char *path, int n)
{
        FILE *f = path ? fopen(path, "re") : NULL;
        char **tokens = calloc((size_t)n, sizeof(*tokens));
        size_t cap = 0;

        if (!f || !tokens)
                die(path ? path : "--tokens is needed");
        for (int i = 0; i < n; i++) {
                ssize_t len = getline(&tokens[i], &cap, f);

                if (len <= 0) {
                        fprintf(stderr, "parley-bench: %s has fewer than %d tokens\n", path, n);
                        exit(2);
                }
                tokens[i][strcspn(tokens[i], "\n")] = 0;
                cap = 0;
        }
        fclose(f);
        return tokens;
}

int wait_events(int ep, struct epoll_event *events, int max, uint64_t until)
{
        uint64_t now = now_ns(), left = until > now ? until - now : 0;
        struct timespec ts = {.tv_sec = (time_t)(left / 1000000000u), .tv_nsec = (long)(left % 1000000000u)};
        int n = epoll_pwait2(ep, events, max, &ts, NULL);

        if (n < 0 && errno != EINTR)
                die("epoll_pwait2");
        return n < 0 ? 0 : n;
}

static const struct {
        const char *name;
        int (*func)(const struct options *o);
        const char *help;
} modes[] = {
        {"room", mode_room,
         "senders to every member of one channel: latency from the intended send time, chains verified"},
        {"idle", mode_idle, "connections that say nothing: the server's memory for each"},
        {"echo-server", mode_echo_server, "a bare WebSocket echo server (raw limit)"},
        {"echo", mode_echo, "open loop against the echo server"},
        {"serial-ack", mode_serial_ack, "JetStream publishes, each after the ack of the one before (raw limit)"},
};

static int usage(void)
{
        fprintf(stderr,
                "usage: parley-bench MODE [--host A] [--port N] [--tokens FILE] [--channel C] [--protocol P] [--conns N] [--senders N]\n"
                "                   [--rate PER_S] [--seconds S] [--payload BYTES] [--nats-port N] [--subject S] [--pid SERVER]\n");
        for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
                fprintf(stderr, "  %-12s %s\n", modes[i].name, modes[i].help);
        return 2;
}

static void parse(int argc, char **argv, struct options *o)
{
        static const struct option table[] = {
                {"host", 1, 0, 'h'},      {"port", 1, 0, 'p'},
                {"tokens", 1, 0, 't'},    {"channel", 1, 0, 'c'},
                {"protocol", 1, 0, 'P'},  {"conns", 1, 0, 'n'},
                {"senders", 1, 0, 's'},   {"rate", 1, 0, 'r'},
                {"seconds", 1, 0, 'S'},   {"payload", 1, 0, 'b'},
                {"nats-port", 1, 0, 'N'}, {"subject", 1, 0, 'u'},
                {"pid", 1, 0, 'i'},       {0},
        };
        int c;

        while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
                switch (c) {
                case 'h':
                        o->host = optarg;
                        break;
                case 'p':
                        o->port = atoi(optarg);
                        break;
                case 't':
                        o->tokens = optarg;
                        break;
                case 'c':
                        o->channel = optarg;
                        break;
                case 'P':
                        o->protocol = optarg;
                        break;
                case 'n':
                        o->conns = atoi(optarg);
                        break;
                case 's':
                        o->senders = atoi(optarg);
                        break;
                case 'r':
                        o->rate = atof(optarg);
                        break;
                case 'S':
                        o->seconds = atof(optarg);
                        break;
                case 'b':
                        o->payload = atoi(optarg);
                        break;
                case 'N':
                        o->nats_port = atoi(optarg);
                        break;
                case 'u':
                        o->subject = optarg;
                        break;
                case 'i':
                        o->pid = atoi(optarg);
                        break;
                default:
                        exit(usage());
                }
        }
}

int main(int argc, char **argv)
{
        struct options o = {.host = "127.0.0.1",
                            .port = 8081,
                            .channel = "general",
                            .protocol = "parley.v1.json",
                            .conns = 2,
                            .senders = 1,
                            .rate = 500,
                            .seconds = 10,
                            .payload = 128,
                            .nats_port = 8422,
                            .subject = "raw.x"};
        struct rlimit files;

        if (argc < 2)
                return usage();
        o.mode = argv[1];
        if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
                files.rlim_cur = files.rlim_max;
                setrlimit(RLIMIT_NOFILE, &files);
        }
        parse(argc - 1, argv + 1, &o);
        for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
                if (strcmp(o.mode, modes[i].name) == 0)
                        return modes[i].func(&o);
        return usage();
}
