/* Where the edge listens. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Whether the kernel has it; otherwise says so, and why, on stderr */
bool edge_has_ipv6(void);
/* setting: PARLEY_EDGE_LISTEN. ":8080" is every address: of IPv4, and of IPv6 where that is there. Anything else stays as it is.
 * ret: words for the template's list. -ENAMETOOLONG: it does not fit. */
int edge_listen(const char *setting, bool has_ipv6, char *ret, size_t n);
