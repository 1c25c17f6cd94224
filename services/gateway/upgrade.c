#include "gateway/upgrade.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/upgrade_text.h"

#define BEARER "parley.bearer."
#define KEY_LEN 24 /* 16 bytes in base64 (RFC 6455, 4.1) */

static const char *const protocol_names[] = {
        [UPGRADE_NONE] = "",
        [UPGRADE_PLAIN] = "parley.v1.plain",
        [UPGRADE_JSON] = "parley.v1.json",
        [UPGRADE_PROTO] = "parley.v1.proto",
};

/* What was found in the head */
struct head {
        struct text target, host, origin, version, key;
        struct text upgrade, connection;
        char *protocols, *extensions, *forwarded; /* several lines of one name are joined by commas */
};

static int refuse(struct upgrade *u, unsigned status, const char *problem)
{
        u->status = status;
        u->problem = problem;
        return 1;
}

int upgrade_head_length(const char *data, size_t n)
{
        const char *end = memmem(data, n, "\r\n\r\n", 4);

        if (end && (size_t)(end - data) + 4 <= UPGRADE_HEAD_MAX)
                return (int)(end - data) + 4;
        if (end || n >= UPGRADE_HEAD_MAX || memchr(data, 0, n))
                return -1;
        return 0;
}

static int join(char **to, struct text value)
{
        size_t old = *to ? strlen(*to) + 1 : 0;
        char *joined = realloc(*to, old + value.n + 1);

        if (!joined)
                return -ENOMEM;
        if (old)
                joined[old - 1] = ',';
        memcpy(joined + old, value.p, value.n);
        joined[old + value.n] = 0;
        *to = joined;
        return 0;
}

static int head_field(struct head *h, struct text name, struct text value)
{
        if (text_is(name, "host"))
                h->host = value;
        else if (text_is(name, "origin"))
                h->origin = value;
        else if (text_is(name, "upgrade"))
                h->upgrade = value;
        else if (text_is(name, "connection"))
                h->connection = value;
        else if (text_is(name, "sec-websocket-version"))
                h->version = value;
        else if (text_is(name, "sec-websocket-key"))
                h->key = value;
        else if (text_is(name, "sec-websocket-protocol"))
                return join(&h->protocols, value);
        else if (text_is(name, "sec-websocket-extensions"))
                return join(&h->extensions, value);
        else if (text_is(name, "x-forwarded-for"))
                return join(&h->forwarded, value);
        return 0;
}

static int head_fields(struct upgrade *u, struct head *h, struct text rest)
{
        struct text line;

        while (text_line(&rest, &line) && line.n) {
                const char *colon = memchr(line.p, ':', line.n);
                int r;

                if (!colon || colon == line.p || isspace((unsigned char)line.p[0]) || !text_printable(line))
                        return refuse(u, 400, "a header line cannot be read");
                r = head_field(h, (struct text){line.p, (size_t)(colon - line.p)},
                               text_trim((struct text){colon + 1, line.n - (size_t)(colon - line.p) - 1}));
                if (r)
                        return r;
        }
        return 0;
}

static int head_request_line(struct upgrade *u, struct head *h, struct text line)
{
        struct text method = text_word(&line), target = text_word(&line), version = text_word(&line);

        if (!text_equals(method, "GET"))
                return refuse(u, 405, "only GET opens a WebSocket");
        if (!text_equals(version, "HTTP/1.1") || !target.n || target.p[0] != '/' || !text_printable(target))
                return refuse(u, 400, "the request line cannot be read");
        h->target = target;
        return 0;
}

/* --- what it says --- */

static int take_query(struct upgrade *u, const struct head *h, bool *ret_compress)
{
        struct text query = h->target, path, pair;

        path = text_until(&query, '?');
        if (!text_equals(path, "/ws") && !text_equals(path, "/"))
                return refuse(u, 404, "the WebSocket is at /ws");
        while (query.n) {
                struct text name;

                pair = text_until(&query, '&');
                name = text_until(&pair, '=');
                if (text_equals(name, "compress"))
                        *ret_compress = text_equals(pair, "permessage-deflate");
                if (!text_equals(name, "token") || !pair.n)
                        continue;
                free(u->token);
                u->token = text_percent_decode(pair);
                if (!u->token)
                        return refuse(u, 400, "the token of the address cannot be read");
        }
        return 0;
}

static int take_protocols(struct upgrade *u, const struct head *h)
{
        struct text list = {h->protocols, h->protocols ? strlen(h->protocols) : 0};
        size_t n_bearer = strlen(BEARER);

        while (list.n) {
                struct text item = text_trim(text_until(&list, ','));

                if (item.n > n_bearer && memcmp(item.p, BEARER, n_bearer) == 0) {
                        free(u->token);
                        u->token = strndup(item.p + n_bearer, item.n - n_bearer);
                        if (!u->token)
                                return -ENOMEM;
                }
                for (int i = UPGRADE_PLAIN; i <= UPGRADE_PROTO && u->protocol == UPGRADE_NONE; i++)
                        if (text_equals(item, protocol_names[i]))
                                u->protocol = (enum upgrade_protocol)i;
        }
        if (h->protocols && h->protocols[0] && u->protocol == UPGRADE_NONE)
                return refuse(
                        u, 400,
                        "none of the offered subprotocols is known: parley.v1.plain, parley.v1.json, parley.v1.proto");
        return 0;
}

