/* A listening socket. */
#pragma once

#include <stdbool.h>

/* text: "127.0.0.1:80", "[::1]:80"; ":80" and "[::]:80" are every address of both families, the first of IPv4 alone where the kernel has no
 * IPv6. nodelay: for what is accepted, too. ret_port: the one that was taken. -EINVAL: not an address and a port. */
int http_listen(const char *text, int backlog, bool nodelay, int *ret_fd, unsigned *ret_port);
