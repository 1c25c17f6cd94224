#include "upload/sigv4.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
/* CANONICAL_MAX: the longest part of a request is its address, which no server takes at this length. SCOPE_MAX: date, region, service. */
enum { CANONICAL_MAX = 64 << 10, SCOPE_MAX = 160, DAY_LEN = 8 };

/* --- text --- */

int sigv4_date(int64_t unix_s, char *ret)
{
        char text[RFC3339_LEN + 1]; /* 2013-05-24T00:00:00Z */
        int r = rfc3339_format(unix_s, 0, text);

        if (r < 0)
                return r;
        (void)snprintf(ret, SIGV4_DATE_LEN + 1, "%.4s%.2s%.2sT%.2s%.2s%.2sZ", text, text + 5, text + 8, text + 11,
                       text + 14, text + 17);
        return 0;
}

static int unreserved(unsigned char c)
{
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               (c && strchr("-._~", c) != NULL);
}

int sigv4_escape(struct buf *out, const char *text, int keep_slash)
{
        int r = 0;

        for (const unsigned char *s = (const unsigned char *)text; *s && r == 0; s++) {
                const char hex[] = "0123456789ABCDEF", code[3] = {'%', hex[*s >> 4], hex[*s & 15]};

                if (unreserved(*s) || (*s == '/' && keep_slash))
                        r = buf_append(out, s, 1);
                else
                        r = buf_append(out, code, 3);
        }
        return r;
}

/* Appends every text up to a NULL */
static int append(struct buf *out, const char *const *texts)
{
        int r = 0;

        for (; *texts && r == 0; texts++)
                r = buf_append_str(out, *texts);
        return r;
}
#define APPEND(out, ...) append((out), (const char *const[]){__VA_ARGS__, NULL})

/* --- the query, sorted by its encoded names, then values --- */

struct encoded {
        struct buf name, value; /* each with a NUL */
};

static int by_code(const void *a, const void *b)
{
        const struct encoded *x = a, *y = b;
        int order = strcmp((const char *)x->name.data, (const char *)y->name.data);

        return order ? order : strcmp((const char *)x->value.data, (const char *)y->value.data);
}

static int encode(struct encoded *e, const struct sigv4_pair *pair)
{
        int r;

        e->name = e->value = BUF_INIT(CANONICAL_MAX);
        r = sigv4_escape(&e->name, pair->name, 0);
        if (r == 0)
                r = buf_append(&e->name, "", 1);
        if (r == 0)
                r = sigv4_escape(&e->value, pair->value, 0);
        return r == 0 ? buf_append(&e->value, "", 1) : r;
}

int sigv4_query(struct buf *out, const struct sigv4_pair *query, unsigned n)
{
        struct encoded all[SIGV4_PAIRS_MAX];
        unsigned n_encoded = 0;
        int r = n <= SIGV4_PAIRS_MAX ? 0 : -EINVAL;

        while (r == 0 && n_encoded < n) {
                r = encode(&all[n_encoded], &query[n_encoded]);
                n_encoded++;
        }
        if (r == 0 && n > 0)
                qsort(all, n, sizeof(*all), by_code);
        for (unsigned i = 0; r == 0 && i < n; i++)
                r = APPEND(out, i ? "&" : "", (const char *)all[i].name.data, "=", (const char *)all[i].value.data);
        for (unsigned i = 0; i < n_encoded; i++) {
                buf_done(&all[i].name);
                buf_done(&all[i].value);
        }
        return r;
}

/* --- what is signed --- */

static int signed_headers(struct buf *out, const struct sigv4_request *rq)
{
        int r = rq->n_headers <= SIGV4_PAIRS_MAX ? 0 : -EINVAL;

        for (unsigned i = 0; r == 0 && i < rq->n_headers; i++)
                r = APPEND(out, i ? ";" : "", rq->headers[i].name);
        return r;
}

static int canonical(struct buf *out, const struct sigv4_request *rq)
{
        int r = APPEND(out, rq->method, "\n", rq->path, "\n");

        if (r == 0)
                r = sigv4_query(out, rq->query, rq->n_query);
        if (r == 0)
                r = buf_append_str(out, "\n");
        for (unsigned i = 0; r == 0 && i < rq->n_headers; i++)
                r = APPEND(out, rq->headers[i].name, ":", rq->headers[i].value, "\n");
        if (r == 0)
                r = buf_append_str(out, "\n");
        if (r == 0)
                r = signed_headers(out, rq);
        return r == 0 ? APPEND(out, "\n", rq->payload) : r;
}

