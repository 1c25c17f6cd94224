/* The gateway stops: everybody is told when to come back, spread over a while, and what is pending is finished. */
#include <stdlib.h>

#include "base/ident.h"
#include "gateway/digest.h"
#include "gateway/session.h"

#define DRAIN_TICK_MS 50

static void drain_tell(struct session *s, uint32_t after_ms)
{
        Parley__V1__ServerFrame frame = PARLEY__V1__SERVER_FRAME__INIT;
        Parley__V1__Reconnect reconnect = PARLEY__V1__RECONNECT__INIT;

        reconnect.after_ms = after_ms;
        frame.body_case = PARLEY__V1__SERVER_FRAME__BODY_RECONNECT;
        frame.reconnect = &reconnect;
        session_send(s, &frame);
}

/* Sends away as many as must be gone by now. Who has unanswered mutations is kept until the end of the time. */
static void drain_timer(struct wheel_timer *t, uint64_t now_ms)
{
        struct core *core = (struct core *)((char *)t - offsetof(struct core, drain_timer));
        uint64_t passed = now_ms - core->drain_from_ms, whole = core->config->drain_ms;
        unsigned keep = passed >= whole ? 0 : (unsigned)(core->drain_total * (whole - passed) / whole);
        unsigned open = 0;
        struct session *s, *next;

        for (s = core->sessions; s; s = s->next)
                open += s->state != SESSION_CLOSING;
        for (s = core->sessions; s && open > keep; s = next) {
                next = s->next;
                if (s->state == SESSION_CLOSING || (s->n_pending && passed < whole))
                        continue;
                session_close(s, PARLEY_CLOSE_SERVICE_RESTART, NULL);
                open--;
        }
        if (open)
                wheel_arm(core->wheel, t, now_ms + DRAIN_TICK_MS, drain_timer);
}

void core_drain(struct core *core)
{
        uint32_t spread = (uint32_t)core->config->drain_ms;

        if (core->draining)
                return;
        core->draining = true;
        core->drain_from_ms = core->now_ms;
        core->drain_total = core->n_sessions;
        for (struct session *s = core->sessions; s; s = s->next) {
                uint32_t random;

                random_bytes(&random, sizeof(random));
                if (s->state == SESSION_LIVE)
                        drain_tell(s, spread ? random % spread : 0);
        }
        wheel_arm(core->wheel, &core->drain_timer, core->now_ms + DRAIN_TICK_MS, drain_timer);
}

bool core_drained(const struct core *core)
{
        return core->draining && core->n_sessions == 0 && core->n_pending == 0;
}
