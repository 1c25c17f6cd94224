/* Asks a service for its health, for containers without a shell: parley-probe ADDRESS:PORT PATH
 * Ends with 0 when the answer is 200. Otherwise prints what was answered, or why nothing was, and ends with 1.
 * The address is a number (127.0.0.1 or [::1]): a probe that waits for a name tells nothing about the service. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define TIMEOUT_S 3
#define ANSWER_MAX 4096 /* of /readyz: the reasons, a line each */

union address {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
};

/* text: "127.0.0.1:9081" or "[::1]:9081" */
static int address_parse(const char *text, union address *ret)
{
        const char *colon = strrchr(text, ':');
        char host[INET6_ADDRSTRLEN + 2];
        union address a = {0};
        size_t n = colon ? (size_t)(colon - text) : 0;
        char *end = NULL;
        long port = colon ? strtol(colon + 1, &end, 10) : 0;

        if (n == 0 || n >= sizeof(host) || port < 1 || port > 65535 || *end)
                return -EINVAL;
        memcpy(host, text, n);
        host[n] = 0;
        if (host[0] == '[' && host[n - 1] == ']') {
                host[n - 1] = 0;
                a.v6.sin6_family = AF_INET6;
                a.v6.sin6_port = htons((uint16_t)port);
                if (inet_pton(AF_INET6, host + 1, &a.v6.sin6_addr) != 1)
                        return -EINVAL;
        } else {
                a.v4.sin_family = AF_INET;
                a.v4.sin_port = htons((uint16_t)port);
                if (inet_pton(AF_INET, host, &a.v4.sin_addr) != 1)
                        return -EINVAL;
        }
        *ret = a;
        return 0;
}

static int ask(int fd, const union address *a, const char *path, char *answer)
{
        struct timeval timeout = {.tv_sec = TIMEOUT_S};
        char request[512];
        ssize_t got;
        size_t n = 0;
        int length;

        length = snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\nHost: probe\r\nConnection: close\r\n\r\n",
                          path);
        if (length < 0 || (size_t)length >= sizeof(request))
                return -ENAMETOOLONG;
        if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
            connect(fd, &a->any, a->any.sa_family == AF_INET6 ? sizeof(a->v6) : sizeof(a->v4)) < 0 ||
            send(fd, request, (size_t)length, MSG_NOSIGNAL) != length)
                return -errno;
        while (n < ANSWER_MAX && (got = recv(fd, answer + n, ANSWER_MAX - n, 0)) != 0) {
                if (got < 0)
                        return -errno;
                n += (size_t)got;
        }
        answer[n] = 0;
        return 0;
}

int main(int argc, char **argv)
{
        char answer[ANSWER_MAX + 1];
        union address a;
        int fd, r;

        if (argc != 3 || address_parse(argv[1], &a) < 0 || argv[2][0] != '/') {
                (void)fprintf(stderr, "usage: parley-probe ADDRESS:PORT /PATH\n");
                return 2;
        }
        fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) {
                perror("parley-probe: socket");
                return 1;
        }
        r = ask(fd, &a, argv[2], answer);
        close(fd);
        if (r < 0) {
                (void)fprintf(stderr, "parley-probe: %s: %s\n", argv[1],
                              r == -EAGAIN ? "no answer in time" : strerror(-r));
                return 1;
        }
        if (strncmp(answer, "HTTP/1.", 7) == 0 && strncmp(answer + 8, " 200 ", 5) == 0)
                return 0;
        (void)printf("%s\n", answer);
        return 1;
}
