#include "auth/attachment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/mac.h"
#include "base/text.h"
#include "parley/v1/upload.pb-c.h"

#define PREFIX "a1."
/* So that a signature of this secret for another purpose is none here */
#define PURPOSE "parley attachment\n"
enum { CLAIM_MAX = 1400, MAC_TEXT = 43 };
_Static_assert(sizeof(PREFIX) - 1 + (CLAIM_MAX + 2) / 3 * 4 + 1 + MAC_TEXT <= ATTACHMENT_TOKEN_MAX, "must fit");

const char *attachment_error_text(int error)
{
        switch (error) {
        case ATTACHMENT_E_MALFORMED:
                return "is not a descriptor of the upload service";
        case ATTACHMENT_E_SIGNATURE:
                return "was not signed by the upload service";
        case ATTACHMENT_E_EXPIRED:
                return "has expired: ask the upload service for another one";
        case ATTACHMENT_E_USER:
                return "was given to another user";
        case ATTACHMENT_E_CHANNEL:
                return "was given for another channel: ask the upload service for another one";
        case ATTACHMENT_E_TWICE:
                return "is of a file that stands in it already";
        case ATTACHMENT_E_OFF:
                return "cannot be taken: there is no upload service here";
        default:
                return "cannot be checked";
        }
}

static int sign(const char *secret, const char *text, size_t n, uint8_t ret[MAC_LEN])
{
        char signed_text[sizeof(PURPOSE) + ATTACHMENT_TOKEN_MAX];
        size_t n_purpose = sizeof(PURPOSE) - 1;

        memcpy(signed_text, PURPOSE, n_purpose);
        memcpy(signed_text + n_purpose, text, n);
        return mac_hmac(secret, strlen(secret), signed_text, n_purpose + n, ret);
}

int attachment_sign(const char *secret, const Parley__V1__Attachment *attachment, const struct attachment_terms *terms,
                    char *ret_token)
{
        Parley__V1__AttachmentClaim claim = PARLEY__V1__ATTACHMENT_CLAIM__INIT;
        char token[ATTACHMENT_TOKEN_MAX + 1] = PREFIX;
        uint8_t packed[CLAIM_MAX], mac[MAC_LEN];
        size_t n = sizeof(PREFIX) - 1;

        claim.attachment = (Parley__V1__Attachment *)attachment;
        claim.user_id = (char *)terms->user_id;
        claim.channel_id = (char *)terms->channel_id;
        claim.expires_at_s = (uint64_t)terms->expires_at_s;
        if (!secret || protobuf_c_message_get_packed_size(&claim.base) > CLAIM_MAX)
                return -EINVAL;
        n += base64url_encode(packed, protobuf_c_message_pack(&claim.base, packed), token + n);
        if (sign(secret, token, n, mac) < 0)
                return -ENOMEM;
        token[n++] = '.';
        n += base64url_encode(mac, MAC_LEN, token + n);
        memcpy(ret_token, token, n + 1);
        return 0;
}

/* The claim's bytes, once its signature holds */
static int open_text(const char *secret, const char *token, uint8_t *ret_claim, size_t *ret_n)
{
        size_t n = strnlen(token, ATTACHMENT_TOKEN_MAX + 1), n_prefix = sizeof(PREFIX) - 1, n_signed;
        uint8_t mac[MAC_LEN], given[MAC_LEN];
        int n_claim;

        if (n > ATTACHMENT_TOKEN_MAX || n < n_prefix + 1 + MAC_TEXT || strncmp(token, PREFIX, n_prefix) != 0)
                return ATTACHMENT_E_MALFORMED;
        n_signed = n - MAC_TEXT - 1;
        if (token[n_signed] != '.' || base64url_decode(token + n_signed + 1, MAC_TEXT, given, MAC_LEN) != MAC_LEN)
                return ATTACHMENT_E_MALFORMED;
        n_claim = base64url_decode(token + n_prefix, n_signed - n_prefix, ret_claim, CLAIM_MAX);
        if (n_claim < 0)
                return ATTACHMENT_E_MALFORMED;
        if (sign(secret, token, n_signed, mac) < 0)
                return -ENOMEM;
        if (!mac_equal(mac, given))
                return ATTACHMENT_E_SIGNATURE;
        *ret_n = (size_t)n_claim;
        return 0;
}

