#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "load.h"

void die(const char *what)
{
        fprintf(stderr, "parley-bench: %s: %s\n", what, strerror(errno));
        exit(2);
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
        int (*func)(int argc, char **argv);
} modes[] = {
        {"load", mode_load},
        {"server", mode_server},
        {"serial-ack", mode_serial_ack},
        {"async-ack", mode_async_ack},
};

static const char help[] =
        "usage: parley-bench load --url=ws://ADDRESS:PORT/PATH --plan=FILE [OPTION=VALUE…]\n"
        "       parley-bench server PORT                      a bare WebSocket server: the raw limit of connections\n"
        "       parley-bench serial-ack NATS-PORT PREFIX SUBJECTS BYTES RATE SECONDS      JetStream, one after the other\n"
        "       parley-bench async-ack NATS-PORT PREFIX SUBJECTS BYTES WINDOW SECONDS     JetStream, a window of publishes\n"
        "\n"
        "load connects the clients of the plan (lines \"USER TOKEN ROOM,ROOM,…\") and obeys commands on standard input, each answered by one line\n"
        "of JSON:\n"
        "  connect n=N                      until the first N clients are ready\n"
        "  load rate=R seconds=S [warmup=S] [senders=N] [edits=0..1] [settle=S]    open loop; latency counts from when a message was meant to be sent\n"
        "  cut [keep=N]                     closes all connections at once, or all but those of the first N clients\n"
        "  resume expect=N [timeout=S]      reconnects all at once, until each client has N missed events in each of its rooms\n"
        "\n"
        "  --speak=json|proto|text   Parley's subprotocols, with chains verified, or texts from templates (text)\n"
        "  --protocol=NAME           Sec-WebSocket-Protocol\n"
        "  --procs=N                 processes, 1 to 16 (1)\n"
        "  --payload=BYTES           of each message, 32 to 16384 (128)\n"
        "  --window=N                connections that are opened at a time (64)\n"
        "  --watch=N                 json: each client watches N of the hundred that it is in, as one deals the plan out in turn (none)\n"
        "  --audience=room|others|self   who gets a message: all in the room, all but the sender, or the sender (room)\n"
        "  --hello=T --join=T --send=T   text: what is said once, once a room, and for each message (nothing, nothing, {content})\n"
        "  --ready=MARK              text: what an answer contains that lets a client go on: expected once for hello and once for each join\n"
        "  --event=MARK              text: what every delivered message contains (nothing)\n"
        "  --ack=MARK                text: what stands before the ref in the answer to a message (there are no such answers)\n"
        "Templates, and the path of the URL, may have {user} {token} {room} {content} {id} {n} {ref}.\n";

int main(int argc, char **argv)
{
        struct rlimit files;

        if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
                files.rlim_cur = files.rlim_max;
                setrlimit(RLIMIT_NOFILE, &files);
        }
        for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(*modes); i++)
                if (strcmp(argv[1], modes[i].name) == 0)
                        return modes[i].func(argc - 1, argv + 1);
        fputs(help, argc > 1 && strcmp(argv[1], "--help") == 0 ? stdout : stderr);
        return argc > 1 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
}
