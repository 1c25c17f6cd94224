/* From the items of a batch to the arrays of one transaction. Pure. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/cleanup.h"
#include "history/ingest_core.h"

/* Of one array: a batch is bounded by its own bytes */
#define ARRAY_MAX ((size_t)64 << 20)
enum { DEAD_FILES_MAX = 100 }; /* of one message: more than that is what it may be rejected for */

/* The arrays of a table and the types of their elements, once: init, done and the check for errors go through them. */
#define EVENT_ARRAYS(X, r)                                                                                             \
        X(r->events.channel, PG_TEXT)                                                                                  \
        X(r->events.seq, PG_INT8)                                                                                      \
        X(r->events.prev, PG_INT8)                                                                                     \
        X(r->events.kind, PG_INT2)                                                                                     \
        X(r->events.removed, PG_INT2)                                                                                  \
        X(r->events.actor, PG_TEXT)                                                                                    \
        X(r->events.id, PG_TEXT)                                                                                       \
        X(r->events.created, PG_INT8)                                                                                  \
        X(r->events.target, PG_INT8)                                                                                   \
        X(r->events.fingerprint, PG_BYTEA)                                                                             \
        X(r->events.payload, PG_BYTEA)
#define MESSAGE_ARRAYS(X, r)                                                                                           \
        X(r->messages.channel, PG_TEXT)                                                                                \
        X(r->messages.seq, PG_INT8)                                                                                    \
        X(r->messages.id, PG_TEXT)                                                                                     \
        X(r->messages.sender, PG_TEXT)                                                                                 \
        X(r->messages.sender_name, PG_TEXT)                                                                            \
        X(r->messages.content, PG_TEXT)                                                                                \
        X(r->messages.type, PG_INT2)                                                                                   \
        X(r->messages.thread, PG_TEXT)                                                                                 \
        X(r->messages.reply, PG_TEXT)                                                                                  \
        X(r->messages.mentions, PG_TEXT)                                                                               \
        X(r->messages.created, PG_INT8)                                                                                \
        X(r->messages.n_offset, PG_INT8)                                                                               \
        X(r->messages.attachments, PG_BYTEA)
#define OTHER_ARRAYS(X, r)                                                                                             \
        X(r->dead_files.file, PG_TEXT)                                                                                 \
        X(r->dead_files.channel, PG_TEXT)                                                                              \
        X(r->dead_files.seq, PG_INT8)                                                                                  \
        X(r->heads.channel, PG_TEXT)                                                                                   \
        X(r->heads.last_seq, PG_INT8)                                                                                  \
        X(r->heads.n_added, PG_INT8)                                                                                   \
        X(r->mutations.kind, PG_INT2)                                                                                  \
        X(r->mutations.channel, PG_TEXT)                                                                               \
        X(r->mutations.seq, PG_INT8)                                                                                   \
        X(r->mutations.target, PG_INT8)                                                                                \
        X(r->mutations.actor, PG_TEXT)                                                                                 \
        X(r->mutations.content, PG_TEXT)                                                                               \
        X(r->mutations.mentions, PG_TEXT)                                                                              \
        X(r->mutations.at, PG_INT8)                                                                                    \
        X(r->members.kind, PG_INT2)                                                                                    \
        X(r->members.channel, PG_TEXT)                                                                                 \
        X(r->members.seq, PG_INT8)                                                                                     \
        X(r->members.user, PG_TEXT)                                                                                    \
        X(r->members.role, PG_INT2)                                                                                    \
        X(r->members.version, PG_INT8)                                                                                 \
        X(r->channels.id, PG_TEXT)                                                                                     \
        X(r->channels.kind, PG_INT2)                                                                                   \
        X(r->channels.name, PG_TEXT)                                                                                   \
        X(r->channels.topic, PG_TEXT)                                                                                  \
        X(r->channels.everyone, PG_INT2)                                                                               \
        X(r->channels.visibility, PG_INT2)                                                                             \
        X(r->channels.archived, PG_INT2)                                                                               \
        X(r->channels.version, PG_INT8)                                                                                \
        X(r->channels.created, PG_INT8)                                                                                \
        X(r->channels.created_by, PG_TEXT)                                                                             \
        X(r->users.id, PG_TEXT)                                                                                        \
        X(r->users.name, PG_TEXT)                                                                                      \
        X(r->users.own, PG_INT2)                                                                                       \
        X(r->outbox.channel, PG_TEXT)                                                                                  \
        X(r->outbox.actor, PG_TEXT)                                                                                    \
        X(r->outbox.id, PG_TEXT)
