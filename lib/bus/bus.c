/* The bus: one connection at a time, made again for ever, and what outlives it. */
#include "bus/bus.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/ident.h"
#include "bus/bus_config.h"
#include "bus/bus_impl.h"
#include "bus/codec.h"

#define DEFAULT_SEND_BYTES (8u << 20)
#define DEFAULT_INBOX_BYTES (64u << 20)
#define DEFAULT_TIMEOUT_MS 5000
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 400
#define RETRY_JITTER_MS 100

static void connect_now(struct bus *bus);

const char *bus_error_text(int error)
{
        switch (error) {
        case 0:
                return "no error";
#define X(name, value, text)                                                                                           \
        case BUS_E_##name:                                                                                             \
                return text;
                BUS_ERROR_MAP(X)
#undef X
        default:
                return error < 0 ? strerror(-error) : "unknown error";
        }
}

static void on_turn_end(void *userdata)
{
        struct bus *bus = userdata;

        if (bus->options.turn_end != NULL && !bus->closing)
                bus->options.turn_end(bus->options.userdata);
}

/* --- the connection --- */

static void on_retry(uv_timer_t *timer)
{
        connect_now(timer->data);
}

static void connect_later(struct bus *bus)
{
        uint64_t delay = (uint64_t)RETRY_MIN_MS << (bus->attempts < 8 ? bus->attempts : 8);
        uint8_t jitter;

        random_bytes(&jitter, 1);
        if (delay > RETRY_MAX_MS)
                delay = RETRY_MAX_MS;
        bus->attempts++;
        uv_timer_start(&bus->retry, on_retry, delay + jitter * RETRY_JITTER_MS / 256, 0);
}

static void complain(struct bus *bus, const char *text)
{
        if (bus->options.on_error != NULL && !bus->closing)
                bus->options.on_error(text, bus->options.userdata);
}

static void disconnected(struct bus *bus);

static int sub_start(struct bus_sub *sub)
{
        if (sub->direct)
                return conn_subscribe_direct(sub->bus->conn, sub->subject, sub->handler, sub->userdata, &sub->wire);
        return conn_subscribe(sub->bus->conn, sub->subject, sub->queue, sub->handler, sub->userdata, &sub->wire);
}

static void on_opened(int error, const char *text, void *userdata)
{
        struct bus *bus = userdata;

        if (error != 0) {
                bus->conn = NULL; /* it frees itself */
                connect_later(bus);
                complain(bus, text);
                return;
        }
        bus->connected = true;
        bus->attempts = 0;
        bus_metrics_connected();
        for (struct bus_sub *sub = bus->subs; sub != NULL; sub = sub->next) {
                if (sub_start(sub) == 0)
                        continue;
                /* without memory, or broken already: all again on the next connection */
                bus_leave(bus, "a subscription cannot be made");
                return;
        }
        health_connected(bus);
        readers_connected(bus);
        if (bus->options.on_connected != NULL)
                bus->options.on_connected(bus->options.userdata);
        on_turn_end(bus);
}

static void disconnected(struct bus *bus)
{
        bool was_connected = bus->connected;

        bus->conn = NULL;
        bus->connected = false;
        health_disconnected(bus);
        for (struct bus_sub *sub = bus->subs; sub != NULL; sub = sub->next) {
                if (sub->wire != NULL)
                        conn_unsubscribe(sub->wire);
                sub->wire = NULL;
        }
        if (was_connected)
                bus_metrics_disconnected();
        if (!was_connected || bus->closing)
                return;
        connect_later(bus);
        readers_broken(bus);
        if (bus->options.on_disconnected != NULL)
                bus->options.on_disconnected(bus->options.userdata);
        if (!bus->closing)
                pendings_fail(&bus->pendings, BUS_E_DISCONNECTED);
        on_turn_end(bus);
}

void bus_leave(struct bus *bus, const char *why)
{
        struct conn *conn = bus->conn;

        complain(bus, why);
        disconnected(bus);
        conn_close(conn);
}

static void on_broken(void *userdata)
{
        disconnected(userdata);
}

static void finish_close(struct bus *bus);

static void on_closed(void *userdata)
{
        struct bus *bus = userdata;

        bus->n_conns--;
        finish_close(bus);
}

/* On any thread: once for everything that is lost until the loop hears of it */
static void on_lost(void *userdata)
{
        struct bus *bus = userdata;

        if (!atomic_exchange(&bus->loss_posted, true))
                inbox_post(bus->inbox, &bus->loss.inbox); /* of no size: not refused */
}

static void loss_run(struct loop_item *item, bool drop)
{
        struct bus *bus = (struct bus *)((char *)item - offsetof(struct bus, loss));

        atomic_store(&bus->loss_posted, false);
        bus_metrics_loss();
        if (!drop && bus->options.on_loss != NULL && !bus->closing)
                bus->options.on_loss(bus->options.userdata);
}

