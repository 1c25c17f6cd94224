#include "upload/reconcile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ident.h"
#include "base/log.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "upload/marks_core.h"
#include "upload/reconcile_run.h"
#include "upload/upload_metrics.h"
#include "wire/wire.h"

/* RENEW_MS also is how often an instance looks whether it is its turn; TRIES_MAX: others write in between */
enum { LEASE_MS = 60000, RENEW_MS = 2000, TRIES_MAX = 5, VALUE_MAX = 64 << 10, LINE_MAX_BYTES = 1000, SAID_MAX = 1 };

struct reconcile {
        struct env *env;
        char me[17];
        bool busy, taken, collect, stopping;
        uint64_t look_ms; /* of the loop: the next look */
        struct reconcile_run *run;
};

/* --- changing the state by compare-and-set --- */

/* Changes it; false: it is not to be changed */
typedef bool (*change_call)(Parley__V1__ReconciliationState *state, void *userdata);

struct change {
        struct env *env;
        change_call call; /* NULL: it is only read */
        void (*done)(int error, const Parley__V1__ReconciliationState *state, uint64_t revision, void *userdata);
        void *userdata;
        ProtobufCMessage *state;
        unsigned tries;
};

static int change_read(struct change *c);

static void change_over(struct change *c, int error, uint64_t revision)
{
        struct env *env = c->env;

        c->done(error, error ? NULL : (const Parley__V1__ReconciliationState *)c->state, revision, c->userdata);
        if (c->state)
                protobuf_c_message_free_unpacked(c->state, NULL);
        free(c);
        env_end(env);
}

static void on_put(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        struct change *c = userdata;
        int r = error;

        (void)text;
        if (error == BUS_E_CONFLICT && ++c->tries < TRIES_MAX) {
                r = change_read(c);
                if (r == 0)
                        return;
        }
        change_over(c, r, r ? 0 : ack->seq);
}

static void on_got(int error, const struct bus_msg *msg, void *userdata)
{
        struct change *c = userdata;
        bool there = error == 0;
        struct wire_error wire_error;
        struct buf b = BUF_INIT(VALUE_MAX);
        int r = error == BUS_E_NOT_FOUND ? 0 : error;

        if (r == 0 &&
            wire_proto_decode(&parley__v1__reconciliation_state__descriptor, there ? msg->data : (const uint8_t *)"",
                              there ? msg->len : 0, &wire_limits_internal, &c->state, &wire_error) != 0)
                r = -EBADMSG;
        if (r == 0 && c->call && c->call((Parley__V1__ReconciliationState *)c->state, c->userdata)) {
                r = wire_proto_encode(c->state, &b);
                if (r == 0)
                        r = bus_kv_put(c->env->bus, BUCKET_FILES, KEY_FILES_RECONCILIATION,
                                       b.len ? b.data : (const void *)"", b.len, there ? msg->seq : 0, on_put, c);
                buf_done(&b);
                if (r == 0)
                        return;
        }
        change_over(c, r, 0);
}

static int change_read(struct change *c)
{
        if (c->state)
                protobuf_c_message_free_unpacked(c->state, NULL);
        c->state = NULL;
        return bus_kv_get(c->env->bus, BUCKET_FILES, KEY_FILES_RECONCILIATION, on_got, c);
}

/* done gets the state as it was written, and its revision; or as it is, and 0 */
static int change_run(const struct change *what)
{
        struct change *c = malloc(sizeof(*c));
        int r = -ENOMEM;

        if (c) {
                *c = *what;
                r = change_read(c);
        }
        if (r == 0)
                env_begin(what->env);
        else
                free(c);
        return r;
}

/* --- the report --- */

static const char *line_text(struct buf *line)
{
        return line->len && buf_append(line, "", 1) == 0 ? (const char *)line->data : "";
}

/* How many of each kind, and the first of each, for log lines are short */
static void say(const Parley__V1__Reconciliation *report)
{
        struct buf counts = BUF_INIT(LINE_MAX_BYTES), ids = BUF_INIT(LINE_MAX_BYTES);
        char text[64];

        for (size_t i = 0; i < report->n_findings; i++) {
                const Parley__V1__Reconciliation__Finding *f = report->findings[i];

                if (!f->count)
                        continue;
                (void)snprintf(text, sizeof(text), "%s%s %llu", counts.len ? ", " : "", f->what,
                               (unsigned long long)f->count);
                (void)buf_append_str(&counts, text);
                (void)snprintf(text, sizeof(text), "%s%s:", ids.len ? "; " : "", f->what);
                (void)buf_append_str(&ids, text);
                for (size_t k = 0; k < f->n_ids && k < SAID_MAX; k++)
                        if (buf_append_str(&ids, " ") == 0)
                                (void)buf_append_str(&ids, f->ids[k]);
        }
        log_at(counts.len || *report->incomplete ? LOG_WARN : LOG_INFO,
               "files, their records and messages were compared", LOG_U("files", report->files),
               LOG_S("apart", line_text(&counts)), LOG_S("ids", line_text(&ids)),
               LOG_S("incomplete", report->incomplete));
        buf_done(&counts);
        buf_done(&ids);
}

