#include "history/event_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "history/channel_rows.h"

/* The mentions of a message: one text that is cut at the commas */
struct mentions {
        char *text;
        char **ids;
        size_t n;
};

static int mentions_split(const char *joined, struct mentions *ret)
{
        size_t n = 1;
        char *at;

        *ret = (struct mentions){0};
        if (!*joined)
                return 0;
        for (const char *p = joined; *p; p++)
                n += *p == ',';
        ret->text = strdup(joined);
        ret->ids = calloc(n, sizeof(*ret->ids));
        if (!ret->text || !ret->ids)
                return -ENOMEM;
        at = ret->text;
        while (at)
                ret->ids[ret->n++] = strsep(&at, ",");
        return 0;
}

static void mentions_done(struct mentions *m)
{
        free(m->text);
        free(m->ids);
}

struct row_slot {
        Parley__V1__Event event;
        Parley__V1__Message message;
        Parley__V1__EventRemoved removed;
        Google__Protobuf__Timestamp created_at;
        struct mentions mentions;
        Parley__V1__Event *unpacked;
};

static int message_of_event(const struct pg_results *r, unsigned stmt, unsigned row, unsigned col, struct row_slot *s)
{
        Parley__V1__Message *m = &s->message;
        int e = mentions_split(pg_text(r, stmt, row, col + 15), &s->mentions);

        if (e < 0)
                return e;
        parley__v1__message__init(m);
        m->id = s->event.id;
        m->channel_id = s->event.channel_id;
        m->sender_id = s->event.actor_id;
        m->sender_name = (char *)pg_text(r, stmt, row, col + 10);
        m->content = (char *)pg_text(r, stmt, row, col + 11);
        m->type = (Parley__V1__Message__Type)pg_i64(r, stmt, row, col + 12);
        m->thread_id = (char *)pg_text(r, stmt, row, col + 13);
        m->reply_to = (char *)pg_text(r, stmt, row, col + 14);
        m->mentions = s->mentions.ids;
        m->n_mentions = s->mentions.n;
        m->created_at = &s->created_at;
        m->seq = s->event.seq;
        s->event.body_case = PARLEY__V1__EVENT__BODY_MESSAGE;
        s->event.message = m;
        return 0;
}

static int stored_event(const struct pg_results *r, unsigned stmt, unsigned row, unsigned col, struct row_slot *s)
{
        struct wire_error error;
        const uint8_t *data;
        size_t n;
        int e;

        data = pg_bytes(r, stmt, row, col + 8, &n);
        e = event_decode(data, n, s->event.seq, s->event.prev, &s->unpacked, &error);
        if (e)
                return e < 0 ? e : -EBADMSG;
        if (s->unpacked->body_case == PARLEY__V1__EVENT__BODY_MESSAGE)
                s->unpacked->message->seq = s->event.seq;
        return 0;
}

static int read_event(const struct pg_results *r, unsigned stmt, unsigned row, unsigned col, struct row_slot *s,
                      Parley__V1__Event **ret_event)
{
        Parley__V1__Event *e = &s->event;
        int error = 0;

        parley__v1__event__init(e);
        e->channel_id = (char *)pg_text(r, stmt, row, col);
        e->seq = (uint64_t)pg_i64(r, stmt, row, col + 1);
        e->prev = (uint64_t)pg_i64(r, stmt, row, col + 2);
        e->actor_id = (char *)pg_text(r, stmt, row, col + 5);
        e->id = (char *)pg_text(r, stmt, row, col + 6);
        time_from_ns(pg_i64(r, stmt, row, col + 7), &s->created_at);
        e->created_at = &s->created_at;
        if (!pg_null(r, stmt, row, col + 4)) {
                parley__v1__event_removed__init(&s->removed);
                s->removed.reason = (Parley__V1__EventRemoved__Reason)pg_i64(r, stmt, row, col + 4);
                e->body_case = PARLEY__V1__EVENT__BODY_REMOVED;
                e->removed = &s->removed;
        } else if (!pg_null(r, stmt, row, col + 8)) {
                error = stored_event(r, stmt, row, col, s);
        } else {
                error = message_of_event(r, stmt, row, col, s);
        }
        *ret_event = s->unpacked ? s->unpacked : e;
        return error;
}

int event_rows_read(const struct pg_results *r, unsigned stmt, unsigned first, unsigned n, unsigned col,
                    struct event_rows *ret)
{
        int e = 0;

