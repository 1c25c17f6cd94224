/* Readers, the side of the server: a consumer without acks and without a name that lasts, and fetches from it. It counts the messages of its
 * consumer; on a break in that count, and on anything else that is not as it should be, it makes a new consumer behind the last message.
 *
 * A fetch that waits brings each message by itself, as it is stored: a write, three threads woken, and a turn of the loop for each. So a reader
 * whose batches have time (linger_ms) waits for one message only, and fetches what came after it when that time is over; and once more each
 * time after a batch that was not empty. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "bus/codec.h"
#include "bus/jsapi.h"
#include "bus/reader_impl.h"

#define INACTIVE_MS 30000 /* the server forgets a consumer that nobody fetches from */
#define EXPIRES_MS 5000   /* how long a fetch waits at the server */
#define GRACE_MS 2000     /* when nothing is heard of it so long after, it is lost */

static void on_retry(uv_timer_t *timer)
{
        reader_fetch(timer->data);
}

void reader_reset(struct bus_reader *r)
{
        char subject[192];

        if (r->consumer != NULL && r->bus->connected) { /* it would go by itself */
                snprintf(subject, sizeof(subject), "$JS.API.CONSUMER.DELETE.%s.%s", r->stream, r->name);
                bus_publish(r->bus, subject, "", 0, NULL);
        }
        struct pending **all[] = {&r->create, &r->consumer, &r->pull, &r->question};

        if (r->question != NULL && r->active)
                uv_timer_start(&r->timer, reader_on_timer, READER_RETRY_MS, 0);
        for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
                if (*all[i] != NULL)
                        pending_end(*all[i]);
                *all[i] = NULL;
        }
        r->pull_left = 0;
        r->consumer_seq = 0;
        uv_timer_stop(&r->retry);
        if (r->gathering)
                uv_timer_start(&r->timer, reader_on_timer, 0, 0); /* nothing more comes for this batch */
}

/* Something is wrong with the consumer: another one, soon */
static void start_again(struct bus_reader *r)
{
        reader_reset(r);
        if (r->failures++ == 0)
                reader_fetch(r);
        else
                uv_timer_start(&r->retry, on_retry, READER_RETRY_MS, 0);
}

/* --- messages --- */

static void on_message(struct pending *p, int error, const struct bus_msg *msg, const struct conn_extra *extra)
{
        struct bus_reader *r = p->context;
        struct delivery d;

        (void)extra;
        if (error != 0) { /* the connection broke, or the bus is closed */
                r->consumer = NULL;
                return;
        }
        if (codec_delivery(msg->reply, &d) < 0 || d.consumer_seq != r->consumer_seq + 1) {
                start_again(r);
                return;
        }
        r->consumer_seq = d.consumer_seq;
        r->waiting = d.pending;
        r->failures = 0;
        r->pull_got++;
        if (r->pull_left > 0 && --r->pull_left == 0) { /* nothing more is said about it */
                pending_end(r->pull);
                r->pull = NULL;
        }
        if (d.seq > r->position) {
                struct bus_msg given = *msg;

                given.reply = NULL; /* consumers are ours; there is nothing to ack */
                given.seq = d.seq;
                given.time_ns = d.time_ns;
                given.pending = d.pending;
                uint64_t before = r->position;
                r->position = d.seq;
                r->oversized = false;
                if (reader_take(r, &given, before) < 0) {
                        r->position = before; /* without memory: read it again */
                        start_again(r);
                        return;
                }
        }
        if (r->gathering && r->pull == NULL && r->waiting == 0)
                reader_end_batch(r, 0);
        else if (!r->freed)
                reader_fetch(r);
}

/* --- fetches --- */

static void on_pull_status(struct pending *p, int error, const struct bus_msg *msg, const struct conn_extra *extra)
{
        struct bus_reader *r = p->context;
        const char *text = error == 0 && extra->description != NULL ? extra->description : "";

        (void)msg;
        r->pull = NULL;
        r->pull_left = 0;
        if (error == BUS_E_DISCONNECTED)
                return;
        bool too_big = error == 0 && extra->status == 409 && strstr(text, "MaxBytes") != NULL;
        bool over = error == 0 &&
                    (extra->status == 408 || extra->status == 404 || too_big || strcmp(text, "Batch Completed") == 0);
        if (!over) { /* 503: the consumer is gone; 409: so it will be; or silence */
                start_again(r);
                return;
        }
        if (too_big && r->pull_got == 0)
                r->oversized = true;
        if (r->pull_at_once && !too_big)
                r->waiting = 0;
        if (r->gathering && r->n == 0)
                reader_wait(r);
        else if (r->gathering)
                reader_end_batch(r, 0);
        else
                reader_fetch(r);
}