static int signing_key(const struct sigv4_key *key, const char *date, uint8_t ret[MAC_LEN])
{
        _cleanup_free_ char *first = malloc(strlen(key->secret) + 5);
        const char *const steps[] = {key->region, key->service, "aws4_request"};
        uint8_t next[MAC_LEN];
        int r;

        if (!first)
                return -ENOMEM;
        (void)sprintf(first, "AWS4%s", key->secret);
        r = mac_hmac(first, strlen(first), date, DAY_LEN, ret);
        explicit_bzero(first, strlen(first));
        for (unsigned i = 0; r == 0 && i < ARRAY_SIZE(steps); i++) {
                r = mac_hmac(ret, MAC_LEN, steps[i], strlen(steps[i]), next);
                if (r == 0)
                        memcpy(ret, next, MAC_LEN);
        }
        explicit_bzero(next, sizeof(next));
        return r;
}

static void scope(const struct sigv4_key *key, const char *date, char ret[SCOPE_MAX])
{
        (void)snprintf(ret, SCOPE_MAX, "%.8s/%s/%s/aws4_request", date, key->region, key->service);
}

static int sign(const struct sigv4_key *key, const struct sigv4_request *rq, const char *date,
                char ret[MAC_HEX_LEN + 1])
{
        struct buf text = BUF_INIT(CANONICAL_MAX);
        char hash[MAC_HEX_LEN + 1], where[SCOPE_MAX];
        uint8_t mac[MAC_LEN], secret[MAC_LEN];
        int r = canonical(&text, rq);

        if (r == 0)
                r = mac_sha256(text.data, text.len, mac);
        if (r == 0) {
                mac_hex(mac, hash);
                scope(key, date, where);
                buf_reset(&text, CANONICAL_MAX);
                r = APPEND(&text, ALGORITHM, "\n", date, "\n", where, "\n", hash);
        }
        if (r == 0)
                r = signing_key(key, date, secret);
        if (r == 0)
                r = mac_hmac(secret, MAC_LEN, text.data, text.len, mac);
        explicit_bzero(secret, sizeof(secret));
        if (r == 0)
                mac_hex(mac, ret);
        buf_done(&text);
        return r;
}

int sigv4_authorize(const struct sigv4_key *key, const struct sigv4_request *rq, const char *date, struct buf *out)
{
        char signature[MAC_HEX_LEN + 1], where[SCOPE_MAX];
        int r = sign(key, rq, date, signature);

        if (r != 0)
                return r;
        scope(key, date, where);
        r = APPEND(out, ALGORITHM, " Credential=", key->access_key_id, "/", where, ", SignedHeaders=");
        if (r == 0)
                r = signed_headers(out, rq);
        return r == 0 ? APPEND(out, ", Signature=", signature) : r;
}

/* Everything of the query but the signature */
static unsigned presigned_query(const struct sigv4_key *key, const struct sigv4_request *rq, const char *date,
                                const char *expires, const char *credential, const char *headers,
                                struct sigv4_pair ret[SIGV4_PAIRS_MAX])
{
        const struct sigv4_pair own[] = {{"X-Amz-Algorithm", ALGORITHM},
                                         {"X-Amz-Credential", credential},
                                         {"X-Amz-Date", date},
                                         {"X-Amz-Expires", expires},
                                         {"X-Amz-SignedHeaders", headers}};
        unsigned n = 0;

        for (; n < rq->n_query; n++)
                ret[n] = rq->query[n];
        for (unsigned i = 0; i < ARRAY_SIZE(own); i++)
                ret[n++] = own[i];
        if (key->token)
                ret[n++] = (struct sigv4_pair){"X-Amz-Security-Token", key->token};
        return n;
}

int sigv4_presign(const struct sigv4_key *key, const struct sigv4_request *rq, const char *date, uint32_t expires_s,
                  struct buf *out)
{
        struct sigv4_pair query[SIGV4_PAIRS_MAX];
        struct sigv4_request full = *rq;
        struct buf headers = BUF_INIT(CANONICAL_MAX), credential = BUF_INIT(CANONICAL_MAX);
        char signature[MAC_HEX_LEN + 1], where[SCOPE_MAX], expires[16];
        int r = rq->n_query + 6 <= SIGV4_PAIRS_MAX ? signed_headers(&headers, rq) : -EINVAL;

        if (r == 0)
                r = buf_append(&headers, "", 1);
        scope(key, date, where);
        (void)snprintf(expires, sizeof(expires), "%u", expires_s);
        if (r == 0)
                r = APPEND(&credential, key->access_key_id, "/", where);
        if (r == 0)
                r = buf_append(&credential, "", 1);
        if (r == 0) {
                full.n_query = presigned_query(key, rq, date, expires, (const char *)credential.data,
                                               (const char *)headers.data, query);
                full.query = query;
                r = sign(key, &full, date, signature);
        }
        if (r == 0)
                r = APPEND(out, rq->path, "?");
        if (r == 0)
                r = sigv4_query(out, query, full.n_query);
        if (r == 0)
                r = APPEND(out, "&X-Amz-Signature=", signature);
        buf_done(&headers);
        buf_done(&credential);
        return r;
}
