/* Dead letters: published and acknowledged before the cursor passes what they are about. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "bus/bus.h"
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

static int publish(struct ingest *in, const struct ingest_item *item)
{
        Parley__V1__DeadLetter letter = PARLEY__V1__DEAD_LETTER__INIT;
        Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        struct buf bytes = BUF_INIT(PAYLOAD_MAX + 4096);
        char subject[SUBJECT_MAX], msg_id[SUBJECT_MAX];
        int64_t now = env_now_ns();
        int r;

        at.seconds = now / 1000000000;
        at.nanos = (int32_t)(now % 1000000000);
        letter.service = (char *)"history";
        letter.subject = item->subject;
        letter.seq = item->seq;
        letter.reason = (char *)item->reason;
        letter.payload.data = item->data;
        letter.payload.len = item->len < PAYLOAD_MAX ? item->len : PAYLOAD_MAX;
        letter.failed_at = &at;
        subject_dlq(subject, "history");
        (void)snprintf(msg_id, sizeof(msg_id), "dlq:%.32s:%llu:%llu", in->stream, (unsigned long long)in->epoch,
                       (unsigned long long)item->seq);
        r = wire_proto_encode(&letter.base, &bytes);
        if (r == 0)
                r = bus_publish_stream(in->env->bus, subject, msg_id, bytes.data, bytes.len, NULL, on_ack, in);
        buf_done(&bytes);
        return r;
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
