/* What a message may be, and the event that it becomes: the same for every door that takes messages. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/codes.h"
#include "parley/v1/event.pb-c.h"

/* The services' settings */
struct message_limits {
        uint64_t max_content_bytes; /* PARLEY_MAX_CONTENT_BYTES */
        uint64_t max_mentions;      /* PARLEY_MAX_MENTIONS */
        uint64_t max_attachments;   /* PARLEY_MAX_ATTACHMENTS */
};

/* As the client sent it, or its edit. No string is NULL. */
struct message_fields {
        const char *id, *content, *thread_id, *reply_to;
        Parley__V1__Message__Type type;
        char *const *mentions;
        size_t n_mentions;
        Parley__V1__Attachment *const
                *attachments; /* whoever takes the message has checked them; message_check looks at their number only */
        size_t n_attachments;
        bool id_optional; /* whoever asks makes one */
};

struct message_author {
        const char *channel_id, *user_id, *name;
        const Google__Protobuf__Timestamp *at;
};

/* The longest event of a message within the limits, and the longest JSON text of its request, in bytes */
uint64_t message_event_max(const struct message_limits *limits);
uint64_t message_json_max(const struct message_limits *limits);
/* 0, or -EINVAL with a line that names the settings: what is acknowledged must never be too large for the log's reader.
 * max_event_bytes: PARLEY_MAX_EVENT_BYTES */
int message_limits_check(const struct message_limits *limits, uint64_t max_event_bytes, char *ret_error,
                         size_t n_error);

/* PARLEY_OK, or why not; ret_what then begins with the name of the field, as clients write it. */
enum parley_code message_check(const struct message_fields *m, const struct message_limits *limits, char *ret_what,
                               size_t n_what);
/* The event of a new message. Borrows every string, and ret_message; each is initialised here. */
void message_event(const struct message_fields *m, const struct message_author *author, Parley__V1__Event *ret_event,
                   Parley__V1__Message *ret_message);
