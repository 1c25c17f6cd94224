/* A bucket: where it is, what its objects are called, and requests for it, signed. Pure.
 *
 *   <prefix>pending/<name>   the one body of an upload, as it came
 *   <prefix>files/<name>     sealed, and published; uploads in parts become one here */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "upload/sigv4.h"
#include "upload/upload_config.h"

#define S3_HOST_MAX 400
#define S3_KEY_MAX 200
#define S3_PREFIX_MAX 100
#define S3_URL_MAX (16u << 10)

struct s3_site {
        struct sigv4_key key; /* borrows from the configuration */
        const char *prefix;
        bool tls, public_tls;
        char host[S3_HOST_MAX + 1];        /* with its port, unless that is the scheme's own; as the service asks */
        char public_host[S3_HOST_MAX + 1]; /* as clients do */
        char path[S3_HOST_MAX + 1];        /* before a key: "/", or "/bucket/" */
};

/* NULL, or what is wrong with an endpoint or a bucket, to be written behind the name of the setting */
const char *s3_endpoint_wrong(const char *endpoint);
const char *s3_bucket_wrong(const char *bucket, bool path_style);
const char *s3_region_wrong(const char *region);
const char *s3_prefix_wrong(const char *prefix);
/* c: checked; outlives ret */
void s3_site_init(struct s3_site *ret, const struct s3_config *c);

enum s3_place { S3_PENDING, S3_FILES };
/* name: at most STORE_NAME_MAX characters */
void s3_key(const struct s3_site *s, enum s3_place place, const char *name, char ret[S3_KEY_MAX + 1]);
/* "/bucket/key" percent-encoded, for x-amz-copy-source; with a NUL. 0, BUF_E_FULL, -ENOMEM */
int s3_copy_source(const struct s3_config *c, const char *key, struct buf *out);

#define S3_PAIRS_MAX 6
struct s3_request {
        const char *method, *key;                                     /* key "": the bucket itself */
        struct sigv4_pair query[S3_PAIRS_MAX], headers[S3_PAIRS_MAX]; /* headers: names in lower case; in any order */
        unsigned n_query, n_headers;
};

/* The address, with a NUL, and "name: value" lines with a NUL each; body is signed with it. 0, BUF_E_FULL, -ENOMEM, -ERANGE, -EINVAL: too
 * many pairs */
int s3_sign(const struct s3_site *s, const struct s3_request *rq, const void *body, size_t n_body, int64_t now_s,
            struct buf *ret_url, struct buf *ret_headers);
/* An address for clients, with a NUL, that is good for this request with these headers. The same errors. */
int s3_presign(const struct s3_site *s, const struct s3_request *rq, int64_t now_s, uint32_t ttl_s,
               struct buf *ret_url);
