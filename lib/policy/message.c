#include "policy/message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/ident.h"

/* Everything of an event that is neither content nor mention: eight ids, a name of 128 bytes, two times, lengths and tags. As JSON it has
 * only the part that the client sends, but names of fields. */
#define MESSAGE_REST 1024
/* A mention with its tag and length, or its quotes and comma */
#define MENTION_REST 4
/* An attachment: its name of 255 bytes, type of 127, blurhash of 166, checksum and id, a thumbnail, sizes, lengths and tags. As JSON it is its descriptor, of at most
 * ATTACHMENT_TOKEN_MAX characters (lib/auth/attachment.h). */
#define ATTACHMENT_MAX 860
#define ATTACHMENT_JSON_MAX (2048 + 4)
/* \u0000, the longest that JSON makes of one byte */
#define JSON_ESCAPE 6

uint64_t message_event_max(const struct message_limits *limits)
{
        return MESSAGE_REST + limits->max_content_bytes + limits->max_mentions * (IDENT_MAX + MENTION_REST) +
               limits->max_attachments * ATTACHMENT_MAX;
}

uint64_t message_json_max(const struct message_limits *limits)
{
        return MESSAGE_REST + limits->max_content_bytes * JSON_ESCAPE +
               limits->max_mentions * (IDENT_MAX + MENTION_REST) + limits->max_attachments * ATTACHMENT_JSON_MAX;
}

int message_limits_check(const struct message_limits *limits, uint64_t max_event_bytes, char *ret_error, size_t n_error)
{
        uint64_t need = message_event_max(limits);

        if (need <= max_event_bytes)
                return 0;
        (void)snprintf(
                ret_error, n_error,
                "PARLEY_MAX_EVENT_BYTES=%llu must be at least %llu for messages of PARLEY_MAX_CONTENT_BYTES=%llu "
                "with PARLEY_MAX_MENTIONS=%llu and PARLEY_MAX_ATTACHMENTS=%llu",
                (unsigned long long)max_event_bytes, (unsigned long long)need,
                (unsigned long long)limits->max_content_bytes, (unsigned long long)limits->max_mentions,
                (unsigned long long)limits->max_attachments);
        return -EINVAL;
}

static bool uuid_or_empty(const char *s)
{
        return !*s || uuid_valid(s);
}

static enum parley_code check_mentions(const struct message_fields *m, const struct message_limits *limits,
                                       char *ret_what, size_t n_what)
{
        if (m->n_mentions > limits->max_mentions) {
                (void)snprintf(ret_what, n_what, "mentions has %zu entries; at most %llu are taken", m->n_mentions,
                               (unsigned long long)limits->max_mentions);
                return PARLEY_BAD_REQUEST;
        }
        for (size_t i = 0; i < m->n_mentions; i++) {
                if (!ident_valid(m->mentions[i])) {
                        (void)snprintf(ret_what, n_what, "mentions[%zu] is no user id", i);
                        return PARLEY_BAD_REQUEST;
                }
        }
        return PARLEY_OK;
}

enum parley_code message_check(const struct message_fields *m, const struct message_limits *limits, char *ret_what,
                               size_t n_what)
{
        size_t n = strlen(m->content);
        const char *wrong = NULL;

        if (!uuid_valid(m->id) && !(m->id_optional && !*m->id))
                wrong = "id must be a UUID";
        else if (n == 0 && m->n_attachments == 0)
                wrong = "content is empty";
        if (!wrong && n > limits->max_content_bytes) {
                (void)snprintf(ret_what, n_what, "content has %zu bytes; at most %llu are taken", n,
                               (unsigned long long)limits->max_content_bytes);
                return PARLEY_TOO_LARGE;
        }
        if (!wrong && m->type == PARLEY__V1__MESSAGE__TYPE__system)
                wrong = "type must be text, image or file";
        else if (!wrong && !uuid_or_empty(m->thread_id))
                wrong = "threadId must be a UUID";
        else if (!wrong && !uuid_or_empty(m->reply_to))
                wrong = "replyTo must be a UUID";
        if (!wrong && m->n_attachments > limits->max_attachments) {
                (void)snprintf(ret_what, n_what, "attachments has %zu entries; at most %llu are taken",
                               m->n_attachments, (unsigned long long)limits->max_attachments);
                return PARLEY_BAD_REQUEST;
        }
        if (!wrong)
                return check_mentions(m, limits, ret_what, n_what);
        (void)snprintf(ret_what, n_what, "%s", wrong);
        return PARLEY_BAD_REQUEST;
}

void message_event(const struct message_fields *m, const struct message_author *author, Parley__V1__Event *ret_event,
                   Parley__V1__Message *ret_message)
{
        parley__v1__event__init(ret_event);
        parley__v1__message__init(ret_message);
        ret_message->id = ret_event->id = (char *)m->id;
        ret_message->channel_id = ret_event->channel_id = (char *)author->channel_id;
        ret_message->sender_id = ret_event->actor_id = (char *)author->user_id;
        ret_message->created_at = ret_event->created_at = (Google__Protobuf__Timestamp *)author->at;
        ret_message->sender_name = (char *)author->name;
        ret_message->content = (char *)m->content;
        ret_message->type = m->type;
        ret_message->thread_id = (char *)m->thread_id;
        ret_message->reply_to = (char *)m->reply_to;
        ret_message->mentions = (char **)m->mentions;
        ret_message->n_mentions = m->n_mentions;
        ret_message->attachments = (Parley__V1__Attachment **)m->attachments;
        ret_message->n_attachments = m->n_attachments;
        ret_event->body_case = PARLEY__V1__EVENT__BODY_MESSAGE;
        ret_event->message = ret_message;
}
