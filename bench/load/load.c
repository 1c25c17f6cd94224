/* The load: workers with their clients, driven by commands on standard input, each answered by one line of JSON. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"
#include "report.h"
#include "worker.h"

#define POLL_NS 2000000u
#define BEGIN_NS 50000000u /* until all workers have begun, or they are late from the start */
#define CONNECT_S 150      /* a system that takes longer than this for 10,000 clients is not measured further */

struct control {
        struct load_options o;
        struct shared *shared;
        pid_t pids[MAX_WORKERS];
        int pipes[MAX_WORKERS];
        unsigned connected;
        uint8_t run;
};

/* --- options --- */

static void parse_url(struct load_options *o, char *url)
{
        char *host = strstr(url, "ws://") == url ? url + 5 : NULL, *slash = host ? strchr(host, '/') : NULL,
             *colon = host ? strchr(host, ':') : NULL;

        if (!slash || !colon || colon > slash || (size_t)(colon - host) >= sizeof(o->host)) {
                fprintf(stderr, "parley-bench: --url is '%s': takes ws://ADDRESS:PORT/PATH\n", url);
                exit(2);
        }
        memcpy(o->host, host, (size_t)(colon - host));
        o->port = atoi(colon + 1);
        o->target = slash;
}

static unsigned choice(const char *option, const char *value, const char *const *names)
{
        for (unsigned i = 0; names[i]; i++)
                if (strcmp(value, names[i]) == 0)
                        return i;
        fprintf(stderr, "parley-bench: --%s is '%s': takes", option, value);
        for (unsigned i = 0; names[i]; i++)
                fprintf(stderr, "%s %s", i ? "," : "", names[i]);
        fprintf(stderr, "\n");
        exit(2);
}

static unsigned in_range(const char *option, const char *value, unsigned min, unsigned max)
{
        char *end;
        unsigned long v = strtoul(value, &end, 10);

        if (*end || !*value || v < min || v > max) {
                fprintf(stderr, "parley-bench: --%s is '%s': takes %u to %u\n", option, value, min, max);
                exit(2);
        }
        return (unsigned)v;
}

static const struct option table[] = {
        {"url", 1, 0, 'u'},      {"plan", 1, 0, 'p'},   {"procs", 1, 0, 'P'}, {"payload", 1, 0, 'b'},
        {"protocol", 1, 0, 'w'}, {"speak", 1, 0, 's'},  {"hello", 1, 0, 'h'}, {"join", 1, 0, 'j'},
        {"send", 1, 0, 'S'},     {"ready", 1, 0, 'r'},  {"event", 1, 0, 'e'}, {"ack", 1, 0, 'a'},
        {"audience", 1, 0, 'A'}, {"window", 1, 0, 'W'}, {"watch", 1, 0, 'n'}, {0},
};

static void set(struct load_options *o, int c, char *value)
{
        static const char *const speaks[] = {"json", "proto", "text", NULL}, *const audiences[] = {"room", "others",
                                                                                                   "self", NULL};

        switch (c) {
        case 'u':
                parse_url(o, value);
                break;
        case 'P':
                o->procs = in_range("procs", value, 1, MAX_WORKERS);
                break;
        case 'b':
                o->payload = in_range("payload", value, 32, 16384);
                break;
        case 'W':
                o->window = in_range("window", value, 1, 100000);
                break;
        case 'n':
                o->watch = in_range("watch", value, 1, 99);
                break;
        case 's':
                o->speaker.how = (enum speak_how)choice("speak", value, speaks);
                break;
        case 'A':
                o->audience = (enum audience)choice("audience", value, audiences);
                break;
        default: {
                const char **texts[] = {['p'] = &o->plan,          ['w'] = &o->protocol,     ['h'] = &o->speaker.hello,
                                        ['j'] = &o->speaker.join,  ['S'] = &o->speaker.send, ['r'] = &o->speaker.ready,
                                        ['e'] = &o->speaker.event, ['a'] = &o->speaker.ack};

                *texts[c] = value;
        }
        }
}

static void parse(struct load_options *o, int argc, char **argv)
{
        int c;

        while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
                if (c == '?')
                        exit(2);
                set(o, c, optarg);
        }
        if (!o->target || !o->plan) {
                fprintf(stderr, "parley-bench: load needs --url and --plan\n");
                exit(2);
        }
}

/* --- workers --- */

static void start_workers(struct control *c)
{
        for (unsigned i = 0; i < c->o.procs; i++) {
                int ends[2];

                if (pipe(ends) < 0)
                        die("pipe");
                c->pids[i] = fork();
                if (c->pids[i] < 0)
                        die("fork");
                if (c->pids[i] == 0) {
                        /* or none of them would see the end of its pipe */
                        for (unsigned k = 0; k < i; k++)
                                close(c->pipes[k]);
                        close(ends[1]);
                        worker_run(&c->o, c->shared, i, ends[0]);
                }
                close(ends[0]);
                c->pipes[i] = ends[1];
        }
}

/* A worker that ends has said why on standard error */
static void check_workers(const struct control *c)
{
        for (unsigned i = 0; i < c->o.procs; i++) {
                int status;

                if (waitpid(c->pids[i], &status, WNOHANG) > 0)
                        exit(2);
        }
}

static void nap(const struct control *c)
{
        nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
        check_workers(c);
}

static void wait_serial(const struct control *c, uint32_t serial)
{
        for (unsigned i = 0; i < c->o.procs; i++)
                while (__atomic_load_n(&c->shared->tallies[i].serial, __ATOMIC_ACQUIRE) != serial)
                        nap(c);
}

