#include "gateway_fake_impl.h"

#include <inttypes.h>

#include "bus/subjects.h"
#include "gateway/channel.h"
#include "gateway/everyone.h"
#include "gateway/stats.h"
#include "wire/event.h"

struct bus_sub {
        struct bus_sub *next;
        char subject[SUBJECT_MAX];
        bus_handler handler;
        void *userdata;
        bool gone;
};

static struct fake *fake_now; /* the clock has no argument of its own */

static void fake_clock(uint64_t *ret_now_ns, int64_t *ret_wall_ns)
{
        *ret_now_ns = fake_now->now_ns;
        *ret_wall_ns = fake_now->wall_ns;
}

void fake_uuid(struct fake *f, char ret[37])
{
        uint8_t random[10];

        for (unsigned i = 0; i < sizeof(random); i++)
                random[i] = (uint8_t)unit_random(&f->seed);
        uuid_v7((uint64_t)f->wall_ns / 1000000, random, ret);
}

/* --- the message system --- */

static struct fake_task *task_new(struct fake *f, enum fake_kind kind, void *handler, void *userdata, const void *data,
                                  size_t len)
{
        struct fake_task *t = calloc(1, sizeof(*t) + len);

        assert_non_null(t);
        t->kind = kind;
        t->handler = handler;
        t->userdata = userdata;
        if (len)
                memcpy(t->data, data, len);
        t->msg.data = t->data;
        t->msg.len = len;
        t->msg.subject = t->subject;
        *f->last_task = t;
        f->last_task = &t->next;
        return t;
}

struct fake_task *fake_reply(struct fake *f, int error, bus_reply_handler handler, void *userdata, const void *data,
                             size_t len)
{
        struct fake_task *t = task_new(f, TASK_REPLY, (void *)handler, userdata, data, len);

        t->error = error;
        return t;
}

static void reply_event(struct fake *f, const struct fake_event *e, bus_reply_handler handler, void *userdata)
{
        struct fake_task *t = fake_reply(f, e ? 0 : BUS_E_NOT_FOUND, handler, userdata, e ? e->data : NULL,
                                         e ? e->len : 0);

        if (e)
                t->msg.seq = e->seq;
}

static bool fake_connected(void *self)
{
        return ((struct fake *)self)->connected;
}

static int fake_subscribe(void *self, const char *subject, bus_handler handler, void *userdata,
                          struct bus_sub **ret_sub)
{
        struct fake *f = self;
        struct bus_sub *s = calloc(1, sizeof(*s));

        assert_non_null(s);
        strcpy(s->subject, subject);
        s->handler = handler;
        s->userdata = userdata;
        s->next = f->subs;
        f->subs = s;
        *ret_sub = s;
        return 0;
}

static void fake_unsubscribe(void *self, struct bus_sub *sub)
{
        (void)self;
        if (sub)
                sub->gone = true;
}

void fake_live(struct fake *f, const char *subject, const void *data, size_t len, uint64_t seq, uint64_t prev)
{
        for (struct bus_sub *s = f->subs; s; s = s->next) {
                size_t n = strlen(s->subject);
                bool all = n > 0 && s->subject[n - 1] == '>'; /* a wildcard at the end */

                if (s->gone || (all ? strncmp(s->subject, subject, n - 1) != 0 : strcmp(s->subject, subject) != 0))
                        continue;
                struct fake_task *t = task_new(f, TASK_LIVE, s, NULL, data, len);

                strcpy(t->subject, subject);
                t->msg.seq = seq;
                t->msg.prev = prev;
        }
}

static int fake_publish(void *self, const char *subject, const void *data, size_t len)
{
        struct fake *f = self;

        if (!f->connected)
                return BUS_E_DISCONNECTED;
        fake_live(f, subject, data, len, 0, 0);
        return 0;
}

