/* What the comparison of objects, records and messages has found, for administrators. */
#include "upload/reconcile.h"
#include "upload/rest.h"

static void respond(struct rest_call *c, int error, const Parley__V1__ReconciliationState *s, unsigned status)
{
        Parley__V1__Reconciliation report = PARLEY__V1__RECONCILIATION__INIT;

        if (error) {
                rest_unavailable(c, "NATS", error);
                return;
        }
        if (s->last)
                report = *s->last;
        report.running = *s->runner || s->requested;
        rest_json(c, status, &report.base);
}

static void on_state(int error, const Parley__V1__ReconciliationState *s, void *userdata)
{
        respond(userdata, error, s, 200);
}

static void on_requested(int error, const Parley__V1__ReconciliationState *s, void *userdata)
{
        respond(userdata, error, s, 202);
}

static void ask(struct http_request *rq, void *userdata, bool request)
{
        struct rest_call *c = rest_begin(rq, userdata);
        int r;

        if (!c)
                return;
        if (!c->claims.admin) {
                rest_problem(c, PARLEY_FORBIDDEN, "this is for administrators");
                return;
        }
        r = reconcile_ask(c->rest->env, request, request ? on_requested : on_state, c);
        if (r != 0)
                rest_unavailable(c, "NATS", r);
}

void rest_get_reconciliation(struct http_request *rq, void *userdata)
{
        ask(rq, userdata, false);
}

void rest_start_reconciliation(struct http_request *rq, void *userdata)
{
        ask(rq, userdata, true);
}