static void set_metrics(const Parley__V1__Reconciliation *last)
{
        for (unsigned i = 0; i < _FINDING_N; i++) {
                uint64_t count = 0;

                for (size_t k = 0; k < last->n_findings; k++)
                        if (strcmp(last->findings[k]->what, finding_text(i)) == 0)
                                count = last->findings[k]->count;
                metric_set(&metric_apart[i], (double)count);
        }
        metric_set(&metric_compared_at, last->finished_at ? (double)last->finished_at->seconds : 0);
}

/* --- the end of one's own --- */

struct ending {
        struct reconcile *r;
        struct buf report; /* packed: it may be put several times */
        bool ok;
};

static void pack_report(Parley__V1__Reconciliation *report, void *userdata)
{
        struct ending *e = userdata;

        e->ok = wire_proto_encode(&report->base, &e->report) == 0;
        say(report);
}

static Google__Protobuf__Timestamp *time_new(int64_t unix_s)
{
        Google__Protobuf__Timestamp *at = malloc(sizeof(*at));

        if (at) {
                google__protobuf__timestamp__init(at);
                at->seconds = unix_s;
        }
        return at;
}

static bool put_report(Parley__V1__ReconciliationState *s, void *userdata)
{
        struct ending *e = userdata;
        struct wire_error error;
        ProtobufCMessage *m;

        if (strcmp(s->runner, e->r->me) != 0 ||
            wire_proto_decode(&parley__v1__reconciliation__descriptor, e->report.data, e->report.len,
                              &wire_limits_internal, &m, &error) != 0)
                return false;
        if (s->last)
                protobuf_c_message_free_unpacked(&s->last->base, NULL);
        s->last = (Parley__V1__Reconciliation *)m;
        s->last->started_at = time_new((int64_t)(s->started_at_ms / 1000));
        s->last->finished_at = time_new(env_wall_s());
        s->runner[0] = '\0';
        s->lease_until_ms = 0;
        return true;
}

static void on_reported(int error, const Parley__V1__ReconciliationState *s, uint64_t revision, void *userdata)
{
        struct ending *e = userdata;

        (void)revision;
        if (error)
                log_warn("the report of a comparison of files could not be kept", LOG_I("error", error));
        else if (s->last)
                set_metrics(s->last);
        e->r->busy = false;
        buf_done(&e->report);
        free(e);
}

struct reporting {
        struct ending *ending;
        const char *incomplete;
};

static void with_report(Parley__V1__Reconciliation *report, void *userdata)
{
        struct reporting *w = userdata;

        report->incomplete = (char *)w->incomplete;
        pack_report(report, w->ending);
}

static void on_run_done(const struct findings *f, const char *incomplete, void *userdata)
{
        struct reconcile *r = userdata;
        struct ending *e = calloc(1, sizeof(*e));
        struct change change = {.env = r->env, .call = put_report, .done = on_reported, .userdata = e};

        r->run = NULL;
        if (!e)
                return; /* its lease ends, and somebody begins again */
        e->r = r;
        e->report = BUF_INIT(VALUE_MAX);
        findings_report(f, with_report, &(struct reporting){e, incomplete});
        if (e->ok && change_run(&change) == 0) {
                r->busy = true;
                return;
        }
        log_warn("the report of a comparison of files could not be kept");
        buf_done(&e->report);
        free(e);
}

/* --- whose turn it is --- */

static bool due(const struct reconcile *r, const Parley__V1__ReconciliationState *s, uint64_t now)
{
        uint64_t every = r->env->config->reconcile_s * 1000;

        if (*s->runner)
                return s->lease_until_ms < now;
        return s->requested || (every && s->started_at_ms && s->started_at_ms + every <= now);
}

static bool remember(const struct reconcile *r, Parley__V1__ReconciliationState *s, uint64_t now)
{
        return marks_remember(s, r->env->config->pending_ttl_s, UPLOAD_PENDING_TTL_MAX_S, now);
}

