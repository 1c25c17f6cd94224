#include "upload/s3_site.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- where it is --- */

/* host[:port]; *ret_tls; NULL when it is not http or https */
static const char *authority(const char *endpoint, bool *ret_tls)
{
        *ret_tls = strncmp(endpoint, "https://", 8) == 0;
        if (*ret_tls)
                return endpoint + 8;
        return strncmp(endpoint, "http://", 7) == 0 ? endpoint + 7 : NULL;
}

const char *s3_endpoint_wrong(const char *endpoint)
{
        bool tls;
        const char *host = authority(endpoint, &tls);

        if (!host || !*host)
                return "must be http://host or https://host, with a port where it is not the scheme's own";
        if (strlen(host) > S3_HOST_MAX - 100)
                return "is too long";
        if (host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]")])
                return "must end with the host or the port: no path, no slash, no user";
        return NULL;
}

const char *s3_bucket_wrong(const char *bucket, bool path_style)
{
        size_t n = strlen(bucket);

        if (n < 3 || n > 63 || bucket[strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-")])
                return "must be the name of a bucket: 3 to 63 of a-z, 0-9, dots and dashes";
        if (!path_style && strchr(bucket, '.'))
                return "has a dot, which certificates do not cover: set PARLEY_S3_PATH_STYLE";
        return NULL;
}

const char *s3_region_wrong(const char *region)
{
        size_t n = strlen(region);

        return n < 1 || n > 60 || region[strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-")]
                       ? "must be 1 to 60 of a-z, 0-9 and dashes"
                       : NULL;
}

/* Segments that are empty or dots would be another path to whoever tidies it up, and another signature */
const char *s3_prefix_wrong(const char *prefix)
{
        size_t n = strlen(prefix), segment;

        if (n == 0)
                return NULL;
        if (n > S3_PREFIX_MAX || prefix[n - 1] != '/' ||
            prefix[strspn(prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/")])
                return "must be at most 100 of A-Z, a-z, 0-9, dots, dashes, underscores and slashes, and end with a slash";
        for (const char *s = prefix; *s; s += segment + 1) {
                segment = strcspn(s, "/");
                if (strspn(s, ".") >= segment) /* also where there is nothing */
                        return "must have no segment that is empty, or dots alone";
        }
        return NULL;
}

static void set_host(char ret[S3_HOST_MAX + 1], bool *ret_tls, const char *endpoint, const struct s3_config *c)
{
        const char *host = authority(endpoint, ret_tls), *usual = *ret_tls ? ":443" : ":80";
        size_t n = strlen(host), n_usual = strlen(usual);

        if (n > n_usual && strcmp(host + n - n_usual, usual) == 0)
                n -= n_usual; /* clients leave it out of Host, which is signed */
        (void)snprintf(ret, S3_HOST_MAX + 1, "%s%s%.*s", c->path_style ? "" : c->bucket, c->path_style ? "" : ".",
                       (int)n, host);
}

void s3_site_init(struct s3_site *ret, const struct s3_config *c)
{
        *ret = (struct s3_site){.key = {.access_key_id = c->access_key_id,
                                        .secret = c->secret_access_key,
                                        .token = c->session_token,
                                        .region = c->region,
                                        .service = "s3"},
                                .prefix = c->prefix};
        set_host(ret->host, &ret->tls, c->endpoint, c);
        set_host(ret->public_host, &ret->public_tls, *c->public_endpoint ? c->public_endpoint : c->endpoint, c);
        (void)snprintf(ret->path, sizeof(ret->path), "/%s%s", c->path_style ? c->bucket : "", c->path_style ? "/" : "");
}

void s3_key(const struct s3_site *s, enum s3_place place, const char *name, char ret[S3_KEY_MAX + 1])
{
        (void)snprintf(ret, S3_KEY_MAX + 1, "%s%s/%s", s->prefix, place == S3_FILES ? "files" : "pending", name);
}

int s3_copy_source(const struct s3_config *c, const char *key, struct buf *out)
{
        int r = buf_append_str(out, "/");

        if (r == 0)
                r = sigv4_escape(out, c->bucket, 0);
        if (r == 0)
                r = buf_append_str(out, "/");
        if (r == 0)
                r = sigv4_escape(out, key, 1);
        return r == 0 ? buf_append(out, "", 1) : r;
}

/* --- requests --- */

struct full {
        struct sigv4_request rq;
        struct buf path; /* with a NUL */
        struct sigv4_pair headers[S3_PAIRS_MAX + 4];
};

static int by_name(const void *a, const void *b)
{
        return strcmp(((const struct sigv4_pair *)a)->name, ((const struct sigv4_pair *)b)->name);
}

static int full_init(struct full *f, const struct s3_site *s, const struct s3_request *rq,
                     const struct sigv4_pair *more, unsigned n_more)
{
        int r;

        f->path = BUF_INIT(S3_URL_MAX);
        if (rq->n_query > S3_PAIRS_MAX || rq->n_headers > S3_PAIRS_MAX)
                return -EINVAL;
        memcpy(f->headers, rq->headers, rq->n_headers * sizeof(*more));
        memcpy(f->headers + rq->n_headers, more, n_more * sizeof(*more));
        f->rq = (struct sigv4_request){.method = rq->method,
                                       .query = rq->query,
                                       .n_query = rq->n_query,
                                       .headers = f->headers,
                                       .n_headers = rq->n_headers + n_more};
        qsort(f->headers, f->rq.n_headers, sizeof(*more), by_name);
        r = sigv4_escape(&f->path, s->path, 1);
        if (r == 0)
                r = sigv4_escape(&f->path, rq->key, 1);
        if (r == 0)
                r = buf_append(&f->path, "", 1);
        f->rq.path = (const char *)f->path.data;
        return r;
}

static int line(struct buf *out, const char *name, const char *value)
{
        int r = buf_append_str(out, name);

        if (r == 0)
                r = buf_append_str(out, ": ");
        if (r == 0)
                r = buf_append_str(out, value);
        return r == 0 ? buf_append(out, "", 1) : r;
}

static int write_headers(const struct s3_site *s, const struct full *f, const char *date, struct buf *out)
{
        struct buf value = BUF_INIT(S3_URL_MAX);
        int r = sigv4_authorize(&s->key, &f->rq, date, &value);

        if (r == 0)
                r = buf_append(&value, "", 1);
        if (r == 0)
                r = line(out, "authorization", (const char *)value.data);
        for (unsigned i = 0; r == 0 && i < f->rq.n_headers; i++)
                r = line(out, f->headers[i].name, f->headers[i].value);
        buf_done(&value);
        return r;
}

static int write_url(const char *host, bool tls, const char *path, struct buf *out)
{
        int r = buf_append_str(out, tls ? "https://" : "http://");

        if (r == 0)
                r = buf_append_str(out, host);
        return r == 0 ? buf_append_str(out, path) : r;
}

int s3_sign(const struct s3_site *s, const struct s3_request *rq, const void *body, size_t n_body, int64_t now_s,
            struct buf *ret_url, struct buf *ret_headers)
{
        char date[SIGV4_DATE_LEN + 1] = "", payload[MAC_HEX_LEN + 1] = "";
        const struct sigv4_pair more[] = {{"host", s->host},
                                          {"x-amz-content-sha256", payload},
                                          {"x-amz-date", date},
                                          {"x-amz-security-token", s->key.token}};
        uint8_t sha256[MAC_LEN];
        struct full f;
        int r = full_init(&f, s, rq, more, s->key.token ? 4 : 3);

        if (r == 0)
                r = sigv4_date(now_s, date);
        if (r == 0)
                r = mac_sha256(n_body ? body : "", n_body, sha256);
        if (r == 0) {
                mac_hex(sha256, payload);
                f.rq.payload = payload;
                r = write_headers(s, &f, date, ret_headers);
        }
        if (r == 0)
                r = write_url(s->host, s->tls, f.rq.path, ret_url);
        if (r == 0 && rq->n_query)
                r = buf_append_str(ret_url, "?");
        if (r == 0)
                r = sigv4_query(ret_url, rq->query, rq->n_query);
        if (r == 0)
                r = buf_append(ret_url, "", 1);
        buf_done(&f.path);
        return r;
}

int s3_presign(const struct s3_site *s, const struct s3_request *rq, int64_t now_s, uint32_t ttl_s, struct buf *ret_url)
{
        const struct sigv4_pair host = {"host", s->public_host};
        char date[SIGV4_DATE_LEN + 1];
        struct full f;
        int r = full_init(&f, s, rq, &host, 1);

        if (r == 0)
                r = sigv4_date(now_s, date);
        f.rq.payload = SIGV4_UNSIGNED;
        if (r == 0)
                r = write_url(s->public_host, s->public_tls, "", ret_url);
        if (r == 0)
                r = sigv4_presign(&s->key, &f.rq, date, ttl_s < SIGV4_EXPIRES_MAX ? ttl_s : SIGV4_EXPIRES_MAX, ret_url);
        if (r == 0)
                r = buf_append(ret_url, "", 1);
        buf_done(&f.path);
        return r;
}