#define ALL_ARRAYS(X, r) EVENT_ARRAYS(X, r) MESSAGE_ARRAYS(X, r) OTHER_ARRAYS(X, r)

static void rows_init(struct ingest_rows *r)
{
        memset(r, 0, sizeof(*r));
#define X(array, type) pg_array_init(&array, type, ARRAY_MAX);
        ALL_ARRAYS(X, r)
#undef X
}

void ingest_rows_done(struct ingest_rows *rows)
{
#define X(array, type) pg_array_done(&array);
        ALL_ARRAYS(X, rows)
#undef X
}

static int rows_error(const struct ingest_rows *r)
{
#define X(array, type)                                                                                                 \
        if (array.error)                                                                                               \
                return -ENOMEM;
        ALL_ARRAYS(X, r)
#undef X
        return 0;
}

/* --- what is known of a channel, and of a user, within the part --- */

struct channel_state {
        const char *id;
        uint64_t last_seq;
        int64_t n_added;
        const Parley__V1__Channel *newest; /* highest version of its ChannelChanged events */
        UT_hash_handle hh;
};

struct user_state {
        const char *id, *name;
        bool own; /* it is he who says it */
        UT_hash_handle hh;
};

struct build {
        struct ingest_rows *rows;
        struct channel_state *channels, *channel_pool;
        struct user_state *users, *user_pool;
        unsigned n_channels, n_users;
        bool no_memory;
};

static struct channel_state *channel_of(struct build *b, const char *id)
{
        struct channel_state *c;

        HASH_FIND_STR(b->channels, id, c);
        if (c)
                return c;
        c = &b->channel_pool[b->n_channels++];
        *c = (struct channel_state){.id = id};
        HASH_ADD_KEYPTR(hh, b->channels, c->id, strlen(c->id), c);
        b->no_memory |= !c->hh.tbl;
        return c;
}

/* What others call somebody counts only as long as he has not said it himself. */
static void user_named(struct build *b, const char *id, const char *name, bool own)
{
        struct user_state *u;

        if (!*name)
                return;
        HASH_FIND_STR(b->users, id, u);
        if (!u) {
                u = &b->user_pool[b->n_users++];
                *u = (struct user_state){.id = id};
                HASH_ADD_KEYPTR(hh, b->users, u->id, strlen(u->id), u);
                b->no_memory |= !u->hh.tbl;
        }
        if (u->own && !own)
                return;
        u->name = name;
        u->own = own;
}

/* --- rows of one event --- */

static const char *or_null(const char *s)
{
        return *s ? s : NULL;
}

/* User ids hold no comma. NULL for none. */
static int join_mentions(size_t n, char **mentions, char **ret_text)
{
        size_t size = 1, at = 0;
        char *text;

        *ret_text = NULL;
        if (!n)
                return 0;
        for (size_t i = 0; i < n; i++)
                size += strlen(mentions[i]) + 1;
        text = malloc(size);
        if (!text)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                if (i)
                        text[at++] = ',';
                memcpy(text + at, mentions[i], strlen(mentions[i]));
                at += strlen(mentions[i]);
        }
        text[at] = '\0';
        *ret_text = text;
        return 0;
}

/* A Message with nothing but its attachments, packed; null for none */
static int attachments_row(struct pg_array *array, const Parley__V1__Message *m)
{
        Parley__V1__Message only = PARLEY__V1__MESSAGE__INIT;
        uint8_t *packed;
        size_t n;

        if (!m->n_attachments) {
                pg_array_null(array);
                return 0;
        }
        only.attachments = m->attachments;
        only.n_attachments = m->n_attachments;
        packed = malloc(parley__v1__message__get_packed_size(&only));
        if (!packed)
                return -ENOMEM;
        n = parley__v1__message__pack(&only, packed);
        pg_array_bytes(array, packed, n);
        free(packed);
        return 0;
}