/* Returns when all workers have begun: from here on the counters are of this command */
static void order(struct control *c, struct command command)
{
        command.serial = c->shared->command.serial + 1;
        c->shared->command = command; /* the byte in the pipe orders it before what the worker reads */
        for (unsigned i = 0; i < c->o.procs; i++)
                if (write(c->pipes[i], "x", 1) != 1)
                        die("a worker is gone");
        wait_serial(c, command.serial);
}

/* Ends the command that runs: from here on nothing is counted for it any more */
static void stop(struct control *c)
{
        order(c, (struct command){.phase = PHASE_IDLE, .n = c->connected});
}

/* --- commands --- */

static double argument(const char *line, const char *name, double otherwise)
{
        char key[32];
        const char *at;

        snprintf(key, sizeof(key), " %s=", name);
        at = strstr(line, key);
        return at ? strtod(at + strlen(key), NULL) : otherwise;
}

static void do_connect(struct control *c, const char *line)
{
        uint64_t deadline = now_ns() + CONNECT_S * (uint64_t)1000000000, start = now_ns();
        struct report r;

        c->connected = (unsigned)argument(line, "n", 0);
        order(c, (struct command){.phase = PHASE_CONNECT, .n = c->connected});
        do {
                nap(c);
                report_sum(&r, c->shared, c->o.procs);
        } while (r.ready + r.closed < c->connected && now_ns() < deadline);
        stop(c);
        report_sum(&r, c->shared, c->o.procs);
        if (r.ready < c->connected)
                printf("{\"error\":\"only %" PRIu64 " of %u clients are ready, %" PRIu64 " were closed\"}\n", r.ready,
                       c->connected, r.closed);
        else
                printf("{\"ready\":%" PRIu64 ",\"seconds\":%.3f}\n", r.ready, (double)(now_ns() - start) / 1e9);
}

static bool is_over(const struct report *r)
{
        return r->sent_all && (r->delivered + r->doubled >= r->expected || r->closed == r->ready) &&
               r->acked >= r->to_ack;
}

static void do_load(struct control *c, const char *line)
{
        double rate = argument(line, "rate", 0), seconds = argument(line, "seconds", 0);
        uint64_t start = now_ns() + BEGIN_NS, end = start + (uint64_t)(seconds * 1e9),
                 settle = (uint64_t)(argument(line, "settle", 10) * 1e9);
        struct command command = {.phase = PHASE_LOAD, .n = c->connected, .start = start, .run = ++c->run};
        struct report r;

        if (rate <= 0 || rate * seconds < 1 || rate * seconds > 4e9) {
                printf("{\"error\":\"load takes rate=, messages a second, and seconds=\"}\n");
                return;
        }
        command.interval = 1e9 / rate;
        command.total = (uint64_t)(rate * seconds);
        command.warm = start + (uint64_t)(argument(line, "warmup", 0) * 1e9);
        command.senders = (unsigned)argument(line, "senders", c->connected);
        command.edits = (unsigned)(argument(line, "edits", 0) * 1000);
        if (!command.senders || command.senders > c->connected) {
                printf("{\"error\":\"%u senders of %u clients that are connected\"}\n", command.senders, c->connected);
                return;
        }
        order(c, command);
        do {
                nap(c);
                report_sum(&r, c->shared, c->o.procs);
        } while (!is_over(&r) && now_ns() < end + settle);
        stop(c);
        report_sum(&r, c->shared, c->o.procs);
        report_load(&r, &command, c->connected, rate);
}

static void do_resume(struct control *c, const char *line)
{
        unsigned expect = (unsigned)argument(line, "expect", 0);
        uint64_t start = now_ns(), deadline = start + (uint64_t)(argument(line, "timeout", 60) * 1e9);
        struct report r;

        order(c, (struct command){.phase = PHASE_RESUME, .n = c->connected, .start = start, .expect = expect});
        do {
                nap(c);
                report_sum(&r, c->shared, c->o.procs);
        } while (r.filled + r.closed < c->connected && now_ns() < deadline);
        stop(c);
        report_sum(&r, c->shared, c->o.procs);
        report_resume(&r, c->connected, start);
}

static void do_cut(struct control *c, const char *line)
{
        unsigned keep = (unsigned)argument(line, "keep", 0);

        order(c, (struct command){.phase = PHASE_CUT, .n = c->connected, .keep = keep});
        printf("{\"kept\":%u}\n", keep);
}

static void obey(struct control *c, const char *line)
{
        if (strncmp(line, "connect ", 8) == 0)
                do_connect(c, line);
        else if (strncmp(line, "load ", 5) == 0)
                do_load(c, line);
        else if (strncmp(line, "cut", 3) == 0)
                do_cut(c, line);
        else if (strncmp(line, "resume ", 7) == 0)
                do_resume(c, line);
        else
                printf("{\"error\":\"there is no such command\"}\n");
        fflush(stdout);
}

int mode_load(int argc, char **argv)
{
        struct control c = {.o = {.protocol = "",
                                  .procs = 1,
                                  .payload = 128,
                                  .window = 64,
                                  .speaker = {.how = SPEAK_TEXT,
                                              .hello = "",
                                              .join = "",
                                              .send = "{content}",
                                              .ready = "",
                                              .event = "",
                                              .ack = ""}}};
        char *line = NULL;
        size_t cap = 0;

        parse(&c.o, argc, argv);
        c.shared = mmap(NULL, sizeof(*c.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (c.shared == MAP_FAILED)
                die("mmap");
        start_workers(&c);
        while (getline(&line, &cap, stdin) > 0)
                obey(&c, line);
        free(line);
        for (unsigned i = 0; i < c.o.procs; i++)
                close(c.pipes[i]);
        for (unsigned i = 0; i < c.o.procs; i++)
                waitpid(c.pids[i], NULL, 0);
        return 0;
}