static bool take(Parley__V1__ReconciliationState *s, void *userdata)
{
        struct reconcile *r = userdata;
        uint64_t now = env_wall_ms();
        bool changed = remember(r, s, now);
        char *me;

        r->taken = false;
        if (!due(r, s, now)) {
                if (s->started_at_ms || !r->env->config->reconcile_s)
                        return changed;
                s->started_at_ms = now; /* the first one comes after the first period */
                return true;
        }
        me = strdup(r->me);
        if (!me)
                return changed;
        r->taken = true;
        if (s->runner != protobuf_c_empty_string)
                free(s->runner);
        s->runner = me;
        s->lease_until_ms = now + LEASE_MS;
        s->started_at_ms = now;
        s->requested = false;
        r->collect = s->collect;
        s->collect = false;
        return true;
}

static bool renew(Parley__V1__ReconciliationState *s, void *userdata)
{
        const struct reconcile *r = userdata;

        uint64_t now = env_wall_ms();

        if (strcmp(s->runner, r->me) != 0)
                return false;
        (void)remember(r, s, now);
        s->lease_until_ms = now + LEASE_MS;
        return true;
}

static void start(struct reconcile *r, const Parley__V1__ReconciliationState *s, uint64_t revision)
{
        const struct reconcile_terms terms = {.since_revision = revision,
                                              .pending_ttl_s = s->pending_ttl_s,
                                              .collect = r->collect,
                                              .before = s->last,
                                              .done = on_run_done,
                                              .userdata = r};

        log_info("comparing files, their records and messages", LOG_S("collect", r->collect ? "all" : "never sent"));
        if (reconcile_run_start(&r->run, r->env, &terms) < 0)
                log_warn("files, their records and messages cannot be compared", LOG_S("why", "out of memory"));
}

static void on_looked(int error, const Parley__V1__ReconciliationState *s, uint64_t revision, void *userdata)
{
        struct reconcile *r = userdata;
        bool mine;

        r->busy = false;
        if (error || !s)
                return; /* the next look; a lease that is over meanwhile is seen by then */
        mine = strcmp(s->runner, r->me) == 0;
        if (s->last)
                set_metrics(s->last);
        if (r->run && !mine)
                reconcile_run_stop(r->run, "another instance took over");
        else if (!r->run && r->taken && mine && revision && !r->stopping)
                start(r, s, revision);
}

void reconcile_tick(struct reconcile *r)
{
        const struct change change = {.env = r->env, .call = r->run ? renew : take, .done = on_looked, .userdata = r};
        uint64_t now = env_now_ms(r->env);

        if (r->busy || r->stopping || now < r->look_ms || !r->env->buckets_there)
                return;
        r->look_ms = now + RENEW_MS;
        r->taken = false;
        r->busy = change_run(&change) == 0;
}

/* --- administrators --- */

struct asking {
        bool collect;
        reconcile_handler handler;
        void *userdata;
};

static bool request_one(Parley__V1__ReconciliationState *s, void *userdata)
{
        const struct asking *a = userdata;

        if (s->requested && (s->collect || !a->collect))
                return false;
        s->requested = true;
        s->collect = s->collect || a->collect;
        return true;
}

static void on_asked(int error, const Parley__V1__ReconciliationState *s, uint64_t revision, void *userdata)
{
        struct asking a = *(struct asking *)userdata;

        (void)revision;
        free(userdata);
        a.handler(error, s, a.userdata);
}

int reconcile_ask(struct env *env, bool request, bool collect, reconcile_handler handler, void *userdata)
{
        struct asking *a = malloc(sizeof(*a));
        const struct change change = {
                .env = env, .call = request ? request_one : NULL, .done = on_asked, .userdata = a};
        int r = -ENOMEM;

        if (a) {
                *a = (struct asking){collect, handler, userdata};
                r = change_run(&change);
        }
        if (r != 0)
                free(a);
        return r;
}

/* --- life --- */

int reconcile_new(struct reconcile **ret_reconcile, struct env *env)
{
        struct reconcile *r = calloc(1, sizeof(*r));
        uint64_t random;

        if (!r)
                return -ENOMEM;
        r->env = env;
        random_bytes(&random, sizeof(random));
        (void)snprintf(r->me, sizeof(r->me), "%016llx", (unsigned long long)random);
        *ret_reconcile = r;
        return 0;
}

void reconcile_stop(struct reconcile *r)
{
        r->stopping = true;
        if (r->run)
                reconcile_run_stop(r->run, "the service that compared was stopped");
}

void reconcile_free(struct reconcile *r)
{
        free(r);
}
