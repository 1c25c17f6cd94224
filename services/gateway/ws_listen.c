#include "gateway/ws_listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096

/* "[::1]:80", "127.0.0.1:80", ":80" */
static int split(const char *text, char *host, size_t n_host, char *port, size_t n_port)
{
        const char *colon = strrchr(text, ':');
        size_t n = colon ? (size_t)(colon - text) : 0;

        if (!colon || !colon[1] || strlen(colon + 1) >= n_port)
                return -EINVAL;
        if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
                text++;
                n -= 2;
        }
        if (n >= n_host)
                return -EINVAL;
        memcpy(host, text, n);
        host[n] = 0;
        memcpy(port, colon + 1, strlen(colon + 1) + 1);
        return 0;
}

static int open_socket(const struct addrinfo *ai, int *ret_fd)
{
        int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, r;

        if (fd < 0)
                return -errno;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        /* Inherited by every accepted socket. An event often follows an ack: with Nagle's algorithm it would wait for the client's
         * delayed TCP acknowledgement, 40 ms. */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) {
                *ret_fd = fd;
                return 0;
        }
        r = -errno;
        close(fd);
        return r;
}

int door_socket(const char *setting, const char *listen, int *ret_fd, char *ret_error, size_t n_error)
{
        struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
                                 .ai_family = AF_UNSPEC,
                                 .ai_socktype = SOCK_STREAM},
                        *list = NULL;
        char host[64], port[8];
        int r = split(listen, host, sizeof(host), port, sizeof(port));

        if (r || getaddrinfo(host[0] ? host : NULL, port, &hints, &list) || !list) {
                snprintf(ret_error, n_error, "%s=%s: expected address:port", setting, listen);
                return -EINVAL;
        }
        r = open_socket(list, ret_fd);
        freeaddrinfo(list);
        if (r)
                snprintf(ret_error, n_error, "%s=%s: cannot listen there: %s", setting, listen, strerror(-r));
        return r;
}
