/* Dead letters: published and acknowledged before the cursor passes what they are about. */
#include "history/ingest_dlq.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "history/channel_rows.h"
#include "history/history_metrics.h"
#include "history/ingest_impl.h"
#include "parley/v1/internal.pb-c.h"

/* Below the usual largest message of NATS (1 MiB); the whole original stays in the log until that is trimmed. */
enum { PAYLOAD_MAX = 512 << 10, AGAIN_MS = 1000 };

static void on_ack(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        struct ingest *in = userdata;

        (void)ack;
        if (error && !in->dlq_failed) {
                in->dlq_failed = true;
                log_error("a dead letter cannot be stored", LOG_S("stream", in->stream),
                          LOG_S("why", text && *text ? text : bus_error_text(error)));
        }
        if (--in->awaited_acks)
                return;
        for (unsigned i = in->part.done; !in->dlq_failed && i < in->part.end; i++) {
                metric_add(&metric_dead_letters, ingest_applying(in)->items[i].dead_letter);
                ingest_applying(in)->items[i].dead_letter = false;
        }
        /* Ingest must not go past what is stored nowhere else as undone: it waits until there is room. */
        if (in->dlq_failed)
                ingest_retry_later(in, AGAIN_MS);
        else
                ingest_apply_part(in);
}

int dead_letter_publish(struct env *env, const struct dead_letter *letter, const char *msg_id, bus_ack_handler handler,
                        void *userdata)
{
        Parley__V1__DeadLetter m = PARLEY__V1__DEAD_LETTER__INIT;
        struct buf bytes = BUF_INIT(PAYLOAD_MAX + 4096);
        Google__Protobuf__Timestamp at;
        char subject[SUBJECT_MAX];
        int r;

        time_from_ns(env_now_ns(), &at);
        m.service = (char *)"history";
        m.subject = (char *)letter->subject;
        m.seq = letter->seq;
        m.reason = (char *)letter->reason;
        m.payload.data = (uint8_t *)letter->data;
        m.payload.len = letter->len < PAYLOAD_MAX ? letter->len : PAYLOAD_MAX;
        m.failed_at = &at;
        subject_dlq(subject, "history");
        r = wire_proto_encode(&m.base, &bytes);
        if (r == 0)
                r = bus_publish_stream(env->bus, subject, msg_id, bytes.data, bytes.len, NULL, handler, userdata);
        buf_done(&bytes);
        return r;
}

static int publish(struct ingest *in, const struct ingest_item *item)
{
        const struct dead_letter letter = {.subject = item->subject,
                                           .seq = item->seq,
                                           .reason = item->reason,
                                           .data = item->data,
                                           .len = item->len};
        char msg_id[SUBJECT_MAX];

        (void)snprintf(msg_id, sizeof(msg_id), "dlq:%.32s:%llu:%llu", in->stream, (unsigned long long)in->epoch,
                       (unsigned long long)item->seq);
        return dead_letter_publish(in->env, &letter, msg_id, on_ack, in);
}

void ingest_dead_letters(struct ingest *in)
{
        struct ingest_batch *b = ingest_applying(in);
        int r = 0;

        in->dlq_failed = false;
        in->awaited_acks = 0;
        for (unsigned i = in->part.done; r == 0 && i < in->part.end; i++) {
                struct ingest_item *item = &b->items[i];

                if (!item->dead_letter)
                        continue;
                r = publish(in, item);
                if (r == 0) {
                        in->awaited_acks++;
                        log_warn("dead letter", LOG_S("stream", in->stream), LOG_U("seq", item->seq),
                                 LOG_S("why", item->reason));
                }
        }
        if (r != 0)
                in->dlq_failed = true; /* e.g. too much is waiting: the rest with the next try */
        if (in->awaited_acks)
                return;
        if (in->dlq_failed)
                ingest_retry_later(in, AGAIN_MS);
        else
                ingest_apply_part(in);
}