struct complaint {
        struct loop_item item;
        struct bus *bus;
        char text[];
};

static void complaint_run(struct loop_item *item, bool drop)
{
        struct complaint *c = (struct complaint *)item;

        if (!drop)
                complain(c->bus, c->text);
        free(c);
}

/* On any thread. Without memory or room there is one complaint less. */
static void on_complaint(const char *text, void *userdata)
{
        struct bus *bus = userdata;
        size_t n = strlen(text) + 1;
        struct complaint *c = malloc(sizeof(*c) + n);

        if (c == NULL)
                return;
        *c = (struct complaint){.item = {.inbox.bytes = sizeof(*c) + n, .run = complaint_run}, .bus = bus};
        memcpy(c->text, text, n);
        if (inbox_post(bus->inbox, &c->item.inbox) != 0)
                free(c);
}

static void connect_now(struct bus *bus)
{
        const struct bus_options *o = &bus->options;
        struct conn_options co = {
                .loop = o->loop,
                .inbox = bus->inbox,
                .url = o->url,
                .first = bus->first++,
                .name = o->name,
                .user = o->user,
                .password = o->password,
                .tls_ca = o->tls_ca,
                .answers = bus->answers,
                .ack_prefix = bus->ack_prefix,
                .max_send_bytes = o->max_send_bytes,
                .opened = on_opened,
                .answer = request_on_answer,
                .refused = request_on_refused,
                .turn_end = on_turn_end,
                .broken = on_broken,
                .closed = on_closed,
                .lost = on_lost,
                .complaint = on_complaint,
                .userdata = bus,
        };

        if (conn_new(&bus->conn, &co) != 0) {
                bus->conn = NULL;
                connect_later(bus);
                return;
        }
        bus->n_conns++;
}

bool bus_connected(const struct bus *bus)
{
        return bus->connected;
}

size_t bus_send_backlog(const struct bus *bus)
{
        return bus->connected ? conn_backlog(bus->conn) : 0;
}

/* --- subscriptions and plain publishes --- */

static void sub_free(struct bus_sub *sub)
{
        if (sub->next != NULL)
                sub->next->prev = sub->prev;
        *sub->prev = sub->next;
        free(sub->subject);
        free(sub->queue);
        free(sub);
}

static int subscribe(struct bus *bus, const char *subject, const char *queue, bool direct, bus_handler handler,
                     void *userdata, struct bus_sub **ret_sub)
{
        if (bus->closing || !codec_subject_valid(subject, true) ||
            (queue != NULL && !codec_subject_valid(queue, false)))
                return -EINVAL;
        struct bus_sub *sub = calloc(1, sizeof(*sub));
        if (sub == NULL)
                return -ENOMEM;
        *sub = (struct bus_sub){.bus = bus,
                                .direct = direct,
                                .handler = handler,
                                .userdata = userdata,
                                .next = bus->subs,
                                .prev = &bus->subs};
        if (sub->next != NULL)
                sub->next->prev = &sub->next;
        bus->subs = sub;
        sub->subject = strdup(subject);
        sub->queue = queue != NULL ? strdup(queue) : NULL;
        int r = sub->subject == NULL || (queue != NULL && sub->queue == NULL) ? -ENOMEM : 0;
        if (r == 0 && bus->connected)
                r = sub_start(sub);
        if (r < 0) {
                sub_free(sub);
                return r;
        }
        *ret_sub = sub; /* not connected, or just broken: it is made on the next connection */
        return 0;
}

int bus_subscribe(struct bus *bus, const char *subject, const char *queue, bus_handler handler, void *userdata,
                  struct bus_sub **ret_sub)
{
        return subscribe(bus, subject, queue, false, handler, userdata, ret_sub);
}

int bus_subscribe_direct(struct bus *bus, const char *subject, bus_handler handler, void *userdata,
                         struct bus_sub **ret_sub)
{
        return subscribe(bus, subject, NULL, true, handler, userdata, ret_sub);
}

void bus_unsubscribe(struct bus_sub *sub)
{
        if (sub == NULL)
                return;
        if (sub->wire != NULL)
                conn_unsubscribe(sub->wire);
        sub_free(sub);
}

int bus_publish(struct bus *bus, const char *subject, const void *data, size_t len, const char *trace_id)
{
        struct conn_header headers[] = {{HEADER_TRACE_ID, trace_id}};

        if (!codec_subject_valid(subject, false))
                return -EINVAL;
        if (!bus->connected)
                return BUS_E_DISCONNECTED;
        return conn_publish(bus->conn, subject, NULL, headers, ARRAY_SIZE(headers), data, len);
}

/* --- begin and end --- */

static void on_item(struct inbox_item *item, void *userdata)
{
        struct loop_item *li = (struct loop_item *)item;

        (void)userdata;
        li->run(li, false);
}