static int check(const Parley__V1__AttachmentClaim *claim, const char *user_id, const char *channel_id, int64_t now_s)
{
        if (!claim->attachment)
                return ATTACHMENT_E_MALFORMED;
        if (strcmp(claim->user_id, user_id) != 0)
                return ATTACHMENT_E_USER;
        if (strcmp(claim->channel_id, channel_id) != 0)
                return ATTACHMENT_E_CHANNEL;
        if (now_s == ATTACHMENT_ANY_TIME)
                return 0;
        return now_s >= 0 && (uint64_t)now_s < claim->expires_at_s ? 0 : ATTACHMENT_E_EXPIRED;
}

int attachment_open(const char *secret, const char *token, const char *user_id, const char *channel_id, int64_t now_s,
                    Parley__V1__Attachment **ret_attachment)
{
        Parley__V1__AttachmentClaim *claim;
        uint8_t packed[CLAIM_MAX];
        size_t n;
        int r;

        if (!secret)
                return ATTACHMENT_E_OFF;
        r = open_text(secret, token, packed, &n);
        if (r != 0)
                return r;
        claim = parley__v1__attachment_claim__unpack(NULL, n, packed);
        if (!claim)
                return ATTACHMENT_E_MALFORMED;
        r = check(claim, user_id, channel_id, now_s);
        if (r == 0) {
                *ret_attachment = claim->attachment;
                claim->attachment = NULL;
        }
        protobuf_c_message_free_unpacked(&claim->base, NULL);
        return r;
}

static int open_next(const char *secret, const char *token, const struct attachment_terms *now, struct attachments *a)
{
        Parley__V1__Attachment *one;
        int r = attachment_open(secret, token, now->user_id, now->channel_id, now->expires_at_s, &one);

        if (r != 0)
                return r;
        for (size_t i = 0; i < a->n; i++) {
                if (strcmp(a->all[i]->id, one->id) == 0) {
                        protobuf_c_message_free_unpacked(&one->base, NULL);
                        return ATTACHMENT_E_TWICE;
                }
        }
        a->all[a->n++] = one;
        return 0;
}

int attachments_open(const char *secret, char *const *tokens, size_t n, const struct attachment_terms *now,
                     struct attachments *ret, size_t *ret_bad)
{
        struct attachments a = {.all = n ? calloc(n, sizeof(*a.all)) : NULL};
        int r = n && !a.all ? -ENOMEM : 0;

        for (size_t i = 0; r == 0 && i < n; i++)
                r = open_next(secret, tokens[i], now, &a);
        if (r != 0) {
                *ret_bad = a.n;
                attachments_done(&a);
                return r;
        }
        *ret = a;
        return 0;
}

int attachments_open_retry(const char *secret, char *const *tokens, size_t n, const struct attachment_terms *now,
                           struct attachments *ret, size_t *ret_bad, size_t *ret_expired)
{
        struct attachment_terms any_time = *now;
        size_t bad = 0;
        int r = attachments_open(secret, tokens, n, now, ret, &bad);

        if (r != ATTACHMENT_E_EXPIRED) {
                if (r == 0)
                        *ret_expired = 0;
                else
                        *ret_bad = bad;
                return r;
        }
        any_time.expires_at_s = ATTACHMENT_ANY_TIME;
        r = attachments_open(secret, tokens, n, &any_time, ret, ret_bad);
        if (r == 0)
                *ret_expired = bad + 1;
        return r;
}

void attachments_done(struct attachments *a)
{
        for (size_t i = 0; i < a->n; i++)
                protobuf_c_message_free_unpacked(&a->all[i]->base, NULL);
        free(a->all);
        *a = (struct attachments){0};
}

int attachment_secret_check(const char *secret, char *ret_error, size_t n_error)
{
        if (!secret || strlen(secret) >= ATTACHMENT_SECRET_MIN)
                return 0;
        (void)snprintf(ret_error, n_error, "PARLEY_UPLOAD_SECRET must have at least %d bytes", ATTACHMENT_SECRET_MIN);
        return -EINVAL;
}
