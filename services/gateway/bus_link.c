#include "gateway/bus_link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bus/subjects.h"
#include "gateway/changes.h"
#include "gateway/everyone.h"

#define KV_CHANNELS_STREAM "KV_CHANNELS"
#define KV_EVERYONE "$KV." BUCKET_CHANNELS "." KEY_EVERYONE_PREFIX

/* Until presence is asked again, which is then done at once (look_ask.c); it answers within milliseconds */
enum { PRESENCE_TIMEOUT_MS = 3000 };

struct bus_link {
        struct bus *bus; /* NULL once it is closed */
        void (*closed)(void *userdata);
        void *closed_userdata;
        struct core *core;
        struct bus_reader *everyone;
        struct bus_sub *membership;
};

/* --- struct upstream: one line each --- */

static bool link_connected(void *self)
{
        const struct bus_link *link = self;

        return link->bus && bus_connected(link->bus);
}

static int link_subscribe(void *self, const char *subject, bus_handler handler, void *userdata,
                          struct bus_sub **ret_sub)
{
        return bus_subscribe(((struct bus_link *)self)->bus, subject, NULL, handler, userdata, ret_sub);
}

static int link_subscribe_direct(void *self, const char *subject, bus_handler handler, void *userdata,
                                 struct bus_sub **ret_sub)
{
        return bus_subscribe_direct(((struct bus_link *)self)->bus, subject, handler, userdata, ret_sub);
}

static void link_unsubscribe(void *self, struct bus_sub *sub)
{
        if (((struct bus_link *)self)->bus) /* else they were freed with it */
                bus_unsubscribe(sub);
}

static int link_publish(void *self, const char *subject, const void *data, size_t len)
{
        return bus_publish(((struct bus_link *)self)->bus, subject, data, len, NULL);
}

/* Of presence the same is asked again, and an instance that stood still does not answer what was asked meanwhile: that is what a watcher waits for */
static int link_request(void *self, const char *subject, const void *data, size_t len, bus_reply_handler handler,
                        void *userdata)
{
        uint32_t timeout_ms = strcmp(subject, RPC_PRESENCE_QUERY) == 0 ? PRESENCE_TIMEOUT_MS : 0;

        return bus_request(((struct bus_link *)self)->bus, subject, data, len, timeout_ms, NULL, handler, userdata);
}

static int link_publish_stream(void *self, const char *subject, const char *msg_id, const void *data, size_t len,
                               const char *trace_id, bus_ack_handler handler, void *userdata)
{
        return bus_publish_stream(((struct bus_link *)self)->bus, subject, msg_id, data, len, trace_id, handler,
                                  userdata);
}

static int link_stream_info(void *self, const char *stream, bus_stream_handler handler, void *userdata)
{
        return bus_stream_info(((struct bus_link *)self)->bus, stream, handler, userdata);
}

static int link_stream_last(void *self, const char *stream, const char *subject, bus_reply_handler handler,
                            void *userdata)
{
        return bus_stream_last(((struct bus_link *)self)->bus, stream, subject, handler, userdata);
}

static int link_stream_get(void *self, const char *stream, uint64_t seq, bool direct, bus_reply_handler handler,
                           void *userdata)
{
        return bus_stream_get(((struct bus_link *)self)->bus, stream, seq, direct, handler, userdata);
}

static int link_stream_next(void *self, const char *stream, const char *subject, uint64_t min_seq,
                            bus_reply_handler handler, void *userdata)
{
        return bus_stream_next(((struct bus_link *)self)->bus, stream, subject, min_seq, handler, userdata);
}

static int link_kv_get(void *self, const char *bucket, const char *key, bus_reply_handler handler, void *userdata)
{
        return bus_kv_get(((struct bus_link *)self)->bus, bucket, key, handler, userdata);
}

/* --- what all gateways listen to --- */

/* gateway.membership: applied at once, and answered, for the answer to a removal waits for it */
static void link_on_membership(const struct bus_msg *msg, void *userdata)
{
        struct bus_link *link = userdata;
        Parley__V1__MembershipApplied applied = PARLEY__V1__MEMBERSHIP_APPLIED__INIT;
        Parley__V1__MembershipChange *change = parley__v1__membership_change__unpack(NULL, msg->len, msg->data);
        uint8_t data[CORE_ID_MAX + 32];

        if (!change) {
                log_warn("a change of membership that cannot be read");
                return;
        }
        core_time(link->core);
        changes_apply(link->core, change);
        parley__v1__membership_change__free_unpacked(change, NULL);
        applied.gateway_id = link->core->id;
        applied.epoch = link->core->epoch;
        if (msg->reply &&
            bus_publish(link->bus, msg->reply, data, parley__v1__membership_applied__pack(&applied, data), NULL))
                log_warn("a change of membership was not answered");
}

