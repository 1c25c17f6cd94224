/* What the comparison of objects, records and messages has found, for administrators. */
#include <string.h>

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
        const char *collect = request ? http_query(rq, "collect") : NULL;
        int r;

        if (!c)
                return;
        if (!c->claims.admin) {
                rest_problem(c, PARLEY_FORBIDDEN, "this is for administrators");
                return;
        }
        if (collect && strcmp(collect, "true") != 0 && strcmp(collect, "false") != 0) {
                rest_problem(c, PARLEY_BAD_REQUEST, "collect must be true or false");
                return;
        }
        r = reconcile_ask(c->rest->env, request, collect && *collect == 't', request ? on_requested : on_state, c);
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