static int message_row(struct build *b, const struct ingest_item *item, struct channel_state *c)
{
        const Parley__V1__Message *m = item->event->message;
        struct ingest_rows *r = b->rows;
        _cleanup_free_ char *mentions = NULL;

        if (join_mentions(m->n_mentions, m->mentions, &mentions) < 0 ||
            attachments_row(&r->messages.attachments, m) < 0)
                return -ENOMEM;
        pg_array_text(&r->messages.channel, item->channel_id);
        pg_array_i64(&r->messages.seq, (int64_t)item->seq);
        pg_array_text(&r->messages.id, item->event->id);
        pg_array_text(&r->messages.sender, item->event->actor_id);
        pg_array_text(&r->messages.sender_name, m->sender_name);
        pg_array_text(&r->messages.content, m->content);
        pg_array_i16(&r->messages.type, (int16_t)m->type);
        pg_array_text(&r->messages.thread, or_null(m->thread_id));
        pg_array_text(&r->messages.reply, or_null(m->reply_to));
        pg_array_text(&r->messages.mentions, mentions);
        pg_array_i64(&r->messages.created, item->created_ns);
        /* only what counts as unread gets a number */
        if (!*m->thread_id && m->type != PARLEY__V1__MESSAGE__TYPE__system)
                pg_array_i64(&r->messages.n_offset, ++c->n_added);
        else
                pg_array_null(&r->messages.n_offset);
        r->messages.n++;
        user_named(b, item->event->actor_id, m->sender_name, true);
        return 0;
}

static int mutation_row(struct build *b, const struct ingest_item *item)
{
        const Parley__V1__Event *e = item->event;
        bool edit = e->body_case == PARLEY__V1__EVENT__BODY_MESSAGE_EDITED;
        struct ingest_rows *r = b->rows;
        _cleanup_free_ char *mentions = NULL;

        if (edit && join_mentions(e->message_edited->n_mentions, e->message_edited->mentions, &mentions) < 0)
                return -ENOMEM;
        pg_array_i16(&r->mutations.kind, (int16_t)e->body_case);
        pg_array_text(&r->mutations.channel, item->channel_id);
        pg_array_i64(&r->mutations.seq, (int64_t)item->seq);
        pg_array_i64(&r->mutations.target,
                     (int64_t)(edit ? e->message_edited->target_seq : e->message_deleted->target_seq));
        pg_array_text(&r->mutations.actor, e->actor_id);
        pg_array_text(&r->mutations.content, edit ? e->message_edited->content : NULL);
        pg_array_text(&r->mutations.mentions, mentions);
        pg_array_i64(&r->mutations.at, item->created_ns);
        r->mutations.n++;
        return 0;
}

static void member_row(struct build *b, const struct ingest_item *item, const char *user, int role, uint64_t version)
{
        struct ingest_rows *r = b->rows;

        pg_array_i16(&r->members.kind, (int16_t)item->event->body_case);
        pg_array_text(&r->members.channel, item->channel_id);
        pg_array_i64(&r->members.seq, (int64_t)item->seq);
        pg_array_text(&r->members.user, user);
        pg_array_i16(&r->members.role, (int16_t)role);
        pg_array_i64(&r->members.version, (int64_t)version);
        r->members.n++;
}

static void channel_row(struct ingest_rows *r, const Parley__V1__Channel *c)
{
        int64_t created = 0;

        if (c->created_at)
                (void)ingest_time_ns(c->created_at, &created); /* was checked */
        pg_array_text(&r->channels.id, c->id);
        pg_array_i16(&r->channels.kind, (int16_t)c->kind);
        pg_array_text(&r->channels.name, c->name);
        pg_array_text(&r->channels.topic, c->topic);
        pg_array_i16(&r->channels.everyone, c->everyone != 0);
        pg_array_i16(&r->channels.visibility, (int16_t)c->history_visibility);
        pg_array_i16(&r->channels.archived, c->archived != 0);
        pg_array_i64(&r->channels.version, (int64_t)c->version);
        pg_array_i64(&r->channels.created, created);
        pg_array_text(&r->channels.created_by, c->created_by);
        r->channels.n++;
}

