#include "history/ingest_core.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/cleanup.h"
#include "base/ident.h"

#define SEQ_MAX ((uint64_t)INT64_MAX)
enum { MENTIONS_MAX = 1000, NAME_MAX_BYTES = 1024, ATTACHMENTS_MAX = 100, NAME_OF_FILE_MAX = 255 };

int ingest_time_ns(const Google__Protobuf__Timestamp *t, int64_t *ret_ns)
{
        int64_t ns;

        if (!t || t->nanos < 0 || t->nanos > 999999999 ||
            __builtin_mul_overflow(t->seconds, (int64_t)1000000000, &ns) ||
            __builtin_add_overflow(ns, (int64_t)t->nanos, &ns))
                return -ERANGE;
        *ret_ns = ns;
        return 0;
}

bool ingest_is_plain(const Parley__V1__Event *event)
{
        const Parley__V1__Message *m = event->message;

        if (event->body_case != PARLEY__V1__EVENT__BODY_MESSAGE || event->base.n_unknown_fields ||
            m->base.n_unknown_fields)
                return false;
        if (m->updated_at || m->deleted || m->n_attachments)
                return false;
        return !m->created_at || (m->created_at->seconds == event->created_at->seconds &&
                                  m->created_at->nanos == event->created_at->nanos);
}

/* --- is it what it should be? Each returns what is wrong, or NULL. --- */

static const char *check_mentions(size_t n, char **mentions)
{
        if (n > MENTIONS_MAX)
                return "too many mentions";
        for (size_t i = 0; i < n; i++)
                if (!ident_valid(mentions[i]))
                        return "a mention is not a user id";
        return NULL;
}

/* Files were checked by who took the message; here only what the tables, and whoever reads them, must not meet. */
static const char *check_attachments(size_t n, Parley__V1__Attachment *const *attachments)
{
        if (n > ATTACHMENTS_MAX)
                return "too many attachments";
        for (size_t i = 0; i < n; i++) {
                const Parley__V1__Attachment *a = attachments[i];

                if (!uuid_valid(a->id) || !*a->name || strlen(a->name) > NAME_OF_FILE_MAX ||
                    strlen(a->content_type) > NAME_OF_FILE_MAX || strlen(a->sha256) > NAME_OF_FILE_MAX ||
                    strlen(a->blurhash) > NAME_OF_FILE_MAX || a->size > SEQ_MAX ||
                    (a->thumbnail && (strlen(a->thumbnail->id) > NAME_OF_FILE_MAX || a->thumbnail->size > SEQ_MAX ||
                                      strlen(a->thumbnail->content_type) > NAME_OF_FILE_MAX)))
                        return "an attachment is not one of the upload service";
        }
        return NULL;
}

static bool uuid_or_empty(const char *s)
{
        return !*s || uuid_valid(s);
}

/* A publisher may leave out what the event says already. */
static bool same_or_empty(const char *s, const char *of_event)
{
        return !*s || strcmp(s, of_event) == 0;
}

static const char *check_message(const Parley__V1__Event *e)
{
        const Parley__V1__Message *m = e->message;

        if (!same_or_empty(m->id, e->id))
                return "message.id is not the event's id";
        if (!same_or_empty(m->sender_id, e->actor_id))
                return "message.sender_id is not the event's actor";
        if (!same_or_empty(m->channel_id, e->channel_id))
                return "message.channel_id is not the event's channel";
        if (!protobuf_c_enum_descriptor_get_value(&parley__v1__message__type__descriptor, (int)m->type))
                return "message.type is not known";
        if (!uuid_or_empty(m->thread_id) || !uuid_or_empty(m->reply_to))
                return "message.thread_id or message.reply_to is not a UUID";
        if (strlen(m->sender_name) > NAME_MAX_BYTES)
                return "message.sender_name is too long";
        const char *wrong = check_attachments(m->n_attachments, m->attachments);

        return wrong ? wrong : check_mentions(m->n_mentions, m->mentions);
}

static const char *check_target(uint64_t target_seq, uint64_t seq)
{
        return target_seq == 0 || target_seq >= seq ? "target_seq is not an earlier event" : NULL;
}

