/* Apart from all else: linux/tcp.h and glibc's netinet/tcp.h, which has less in tcp_info, cannot both be included, and libmicrohttpd includes that. */
#include "http/acked.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

uint64_t acked_bytes(int fd)
{
        struct tcp_info info;
        socklen_t n = sizeof(info);

        memset(&info, 0, sizeof(info)); /* an older kernel fills in less */
        return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) == 0 ? info.tcpi_bytes_acked : 0;
}
