#include "history/gateways.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/ident.h"
#include "base/log.h"
#include "base/ticker.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "history/history_metrics.h"
#include "wire/wire.h"

/* A gateway says every 2 s that it lives; three times missed is dead. */
enum {
        ALIVE_EVERY_MS = 2000,
        ALIVE_FOR_MS = 6000,
        HEARD_ALL_MS = ALIVE_EVERY_MS + 500,
        CONFIRM_MS = 1000,
        GATEWAYS_MAX = 10000
};

struct gateway {
        char id[IDENT_MAX + 1];
        uint64_t heard_ms;
        bool stopping;
        UT_hash_handle hh;
};

struct gateways {
        struct env *env;
        struct bus_sub *sub;
        uint64_t connected_ms;
        struct gateway *all;
};

struct confirm {
        struct gateways *gateways;
        struct gateway *missing; /* copies of those that must answer */
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
        ProtobufCMessage *m;
        struct wire_error error;
        struct gateway *gw;

        if (wire_proto_decode(&parley__v1__gateway_alive__descriptor, msg->data, msg->len, &wire_limits_internal, &m,
                              &error) != 0)
                return;
        const Parley__V1__GatewayAlive *alive = (const Parley__V1__GatewayAlive *)m;

        if (ident_valid(alive->gateway_id)) {
                HASH_FIND_STR(g->all, alive->gateway_id, gw);
                if (!gw && HASH_COUNT(g->all) < GATEWAYS_MAX && (gw = calloc(1, sizeof(*gw)))) {
                        memcpy(gw->id, alive->gateway_id, strlen(alive->gateway_id) + 1);
                        HASH_ADD_STR(g->all, id, gw);
                        if (!gw->hh.tbl) {
                                free(gw);
                                gw = NULL;
                        }
                }
                if (gw) {
                        gw->heard_ms = now_ms(g);
                        gw->stopping = alive->stopping;
                }
        }
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

static void forget(struct gateway **list)
{
        struct gateway *gw, *tmp;

        HASH_ITER (hh, *list, gw, tmp) {
                HASH_DEL(*list, gw);
                free(gw);
        }
}

void gateways_free(struct gateways *g)
{
        if (!g)
                return;
        forget(&g->all);
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
                for (const struct gateway *gw = c->missing; gw; gw = gw->hh.next)
                        log_warn("a gateway has not confirmed a change of a membership", LOG_S("gateway", gw->id));
                metric_add(&metric_unconfirmed, 1);
        }
        forget(&c->missing);
        buf_done(&c->bytes);
        c->done(confirmed, c->userdata);
        ticker_free(c->ticker);
        free(c);
}

static void on_answer(int error, const struct bus_msg *msg, void *userdata)
{
        struct confirm *c = userdata;
        ProtobufCMessage *m;
        struct wire_error wire_error;
        struct gateway *gw;

        if (error) {
                finish(c, !c->missing);
                return;
        }
        if (wire_proto_decode(&parley__v1__membership_applied__descriptor, msg->data, msg->len, &wire_limits_internal,
                              &m, &wire_error) != 0)
                return;
        HASH_FIND_STR(c->missing, ((const Parley__V1__MembershipApplied *)m)->gateway_id, gw);
        protobuf_c_message_free_unpacked(m, NULL);
        if (!gw)
                return;
        HASH_DEL(c->missing, gw);
        free(gw);
        if (!c->missing) {
                bus_request_end(c->gather);
                finish(c, true);
        }
}

static int copy_living(struct confirm *c)
{
        struct gateways *g = c->gateways;
        struct gateway *gw, *tmp;

        HASH_ITER (hh, g->all, gw, tmp) {
                struct gateway *copy;

                if (now_ms(g) - gw->heard_ms > ALIVE_FOR_MS) {
                        HASH_DEL(g->all, gw);
                        free(gw);
                        continue;
                }
                if (gw->stopping)
                        continue;
                copy = malloc(sizeof(*copy));
                if (!copy)
                        return -ENOMEM;
                *copy = *gw;
                HASH_ADD_STR(c->missing, id, copy);
                if (!copy->hh.tbl) {
                        free(copy);
                        return -ENOMEM;
                }
        }
        return 0;
}

static void ask(struct confirm *c)
{
        int r = copy_living(c);

        if (r == 0 && !c->missing) {
                /* Nobody has to answer; one that just came may hear it. */
                r = bus_publish(c->gateways->env->bus, SUBJECT_GATEWAY_MEMBERSHIP, c->bytes.data, c->bytes.len, NULL);
                finish(c, r == 0);
                return;
        }
        if (r == 0)
                r = bus_request_many(c->gateways->env->bus, SUBJECT_GATEWAY_MEMBERSHIP, c->bytes.data, c->bytes.len,
                                     CONFIRM_MS, on_answer, c, &c->gather);
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
