/* Messages of the log as history ingests them: whatever stands there gets a verdict, and rows that are as many in each column. */
#include "base/ident.h"
#include "base/text.h"
#include "fuzz.h"
#include "history/ingest_core.h"

/* Records of the input: kind and length, then the message; its subject names one of few channels, or is a part of the input */
enum { ITEMS_MAX = 32 };

static void check_item(const struct ingest_item *item)
{
        REQUIRE(!item->channel_id[0] || ident_valid(item->channel_id));
        switch (item->verdict) {
        case INGEST_APPLY:
                REQUIRE(item->event && item->channel_id[0] && item->identity[0]);
                REQUIRE(strcmp(item->event->channel_id, item->channel_id) == 0 && item->event->seq == item->seq);
                REQUIRE(ident_valid(item->event->actor_id) && uuid_valid(item->event->id));
                break;
        case INGEST_DUPLICATE:
                REQUIRE(item->event);
                break;
        case INGEST_REJECT:
        case INGEST_SKIP:
                REQUIRE(!item->dead_letter || (item->reason[0] && utf8_valid(item->reason, strlen(item->reason))));
                break;
        }
}

/* A column has a value for each row of its table */
static void check_rows(const struct ingest_rows *r, unsigned n_items)
{
        REQUIRE(r->events.n <= n_items && r->messages.n <= r->events.n);
        REQUIRE(r->events.channel.n == r->events.n && r->events.payload.n == r->events.n);
        REQUIRE(r->events.fingerprint.n == r->events.n && r->events.target.n == r->events.n);
        REQUIRE(r->messages.channel.n == r->messages.n && r->messages.n_offset.n == r->messages.n);
        REQUIRE(r->messages.content.n == r->messages.n && r->messages.mentions.n == r->messages.n);
        REQUIRE(r->heads.channel.n == r->heads.n && r->heads.n_added.n == r->heads.n);
        REQUIRE(r->mutations.kind.n == r->mutations.n && r->mutations.at.n == r->mutations.n);
        REQUIRE(r->members.kind.n == r->members.n && r->members.version.n == r->members.n);
        REQUIRE(r->channels.id.n == r->channels.n && r->channels.created_by.n == r->channels.n);
        REQUIRE(r->users.id.n == r->users.n && r->users.own.n == r->users.n);
        REQUIRE(r->outbox.channel.n == r->outbox.n && r->outbox.id.n == r->outbox.n);
}

static void add(struct ingest_batch *b, uint8_t kind, const uint8_t *data, size_t n, uint64_t seq)
{
        static const struct ingest_limits limits = {.max_event_bytes = 4096};
        static const char *const subjects[] = {"chat.0.a", "chat.0.b", "chat.0.general", "chat.0", "live.0.a", ""};
        char subject[64];
        size_t n_subject = kind & 0x80 && n ? data[0] % 48 : 0;

        if (n_subject) {
                n_subject = n_subject < n - 1 ? n_subject : n - 1;
                memcpy(subject, data + 1, n_subject);
                subject[n_subject] = 0;
                data += n_subject + 1;
                n -= n_subject + 1;
        } else {
                strcpy(subject, subjects[kind % (sizeof(subjects) / sizeof(subjects[0]))]);
        }
        REQUIRE(ingest_batch_add(b, &limits, subject, data, n, seq, (int64_t)seq * 1000) == 0);
        check_item(&b->items[b->n - 1]);
}

static void build(const struct ingest_batch *b, unsigned from, unsigned to)
{
        struct ingest_rows rows;

        REQUIRE(ingest_rows_build(b, from, to, &rows) == 0);
        check_rows(&rows, to - from);
        ingest_rows_done(&rows);
}

/* As the database refuses: halves, until the one is found that cannot be applied */
static void bisect(struct ingest_batch *b, unsigned bad)
{
        struct bisect bi;
        unsigned tries = 0;

        bisect_init(&bi, b->n);
        while (!bisect_finished(&bi)) {
                REQUIRE(tries++ < 4 * ITEMS_MAX && bi.end > bi.done && bi.end <= b->n);
                build(b, bi.done, bi.end);
                if (bad < bi.done || bad >= bi.end || b->items[bad].verdict != INGEST_APPLY) {
                        bisect_ok(&bi);
                } else if (!bisect_refused(&bi)) {
                        REQUIRE(bi.done == bad && bi.end == bad + 1);
                        ingest_reject(&b->items[bad], "refused");
                }
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        struct ingest_batch b = {0};
        size_t at = 1;
        uint64_t seq = 10;

        if (n == 0)
                return 0;
        while (at + 3 <= n && b.n < ITEMS_MAX) {
                size_t len = data[at + 1] | (size_t)data[at + 2] << 8;
                uint8_t kind = data[at];

                at += 3;
                len = len < n - at ? len : n - at;
                add(&b, kind, data + at, len, seq++);
                at += len;
        }
        REQUIRE(ingest_batch_close(&b) == 0);
        for (unsigned i = 0; i < b.n; i++)
                check_item(&b.items[i]);
        if (b.n)
                bisect(&b, data[0] % b.n);
        ingest_batch_done(&b);
        return 0;
}