static void link_on_everyone(const struct bus_msg *msg, void *userdata)
{
        struct bus_link *link = userdata;
        size_t n = strlen(KV_EVERYONE);

        if (strncmp(msg->subject, KV_EVERYONE, n) == 0)
                everyone_put(link->core, msg->subject + n, msg->data, msg->deleted ? 0 : msg->len);
        if (msg->pending == 0)
                everyone_complete(link->core);
}

static void link_on_everyone_end(int error, unsigned n, void *userdata)
{
        struct bus_link *link = userdata;

        /* the first batch of a bucket that is there, and empty, ends at once */
        if (!error && n == 0)
                everyone_complete(link->core);
        bus_reader_next(link->everyone);
}

static void link_on_connected(void *userdata)
{
        struct bus_link *link = userdata;

        log_info("connected to NATS");
        core_time(link->core);
        core_connected(link->core);
}

static void link_on_disconnected(void *userdata)
{
        (void)userdata;
        log_warn("the connection to NATS is gone");
}

static void link_on_loss(void *userdata)
{
        struct bus_link *link = userdata;

        log_warn("messages of NATS were dropped; every channel is verified");
        core_time(link->core);
        core_loss(link->core);
}

static void link_on_error(const char *text, void *userdata)
{
        (void)userdata;
        log_warn("NATS", LOG_S("error", text));
}

int bus_link_new(struct bus_link **ret_link, uv_loop_t *loop, const struct gateway_config *config,
                 struct upstream *ret_upstream)
{
        struct bus_link *link = calloc(1, sizeof(*link));
        struct bus_options options = bus_options_of(&config->nats, loop);
        int r;

        if (!link)
                return -ENOMEM;
        options.name = "parley-gateway";
        options.on_connected = link_on_connected;
        options.on_disconnected = link_on_disconnected;
        options.on_loss = link_on_loss;
        options.on_error = link_on_error;
        options.userdata = link;
        r = bus_new(&link->bus, &options);
        if (r) {
                free(link);
                return r > 0 ? -EINVAL : r;
        }
        *ret_upstream = (struct upstream){
                .self = link,
                .connected = link_connected,
                .subscribe = link_subscribe,
                .subscribe_direct = link_subscribe_direct,
                .unsubscribe = link_unsubscribe,
                .publish = link_publish,
                .request = link_request,
                .publish_stream = link_publish_stream,
                .stream_info = link_stream_info,
                .stream_last = link_stream_last,
                .stream_get = link_stream_get,
                .stream_next = link_stream_next,
                .kv_get = link_kv_get,
        };
        *ret_link = link;
        return 0;
}

size_t bus_link_backlog(const struct bus_link *link)
{
        return link->bus ? bus_send_backlog(link->bus) : 0;
}

int bus_link_start(struct bus_link *link, struct core *core)
{
        struct bus_reader_options everyone = {
                .stream = KV_CHANNELS_STREAM,
                .filter = KV_EVERYONE ">",
                .batch = 256,
                .last_per_subject = true,
                .handler = link_on_everyone,
                .batch_end = link_on_everyone_end,
                .userdata = link,
        };
        int r;

        link->core = core;
        r = bus_subscribe(link->bus, SUBJECT_GATEWAY_MEMBERSHIP, NULL, link_on_membership, link, &link->membership);
        if (r == 0)
                r = bus_reader_new(&link->everyone, link->bus, &everyone);
        return r > 0 ? -EINVAL : r;
}

static void link_on_closed(void *userdata)
{
        struct bus_link *link = userdata;

        link->bus = NULL;
        link->closed(link->closed_userdata);
}

void bus_link_close(struct bus_link *link, void (*done)(void *userdata), void *userdata)
{
        link->closed = done;
        link->closed_userdata = userdata;
        bus_close(link->bus, link_on_closed, link);
}

void bus_link_free(struct bus_link *link)
{
        free(link);
}