static uint64_t log_prev(struct fake *f, const char *channel)
{
        for (size_t i = f->n_log; i-- > 0;)
                if (!f->log[i].removed && strcmp(f->log[i].channel, channel) == 0)
                        return f->log[i].seq;
        return 0;
}

/* The live copy may be lost, doubled, or overtaken by the one before it */
static void log_republish(struct fake *f, const struct fake_event *e, uint64_t prev)
{
        char subject[SUBJECT_MAX];
        struct fake_task **before = f->last_task;

        if (!f->connected || unit_random(&f->seed) % 100 < f->lose)
                return;
        subject_live(subject, 0, e->channel);
        fake_live(f, subject, e->data, e->len, e->seq, prev);
        if (unit_random(&f->seed) % 100 < f->repeat)
                fake_live(f, subject, e->data, e->len, e->seq, prev);
        if (f->tasks && before != &f->tasks && *before && unit_random(&f->seed) % 100 < f->swap) {
                struct fake_task *added = *before, *old = f->tasks, *t = added;

                /* to the front of all that waits */
                while (t->next)
                        t = t->next;
                f->tasks = added;
                t->next = old;
                *before = NULL;
                f->last_task = before;
        }
}

uint64_t fake_log(struct fake *f, const char *channel, const char *msg_id, const void *data, size_t len)
{
        struct fake_event *e;
        uint64_t prev = log_prev(f, channel);

        if (f->n_log == f->cap_log) {
                f->cap_log = f->cap_log ? f->cap_log * 2 : 64;
                f->log = realloc(f->log, f->cap_log * sizeof(*f->log));
                assert_non_null(f->log);
        }
        e = &f->log[f->n_log++];
        *e = (struct fake_event){.seq = f->next_seq++, .len = len};
        e->data = malloc(len + 1);
        memcpy(e->data, data, len);
        strcpy(e->channel, channel);
        if (msg_id)
                strcpy(e->msg_id, msg_id);
        log_republish(f, e, prev);
        return e->seq;
}

static int fake_publish_stream(void *self, const char *subject, const char *msg_id, const void *data, size_t len,
                               const char *trace_id, bus_ack_handler handler, void *userdata)
{
        struct fake *f = self;
        struct fake_task *t;
        uint64_t seq = 0;
        bool duplicate = false;

        assert_int_equal(strlen(trace_id), 32);
        if (!f->connected)
                return BUS_E_DISCONNECTED;
        f->n_published++;
        for (size_t i = f->dedupe_from; i < f->n_log && !seq; i++)
                if (strcmp(f->log[i].msg_id, msg_id) == 0)
                        seq = f->log[i].seq;
        duplicate = seq != 0;
        if (!duplicate && !f->silent)
                seq = fake_log(f, subject_channel(subject), msg_id, data, len);
        t = task_new(f, TASK_ACK, (void *)handler, userdata, NULL, 0);
        t->error = f->lose_acks ? BUS_E_TIMEOUT : 0;
        t->ack = (struct bus_ack){.seq = seq, .duplicate = duplicate};
        return 0;
}

static int fake_stream_info(void *self, const char *stream, bus_stream_handler handler, void *userdata)
{
        struct fake *f = self;
        struct fake_task *t;

        assert_string_equal(stream, "CHAT_0");
        if (!f->connected)
                return BUS_E_DISCONNECTED;
        t = task_new(f, TASK_INFO, (void *)handler, userdata, NULL, 0);
        t->info = (struct bus_stream_info){.first_seq = f->first_seq, .last_seq = f->next_seq - 1, .epoch = f->epoch};
        return 0;
}

static int fake_stream_last(void *self, const char *stream, const char *subject, bus_reply_handler handler,
                            void *userdata)
{
        struct fake *f = self;
        const struct fake_event *found = NULL;

        (void)stream;
        if (!f->connected)
                return BUS_E_DISCONNECTED;
        f->n_last++;
        for (size_t i = 0; i < f->n_log; i++)
                if (!f->log[i].removed && strcmp(f->log[i].channel, subject_channel(subject)) == 0)
                        found = &f->log[i];
        reply_event(f, found, handler, userdata);
        return 0;
}