static void pull(struct bus_reader *r, unsigned batch, bool at_once)
{
        char subject[192], body[160];
        struct request q = {.subject = subject, .data = body, .timeout_ms = (at_once ? 0 : EXPIRES_MS) + GRACE_MS};
        int n = snprintf(body, sizeof(body), "{\"batch\":%u,", batch);

        if (at_once)
                n += snprintf(body + n, sizeof(body) - (size_t)n, "\"no_wait\":true");
        else
                n += snprintf(body + n, sizeof(body) - (size_t)n, "\"expires\":%" PRIu64,
                              EXPIRES_MS * UINT64_C(1000000));
        if (r->options.batch_bytes > 0 && !r->oversized)
                n += snprintf(body + n, sizeof(body) - (size_t)n, ",\"max_bytes\":%zu", r->options.batch_bytes);
        n += snprintf(body + n, sizeof(body) - (size_t)n, "}");
        q.len = (size_t)n;
        snprintf(subject, sizeof(subject), "$JS.API.CONSUMER.MSG.NEXT.%s.%s", r->stream, r->name);
        if (request_send(r->bus, &q, on_pull_status, &r->pull) != 0) {
                r->pull = NULL;
                uv_timer_start(&r->retry, on_retry, READER_RETRY_MS, 0); /* too much waits to be sent, or broken */
                return;
        }
        r->pull->context = r;
        r->pull_left = batch;
        r->pull_got = 0;
        r->pull_at_once = at_once;
}

static void pull_next(struct bus_reader *r)
{
        unsigned room = r->oversized ? 1 : r->options.batch - r->n;

        if (r->options.linger_ms == 0)
                pull(r, room, false);
        else if (r->waiting > 0)
                pull(r, room, true);
        else if (r->n == 0)
                pull(r, 1, false);
        /* else reader_gather, when the batch's time is over */
}

bool reader_gather(struct bus_reader *r)
{
        if (r->pull == NULL && r->options.linger_ms > 0 && r->consumer != NULL && r->create == NULL &&
            r->bus->connected && !uv_is_active((uv_handle_t *)&r->retry))
                pull(r, r->oversized ? 1 : r->options.batch - r->n, true);
        return r->pull != NULL && r->pull_at_once;
}

/* --- the consumer --- */

static void on_created(struct pending *p, int error, const struct bus_msg *msg, const struct conn_extra *extra)
{
        struct bus_reader *r = p->context;
        struct jsapi_result result;
        uint64_t waiting = 0;

        r->create = NULL;
        if (error == BUS_E_DISCONNECTED)
                return;
        if (error == 0)
                error = request_status(msg, extra);
        if (error == 0)
                error = jsapi_parse_consumer(msg->data, msg->len, &waiting, &result);
        if (error != 0) {
                reader_reset(r);
                uv_timer_start(&r->retry, on_retry, READER_RETRY_MS, 0);
                reader_end_batch(r, error);
                return;
        }
        r->waiting = waiting;
        reader_fetch(r);
        if (waiting == 0 && r->options.last_per_subject && r->position == 0 && r->held == NULL)
                reader_end_batch(r, 0); /* an empty bucket is read at once */
}

static int create(struct bus_reader *r)
{
        struct bus *bus = r->bus;
        char subject[160], id[PENDING_ID_LEN + 1];
        int e = pending_add(&bus->pendings, uv_now(bus->options.loop), PENDING_FOREVER, on_message, &r->consumer);

        if (e != 0)
                return e;
        if (r->options.last_per_subject)
                r->position = 0; /* the bucket may have been made anew meanwhile: all of it is read again */
        r->consumer->many = true;
        r->consumer->context = r;
        r->consumer->bus = bus;
        pending_id_format(r->consumer->id, id);
        snprintf(r->name, sizeof(r->name), "%s%s", bus->consumer_prefix, id);
        struct jsapi_consumer c = {
                .stream = r->stream,
                .name = r->name,
                .filter = r->filter,
                .start_seq = r->position + 1,
                .last_per_subject = r->options.last_per_subject,
                .inactive_ms = INACTIVE_MS,
        };
        _cleanup_free_ char *body = jsapi_consumer_create(&c);
        if (body == NULL)
                return -ENOMEM;
        snprintf(subject, sizeof(subject), "$JS.API.CONSUMER.CREATE.%s.%s", r->stream, r->name);
        struct request q = {.subject = subject, .data = body, .len = strlen(body)};
        e = request_send(bus, &q, on_created, &r->create);
        if (e == 0)
                r->create->context = r;
        return e;
}

void reader_fetch(struct bus_reader *r)
{
        if (!r->active || r->pausing || r->freed || !r->bus->connected || r->create != NULL ||
            uv_is_active((uv_handle_t *)&r->retry))
                return;
        if (r->consumer == NULL) {
                if (create(r) != 0) {
                        r->create = NULL;
                        reader_reset(r);
                        uv_timer_start(&r->retry, on_retry, READER_RETRY_MS, 0);
                }
        } else if (r->pull == NULL && r->held == NULL) {
                pull_next(r);
        }
}
