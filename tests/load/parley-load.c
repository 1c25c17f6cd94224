#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "load.h"

static const char usage[] =
        "usage: parley-load [options]\n"
        "  --mode idle|fanout     idle: opens the connections and holds them; fanout: one channel, sends and measures\n"
        "  --host A --port N      of the gateway (127.0.0.1, 8081)\n"
        "  --connections N        members that are connected (100); user names are USER-1 to USER-N\n"
        "  --user USER            (load)\n"
        "  --channel ID           (general)\n"
        "  --senders N            of the connections (1)\n"
        "  --rate N               messages a second, all together (10)\n"
        "  --seconds N            (10)   --warmup N  seconds that do not count (1)\n"
        "  --bytes N              of content (128)\n"
        "  --sources N            addresses that the connections come from (1; more than 1: from 127.0.0.2 on)\n"
        "  --parallel N           connections that are being opened at once (64)\n"
        "  --proto  --compress    parley.v1.proto instead of parley.v1.json; hello.compress\n"
        "The secret of tokens is in PARLEY_TOKEN_SECRET; issuer and audience in PARLEY_TOKEN_ISSUER, PARLEY_TOKEN_AUDIENCE.\n"
        "Exit status 0: everything was delivered, every chain is whole, nobody was dropped.\n";

static const char *environment(const char *name, const char *otherwise)
{
        const char *value = getenv(name);

        return value && value[0] ? value : otherwise;
}

/* Each takes a value and puts it where it belongs */
static bool parse_text(struct load_options *o, const char *name, const char *value)
{
        const struct {
                const char *name;
                const char **to;
        } texts[] = {{"mode", &o->mode}, {"host", &o->host}, {"user", &o->user}, {"channel", &o->channel}};

        for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                if (strcmp(texts[i].name, name) == 0) {
                        *texts[i].to = value;
                        return true;
                }
        }
        return false;
}

static bool parse_number(struct load_options *o, const char *name, const char *value)
{
        const struct {
                const char *name;
                unsigned *to;
        } numbers[] = {{"port", &o->port},   {"connections", &o->connections}, {"senders", &o->senders},
                       {"bytes", &o->bytes}, {"sources", &o->sources},         {"parallel", &o->parallel}};
        const struct {
                const char *name;
                double *to;
        } reals[] = {{"rate", &o->rate}, {"seconds", &o->seconds}, {"warmup", &o->warmup}};

        for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
                if (strcmp(numbers[i].name, name) == 0) {
                        *numbers[i].to = (unsigned)strtoul(value, NULL, 10);
                        return true;
                }
        }
        for (unsigned i = 0; i < sizeof(reals) / sizeof(reals[0]); i++) {
                if (strcmp(reals[i].name, name) == 0) {
                        *reals[i].to = strtod(value, NULL);
                        return true;
                }
        }
        return false;
}

static bool parse(int argc, char **argv, struct load_options *o)
{
        for (int i = 1; i < argc; i++) {
                const char *name = argv[i] + 2;

                if (strncmp(argv[i], "--", 2) != 0)
                        return false;
                if (strcmp(name, "proto") == 0)
                        o->proto = true;
                else if (strcmp(name, "compress") == 0)
                        o->compress = true;
                else if (++i == argc || !(parse_text(o, name, argv[i]) || parse_number(o, name, argv[i])))
                        return false;
        }
        return o->connections && o->senders && o->senders <= o->connections && o->rate > 0 && o->sources &&
               o->port < 65536 && (strcmp(o->mode, "idle") == 0 || strcmp(o->mode, "fanout") == 0);
}

int main(int argc, char **argv)
{
        static struct load load;
        struct rlimit limit;
        int r;

        load.options = (struct load_options){.mode = "fanout",
                                             .host = "127.0.0.1",
                                             .port = 8081,
                                             .connections = 100,
                                             .user = "load",
                                             .channel = "general",
                                             .senders = 1,
                                             .rate = 10,
                                             .seconds = 10,
                                             .warmup = 1,
                                             .bytes = 128,
                                             .sources = 1,
                                             .parallel = 64};
        load.options.secret = environment("PARLEY_TOKEN_SECRET", NULL);
        load.options.issuer = environment("PARLEY_TOKEN_ISSUER", NULL);
        load.options.audience = environment("PARLEY_TOKEN_AUDIENCE", NULL);
        if (!parse(argc, argv, &load.options) || !load.options.secret) {
                fputs(usage, stderr);
                return 2;
        }
        signal(SIGPIPE, SIG_IGN);
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                setrlimit(RLIMIT_NOFILE, &limit);
        }
        r = load_run(&load);
        if (r < 0)
                fprintf(stderr, "parley-load: %s %s\n", strerror(-r), load.last_error);
        return r ? 1 : 0;
}
