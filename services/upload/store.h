/* Where the bytes are: one interface over a local folder and S3. Clients send bodies to signed addresses; the service itself only asks and
 * tells. All on the loop's thread; every call that takes a handler and returns 0 calls it exactly once, later. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/mac.h"
#include "base/buf.h"

#define STORE_NAME_MAX 40 /* a UUID, and what may stand behind it */
#define STORE_HEADERS_MAX 2
#define STORE_CURSOR_MAX 1024
#define STORE_ID_MAX 256                      /* the store's own id of an upload in parts; S3's have up to about 200 */
#define STORE_SUM_MAX (MAC_HEX_LEN + 1 + 10)  /* "<hex>", or of several parts "<hex>-<n>" */
#define STORE_HEAD_BYTES (UINT64_C(64) << 10) /* what is read to find the type */

struct store;

enum store_error {
        STORE_E_MISSING = 1, /* no such object, or not all of its parts */
        STORE_E_BUSY,        /* a body is still being written: again in a moment */
        STORE_E_UNAVAILABLE, /* cannot be reached, or has no room */
};

/* One object, as it was planned; borrowed for the call */
struct store_object {
        const char *name;     /* ours, of nothing that a user said: an id */
        const char *store_id; /* of store_begin; "" before, and where it gave none */
        const char *content_type;
        uint64_t size, part_size;
        uint32_t n_parts;
};

/* What a client is to send. url and headers are filled in; the body has to be exactly these bytes. */
struct store_put {
        struct buf url; /* with a NUL */
        struct store_header {
                const char *name;
                char value[128];
        } headers[STORE_HEADERS_MAX]; /* besides Content-Length, which every client sends by itself */
        unsigned n_headers;
};

/* What list finds */
struct store_entry {
        char name[STORE_NAME_MAX + 1];
        uint64_t size;      /* 0 where bodies are still missing */
        int64_t modified_s; /* unix; changed last */
};

struct store_result {
        char store_id[STORE_ID_MAX + 1]; /* begin */
        uint32_t *parts;                 /* parts: the numbers of those that are there, ascending; borrowed */
        uint32_t n_parts;
        uint64_t size;               /* seal */
        char sum[STORE_SUM_MAX + 1]; /* seal: see struct above; "" where the size is not the planned one */
        const uint8_t *data;         /* read; borrowed */
        size_t n;
        const struct store_entry *entries; /* list; borrowed */
        size_t n_entries;
        const char *
                next; /* list: where the next page begins, up to STORE_CURSOR_MAX characters; "": this was the last. Borrowed */
};
/* r is NULL when error is not 0: STORE_E_*, negative errno */
typedef void (*store_handler)(int error, const struct store_result *r, void *userdata);

struct store_ops {
        /* Bodies may be sent from now on */
        int (*begin)(struct store *s, const struct store_object *o, store_handler handler, void *userdata);
        /* The address for one body, for this user. sha256: what it has to be, in hex; "": not said. ret is released with store_put_done. */
        int (*sign_put)(struct store *s, const struct store_object *o, uint32_t part, const char *sha256,
                        const char *user_id, int64_t now_s, uint32_t ttl_s, struct store_put *ret);
        int (*parts)(struct store *s, const struct store_object *o, store_handler handler, void *userdata);
        /* Takes the object out of the clients' reach: no address that was given can change it any more. Every part has to be there.
         * Repeating it, also after publish, gives the same answer until forget. */
        int (*seal)(struct store *s, const struct store_object *o, store_handler handler, void *userdata);
        /* The first bytes of a sealed object */
        int (*read)(struct store *s, const struct store_object *o, store_handler handler, void *userdata);
        /* From now on sign_get's addresses find it. Durable when it is answered. */
        int (*publish)(struct store *s, const struct store_object *o, store_handler handler, void *userdata);
        /* Drops what is only needed until the object is published */
        int (*forget)(struct store *s, const struct store_object *o, store_handler handler, void *userdata);
        /* Drops the object, in whatever state. Fine when there is none. */
        int (*remove)(struct store *s, const struct store_object *o, store_handler handler, void *userdata);
        /* The address for reading a published object, for this user, which is answered with this type and Content-Disposition */
        int (*sign_get)(struct store *s, const char *name, const char *content_type, const char *disposition,
                        const char *user_id, int64_t now_s, uint32_t ttl_s, struct buf *ret_url);
        /* A page of what is there, in no order that means anything; cursor: "" for the first. A page may be empty and not the last. What
         * changes meanwhile may be in none or, changed to another state, in both lists. published: what was published, with some stores also
         * what was sealed; else what was begun and not published. */
        int (*list)(struct store *s, bool published, const char *cursor, store_handler handler, void *userdata);
        bool (*ready)(const struct store *s);
        void (*close)(struct store *s, void (*done)(void *userdata), void *userdata);
};

struct store {
        const struct store_ops *ops;
};

static inline void store_put_done(struct store_put *p)
{
        buf_done(&p->url);
}
