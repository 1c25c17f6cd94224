/* What S3 answers in XML, from bytes of any kind: nothing is believed that does not fit. Pure, over expat.
 *
 * Limits: S3_ANSWER_MAX bytes, elements 8 deep, S3_TEXT_MAX bytes of text in one; no document type, hence no entities but XML's own. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "upload/store.h"

#define S3_ANSWER_MAX (2u << 20) /* a page of a thousand entries has about 500 KiB */
#define S3_TEXT_MAX 2048u
#define S3_ETAG_MAX 100
#define S3_SUM_LEN 44 /* a SHA-256 in base64 */

struct s3_part {
        uint32_t number;
        uint64_t size;
        char etag[S3_ETAG_MAX + 1];
        char sha256[S3_SUM_LEN + 1]; /* base64; "": it has none */
};

struct s3_answer {
        char root[64];     /* of the document: "Error", "ListPartsResult", … */
        char code[64];     /* of an Error */
        char message[256]; /* the same, cut */
        char upload_id[STORE_ID_MAX + 1];
        bool truncated;
        char next[STORE_CURSOR_MAX + 1]; /* of what follows, where it is truncated */
        struct s3_part *parts;           /* ascending */
        size_t n_parts, room_parts;
        const char *prefix;          /* the caller's: of the keys that are listed; NULL: none */
        struct store_entry *entries; /* name: what stands behind the prefix */
        size_t n_entries, room_entries;
};

/* Adds what the document has to ret, which began as zeros: pages follow each other. 0; -EBADMSG: no XML, beyond a limit, or not what S3 says;
 * -ENOMEM. ret is to be released in each case. */
int s3_answer_read(struct s3_answer *ret, const void *data, size_t n);
void s3_answer_done(struct s3_answer *a);

/* The body of CompleteMultipartUpload. 0, BUF_E_FULL, -ENOMEM */
int s3_complete_body(const struct s3_part *parts, size_t n, struct buf *out);
