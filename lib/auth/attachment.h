/* Descriptors of uploaded files: what the upload service found a file to be, for one user to send in one channel until some time. The
 * service signs them; whoever takes messages opens them, without asking anybody. Pure.
 *
 * The text is "a1." base64url(AttachmentClaim) "." base64url(HMAC-SHA-256). The signature is over everything before the last dot and is
 * checked before the claim is read: what is read was written by us. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "parley/v1/event.pb-c.h"

#define ATTACHMENT_TOKEN_MAX 2048 /* characters; a name of 255 bytes, two ids, a hash, and their base64 */
#define ATTACHMENT_SECRET_MIN 32  /* bytes, as of HS256 */

enum attachment_error {
        ATTACHMENT_E_MALFORMED = 1, /* not a descriptor, or one of a version that is not known here */
        ATTACHMENT_E_SIGNATURE,
        ATTACHMENT_E_EXPIRED,
        ATTACHMENT_E_USER,    /* given to somebody else */
        ATTACHMENT_E_CHANNEL, /* given for another channel */
        ATTACHMENT_E_OFF,     /* no secret: this installation takes no files */
        ATTACHMENT_E_TWICE,   /* of a file that stands earlier in the list */
};
/* What was wrong, to be written behind "attachments[n] "; never holds a part of the descriptor */
const char *attachment_error_text(int error);

struct attachment_terms {
        const char *user_id, *channel_id;
        int64_t expires_at_s; /* unix; where descriptors are opened, the time it is, or ATTACHMENT_ANY_TIME */
};
/* Opens also what has expired: to compare a retry with what is stored, and for nothing else */
#define ATTACHMENT_ANY_TIME INT64_MIN

/* ret_token has ATTACHMENT_TOKEN_MAX + 1 bytes. 0; -EINVAL: no secret, or the fields are too long together; -ENOMEM */
int attachment_sign(const char *secret, const Parley__V1__Attachment *attachment, const struct attachment_terms *terms,
                    char *ret_token);
/* For this user in this channel, at this time (now_s as attachment_terms.expires_at_s). Freed with protobuf_c_message_free_unpacked(&a->base, NULL). 0, ATTACHMENT_E_*, -ENOMEM */
int attachment_open(const char *secret, const char *token, const char *user_id, const char *channel_id, int64_t now_s,
                    Parley__V1__Attachment **ret_attachment);

/* What one message carries */
struct attachments {
        Parley__V1__Attachment **all; /* NULL: none */
        size_t n;
};
/* Opens all, each for this user in this channel. 0; ATTACHMENT_E_* or -ENOMEM, and which one it was. */
int attachments_open(const char *secret, char *const *tokens, size_t n, const struct attachment_terms *now,
                     struct attachments *ret, size_t *ret_bad);
/* The same of a retry, which may be stored since a time when nothing had expired: opens also what has. *ret_expired: 0, or 1 and which one it was;
 * then nothing may be stored of it. */
int attachments_open_retry(const char *secret, char *const *tokens, size_t n, const struct attachment_terms *now,
                           struct attachments *ret, size_t *ret_bad, size_t *ret_expired);
void attachments_done(struct attachments *a);

/* 0, or -EINVAL with a line that names the setting. secret may be NULL. */
int attachment_secret_check(const char *secret, char *ret_error, size_t n_error);