static const char *check_member(const char *user_id, int role, uint64_t version, const char *name)
{
        if (!ident_valid(user_id))
                return "user_id is not a user id";
        if (!protobuf_c_enum_descriptor_get_value(&parley__v1__role__descriptor, role))
                return "role is not known";
        if (version == 0 || version > SEQ_MAX)
                return "version is out of range";
        return strlen(name) > NAME_MAX_BYTES ? "name is too long" : NULL;
}

static const char *check_channel(const Parley__V1__Event *e)
{
        const Parley__V1__Channel *c = e->channel_changed->channel;
        int64_t ns;

        if (!c || strcmp(c->id, e->channel_id) != 0)
                return "channel.id is not the event's channel";
        if (c->version == 0 || c->version > SEQ_MAX)
                return "channel.version is out of range";
        if (!protobuf_c_enum_descriptor_get_value(&parley__v1__channel__kind__descriptor, (int)c->kind) ||
            !protobuf_c_enum_descriptor_get_value(&parley__v1__channel__history_visibility__descriptor,
                                                  (int)c->history_visibility))
                return "channel.kind or channel.history_visibility is not known";
        return c->created_at && ingest_time_ns(c->created_at, &ns) < 0 ? "channel.created_at is out of range" : NULL;
}

static const char *check_body(const Parley__V1__Event *e)
{
        switch (e->body_case) {
        case PARLEY__V1__EVENT__BODY_MESSAGE:
                return check_message(e);
        case PARLEY__V1__EVENT__BODY_MESSAGE_EDITED: {
                const char *wrong = check_target(e->message_edited->target_seq, e->seq);

                return wrong ? wrong : check_mentions(e->message_edited->n_mentions, e->message_edited->mentions);
        }
        case PARLEY__V1__EVENT__BODY_MESSAGE_DELETED:
                return check_target(e->message_deleted->target_seq, e->seq);
        case PARLEY__V1__EVENT__BODY_MEMBER_JOINED: {
                const Parley__V1__MemberJoined *j = e->member_joined;

                return j->role == PARLEY__V1__ROLE__none ? "joined without a role"
                                                         : check_member(j->user_id, (int)j->role, j->version, j->name);
        }
        case PARLEY__V1__EVENT__BODY_MEMBER_LEFT:
                return check_member(e->member_left->user_id, PARLEY__V1__ROLE__none, e->member_left->version, "");
        case PARLEY__V1__EVENT__BODY_MEMBER_CHANGED: {
                const Parley__V1__MemberChanged *c = e->member_changed;

                return c->role == PARLEY__V1__ROLE__none ? "changed to no role"
                                                         : check_member(c->user_id, (int)c->role, c->version, "");
        }
        case PARLEY__V1__EVENT__BODY_CHANNEL_CHANGED:
                return check_channel(e);
        case PARLEY__V1__EVENT__BODY_REMOVED:
                return "a placeholder is no event of the log";
        default:
                /* One of a later version is kept as it is: the program that knows it will serve it. */
                return e->base.n_unknown_fields ? NULL : "the event has no body";
        }
}

static const char *check(const struct ingest_item *item)
{
        const Parley__V1__Event *e = item->event;

        if (strcmp(e->channel_id, item->channel_id) != 0)
                return "channel_id is not the channel of the subject";
        if (!uuid_valid(e->id))
                return "id is not a UUID";
        if (!ident_valid(e->actor_id))
                return "actor_id is not a user id";
        return check_body(e);
}

/* --- a batch --- */

void ingest_reject(struct ingest_item *item, const char *reason)
{
        item->verdict = item->channel_id[0] ? INGEST_REJECT : INGEST_SKIP;
        item->dead_letter = true;
        (void)snprintf(item->reason, sizeof(item->reason), "%s", reason);
}

