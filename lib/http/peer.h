/* Whose request it is, behind proxies. Pure.
 *
 * X-Forwarded-For is believed as far as the hops are trusted: from the right, until an address that is not. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define HTTP_PEER_MAX 46 /* INET6_ADDRSTRLEN */

struct http_trusted;

/* list: addresses and CIDRs, separated by commas or spaces; NULL: none. Loopback is always trusted.
 * -EINVAL: not such a list. */
int http_trusted_new(struct http_trusted **ret_trusted, const char *list);
void http_trusted_free(struct http_trusted *trusted);
/* address: numeric text */
bool http_trusted_has(const struct http_trusted *trusted, const char *address);

/* "?" where it is not an internet address. An IPv4 address inside of IPv6 is written as IPv4. */
void http_peer_format(const struct sockaddr *sa, char ret[HTTP_PEER_MAX]);
/* What somebody with this address (numeric text; anything else stays as it is) is counted as: with IPv6 the /64, as whoever has one address of it has
 * all; an IPv4 address inside of IPv6 (::ffff:0:0/96, 64:ff9b::/96) by itself. */
void http_peer_counted_as(const char *address, char ret[HTTP_PEER_MAX]);
/* forwarded: all values of X-Forwarded-For joined by commas, or NULL */
void http_peer_resolve(const struct http_trusted *trusted, const char *peer, const char *forwarded,
                       char ret[HTTP_PEER_MAX]);
