/* Events as the log has them, and what their rows hold: shared by the tests of history's ingest. */
#pragma once

#include "history/ingest_core.h"
#include "unit.h"

static const struct ingest_limits limits = {.max_event_bytes = 4096};

#define ID(n) "00000000-0000-4000-8000-00000000000" n

/* An event that is right; the tests bend it */
struct draft {
        Parley__V1__Event event;
        Parley__V1__Message message;
        Parley__V1__MessageEdited edited;
        Parley__V1__MessageDeleted deleted;
        Parley__V1__MemberJoined joined;
        Parley__V1__MemberLeft left;
        Parley__V1__ChannelChanged changed;
        Parley__V1__Channel channel;
        Google__Protobuf__Timestamp at;
        const char *subject;
};

static inline void draft_init(struct draft *d, const char *channel, const char *actor, const char *id)
{
        parley__v1__event__init(&d->event);
        parley__v1__message__init(&d->message);
        parley__v1__message_edited__init(&d->edited);
        parley__v1__message_deleted__init(&d->deleted);
        parley__v1__member_joined__init(&d->joined);
        parley__v1__member_left__init(&d->left);
        parley__v1__channel_changed__init(&d->changed);
        parley__v1__channel__init(&d->channel);
        google__protobuf__timestamp__init(&d->at);
        d->at.seconds = 1700000000;
        d->at.nanos = 123456789;
        d->event.channel_id = (char *)channel;
        d->event.actor_id = (char *)actor;
        d->event.id = (char *)id;
        d->event.created_at = &d->at;
        d->event.body_case = PARLEY__V1__EVENT__BODY_MESSAGE;
        d->event.message = &d->message;
        d->message.id = (char *)id;
        d->message.channel_id = (char *)channel;
        d->message.sender_id = (char *)actor;
        d->message.sender_name = (char *)"Ada";
        d->message.content = (char *)"hello";
        d->message.created_at = &d->at;
        d->subject = NULL;
}

static inline void add(struct ingest_batch *b, const struct draft *d, uint64_t seq)
{
        uint8_t bytes[4096];
        char subject[SUBJECT_MAX];
        size_t n = parley__v1__event__get_packed_size(&d->event);

        assert_true(n <= sizeof(bytes));
        (void)parley__v1__event__pack(&d->event, bytes);
        if (d->subject)
                (void)snprintf(subject, sizeof(subject), "%s", d->subject);
        else
                subject_chat(subject, 0, d->event.channel_id);
        assert_int_equal(ingest_batch_add(b, &limits, subject, bytes, n, seq, 5000 + (int64_t)seq), 0);
}

static inline void add_message(struct ingest_batch *b, const char *channel, const char *actor, const char *id,
                               uint64_t seq)
{
        struct draft d;

        draft_init(&d, channel, actor, id);
        add(b, &d, seq);
}

/* --- reading arrays back --- */

static inline const uint8_t *element(const struct pg_array *a, unsigned i, int32_t *ret_n)
{
        const uint8_t *p = a->data.data + 20;

        assert_true(i < a->n);
        for (;;) {
                *ret_n = (int32_t)pg_get_be(p, 4);
                p += 4;
                if (i-- == 0)
                        return p;
                p += *ret_n > 0 ? *ret_n : 0;
        }
}

static inline void expect_text(const struct pg_array *a, unsigned i, const char *text)
{
        int32_t n;
        const uint8_t *p = element(a, i, &n);

        if (!text) {
                assert_int_equal(n, -1);
                return;
        }
        assert_int_equal(n, strlen(text));
        assert_memory_equal(p, text, strlen(text));
}

#define NULL_NUMBER INT64_MIN
static inline void expect_number(const struct pg_array *a, unsigned i, int64_t v)
{
        int32_t n;
        const uint8_t *p = element(a, i, &n);

        if (v == NULL_NUMBER) {
                assert_int_equal(n, -1);
                return;
        }
        assert_true(n == 8 || n == 2);
        assert_int_equal(n == 8 ? (int64_t)pg_get_be(p, 8) : (int16_t)pg_get_be(p, 2), v);
}

static inline bool is_null(const struct pg_array *a, unsigned i)
{
        int32_t n;

        (void)element(a, i, &n);
        return n < 0;
}
