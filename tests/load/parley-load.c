#include <getopt.h>
#include <signal.h>
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

static int parse(int argc, char **argv, struct load_options *o)
{
        static const struct option options[] = {
                {"mode", 1, NULL, 'm'},     {"host", 1, NULL, 'h'},    {"port", 1, NULL, 'p'},   {"connections", 1, NULL, 'c'},
                {"user", 1, NULL, 'u'},     {"channel", 1, NULL, 'C'}, {"senders", 1, NULL, 's'}, {"rate", 1, NULL, 'r'},
                {"seconds", 1, NULL, 't'},  {"warmup", 1, NULL, 'w'},  {"bytes", 1, NULL, 'b'},  {"sources", 1, NULL, 'S'},
                {"parallel", 1, NULL, 'P'}, {"proto", 0, NULL, 'B'},   {"compress", 0, NULL, 'z'}, {NULL, 0, NULL, 0},
        };
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
                switch (c) {
                case 'm': o->mode = optarg; break;
                case 'h': o->host = optarg; break;
                case 'p': o->port = (uint16_t)atoi(optarg); break;
                case 'c': o->connections = (unsigned)atoi(optarg); break;
                case 'u': o->user = optarg; break;
                case 'C': o->channel = optarg; break;
                case 's': o->senders = (unsigned)atoi(optarg); break;
                case 'r': o->rate = atof(optarg); break;
                case 't': o->seconds = atof(optarg); break;
                case 'w': o->warmup = atof(optarg); break;
                case 'b': o->bytes = (unsigned)atoi(optarg); break;
                case 'S': o->sources = (unsigned)atoi(optarg); break;
                case 'P': o->parallel = (unsigned)atoi(optarg); break;
                case 'B': o->proto = true; break;
                case 'z': o->compress = true; break;
                default: return -1;
                }
        }
        return optind == argc && o->connections && o->senders && o->senders <= o->connections && o->rate > 0 && o->sources &&
                               (strcmp(o->mode, "idle") == 0 || strcmp(o->mode, "fanout") == 0) ?
                       0 :
                       -1;
}

int main(int argc, char **argv)
{
        static struct load load;
        struct rlimit limit;
        int r;

        load.options = (struct load_options){.mode = "fanout", .host = "127.0.0.1", .port = 8081, .connections = 100,
                                             .user = "load", .channel = "general", .senders = 1, .rate = 10, .seconds = 10,
                                             .warmup = 1, .bytes = 128, .sources = 1, .parallel = 64};
        load.options.secret = environment("PARLEY_TOKEN_SECRET", NULL);
        load.options.issuer = environment("PARLEY_TOKEN_ISSUER", NULL);
        load.options.audience = environment("PARLEY_TOKEN_AUDIENCE", NULL);
        if (parse(argc, argv, &load.options) || !load.options.secret) {
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