static int decode(struct ingest_item *item, const struct ingest_limits *limits)
{
        const char *channel = subject_channel(item->subject), *wrong;
        struct wire_error error = {0};
        int r;

        if (!channel || !ident_valid(channel)) {
                ingest_reject(item, "the subject names no channel");
                return 0;
        }
        memcpy(item->channel_id, channel, strlen(channel) + 1);
        if (item->len > limits->max_event_bytes) {
                ingest_reject(item, "the event is too large");
                return 0;
        }
        r = event_decode(item->data, item->len, item->seq, 0, &item->event, &error);
        if (r < 0)
                return r;
        if (r > 0) {
                ingest_reject(item, *error.detail ? error.detail : "the event cannot be read");
                return 0;
        }
        wrong = ingest_time_ns(item->event->created_at, &item->created_ns) < 0 ? "created_at is missing or out of range"
                                                                               : check(item);
        if (wrong) {
                ingest_reject(item, wrong);
                return 0;
        }
        subject_msg_id(item->identity, item->channel_id, item->event->actor_id, item->event->id);
        return event_fingerprint(item->event, item->fingerprint);
}

static void item_done(struct ingest_item *item)
{
        free(item->subject);
        free(item->data);
        if (item->event)
                protobuf_c_message_free_unpacked(&item->event->base, NULL);
        memset(item, 0, sizeof(*item));
}

int ingest_batch_add(struct ingest_batch *b, const struct ingest_limits *limits, const char *subject, const void *data,
                     size_t len, uint64_t seq, int64_t time_ns)
{
        struct ingest_item *item;
        int r;

        if (b->n == b->cap) {
                unsigned cap = b->cap ? b->cap * 2 : 64;
                struct ingest_item *items = realloc(b->items, cap * sizeof(*items));

                if (!items)
                        return -ENOMEM;
                b->items = items;
                b->cap = cap;
        }
        item = &b->items[b->n];
        memset(item, 0, sizeof(*item));
        item->seq = seq;
        item->time_ns = time_ns;
        item->created_ns = time_ns;
        item->len = len;
        item->subject = strdup(subject);
        item->data = malloc(len ? len : 1);
        if (item->data && len)
                memcpy(item->data, data, len);
        r = item->subject && item->data ? decode(item, limits) : -ENOMEM;
        if (r < 0) {
                item_done(item);
                return r;
        }
        b->n++;
        b->bytes += len;
        return 0;
}

struct seen {
        const char *identity;
        UT_hash_handle hh;
};

int ingest_batch_close(struct ingest_batch *b)
{
        _cleanup_free_ struct seen *all = calloc(b->n ? b->n : 1, sizeof(*all));
        struct seen *seen = NULL;

        if (!all)
                return -ENOMEM;
        for (unsigned i = 0; i < b->n; i++) {
                struct ingest_item *item = &b->items[i];
                struct seen *other;

                if (item->verdict != INGEST_APPLY)
                        continue;
                HASH_FIND_STR(seen, item->identity, other);
                if (other) {
                        item->verdict = INGEST_DUPLICATE;
                        continue;
                }
                all[i].identity = item->identity;
                HASH_ADD_KEYPTR(hh, seen, item->identity, strlen(item->identity), &all[i]);
                if (!all[i].hh.tbl) {
                        HASH_CLEAR(hh, seen);
                        return -ENOMEM;
                }
        }
        HASH_CLEAR(hh, seen);
        return 0;
}

void ingest_batch_reset(struct ingest_batch *b)
{
        for (unsigned i = 0; i < b->n; i++)
                item_done(&b->items[i]);
        b->n = 0;
        b->bytes = 0;
}

void ingest_batch_done(struct ingest_batch *b)
{
        ingest_batch_reset(b);
        free(b->items);
        *b = (struct ingest_batch){0};
}

/* --- bisection --- */

void bisect_init(struct bisect *bi, unsigned n)
{
        *bi = (struct bisect){.done = 0, .end = n, .n = n};
}

void bisect_ok(struct bisect *bi)
{
        unsigned size = bi->end - bi->done;

        bi->done = bi->end;
        /* Grow again: what was refused is behind. */
        bi->end = bi->n - bi->done > 2 * size ? bi->done + 2 * size : bi->n;
}

bool bisect_refused(struct bisect *bi)
{
        unsigned size = bi->end - bi->done;

        if (size <= 1)
                return false;
        bi->end = bi->done + size / 2;
        return true;
}
