/* Readers, the side of the caller: batches. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/codec.h"
#include "bus/reader_impl.h"

#define QUIET_MS 5000 /* an empty batch ends after this */
#define BATCH_MAX 4096
#define GATHER_MS 500 /* the last fetch of a batch takes no longer; what comes of it later begins the next one */

void reader_end_batch(struct bus_reader *r, int error)
{
        unsigned n = r->n;

        if (!r->active || r->freed)
                return;
        r->active = r->pausing = r->gathering = false;
        r->busy = n > 0;
        r->n = 0;
        r->bytes = 0;
        uv_timer_stop(&r->timer);
        r->options.batch_end(error, n, r->options.userdata);
}

static void give(struct bus_reader *r, const struct bus_msg *msg)
{
        size_t len = msg->len;

        r->options.handler(msg, r->options.userdata);
        if (r->freed)
                return;
        r->bytes += len;
        if (++r->n >= r->options.batch || (r->options.batch_bytes > 0 && r->bytes >= r->options.batch_bytes))
                reader_end_batch(r, 0);
        else if (r->n == 1 && !r->gathering)
                uv_timer_start(&r->timer, reader_on_timer, r->options.linger_ms, 0);
}

static const char *keep_string(char **cursor, const char *s)
{
        if (s == NULL)
                return NULL;
        size_t n = strlen(s) + 1;
        char *copy = memcpy(*cursor, s, n);
        *cursor += n;
        return copy;
}

static size_t string_size(const char *s)
{
        return s != NULL ? strlen(s) + 1 : 0;
}

static struct held *held_new(const struct bus_msg *msg)
{
        struct held *h = malloc(sizeof(*h) + msg->len + string_size(msg->subject) + string_size(msg->trace_id) +
                                string_size(msg->msg_id));

        if (h == NULL)
                return NULL;
        h->next = NULL;
        h->hole_from = 0;
        h->msg = *msg;
        char *cursor = (char *)(h + 1);
        h->msg.data = memcpy(cursor, msg->data, msg->len);
        cursor += msg->len;
        h->msg.subject = keep_string(&cursor, msg->subject);
        h->msg.trace_id = keep_string(&cursor, msg->trace_id);
        h->msg.msg_id = keep_string(&cursor, msg->msg_id);
        return h;
}

static int hold(struct bus_reader *r, const struct bus_msg *msg, uint64_t hole_from)
{
        struct held *h = held_new(msg);

        if (h == NULL)
                return -ENOMEM;
        h->hole_from = hole_from;
        *r->held_end = h;
        r->held_end = &h->next;
        r->n_held++;
        if (hole_from > 0 && r->active && r->held == h)
                reader_ask_hole(r);
        return 0;
}

int reader_hold_first(struct bus_reader *r, const struct bus_msg *msg)
{
        struct held *h = held_new(msg);

        if (h == NULL)
                return -ENOMEM;
        h->msg.pending = r->held->msg.pending + 1;
        h->next = r->held;
        r->held = h;
        r->n_held++;
        return 0;
}

int reader_take(struct bus_reader *r, const struct bus_msg *msg, uint64_t before)
{
        uint64_t hole_from = r->options.whole && msg->seq > before + 1 ? before + 1 : 0;

        if (!r->active || r->held != NULL || hole_from > 0) /* never past one that waits */
                return hold(r, msg, hole_from);
        give(r, msg);
        return 0;
}

static struct held *pop_held(struct bus_reader *r)
{
        struct held *h = r->held;

        r->held = h->next;
        if (r->held == NULL)
                r->held_end = &r->held;
        r->n_held--;
        return h;
}

/* Nothing came: because nothing is there? */
static int reader_quiet_error(const struct bus_reader *r)
{
        if (r->consumer == NULL || r->create != NULL)
                return BUS_E_DISCONNECTED;
        return r->waiting > 0 ? BUS_E_TIMEOUT : 0;
}

/* One batch at most: batch_end may begin the next one, which comes here again */
static void give_held(struct bus_reader *r)
{
        for (unsigned n = r->n_held; n > 0 && r->active && !r->freed && r->held != NULL; n--) {
                if (r->held->hole_from > 0) {
                        reader_ask_hole(r);
                        break;
                }
                struct held *h = pop_held(r);

                give(r, &h->msg);
                free(h);
                if (r->n == 0)
                        break;
        }
        if (!r->freed)
                reader_fetch(r);
}

