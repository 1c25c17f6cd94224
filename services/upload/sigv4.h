/* AWS Signature Version 4, as S3 wants it: of a request in headers, and of an address in its query. Pure.
 *
 * Source of the algorithm and of its constants: "AWS Signature Version 4 for API requests" (IAM User Guide) and "Authenticating Requests:
 * Using Query Parameters" (S3 API Reference). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "auth/mac.h"
#include "base/buf.h"

#define SIGV4_DATE_LEN 16                 /* "20130524T000000Z" */
#define SIGV4_EXPIRES_MAX 604800u         /* s; S3 takes no more */
#define SIGV4_UNSIGNED "UNSIGNED-PAYLOAD" /* what S3 takes for the hash of a body that is not signed */

struct sigv4_key {
        const char *access_key_id, *secret, *token; /* token: of a session, or NULL */
        const char *region, *service;
};

struct sigv4_pair {
        const char *name, *value;
};

struct sigv4_request {
        const char *method;
        const char *path;               /* as it is sent: percent-encoded by sigv4_escape, from the slash on */
        const struct sigv4_pair *query; /* not encoded; value "" where there is none; any order */
        unsigned n_query;
        const struct sigv4_pair
                *headers; /* all are signed; names in lower case, sorted, "host" among them; values trimmed */
        unsigned n_headers;
        const char *payload; /* hex SHA-256 of the body, or SIGV4_UNSIGNED */
};

/* ret has SIGV4_DATE_LEN + 1 bytes. -ERANGE: outside years 1 to 9999 */
int sigv4_date(int64_t unix_s, char *ret);
/* Appends text, percent-encoded but for RFC 3986's unreserved characters, and slashes where keep_slash is not 0. 0, BUF_E_FULL, -ENOMEM */
int sigv4_escape(struct buf *out, const char *text, int keep_slash);
/* Appends the query as it is signed, which may be sent so. 0, BUF_E_FULL, -ENOMEM */
int sigv4_query(struct buf *out, const struct sigv4_pair *query, unsigned n);

/* The value of Authorization; date stands in x-amz-date among the headers, and the token in x-amz-security-token. Appends; without a NUL.
 * 0, BUF_E_FULL, -ENOMEM, -EINVAL: more than SIGV4_PAIRS_MAX headers, or of the query */
#define SIGV4_PAIRS_MAX 24
int sigv4_authorize(const struct sigv4_key *key, const struct sigv4_request *rq, const char *date, struct buf *out);
/* Appends path and query of an address that is valid for expires_s from date on. The same errors. */
int sigv4_presign(const struct sigv4_key *key, const struct sigv4_request *rq, const char *date, uint32_t expires_s,
                  struct buf *out);
