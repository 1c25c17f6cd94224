#include "http/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define TRUSTED_MAX 64

/* Addresses are kept as IPv6, IPv4 ones mapped (::ffff:a.b.c.d): one comparison serves both. */
struct net {
        struct in6_addr address;
        unsigned bits;
};

struct http_trusted {
        unsigned n_nets;
        struct net nets[TRUSTED_MAX];
};

DEFINE_FREEP(struct http_trusted, http_trusted_free)

static int address_parse(const char *s, struct in6_addr *ret, bool *ret_is_v4)
{
        struct in_addr v4;

        *ret_is_v4 = inet_pton(AF_INET, s, &v4) == 1;
        if (*ret_is_v4) {
                *ret = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
                memcpy(&ret->s6_addr[12], &v4, 4);
                return 0;
        }
        return inet_pton(AF_INET6, s, ret) == 1 ? 0 : -EINVAL;
}

static void address_format(const struct in6_addr *a, char ret[HTTP_PEER_MAX])
{
        if (IN6_IS_ADDR_V4MAPPED(a))
                inet_ntop(AF_INET, &a->s6_addr[12], ret, HTTP_PEER_MAX);
        else
                inet_ntop(AF_INET6, a, ret, HTTP_PEER_MAX);
}

static int net_parse(struct net *net, char *s)
{
        char *slash = strchr(s, '/');
        uint64_t bits;
        bool is_v4;

        if (slash)
                *slash++ = 0;
        if (address_parse(s, &net->address, &is_v4) < 0)
                return -EINVAL;
        bits = is_v4 ? 32 : 128;
        if (slash && text_parse_u64(slash, 0, bits, &bits) < 0)
                return -EINVAL;
        net->bits = (unsigned)bits + (is_v4 ? 96 : 0);
        return 0;
}

static bool net_has(const struct net *net, const struct in6_addr *a)
{
        unsigned bytes = net->bits / 8, rest = net->bits % 8;

        if (memcmp(net->address.s6_addr, a->s6_addr, bytes) != 0)
                return false;
        return rest == 0 || ((net->address.s6_addr[bytes] ^ a->s6_addr[bytes]) >> (8 - rest)) == 0;
}

static int trusted_add(struct http_trusted *trusted, char *list)
{
        char *save = NULL;

        for (char *s = strtok_r(list, ", \t", &save); s; s = strtok_r(NULL, ", \t", &save)) {
                if (trusted->n_nets == TRUSTED_MAX || net_parse(&trusted->nets[trusted->n_nets], s) < 0)
                        return -EINVAL;
                trusted->n_nets++;
        }
        return 0;
}

int http_trusted_new(struct http_trusted **ret_trusted, const char *list)
{
        _cleanup_(http_trusted_freep) struct http_trusted *trusted = NULL;
        _cleanup_free_ char *copy = NULL;
        char loopback[] = "127.0.0.0/8, ::1";
        int r;

        trusted = calloc(1, sizeof(*trusted));
        copy = strdup(list ? list : "");
        if (!trusted || !copy)
                return -ENOMEM;
        r = trusted_add(trusted, loopback);
        if (r == 0)
                r = trusted_add(trusted, copy);
        if (r < 0)
                return r;
        *ret_trusted = trusted;
        trusted = NULL;
        return 0;
}

void http_trusted_free(struct http_trusted *trusted)
{
        free(trusted);
}

static bool trusted_has(const struct http_trusted *trusted, const struct in6_addr *a)
{
        for (unsigned i = 0; i < trusted->n_nets; i++)
                if (net_has(&trusted->nets[i], a))
                        return true;
        return false;
}

bool http_trusted_has(const struct http_trusted *trusted, const char *address)
{
        struct in6_addr a;
        bool is_v4;

        return address_parse(address, &a, &is_v4) == 0 && trusted_has(trusted, &a);
}

void http_peer_format(const struct sockaddr *sa, char ret[HTTP_PEER_MAX])
{
        if (sa && sa->sa_family == AF_INET)
                inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, ret, HTTP_PEER_MAX);
        else if (sa && sa->sa_family == AF_INET6)
                address_format(&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, ret);
        else
                snprintf(ret, HTTP_PEER_MAX, "?");
}

void http_peer_counted_as(const char *address, char ret[HTTP_PEER_MAX])
{
        static const struct in6_addr translated = {.s6_addr = {0x00, 0x64, 0xff, 0x9b}};
        struct in6_addr a;
        bool is_v4;

        snprintf(ret, HTTP_PEER_MAX, "%s", address);
        if (address_parse(address, &a, &is_v4) < 0 || is_v4)
                return;
        if (IN6_IS_ADDR_V4MAPPED(&a) || memcmp(a.s6_addr, translated.s6_addr, 12) == 0) {
                address_format(&a, ret);
                return;
        }
        memset(&a.s6_addr[8], 0, 8);
        inet_ntop(AF_INET6, &a, ret, HTTP_PEER_MAX);
        memcpy(ret + strlen(ret), "/64", sizeof("/64"));
}

/* The element that ends before `end`, trimmed, into ret; -EINVAL when it is not an address */
static int last_element(const char *list, const char *end, const char **ret_begin, struct in6_addr *ret)
{
        char text[HTTP_PEER_MAX];
        const char *begin = end, *s;
        bool is_v4;

        while (begin > list && begin[-1] != ',')
                begin--;
        *ret_begin = begin;
        for (s = begin; s < end && (*s == ' ' || *s == '\t'); s++)
                ;
        while (end > s && (end[-1] == ' ' || end[-1] == '\t'))
                end--;
        if (end == s || (size_t)(end - s) >= sizeof(text))
                return -EINVAL;
        memcpy(text, s, (size_t)(end - s));
        text[end - s] = 0;
        return address_parse(text, ret, &is_v4);
}

void http_peer_resolve(const struct http_trusted *trusted, const char *peer, const char *forwarded,
                       char ret[HTTP_PEER_MAX])
{
        const char *end, *begin;
        struct in6_addr a;

        snprintf(ret, HTTP_PEER_MAX, "%s", peer);
        if (!forwarded || !http_trusted_has(trusted, peer))
                return;
        for (end = forwarded + strlen(forwarded);; end = begin - 1) {
                /* What a trusted hop could not name is not guessed: the nearest known address stays. */
                if (last_element(forwarded, end, &begin, &a) < 0)
                        return;
                address_format(&a, ret);
                if (begin == forwarded || !trusted_has(trusted, &a))
                        return;
        }
}