static void outbox_row(struct ingest_rows *r, const struct ingest_item *item)
{
        pg_array_text(&r->outbox.channel, item->channel_id);
        pg_array_text(&r->outbox.actor, item->event->actor_id);
        pg_array_text(&r->outbox.id, item->event->id);
        r->outbox.n++;
}

static int body_rows(struct build *b, const struct ingest_item *item, struct channel_state *c)
{
        const Parley__V1__Event *e = item->event;

        switch (e->body_case) {
        case PARLEY__V1__EVENT__BODY_MESSAGE:
                return message_row(b, item, c);
        case PARLEY__V1__EVENT__BODY_MESSAGE_EDITED:
        case PARLEY__V1__EVENT__BODY_MESSAGE_DELETED:
                return mutation_row(b, item);
        case PARLEY__V1__EVENT__BODY_MEMBER_JOINED:
                member_row(b, item, e->member_joined->user_id, (int)e->member_joined->role, e->member_joined->version);
                user_named(b, e->member_joined->user_id, e->member_joined->name,
                           strcmp(e->member_joined->user_id, e->actor_id) == 0);
                break;
        case PARLEY__V1__EVENT__BODY_MEMBER_LEFT:
                member_row(b, item, e->member_left->user_id, PARLEY__V1__ROLE__none, e->member_left->version);
                break;
        case PARLEY__V1__EVENT__BODY_MEMBER_CHANGED:
                member_row(b, item, e->member_changed->user_id, (int)e->member_changed->role,
                           e->member_changed->version);
                break;
        case PARLEY__V1__EVENT__BODY_CHANNEL_CHANGED:
                if (!c->newest || c->newest->version < e->channel_changed->channel->version)
                        c->newest = e->channel_changed->channel;
                break;
        default: /* of a later version: only the event itself is kept */
                return 0;
        }
        outbox_row(b->rows, item);
        return 0;
}

static int64_t target_of(const Parley__V1__Event *e)
{
        if (e->body_case == PARLEY__V1__EVENT__BODY_MESSAGE_EDITED)
                return (int64_t)e->message_edited->target_seq;
        if (e->body_case == PARLEY__V1__EVENT__BODY_MESSAGE_DELETED)
                return (int64_t)e->message_deleted->target_seq;
        return 0;
}

static void event_row(struct ingest_rows *r, const struct ingest_item *item, uint64_t prev)
{
        const Parley__V1__Event *e = item->event;
        bool whole = e && item->verdict == INGEST_APPLY;
        int64_t target = whole ? target_of(e) : 0;

        pg_array_text(&r->events.channel, item->channel_id);
        pg_array_i64(&r->events.seq, (int64_t)item->seq);
        if (prev)
                pg_array_i64(&r->events.prev, (int64_t)prev);
        else
                pg_array_null(&r->events.prev);
        pg_array_i16(&r->events.kind, e ? (int16_t)e->body_case : 0);
        if (whole)
                pg_array_null(&r->events.removed);
        else
                pg_array_i16(&r->events.removed, item->verdict == INGEST_DUPLICATE
                                                         ? PARLEY__V1__EVENT_REMOVED__REASON__duplicate
                                                         : PARLEY__V1__EVENT_REMOVED__REASON__rejected);
        /* of what was rejected nothing is trusted */
        pg_array_text(&r->events.actor, e && item->verdict != INGEST_REJECT ? e->actor_id : "");
        pg_array_text(&r->events.id, whole ? e->id : NULL);
        pg_array_i64(&r->events.created, item->created_ns);
        if (target)
                pg_array_i64(&r->events.target, target);
        else
                pg_array_null(&r->events.target);
        pg_array_bytes(&r->events.fingerprint, whole ? item->fingerprint : NULL, FINGERPRINT_LEN);
        pg_array_bytes(&r->events.payload, whole && !ingest_is_plain(e) ? item->data : NULL, item->len);
        r->events.n++;
}

