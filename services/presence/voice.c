#include "presence/voice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/metrics.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "presence/leader.h"
#include "presence/presence_metrics.h"
#include "presence/roster.h"
#include "presence/voice_impl.h"
#include "wire/wire.h"

/* TELL_MAX: users in one message, which then stays below half of what NATS carries. SETTLE_MS: for the others to be heard, and for gateways to
 * answer. */
enum { TELL_MAX = 500, TELL_ROUNDS = 20, SETTLE_MS = 1500 };

/* What we say comes back to us, every second: nothing at all for so long means that NATS stands still, long before its connection is given up */
enum { DEAF_MS = 3000 };

/* --- saying --- */

bool voice_publish(struct voice *v, const char *subject, const ProtobufCMessage *message)
{
        int r;

        buf_reset(&v->bytes, VOICE_MESSAGE_MAX);
        r = wire_proto_encode(message, &v->bytes);
        if (r == 0)
                r = bus_publish(v->options.bus, subject, v->bytes.data, v->bytes.len, NULL);
        if (r != 0 && r != BUS_E_DISCONNECTED)
                log_warn("a message cannot be sent", LOG_S("subject", subject), LOG_I("error", r));
        return r == 0;
}

/* What is lost on the way is seen by its counter */
static void say(struct voice *v, struct tidings *t)
{
        char subject[SUBJECT_MAX];

        t->message.source = v->leader.id;
        t->message.counter = ++v->counter;
        (void)voice_publish(v, SUBJECT_PRESENCE_CHANGES, &t->message.base);
        for (size_t i = 0; i < t->message.n_changes; i++) {
                if (!t->shown[i].news) /* else it would tell that an invisible one has come */
                        continue;
                subject_presence_user(subject, t->message.changes[i]->user->user_id);
                (void)voice_publish(v, subject, &t->message.changes[i]->user->base);
        }
        if (t->message.n_changes)
                metric_observe(&metric_told_seconds,
                               (double)(v->options.roster->now_ms - v->options.roster->dirty_since_ms) / 1e3);
        metric_add(&metric_changes, (double)t->message.n_changes);
        metric_add(&metric_counts, (double)t->message.n_counts);
        metric_add(&metric_tidings, 1);
        roster_told(v->options.roster, t);
        v->said_ms = v->options.roster->now_ms;
}

static void say_changes(struct voice *v)
{
        unsigned rounds = 0;

        while (rounds++ < TELL_ROUNDS && roster_changes(v->options.roster, &v->tidings))
                say(v, &v->tidings);
        /* also without changes: others know that we are here, and gateways that they have missed nothing */
        if (v->options.roster->now_ms - v->said_ms >= LEADER_SPEAK_MS) {
                (void)roster_changes(v->options.roster, &v->tidings);
                say(v, &v->tidings);
        }
}

/* Silent until it is known again what there is */
static void yield(struct voice *v)
{
        if (v->leader.leading)
                log_info("this instance listens", LOG_S("instance", v->leader.id));
        leader_yield(&v->leader, v->options.roster->now_ms);
        voice_answer_end(v);
}

void voice_doubt(struct voice *v)
{
        yield(v);
        voice_ask(v, "");
}

void voice_deaf(struct voice *v)
{
        v->options.before(v->options.userdata);
        yield(v);
        roster_deaf(v->options.roster);
}

/* Something came over NATS */
static void heard(struct voice *v)
{
        v->options.before(v->options.userdata);
        v->heard_ms = v->options.roster->now_ms;
        if (v->options.roster->deaf) {
                roster_doubt(v->options.roster, true);
                voice_doubt(v);
        }
}

void voice_tick(struct voice *v, bool ready)
{
        bool led;

        v->options.before(v->options.userdata);
        led = v->leader.leading;
        if (led && v->options.roster->now_ms - v->heard_ms >= DEAF_MS + v->options.roster->options.read_ms)
                voice_deaf(v);
        ready = ready && !v->options.roster->deaf;
        if (!v->spoke_last)
                roster_discard(v->options.roster);
        if (!leader_tick(&v->leader, v->options.roster->now_ms, ready))
                return;
        if (!led) {
                log_info("this instance speaks", LOG_S("instance", v->leader.id));
                v->spoke_last = true;
                v->counter++; /* whoever listens asks for everything, where there is a gap or a new source */
                v->heard_ms = v->options.roster->now_ms;
                roster_store(v->options.roster);
                voice_answer_begin(v);
                v->begun = true;
        }
        say_changes(v);
        voice_store_some(v);
}

