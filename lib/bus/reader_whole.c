/* Readers of whole streams. A copy of a replicated stream may lack messages that the stream's leader has: after its servers were killed in a
 * row a nats-server 2.10 went on with such a copy, and its consumers went past the hole without a word. So what a consumer leaves out is asked
 * of the leader before anything behind it is given; and where nothing more comes, whether there is more. What was removed is left out by both. */
#include <stdlib.h>

#include "bus/reader_impl.h"

static void ask_later(struct bus_reader *r)
{
        if (r->active)
                uv_timer_start(&r->timer, reader_on_timer, READER_RETRY_MS, 0);
}

/* The first that is held came behind a hole, of which the leader has said something */
static void about_hole(struct bus_reader *r, int error, const struct bus_msg *msg)
{
        struct held *h = r->held;

        if (error != 0 || msg->seq < h->hole_from) { /* also NOT_FOUND: a leader that lacks what is held here is none */
                ask_later(r);
        } else if (msg->seq >= h->msg.seq) {
                h->hole_from = 0; /* removed */
        } else if (reader_hold_first(r, msg) < 0) {
                ask_later(r);
                return;
        } else {
                h->hole_from = msg->seq + 1 < h->msg.seq ? msg->seq + 1 : 0;
                bus_metrics_hole();
        }
        if (r->active && r->held->hole_from == 0)
                uv_timer_start(&r->timer, reader_on_timer, 0, 0);
}

/* Nothing came any more, and the leader was asked for what is next */
static void about_end(struct bus_reader *r, int error, const struct bus_msg *msg)
{
        if (error == BUS_E_NOT_FOUND) {
                reader_end_batch(r, 0);
        } else if (error != 0) {
                reader_end_batch(r, r->n > 0 ? 0 : BUS_E_TIMEOUT);
        } else if (msg->seq <= r->position) { /* it came meanwhile */
                ask_later(r);
        } else {
                uint64_t before = r->position;

                r->position = msg->seq;
                if (reader_take(r, msg, before) < 0) {
                        r->position = before;
                        ask_later(r);
                        return;
                }
                bus_metrics_hole();
                if (r->active && !r->freed)
                        reader_ask_end(r);
        }
}

static void on_leader(int error, const struct bus_msg *msg, void *userdata)
{
        struct bus_reader *r = userdata;

        r->question = NULL;
        if (r->freed)
                return;
        if (r->held != NULL && r->held->hole_from > 0)
                about_hole(r, error, msg);
        else if (r->active && r->held == NULL)
                about_end(r, error, msg);
}

static void ask(struct bus_reader *r, uint64_t min_seq)
{
        if (r->question == NULL && stream_first(r->bus, r->stream, min_seq, on_leader, r, &r->question) != 0) {
                r->question = NULL;
                ask_later(r);
        }
}

void reader_ask_hole(struct bus_reader *r)
{
        ask(r, r->held->hole_from);
}

void reader_ask_end(struct bus_reader *r)
{
        ask(r, r->position + 1);
}