static int fake_stream_get(void *self, const char *stream, uint64_t seq, bool direct, bus_reply_handler handler,
                           void *userdata)
{
        struct fake *f = self;
        const struct fake_event *found = NULL;

        (void)stream;
        (void)direct;
        if (!f->connected)
                return BUS_E_DISCONNECTED;
        for (size_t i = 0; i < f->n_log; i++)
                if (!f->log[i].removed && f->log[i].seq == seq)
                        found = &f->log[i];
        reply_event(f, found, handler, userdata);
        return 0;
}

static int fake_stream_next(void *self, const char *stream, const char *subject, uint64_t min_seq,
                            bus_reply_handler handler, void *userdata)
{
        struct fake *f = self;
        const struct fake_event *found = NULL;

        (void)stream;
        if (!f->connected)
                return BUS_E_DISCONNECTED;
        f->n_direct++;
        for (size_t i = 0; i < f->n_log && !found; i++)
                if (!f->log[i].removed && f->log[i].seq >= min_seq &&
                    strcmp(f->log[i].channel, subject_channel(subject)) == 0)
                        found = &f->log[i];
        reply_event(f, found, handler, userdata);
        return 0;
}

static int fake_kv_get(void *self, const char *bucket, const char *key, bus_reply_handler handler, void *userdata)
{
        struct fake *f = self;
        const struct fake_key *k;

        if (!f->connected)
                return BUS_E_DISCONNECTED;
        k = fake_key_find(f, bucket, key);
        fake_reply(f, k ? 0 : BUS_E_NOT_FOUND, handler, userdata, k ? k->data : NULL, k ? k->len : 0);
        return 0;
}

/* --- deliveries --- */

static void task_run(struct fake_task *t, int error)
{
        struct bus_sub *sub = t->handler;

        switch (t->kind) {
        case TASK_REPLY:
                ((bus_reply_handler)t->handler)(error, error ? NULL : &t->msg, t->userdata);
                break;
        case TASK_ACK:
                ((bus_ack_handler)t->handler)(error, error ? NULL : &t->ack, NULL, t->userdata);
                break;
        case TASK_INFO:
                ((bus_stream_handler)t->handler)(error, error ? NULL : &t->info, NULL, t->userdata);
                break;
        case TASK_LIVE:
                if (!sub->gone && !error)
                        sub->handler(&t->msg, sub->userdata);
                break;
        }
}

static struct fake_task *task_take(struct fake *f)
{
        struct fake_task *t = f->tasks;

        if (!t)
                return NULL;
        f->tasks = t->next;
        if (!f->tasks)
                f->last_task = &f->tasks;
        return t;
}

static void fake_writable(struct fake *f)
{
        for (struct fake_client *c = f->clients; c; c = c->next)
                if (c->session && (c->session->blocked || c->session->kept_bytes) && !c->stuck)
                        session_writable(c->session);
}

/* The transport ends connections that the core has closed, once all is written */
static void fake_end_closed(struct fake *f)
{
        for (struct fake_client *c = f->clients; c; c = c->next) {
                if (!c->session || !c->close_code)
                        continue;
                if (c->stuck || session_writable(c->session)) {
                        session_gone(c->session);
                        c->session = NULL;
                }
        }
}

void fake_run(struct fake *f)
{
        do {
                core_foresee(f->core);
                while (!f->silent && f->tasks)
                        fake_step(f);
                while (core_tell(f->core, 100))
                        ;
                while (core_flush(f->core, 100))
                        ;
                fake_writable(f);
                fake_end_closed(f);
        } while (f->tasks && !f->silent);
}

void fake_step(struct fake *f)
{
        struct fake_task *t = task_take(f);

        assert_non_null(t);
        core_time(f->core);
        task_run(t, t->error);
        free(t);
}

