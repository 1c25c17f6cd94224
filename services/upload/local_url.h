/* The addresses of the local store: who has one may send one body, or read one object, until a time. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define LOCAL_URL_PATH "/api/files/store/"
#define LOCAL_URL_OWNER_LEN 16

struct local_put {
        const char *name;
        uint32_t part;
        uint64_t size, offset; /* of the body; where it goes in the object */
        const char *sha256;    /* "": any */
        const char *content_type;
        const char *owner; /* for whom it was signed: local_url_owner */
        int64_t expires_at_s;
};

struct local_get {
        const char *name, *content_type, *disposition, *owner;
        int64_t expires_at_s;
};

/* What stands in an address for a user: known without asking anybody, and says nothing of him to who sees the address. 0 or -ENOMEM */
int local_url_owner(const char *secret, const char *user_id, char ret[LOCAL_URL_OWNER_LEN + 1]);

/* Appends prefix, path, query and a NUL. 0, BUF_E_FULL, -ENOMEM */
int local_url_put(const char *secret, const char *prefix, const struct local_put *put, struct buf *out);
int local_url_get(const char *secret, const char *prefix, const struct local_get *get, struct buf *out);
/* Whether the signature (hex, or NULL) is of exactly this, and its time has not come */
bool local_url_put_valid(const char *secret, const struct local_put *put, const char *signature, int64_t now_s);
bool local_url_get_valid(const char *secret, const struct local_get *get, const char *signature, int64_t now_s);
/* The same, percent-encoded but for RFC 3986's unreserved characters. 0, BUF_E_FULL, -ENOMEM */
int local_url_escape(struct buf *out, const char *text);