static void dead_file_row(struct ingest_rows *r, const struct ingest_item *item, const char *id)
{
        pg_array_text(&r->dead_files.file, id);
        pg_array_text(&r->dead_files.channel, item->channel_id);
        pg_array_i64(&r->dead_files.seq, (int64_t)item->seq);
        r->dead_files.n++;
}

/* Members have seen it, and somebody may mend it: its files must not go before that. Of what was not taken for an event at all (it is too large)
 * only they are read. */
static int dead_files_rows(struct build *b, const struct ingest_item *item)
{
        struct wire_error error = {0};
        Parley__V1__Event *own = NULL;
        const Parley__V1__Event *e = item->event;
        int r = e ? 0 : event_decode(item->data, item->len, item->seq, 0, &own, &error);

        if (r != 0)
                return r < 0 ? r : 0;
        e = e ? e : own;
        if (e->body_case == PARLEY__V1__EVENT__BODY_MESSAGE)
                for (size_t i = 0; i < e->message->n_attachments && i < DEAD_FILES_MAX; i++)
                        if (uuid_valid(e->message->attachments[i]->id))
                                dead_file_row(b->rows, item, e->message->attachments[i]->id);
        if (own)
                protobuf_c_message_free_unpacked(&own->base, NULL);
        return 0;
}

static int item_rows(struct build *b, const struct ingest_item *item)
{
        struct channel_state *c;

        if (item->verdict == INGEST_SKIP)
                return 0;
        c = channel_of(b, item->channel_id);
        event_row(b->rows, item, c->last_seq);
        c->last_seq = item->seq;
        if (item->verdict == INGEST_APPLY)
                return body_rows(b, item, c);
        /* A change of ours that could not be applied must not be published again and again. */
        if (item->event && item->event->body_case >= PARLEY__V1__EVENT__BODY_MEMBER_JOINED)
                outbox_row(b->rows, item);
        return item->verdict == INGEST_REJECT ? dead_files_rows(b, item) : 0;
}

/* --- what is said once for a channel and for a user --- */

static int by_channel(struct channel_state *a, struct channel_state *b)
{
        return strcmp(a->id, b->id);
}

static int by_user(struct user_state *a, struct user_state *b)
{
        return strcmp(a->id, b->id);
}

/* Sorted, so that two transactions lock rows in the same order */
static void summary_rows(struct build *b)
{
        struct ingest_rows *r = b->rows;

        HASH_SORT(b->channels, by_channel);
        for (struct channel_state *c = b->channels; c; c = c->hh.next) {
                pg_array_text(&r->heads.channel, c->id);
                pg_array_i64(&r->heads.last_seq, (int64_t)c->last_seq);
                pg_array_i64(&r->heads.n_added, c->n_added);
                r->heads.n++;
                if (c->newest)
                        channel_row(r, c->newest);
        }
        HASH_SORT(b->users, by_user);
        for (struct user_state *u = b->users; u; u = u->hh.next) {
                pg_array_text(&r->users.id, u->id);
                pg_array_text(&r->users.name, u->name);
                pg_array_i16(&r->users.own, u->own);
                r->users.n++;
        }
}

int ingest_rows_build(const struct ingest_batch *b, unsigned from, unsigned to, struct ingest_rows *ret)
{
        _cleanup_free_ struct channel_state *channel_pool = calloc(to - from + 1, sizeof(*channel_pool));
        _cleanup_free_ struct user_state *user_pool = calloc(to - from + 1, sizeof(*user_pool));
        struct build build = {.rows = ret, .channel_pool = channel_pool, .user_pool = user_pool};
        int r = 0;

        rows_init(ret);
        if (!channel_pool || !user_pool)
                return -ENOMEM;
        for (unsigned i = from; r == 0 && i < to; i++)
                r = build.no_memory ? -ENOMEM : item_rows(&build, &b->items[i]);
        if (r == 0)
                summary_rows(&build);
        HASH_CLEAR(hh, build.channels);
        HASH_CLEAR(hh, build.users);
        if (build.no_memory)
                return -ENOMEM;
        return r < 0 ? r : rows_error(ret);
}