bool voice_begun(const struct voice *v)
{
        return v->begun;
}

bool voice_leading(const struct voice *v)
{
        return v->leader.leading;
}

void voice_ask(struct voice *v, const char *gateway_id)
{
        Parley__V1__PresenceSync sync = PARLEY__V1__PRESENCE_SYNC__INIT;

        sync.gateway_id = (char *)gateway_id;
        metric_add(&metric_snapshots_asked, 1);
        (void)voice_publish(v, SUBJECT_PRESENCE_SYNC, &sync.base);
}

void voice_connected(struct voice *v)
{
        v->options.before(v->options.userdata);
        roster_doubt(v->options.roster, true);
        voice_doubt(v);
}

void voice_lost(struct voice *v)
{
        v->options.before(v->options.userdata);
        roster_doubt(v->options.roster, false);
        voice_ask(v, "");
}

/* --- hearing --- */

static void on_gateway(const struct bus_msg *msg, void *userdata)
{
        struct voice *v = userdata;
        Parley__V1__GatewayPresence *m = parley__v1__gateway_presence__unpack(NULL, msg->len, msg->data);
        int r = -EBADMSG;

        heard(v);
        if (m)
                r = roster_report(v->options.roster, m);
        if (r < 0)
                log_warn("what a gateway says cannot be taken in", LOG_S("subject", msg->subject),
                         LOG_S("why", strerror(-r)));
        metric_add(&metric_reports, 1);
        parley__v1__gateway_presence__free_unpacked(m, NULL);
}

static void on_alive(const struct bus_msg *msg, void *userdata)
{
        struct voice *v = userdata;
        Parley__V1__GatewayAlive *m = parley__v1__gateway_alive__unpack(NULL, msg->len, msg->data);

        heard(v);
        if (m && !m->stopping)
                roster_alive(v->options.roster, m->gateway_id);
        parley__v1__gateway_alive__free_unpacked(m, NULL);
}

static void on_changes(const struct bus_msg *msg, void *userdata)
{
        struct voice *v = userdata;
        Parley__V1__PresenceChanges *m = parley__v1__presence_changes__unpack(NULL, msg->len, msg->data);
        bool led;

        heard(v);
        led = v->leader.leading;
        if (m && leader_heard(&v->leader, m->source, v->options.roster->now_ms)) {
                v->begun = true;
                v->spoke_last = false;
        }
        parley__v1__presence_changes__free_unpacked(m, NULL);
        if (led && !v->leader.leading) {
                log_info("another instance speaks", LOG_S("instance", v->leader.heard));
                voice_answer_end(v);
        }
}

/* --- life --- */

int voice_new(struct voice **ret_voice, const struct voice_options *options)
{
        struct voice *v = calloc(1, sizeof(*v));
        int r;

        if (!v)
                return -ENOMEM;
        v->options = *options;
        buf_init(&v->bytes, VOICE_MESSAGE_MAX);
        leader_init(&v->leader, options->instance, options->roster->now_ms, SETTLE_MS);
        r = tidings_init(&v->tidings, TELL_MAX);
        if (r == 0)
                r = ratetable_new(&v->status_rate, options->status_per_hour, options->status_burst * VOICE_STATUS_COST,
                                  VOICE_USERS);
        if (r == 0)
                r = bus_subscribe(options->bus, SUBJECT_PRESENCE_GATEWAYS, NULL, on_gateway, v, &v->gateways);
        if (r == 0)
                r = bus_subscribe(options->bus, SUBJECT_GATEWAY_ALIVE, NULL, on_alive, v, &v->alive);
        if (r == 0)
                r = bus_subscribe(options->bus, SUBJECT_PRESENCE_CHANGES, NULL, on_changes, v, &v->others);
        if (r != 0) {
                voice_stop(v);
                voice_free(v);
                return r > 0 ? -EINVAL : r;
        }
        *ret_voice = v;
        return 0;
}

void voice_stop(struct voice *v)
{
        voice_answer_end(v);
        bus_unsubscribe(v->gateways);
        bus_unsubscribe(v->alive);
        bus_unsubscribe(v->others);
        v->gateways = v->alive = v->others = NULL;
}

void voice_free(struct voice *v)
{
        if (!v)
                return;
        voice_store_clear(v);
        ratetable_free(v->status_rate);
        tidings_done(&v->tidings);
        buf_done(&v->bytes);
        free(v);
}
