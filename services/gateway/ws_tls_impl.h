/* The inside of ws_tls.h */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <uv.h>

#include "base/wheel.h"
#include "gateway/ws_tls.h"

/* The largest record of TLS (RFC 8446, 5.1): read with less room, the rest of one would wait where no socket tells of it */
#define TLS_RECORD_MAX 16384

struct tls_link;

/* A file as it was seen last */
struct tls_seen {
        uint64_t inode, size;
        int64_t changed_ns;
};

struct ws_tls {
        SSL_CTX *context;
        uv_loop_t *loop;
        struct core *core;
        struct wheel_timer look;
        struct tls_seen cert, key;
        bool changed; /* seen at the last look */
        int64_t not_after;
        struct tls_link *links;
        uint8_t room[TLS_RECORD_MAX]; /* of whichever is on its way just now */
};

/* ws_tls_link.c */
/* Takes over neither descriptor on error */
int tls_link_new(struct ws_tls *tls, int outer, int inner);
/* After one try to send what is left */
void tls_link_end(struct tls_link *link);