/* Only an offer that leaves the window of the server alone can be answered without reading its parameters */
static bool offers_deflate(const struct head *h)
{
        struct text list = {h->extensions, h->extensions ? strlen(h->extensions) : 0};

        while (list.n) {
                struct text item = text_trim(text_until(&list, ',')), all = item;

                if (text_equals(text_trim(text_until(&item, ';')), "permessage-deflate") &&
                    !memmem(all.p, all.n, "server_max_window_bits", 22))
                        return true;
        }
        return false;
}

static bool origin_allowed(struct text origin, const char *allowed)
{
        struct text list = {allowed, strlen(allowed)};

        if (!origin.n)
                return true; /* no page of a browser */
        while (list.n) {
                struct text item = text_trim(text_until(&list, ','));

                if (text_equals(item, "*") || (item.n == origin.n && strncasecmp(item.p, origin.p, item.n) == 0))
                        return true;
        }
        return false;
}

static int check_websocket(struct upgrade *u, const struct head *h)
{
        if (!text_is(h->upgrade, "websocket") || !text_has_token(h->connection, "upgrade"))
                return refuse(u, 426, "this is a WebSocket: the request must be an upgrade");
        if (!text_equals(h->version, "13"))
                return refuse(u, 426, "Sec-WebSocket-Version: 13");
        if (h->key.n != KEY_LEN || !h->host.n)
                return refuse(u, 400, "Sec-WebSocket-Key or Host is missing");
        return 0;
}

static int upgrade_take(struct upgrade *u, struct head *h, const char *allowed_origins)
{
        bool compress = false;
        int r = take_query(u, h, &compress);

        if (r == 0)
                r = check_websocket(u, h);
        if (r == 0 && !origin_allowed(h->origin, allowed_origins))
                r = refuse(u, 403, "pages of this origin may not connect");
        if (r == 0)
                r = take_protocols(u, h);
        if (r)
                return r;
        if (u->token && strlen(u->token) > UPGRADE_TOKEN_MAX)
                return refuse(u, 400, "the token is too long");
        u->deflate = compress && offers_deflate(h);
        u->key = strndup(h->key.p, h->key.n);
        if (!u->key)
                return -ENOMEM;
        u->forwarded = h->forwarded;
        h->forwarded = NULL;
        return 0;
}

int upgrade_parse(struct upgrade *ret, const char *head, size_t n, const char *allowed_origins)
{
        struct text rest = {head, n}, line;
        struct head h = {0};
        int r;

        *ret = (struct upgrade){0};
        if (!text_line(&rest, &line))
                return refuse(ret, 400, "not HTTP");
        r = head_request_line(ret, &h, line);
        if (r == 0)
                r = head_fields(ret, &h, rest);
        if (r == 0)
                r = upgrade_take(ret, &h, allowed_origins);
        free(h.protocols);
        free(h.extensions);
        free(h.forwarded);
        return r;
}

void upgrade_done(struct upgrade *u)
{
        free(u->token);
        free(u->forwarded);
        free(u->key);
        *u = (struct upgrade){0};
}

int upgrade_write(const struct upgrade *u, struct buf *out)
{
        char line[128];
        int r = buf_append_str(out, "GET /ws HTTP/1.1\r\nHost: parley\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ");

        if (r == 0)
                r = buf_append_str(out, u->key);
        if (r == 0 && u->protocol != UPGRADE_NONE) {
                snprintf(line, sizeof(line), "\r\nSec-WebSocket-Protocol: %s", protocol_names[u->protocol]);
                r = buf_append_str(out, line);
        }
        if (r == 0 && u->deflate)
                r = buf_append_str(out, "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
                                        "client_no_context_takeover");
        if (r == 0)
                r = buf_append_str(out, "\r\n\r\n");
        return r;
}

static const char *status_title(unsigned status)
{
        switch (status) {
        case 400:
                return "Bad Request";
        case 403:
                return "Forbidden";
        case 404:
                return "Not Found";
        case 405:
                return "Method Not Allowed";
        case 426:
                return "Upgrade Required";
        case 429:
                return "Too Many Requests";
        case 431:
                return "Request Header Fields Too Large";
        default:
                return "Service Unavailable";
        }
}

int upgrade_refuse(unsigned status, const char *problem, unsigned retry_s, struct buf *out)
{
        char text[1024], retry[48] = "";
        size_t n = strlen(problem) + 1;

        if (retry_s)
                snprintf(retry, sizeof(retry), "Retry-After: %u\r\n", retry_s);
        snprintf(
                text, sizeof(text),
                "HTTP/1.1 %u %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\nConnection: close\r\n"
                "%s%s\r\n%s\n",
                status, status_title(status), n,
                status == 426   ? "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                : status == 405 ? "Allow: GET\r\n"
                                : "",
                retry, problem);
        return buf_append_str(out, text);
}
