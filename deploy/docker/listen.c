#include "listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool edge_has_ipv6(void)
{
        struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
        int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool has = fd >= 0 && bind(fd, (const struct sockaddr *)(const void *)&any, sizeof(any)) == 0;

        if (!has)
                (void)fprintf(stderr, "parley-edge: no IPv6 (%s): listening on IPv4 alone\n", strerror(errno));
        if (fd >= 0)
                close(fd);
        return has;
}

int edge_listen(const char *setting, bool has_ipv6, char *ret, size_t n)
{
        int length;

        /* A socket for each family: by one for both IPv4 clients would come as ::ffff:…, to the limits and in the log */
        if (setting[0] != ':')
                length = snprintf(ret, n, "%s", setting);
        else if (has_ipv6)
                length = snprintf(ret, n, "0.0.0.0%s [::]%s", setting, setting);
        else
                length = snprintf(ret, n, "0.0.0.0%s", setting);
        return length < 0 || (size_t)length >= n ? -ENAMETOOLONG : 0;
}
