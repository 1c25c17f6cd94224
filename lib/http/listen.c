#include "http/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "http/peer.h"

union address {
        struct sockaddr sa;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
};

/* host: "" is every address, of both families */
static int address_fill(union address *a, const char *host, uint16_t port)
{
        memset(a, 0, sizeof(*a));
        if (!*host || strchr(host, ':')) {
                a->v6.sin6_family = AF_INET6;
                a->v6.sin6_port = htons(port);
                a->v6.sin6_addr = in6addr_any;
                return !*host || inet_pton(AF_INET6, host, &a->v6.sin6_addr) == 1 ? 0 : -EINVAL;
        }
        a->v4.sin_family = AF_INET;
        a->v4.sin_port = htons(port);
        return inet_pton(AF_INET, host, &a->v4.sin_addr) == 1 ? 0 : -EINVAL;
}

static int address_parse(const char *text, union address *ret, bool *ret_any)
{
        const char *colon = strrchr(text, ':');
        char host[HTTP_PEER_MAX];
        uint64_t port;
        size_t n;

        if (!colon || text_parse_u64(colon + 1, 0, 65535, &port) < 0)
                return -EINVAL;
        n = (size_t)(colon - text);
        if (n >= 2 && text[0] == '[' && colon[-1] == ']') {
                text++;
                n -= 2;
                if (n == 0)
                        return -EINVAL;
        } else if (memchr(text, ':', n)) {
                return -EINVAL; /* IPv6 without brackets: where does the port begin? */
        }
        if (n >= sizeof(host))
                return -EINVAL;
        memcpy(host, text, n);
        host[n] = 0;
        *ret_any = n == 0;
        return address_fill(ret, host, (uint16_t)port);
}

/* What the machine's default is (bindv6only) does not count: whoever names every address means it */
static int family_set(int fd, const union address *a)
{
        int only = !IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr);

        return a->sa.sa_family == AF_INET6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only)) : 0;
}

static int socket_open(const union address *a, int backlog, bool nodelay, int *ret_fd)
{
        int fd, on = 1, r;

        fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
            (nodelay && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0) || family_set(fd, a) < 0 ||
            bind(fd, &a->sa, a->sa.sa_family == AF_INET6 ? sizeof(a->v6) : sizeof(a->v4)) < 0 ||
            listen(fd, backlog) < 0) {
                r = -errno;
                close(fd);
                return r;
        }
        *ret_fd = fd;
        return 0;
}

int http_listen(const char *text, int backlog, bool nodelay, int *ret_fd, unsigned *ret_port)
{
        union address a;
        socklen_t n = sizeof(a);
        uint16_t port;
        bool any;
        int fd = -1, r;

        r = address_parse(text, &a, &any);
        if (r < 0)
                return r;
        port = a.sa.sa_family == AF_INET6 ? ntohs(a.v6.sin6_port) : ntohs(a.v4.sin_port);
        r = socket_open(&a, backlog, nodelay, &fd);
        if (any && (r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL)) { /* a kernel without IPv6 */
                address_fill(&a, "0.0.0.0", port);
                r = socket_open(&a, backlog, nodelay, &fd);
        }
        if (r < 0)
                return r;
        if (getsockname(fd, &a.sa, &n) < 0) {
                r = -errno;
                close(fd);
                return r;
        }
        *ret_fd = fd;
        *ret_port = a.sa.sa_family == AF_INET6 ? ntohs(a.v6.sin6_port) : ntohs(a.v4.sin_port);
        return 0;
}