static void on_item_dropped(struct inbox_item *item, void *userdata)
{
        struct loop_item *li = (struct loop_item *)item;

        (void)userdata;
        li->run(li, true);
}

static int copy_strings(struct bus *bus)
{
        const char **strings[] = {&bus->options.url, &bus->options.name, &bus->options.user, &bus->options.password,
                                  &bus->options.tls_ca};

        for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
                if (*strings[i] == NULL)
                        continue;
                bus->strings[i] = strdup(*strings[i]);
                if (bus->strings[i] == NULL)
                        return -ENOMEM;
                *strings[i] = bus->strings[i];
        }
        return 0;
}

static void bus_free(struct bus *bus)
{
        for (size_t i = 0; i < ARRAY_SIZE(bus->strings); i++)
                free(bus->strings[i]);
        pendings_done(&bus->pendings);
        free(bus);
}

struct bus_options bus_options_of(const struct bus_config *config, uv_loop_t *loop)
{
        return (struct bus_options){.loop = loop,
                                    .url = config->url,
                                    .user = config->user,
                                    .password = config->password,
                                    .tls_ca = config->tls_ca,
                                    .max_send_bytes = config->send_bytes,
                                    .max_inbox_bytes = config->receive_bytes};
}

int bus_new(struct bus **ret_bus, const struct bus_options *options)
{
        if (options->loop == NULL || options->url == NULL)
                return -EINVAL;
        struct bus *bus = calloc(1, sizeof(*bus));
        if (bus == NULL)
                return -ENOMEM;
        bus->options = *options;
        if (bus->options.max_send_bytes == 0)
                bus->options.max_send_bytes = DEFAULT_SEND_BYTES;
        if (bus->options.max_inbox_bytes == 0)
                bus->options.max_inbox_bytes = DEFAULT_INBOX_BYTES;
        if (bus->options.request_timeout_ms == 0)
                bus->options.request_timeout_ms = DEFAULT_TIMEOUT_MS;
        bus->loss.run = loss_run;
        names_make(bus);
        int r = copy_strings(bus);
        if (r == 0)
                r = pendings_init(&bus->pendings, uv_now(options->loop));
        if (r == 0)
                r = inbox_new(&bus->inbox, options->loop, bus->options.max_inbox_bytes, on_item, on_turn_end, bus);
        if (r != 0) {
                bus_free(bus);
                return r;
        }
        uv_timer_init(options->loop, &bus->ticker);
        uv_timer_init(options->loop, &bus->retry);
        health_init(bus);
        bus_metrics_register();
        bus->ticker.data = bus->retry.data = bus;
        connect_now(bus);
        *ret_bus = bus;
        return 0;
}

static void on_health_closed(uv_handle_t *handle)
{
        struct bus *bus = handle->data;
        void (*done)(void *userdata) = bus->done;
        void *userdata = bus->done_userdata;

        bus_free(bus);
        if (done != NULL)
                done(userdata);
}

static void on_retry_closed(uv_handle_t *handle)
{
        struct bus *bus = handle->data;

        uv_close((uv_handle_t *)&bus->health.timer, on_health_closed);
}

/* One after the other, so that the inbox's handle, closed with the first, is gone when the second is */
static void on_ticker_closed(uv_handle_t *handle)
{
        struct bus *bus = handle->data;

        uv_close((uv_handle_t *)&bus->retry, on_retry_closed);
}

static void finish_close(struct bus *bus)
{
        if (!bus->finished || bus->n_conns > 0 || uv_is_closing((uv_handle_t *)&bus->ticker))
                return;
        while (bus->subs != NULL)
                bus_unsubscribe(bus->subs);
        inbox_close(bus->inbox, on_item_dropped);
        uv_close((uv_handle_t *)&bus->ticker, on_ticker_closed);
}

static void finish_run(struct loop_item *item, bool drop)
{
        struct bus *bus = (struct bus *)((char *)item - offsetof(struct bus, finish));

        (void)drop;
        readers_close(bus);
        pendings_fail(&bus->pendings, BUS_E_DISCONNECTED);
        bus->finished = true;
        finish_close(bus);
}

void bus_close(struct bus *bus, void (*done)(void *userdata), void *userdata)
{
        struct conn *conn;

        if (bus == NULL) {
                if (done != NULL)
                        done(userdata);
                return;
        }
        assert(!bus->closing);
        conn = bus->conn;
        bus->closing = true;
        bus->done = done;
        bus->done_userdata = userdata;
        uv_timer_stop(&bus->retry);
        disconnected(bus);
        if (conn != NULL)
                conn_close(conn);
        /* The callbacks that remain must not run from within this call */
        bus->finish.run = finish_run;
        inbox_post(bus->inbox, &bus->finish.inbox);
}
