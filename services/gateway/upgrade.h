/* The HTTP request that opens a WebSocket: read, checked, and told to the WebSocket library in its plainest form.
 *
 * libwebsockets 4.3 refuses subprotocol lists of more than 127 bytes, which every list with a token in it is; and no token should
 * come near its logs. So it gets a request of ours that says no more than it must know. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* The head of a request, with its last empty line */
#define UPGRADE_HEAD_MAX 16384
#define UPGRADE_TOKEN_MAX 8192

enum upgrade_protocol {
        UPGRADE_NONE, /* none was offered: as plain */
        UPGRADE_PLAIN,
        UPGRADE_JSON,
        UPGRADE_PROTO,
};

struct upgrade {
        enum upgrade_protocol protocol;
        bool deflate;    /* permessage-deflate was asked for, and is offered in a form that can be taken */
        char *token;     /* NULL: none */
        char *forwarded; /* X-Forwarded-For, all joined; NULL: none */
        char *key;       /* Sec-WebSocket-Key */
        /* why not: an HTTP status and a sentence */
        unsigned status;
        const char *problem;
};

/* Bytes of a complete head in data; 0: not complete yet; -1: more than UPGRADE_HEAD_MAX, or not HTTP */
int upgrade_head_length(const char *data, size_t n);
/* head: a complete one. 0; 1: refused, status and problem say why; -ENOMEM. upgrade_done in all cases. */
int upgrade_parse(struct upgrade *ret, const char *head, size_t n, const char *allowed_origins);
void upgrade_done(struct upgrade *u);
/* The request for the library */
int upgrade_write(const struct upgrade *u, struct buf *out);
/* The answer that refuses */
int upgrade_refuse(unsigned status, const char *problem, unsigned retry_s, struct buf *out);