static void time_over(struct bus_reader *r)
{
        int error = r->n > 0 ? 0 : reader_quiet_error(r);

        if (r->options.whole && r->n == 0 && error == 0)
                reader_ask_end(r);
        else
                reader_end_batch(r, error);
}

/* The held messages begin the batch; otherwise its time is over */
void reader_on_timer(uv_timer_t *timer)
{
        struct bus_reader *r = timer->data;

        if ((r->n > 0 || r->pausing) && !r->gathering && reader_gather(r)) {
                r->pausing = false;
                r->gathering = true;
                uv_timer_start(timer, reader_on_timer, GATHER_MS, 0);
        } else if (r->pausing) {
                reader_wait(r);
        } else if (r->held == NULL || r->n > 0) {
                time_over(r);
        } else {
                give_held(r);
        }
        if (r->bus->options.turn_end != NULL && !r->bus->closing)
                r->bus->options.turn_end(r->bus->options.userdata);
}

void reader_wait(struct bus_reader *r)
{
        r->pausing = r->gathering = false;
        uv_timer_start(&r->timer, reader_on_timer, QUIET_MS, 0);
        reader_fetch(r);
}

void bus_reader_next(struct bus_reader *r)
{
        if (r->active || r->freed || r->bus->closing)
                return;
        r->active = true;
        if (r->held != NULL) {
                uv_timer_start(&r->timer, reader_on_timer, 0, 0);
        } else if (r->busy && r->waiting == 0 && r->options.linger_ms > 0) {
                r->pausing = true;
                uv_timer_start(&r->timer, reader_on_timer, r->options.linger_ms, 0);
        } else {
                reader_wait(r);
        }
}

static void on_handle_closed(uv_handle_t *handle)
{
        struct bus_reader *r = handle->data;

        if (--r->n_handles > 0)
                return;
        while (r->held != NULL)
                free(pop_held(r));
        free(r->stream);
        free(r->filter);
        free(r);
}

void bus_reader_free(struct bus_reader *r)
{
        if (r == NULL || r->freed)
                return;
        reader_reset(r);
        r->freed = true;
        if (r->next != NULL)
                r->next->prev = r->prev;
        *r->prev = r->next;
        uv_close((uv_handle_t *)&r->timer, on_handle_closed);
        uv_close((uv_handle_t *)&r->retry, on_handle_closed);
}

int bus_reader_new(struct bus_reader **ret_reader, struct bus *bus, const struct bus_reader_options *o)
{
        if (bus->closing || !codec_name_valid(o->stream) ||
            (o->filter != NULL && !codec_subject_valid(o->filter, true)) || o->batch == 0 || o->batch > BATCH_MAX)
                return -EINVAL;
        struct bus_reader *r = calloc(1, sizeof(*r));
        if (r == NULL)
                return -ENOMEM;
        r->bus = bus;
        r->options = *o;
        r->stream = strdup(o->stream);
        r->filter = o->filter != NULL ? strdup(o->filter) : NULL;
        if (r->stream == NULL || (o->filter != NULL && r->filter == NULL)) {
                free(r->stream);
                free(r->filter);
                free(r);
                return -ENOMEM;
        }
        r->held_end = &r->held;
        r->position = o->start_seq > 0 && !o->last_per_subject ? o->start_seq - 1 : 0;
        uv_timer_init(bus->options.loop, &r->timer);
        uv_timer_init(bus->options.loop, &r->retry);
        r->timer.data = r->retry.data = r;
        r->n_handles = 2;
        r->next = bus->readers;
        r->prev = &bus->readers;
        if (r->next != NULL)
                r->next->prev = &r->next;
        bus->readers = r;
        bus_reader_next(r);
        *ret_reader = r;
        return 0;
}

void readers_connected(struct bus *bus)
{
        for (struct bus_reader *r = bus->readers; r != NULL; r = r->next)
                reader_fetch(r);
}

void readers_broken(struct bus *bus)
{
        for (struct bus_reader *r = bus->readers; r != NULL; r = r->next)
                reader_reset(r);
}

void readers_close(struct bus *bus)
{
        while (bus->readers != NULL)
                bus_reader_free(bus->readers);
}