        *ret = (struct event_rows){0};
        ret->events = calloc(n + 1, sizeof(*ret->events));
        ret->slots = calloc(n + 1, sizeof(*ret->slots));
        if (!ret->events || !ret->slots)
                return -ENOMEM;
        for (unsigned i = first; e == 0 && i < first + n; i++) {
                if (pg_null(r, stmt, i, col + 1))
                        continue;
                e = read_event(r, stmt, i, col, &ret->slots[ret->n], &ret->events[ret->n]);
                ret->n++;
        }
        return e;
}

void event_rows_done(struct event_rows *rows)
{
        for (size_t i = 0; rows->slots && i < rows->n; i++) {
                mentions_done(&rows->slots[i].mentions);
                if (rows->slots[i].unpacked)
                        protobuf_c_message_free_unpacked(&rows->slots[i].unpacked->base, NULL);
        }
        free(rows->slots);
        free(rows->events);
        *rows = (struct event_rows){0};
}

struct message_slot {
        Parley__V1__Message message;
        Google__Protobuf__Timestamp created_at, updated_at;
        struct mentions mentions;
        Parley__V1__Message *files; /* a Message that has nothing but attachments; NULL: none */
};

static int read_attachments(const struct pg_results *r, unsigned stmt, unsigned row, unsigned col,
                            struct message_slot *s)
{
        const uint8_t *data;
        size_t n;

        if (pg_null(r, stmt, row, col))
                return 0;
        data = pg_bytes(r, stmt, row, col, &n);
        s->files = parley__v1__message__unpack(NULL, n, data);
        if (!s->files)
                return -EBADMSG;
        s->message.attachments = s->files->attachments;
        s->message.n_attachments = s->files->n_attachments;
        return 0;
}

static int read_message(const struct pg_results *r, unsigned stmt, unsigned row, unsigned col, struct message_slot *s)
{
        Parley__V1__Message *m = &s->message;
        int e = mentions_split(pg_text(r, stmt, row, col + 9), &s->mentions);

        if (e < 0)
                return e;
        parley__v1__message__init(m);
        m->channel_id = (char *)pg_text(r, stmt, row, col);
        m->seq = (uint64_t)pg_i64(r, stmt, row, col + 1);
        m->id = (char *)pg_text(r, stmt, row, col + 2);
        m->sender_id = (char *)pg_text(r, stmt, row, col + 3);
        m->sender_name = (char *)pg_text(r, stmt, row, col + 4);
        m->content = (char *)pg_text(r, stmt, row, col + 5);
        m->type = (Parley__V1__Message__Type)pg_i64(r, stmt, row, col + 6);
        m->thread_id = (char *)pg_text(r, stmt, row, col + 7);
        m->reply_to = (char *)pg_text(r, stmt, row, col + 8);
        m->mentions = s->mentions.ids;
        m->n_mentions = s->mentions.n;
        time_from_ns(pg_i64(r, stmt, row, col + 10), &s->created_at);
        m->created_at = &s->created_at;
        if (!pg_null(r, stmt, row, col + 11)) {
                time_from_ns(pg_i64(r, stmt, row, col + 11), &s->updated_at);
                m->updated_at = &s->updated_at;
        }
        m->deleted = !pg_null(r, stmt, row, col + 12);
        return read_attachments(r, stmt, row, col + 13, s);
}

int message_rows_read(const struct pg_results *r, unsigned stmt, unsigned first, unsigned n, unsigned col,
                      struct message_rows *ret)
{
        int e = 0;

        *ret = (struct message_rows){0};
        ret->messages = calloc(n + 1, sizeof(*ret->messages));
        ret->slots = calloc(n + 1, sizeof(*ret->slots));
        if (!ret->messages || !ret->slots)
                return -ENOMEM;
        for (unsigned i = first; e == 0 && i < first + n; i++) {
                if (pg_null(r, stmt, i, col + 1))
                        continue;
                e = read_message(r, stmt, i, col, &ret->slots[ret->n]);
                ret->messages[ret->n] = &ret->slots[ret->n].message;
                ret->n++;
        }
        return e;
}

void message_rows_done(struct message_rows *rows)
{
        for (size_t i = 0; rows->slots && i < rows->n; i++) {
                mentions_done(&rows->slots[i].mentions);
                if (rows->slots[i].files)
                        protobuf_c_message_free_unpacked(&rows->slots[i].files->base, NULL);
        }
        free(rows->slots);
        free(rows->messages);
        *rows = (struct message_rows){0};
}
