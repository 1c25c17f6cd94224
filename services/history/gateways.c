#include "history/gateways.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/ticker.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "history/history_metrics.h"
#include "history/living.h"
#include "wire/wire.h"

/* HEARD_ALL_MS: after so long each that lives was heard. CONFIRM_MS: so long is waited for their answers. */
enum { HEARD_ALL_MS = LIVING_EVERY_MS + 500, CONFIRM_MS = 1000 };

struct gateways {
        struct env *env;
        struct bus_sub *sub;
        uint64_t connected_ms;
        struct living living;
};

struct confirm {
        struct gateways *gateways;
        struct living missing; /* those that must answer */
        struct buf bytes;
        struct bus_gather *gather;
        struct ticker *ticker; /* NULL: not needed */
        void (*done)(bool confirmed, void *userdata);
        void *userdata;
};

static uint64_t now_ms(const struct gateways *g)
{
        return env_now_ms(g->env);
}

static void on_alive(const struct bus_msg *msg, void *userdata)
{
        struct gateways *g = userdata;
        const Parley__V1__GatewayAlive *alive;
        ProtobufCMessage *m;
        struct wire_error error;
        int r;

        if (wire_proto_decode(&parley__v1__gateway_alive__descriptor, msg->data, msg->len, &wire_limits_internal, &m,
                              &error) != 0)
                return;
        alive = (const Parley__V1__GatewayAlive *)m;
        r = living_heard(&g->living, now_ms(g), alive->gateway_id, alive->epoch, alive->stopping);
        if (r < 0)
                log_warn("a gateway is not waited for", LOG_S("gateway", alive->gateway_id),
                         LOG_S("why", strerror(-r)));
        protobuf_c_message_free_unpacked(m, NULL);
}

int gateways_new(struct gateways **ret_gateways, struct env *env)
{
        struct gateways *g = calloc(1, sizeof(*g));

        if (!g)
                return -ENOMEM;
        g->env = env;
        *ret_gateways = g;
        return 0;
}

void gateways_free(struct gateways *g)
{
        if (!g)
                return;
        living_clear(&g->living);
        free(g);
}

void gateways_connected(struct gateways *g)
{
        int r = 0;

        g->connected_ms = now_ms(g);
        if (!g->sub)
                r = bus_subscribe(g->env->bus, SUBJECT_GATEWAY_ALIVE, NULL, on_alive, g, &g->sub);
        if (r != 0)
                log_error("cannot hear which gateways live", LOG_S("why", r < 0 ? strerror(-r) : bus_error_text(r)));
}

/* --- confirmation --- */

static void finish(struct confirm *c, bool confirmed)
{
        if (!confirmed) {
                for (const struct living_gateway *gw = c->missing.all; gw; gw = gw->hh.next)
                        log_warn("a gateway has not confirmed a change of a membership", LOG_S("gateway", gw->key.id),
                                 LOG_U("epoch", gw->key.epoch));
                metric_add(&metric_unconfirmed, 1);
        }
        living_clear(&c->missing);
        buf_done(&c->bytes);
        c->done(confirmed, c->userdata);
        ticker_free(c->ticker);
        free(c);
}

static void on_answer(int error, const struct bus_msg *msg, void *userdata)
{
        struct confirm *c = userdata;
        const Parley__V1__MembershipApplied *applied;
        ProtobufCMessage *m;
        struct wire_error wire_error;
        bool all;

        if (error) {
                finish(c, !c->missing.all);
                return;
        }
        if (wire_proto_decode(&parley__v1__membership_applied__descriptor, msg->data, msg->len, &wire_limits_internal,
                              &m, &wire_error) != 0)
                return;
        applied = (const Parley__V1__MembershipApplied *)m;
        all = living_answered(&c->missing, applied->gateway_id, applied->epoch);
        protobuf_c_message_free_unpacked(m, NULL);
        if (all) {
                bus_request_end(c->gather);
                finish(c, true);
        }
}

static void ask(struct confirm *c)
{
        struct gateways *g = c->gateways;
        int r = living_copy(&g->living, now_ms(g), &c->missing);

        if (r == 0 && !c->missing.all) {
                /* Nobody has to answer; one that just came may hear it. */
                r = bus_publish(g->env->bus, SUBJECT_GATEWAY_MEMBERSHIP, c->bytes.data, c->bytes.len, NULL);
                finish(c, r == 0);
                return;
        }
        if (r == 0)
                r = bus_request_many(g->env->bus, SUBJECT_GATEWAY_MEMBERSHIP, c->bytes.data, c->bytes.len, CONFIRM_MS,
                                     on_answer, c, &c->gather);
        if (r != 0)
                finish(c, false);
}

static void on_tick(void *userdata)
{
        ask(userdata);
}

void gateways_confirm(struct gateways *g, const Parley__V1__MembershipChange *change,
                      void (*done)(bool confirmed, void *userdata), void *userdata)
{
        struct confirm *c = calloc(1, sizeof(*c));
        uint64_t since = now_ms(g) - g->connected_ms;

        if (!c) {
                done(false, userdata);
                return;
        }
        *c = (struct confirm){.gateways = g, .bytes = BUF_INIT(4096), .done = done, .userdata = userdata};
        if (wire_proto_encode(&change->base, &c->bytes) != 0) {
                finish(c, false);
                return;
        }
        if (since < HEARD_ALL_MS)
                c->ticker = ticker_new(g->env->loop, on_tick, c);
        if (c->ticker)
                ticker_start(c->ticker, HEARD_ALL_MS - since, 0);
        else
                ask(c);
}