void fake_fail_tasks(struct fake *f, int error)
{
        fake_fail_after(f, 0, error);
}

void fake_fail_after(struct fake *f, unsigned n, int error)
{
        struct fake_task **first = &f->tasks, *t, *next;

        while (n-- && *first)
                first = &(*first)->next;
        t = *first;
        *first = NULL;
        f->last_task = first;
        for (; t; t = next) {
                next = t->next;
                task_run(t, error);
                free(t);
        }
}

void fake_advance(struct fake *f, uint64_t ms)
{
        while (ms) {
                uint64_t step = ms < 50 ? ms : 50;

                f->now_ns += step * 1000000;
                f->wall_ns += (int64_t)step * 1000000;
                ms -= step;
                core_tick(f->core);
                fake_run(f);
        }
}

void fake_reconnect(struct fake *f)
{
        f->connected = true;
        core_time(f->core);
        core_connected(f->core);
        fake_run(f);
}

/* --- life --- */

static const char *no_environment(const char *name, void *userdata)
{
        (void)name;
        (void)userdata;
        return NULL;
}

struct fake *fake_new(void)
{
        struct fake *f = calloc(1, sizeof(*f));
        struct auth_options options = {.secret = "0123456789abcdef0123456789abcdef"};
        char error[256];
        int r;

        assert_non_null(f);
        r = config_load(gateway_config_items, gateway_config_n_items, &f->config, no_environment, NULL, error,
                        sizeof(error));
        assert_int_equal(r, 0);
        assert_int_equal(auth_new(&f->auth, &options, error, sizeof(error)), 0);
        f->config.rate_limits = false;
        f->now_ns = UINT64_C(1000000000000);
        f->wall_ns = INT64_C(1795000000000000000);
        f->seed = 42;
        f->next_seq = f->first_seq = 1;
        f->epoch = FAKE_EPOCH;
        f->ingested_seq = UINT64_MAX;
        f->connected = true;
        f->last_task = &f->tasks;
        return f;
}

void fake_start(struct fake *f)
{
        struct core_options options = {
                .config = &f->config,
                .transport = fake_transport,
                .auth = f->auth,
                .clock = fake_clock,
                .upstream = {.self = f,
                             .connected = fake_connected,
                             .subscribe = fake_subscribe,
                             .subscribe_direct = fake_subscribe,
                             .unsubscribe = fake_unsubscribe,
                             .publish = fake_publish,
                             .request = fake_request,
                             .publish_stream = fake_publish_stream,
                             .stream_info = fake_stream_info,
                             .stream_last = fake_stream_last,
                             .stream_get = fake_stream_get,
                             .stream_next = fake_stream_next,
                             .kv_get = fake_kv_get},
        };

        fake_now = f;
        assert_int_equal(core_new(&f->core, &options), 0);
        core_connected(f->core);
        everyone_complete(f->core);
        fake_run(f);
        assert_true(core_ready(f->core));
}

void fake_free(struct fake *f)
{
        f->silent = false;
        for (struct fake_client *c = f->clients; c; c = c->next)
                fake_client_drop(c);
        f->connected = false;
        fake_fail_tasks(f, BUS_E_DISCONNECTED);
        core_free(f->core);
        auth_free(f->auth);
        config_done(gateway_config_items, gateway_config_n_items, &f->config);
        fake_clients_free(f);
        while (f->subs) {
                struct bus_sub *s = f->subs;

                f->subs = s->next;
                free(s);
        }
        while (f->keys) {
                struct fake_key *k = f->keys;

                f->keys = k->next;
                free(k->data);
                free(k);
        }
        for (size_t i = 0; i < f->n_log; i++)
                free(f->log[i].data);
        free(f->log);
        fake_fail_tasks(f, BUS_E_DISCONNECTED);
        free(f);
}
