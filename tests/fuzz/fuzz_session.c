/* The gateway's core, driven by a byte code: frames, bus, failures, time; invariants after each step, everything healed at the end. */
#include "session_world.h"

#include "base/log.h"
#include "bus/subjects.h"
#include "gateway/digest.h"

enum { STEPS_MAX = 400, CONTENT_MAX = 3000 };

int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct client *take_client(struct world *w)
{
        return &w->clients[take_byte(w) % N_CLIENTS];
}

static bool speaks(const struct client *c)
{
        return c->session && !c->close_code && c->n_asked < N_ASKED;
}

/* Mostly one that is in the log; also one that never was */
static uint64_t take_seq(struct world *w)
{
        uint8_t b = take_byte(w);

        if (b >= 0xf0)
                return b == 0xff ? UINT64_MAX : w->f->next_seq + b - 0xf0;
        return w->f->n_log ? w->f->log[w->f->n_log - 1 - b % w->f->n_log].seq : b;
}

/* --- clients --- */

static void op_connect(struct world *w)
{
        struct client *c = take_client(w);
        uint8_t b = take_byte(w);

        world_announce(w);
        if (!c->session)
                client_connect(w, c, (b & 0xf) % N_USERS, b >> 4);
}

static void op_drop(struct world *w)
{
        client_gone(take_client(w));
}

static void op_stuck(struct world *w)
{
        struct client *c = take_client(w);

        c->stuck = !c->stuck;
}

static void op_pack(struct world *w)
{
        struct client *c = take_client(w);

        if (c->packing)
                client_unpack(c);
        else
                c->packing = true;
}

static unsigned take_cursors(struct world *w, struct client *c, struct asked *a, Parley__V1__Cursor *cursors,
                             Parley__V1__Cursor **list)
{
        unsigned n = take_byte(w) % (N_CURSORS + 1);

        a->n_cursors = (uint8_t)n;
        for (unsigned i = 0; i < n; i++) {
                uint8_t b = take_byte(w);
                unsigned channel = b % N_CHANNELS;

                a->cursors[i].channel = (uint8_t)channel;
                a->cursors[i].epoch = b & 0x80 ? (b & 0x40 ? 0 : w->f->epoch - 1) : w->f->epoch;
                a->cursors[i].seq = b & 0x20 ? c->views[channel].cursor : b & 0x10 ? 0 : take_seq(w);
                parley__v1__cursor__init(&cursors[i]);
                cursors[i].channel_id = (char *)world_channels[channel];
                cursors[i].epoch = a->cursors[i].epoch;
                cursors[i].seq = a->cursors[i].seq;
                list[i] = &cursors[i];
        }
        return n;
}

static void op_hello(struct world *w)
{
        struct client *c = take_client(w);
        uint8_t how = take_byte(w);
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Hello hello = PARLEY__V1__HELLO__INIT;
        Parley__V1__Cursor cursors[N_CURSORS], *list[N_CURSORS];
        char *token;
        struct asked *a;

        if (!speaks(c))
                return;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_HELLO;
        frame.hello = &hello;
        a = client_ask(c, &frame);
        token = fake_token(w->f, world_users[c->user]);
        if (how == 1)
                token[strlen(token) / 2] ^= 1;
        if (how != 2)
                hello.token = token;
        hello.n_cursors = take_cursors(w, c, a, cursors, list);
        hello.cursors = list;
        client_send(c, &frame);
        free(token);
}

static void op_resume(struct world *w)
{
        struct client *c = take_client(w);
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Resume resume = PARLEY__V1__RESUME__INIT;
        Parley__V1__Cursor cursors[N_CURSORS], *list[N_CURSORS];
        struct asked *a;

        if (!speaks(c))
                return;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_RESUME;
        frame.resume = &resume;
        a = client_ask(c, &frame);
        resume.n_cursors = take_cursors(w, c, a, cursors, list);
        resume.cursors = list;
        client_send(c, &frame);
}

static void op_auth(struct world *w)
{
        struct client *c = take_client(w);
        uint8_t how = take_byte(w);
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Auth auth = PARLEY__V1__AUTH__INIT;
        Parley__V1__Ping ping = PARLEY__V1__PING__INIT;
        char *token;

        if (!speaks(c))
                return;
        token = fake_token(w->f, world_users[how % N_USERS]);
        auth.token = token;
        frame.body_case = how & 0x80 ? PARLEY__V1__CLIENT_FRAME__BODY_PING : PARLEY__V1__CLIENT_FRAME__BODY_AUTH;
        if (how & 0x80)
                frame.ping = &ping;
        else
                frame.auth = &auth;
        client_ask(c, &frame);
        client_send(c, &frame);
        free(token);
}

/* One that was used before, as a retry, or a new one */
static struct sent_id *take_id(struct world *w, const struct client *c, unsigned channel, uint8_t how, bool *ret_retry)
{
        struct sent_id *id;

        *ret_retry = false;
        if (how & 0x80 || w->n_ids == N_IDS) {
                for (int i = 0; i < w->n_ids; i++) {
                        id = &w->ids[((how & 0x1f) + i) % w->n_ids];
                        if (id->user != c->user)
                                continue;
                        *ret_retry = true;
                        return id;
                }
        }
        if (w->n_ids == N_IDS)
                return NULL;
        id = &w->ids[w->n_ids++];
        *id = (struct sent_id){.user = c->user, .channel = channel, .content = how & 0x7f};
        fake_uuid(w->f, id->id);
        return id;
}

static void op_send(struct world *w)
{
        struct client *c = take_client(w);
        unsigned channel = take_byte(w) % N_CHANNELS;
        uint8_t how = take_byte(w);
        static char content[CONTENT_MAX + 1];
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Send send = PARLEY__V1__SEND__INIT;
        Parley__V1__OutgoingMessage message = PARLEY__V1__OUTGOING_MESSAGE__INIT;
        struct sent_id *id;
        struct asked *a;
        bool retry;
        size_t n;

        if (!speaks(c) || !(id = take_id(w, c, channel, how, &retry)))
                return;
        n = (id->content & 0x3f) == 0x3f ? CONTENT_MAX : 1 + (id->content & 0x3f);
        memset(content, 'x', n);
        content[n] = 0;
        message.id = id->id;
        message.content = content;
        send.channel_id = (char *)world_channels[id->channel];
        send.message = &message;
        send.retry = retry;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_SEND;
        frame.send = &send;
        a = client_ask(c, &frame);
        a->id = (int)(id - w->ids);
        client_send(c, &frame);
}

static void op_change(struct world *w)
{
        struct client *c = take_client(w);
        uint8_t how = take_byte(w);
        char id[37];
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Edit edit = PARLEY__V1__EDIT__INIT;
        Parley__V1__Delete delete = PARLEY__V1__DELETE__INIT;

        if (!speaks(c))
                return;
        fake_uuid(w->f, id);
        edit.id = delete.id = id;
        edit.channel_id = delete.channel_id = (char *)world_channels[how % N_CHANNELS];
        edit.target_seq = delete.target_seq = take_seq(w);
        edit.retry = delete.retry = how & 0x40;
        edit.content = (char *)"changed";
        frame.body_case = how & 0x80 ? PARLEY__V1__CLIENT_FRAME__BODY_DELETE : PARLEY__V1__CLIENT_FRAME__BODY_EDIT;
        if (how & 0x80)
                frame.delete_ = &delete;
        else
                frame.edit = &edit;
        client_ask(c, &frame);
        client_send(c, &frame);
}

/* Bytes that nobody who follows the protocol would send: answers cannot be counted any more */
static void op_garbage(struct world *w)
{
        struct client *c = take_client(w);
        size_t n = take_byte(w) % 64;

        if (n > (size_t)(w->end - w->input))
                n = (size_t)(w->end - w->input);
        if (speaks(c)) {
                c->garbled = true;
                session_receive(c->session, w->input, n, n & 1 ? c->encoding == ENCODING_PROTO : true);
        }
        w->input += n;
}

static void op_pong(struct world *w)
{
        struct client *c = take_client(w);

        if (c->session)
                session_pong(c->session);
}

/* --- the log and memberships --- */

static void op_message(struct world *w)
{
        uint8_t b = take_byte(w);
        unsigned channel = b % N_CHANNELS;
        static char content[CONTENT_MAX + 1];
        size_t n = b & 0x80 ? CONTENT_MAX : b >> 2;

        memset(content, 'y', n);
        content[n] = 0;
        fake_message(w->f, world_channels[channel], "zoe", content);
}

static void op_member(struct world *w)
{
        uint8_t b = take_byte(w);
        unsigned user = (b & 3) % N_USERS;

        world_change_member(w, user, (b >> 4) & 1, b & 4);
        if (b & 0x20)
                world_put_bucket(w, user, b & 0x40);
        if (b & 0x80)
                world_announce(w);
}

static void op_bucket(struct world *w)
{
        uint8_t b = take_byte(w);

        world_put_bucket(w, b % N_USERS, b & 0x80);
}

/* Something that no gateway wrote: it takes its place in the chain */
static void op_foreign(struct world *w)
{
        unsigned channel = take_byte(w) % N_CHANNELS;
        size_t n = take_byte(w) % 32;

        if (n > (size_t)(w->end - w->input))
                n = (size_t)(w->end - w->input);
        fake_log(w->f, world_channels[channel], NULL, w->input, n);
        w->input += n;
}

/* A deletion's original goes, and the deletion stands behind it */
static bool is_newest(const struct fake *f, uint64_t seq)
{
        const char *channel = NULL;

        for (size_t i = 0; i < f->n_log; i++) {
                if (f->log[i].seq == seq)
                        channel = f->log[i].channel;
                else if (channel && strcmp(f->log[i].channel, channel) == 0)
                        return false;
        }
        return true;
}

/* What the log may lose is only what history has */
static void op_trim(struct world *w)
{
        uint8_t b = take_byte(w);
        uint64_t seq = take_seq(w);

        if (seq >= w->f->next_seq || seq > w->f->ingested_seq)
                return;
        if (b & 0x80 && !is_newest(w->f, seq) && w->n_holes < N_HOLES) {
                w->holes[w->n_holes++] = seq;
                fake_remove(w->f, seq);
        } else if (!(b & 0x80) && seq >= w->f->first_seq) {
                fake_trim(w->f, seq + 1);
        }
}

static void op_new_stream(struct world *w)
{
        world_announce(w);
        w->f->ingested_seq = UINT64_MAX;
        w->f->wall_ns += 1000000000;
        w->f->now_ns += 1000000000;
        fake_new_stream(w->f);
        if (take_byte(w) & 1)
                world_digest(w);
        else
                core_connected(w->f->core);
}

/* --- the bus --- */

static void op_run(struct world *w)
{
        world_run(w, 1 + take_byte(w) % 16);
}

static void op_run_all(struct world *w)
{
        world_run(w, 1000);
}

static struct fake_task **take_task(struct world *w)
{
        struct fake_task **at = &w->f->tasks;

        for (unsigned n = take_byte(w) % 16; n && *at && (*at)->next; n--)
                at = &(*at)->next;
        return at;
}

static void unlink_task(struct fake *f, struct fake_task **at)
{
        struct fake_task *t = *at;

        *at = t->next;
        if (f->last_task == &t->next)
                f->last_task = at;
}

/* Another answer or live copy first */
static void op_swap(struct world *w)
{
        struct fake *f = w->f;
        struct fake_task **at = take_task(w), *t = *at;

        if (!t)
                return;
        unlink_task(f, at);
        t->next = f->tasks;
        f->tasks = t;
        if (!t->next)
                f->last_task = &t->next;
}

/* A live copy is lost; a question ends with an error */
static void op_fail(struct world *w)
{
        static const int errors[] = {BUS_E_TIMEOUT, BUS_E_DISCONNECTED, BUS_E_NO_RESPONDERS, BUS_E_REFUSED};
        struct fake_task **at = take_task(w);
        uint8_t b = take_byte(w);

        if (!*at)
                return;
        if ((*at)->kind == TASK_LIVE) {
                struct fake_task *t = *at;

                unlink_task(w->f, at);
                free(t);
        } else {
                (*at)->error = errors[b % 4];
        }
}

static void op_again(struct world *w)
{
        const struct fake_task *t = *take_task(w);
        uint8_t copy[8192];

        if (!t || t->kind != TASK_LIVE || t->msg.len > sizeof(copy))
                return;
        memcpy(copy, t->data, t->msg.len);
        fake_live(w->f, t->subject, copy, t->msg.len, t->msg.seq, t->msg.prev);
}

static void op_bus(struct world *w)
{
        struct fake *f = w->f;
        uint8_t b = take_byte(w);

        switch (b % 8) {
        case 0:
                world_announce(w);
                f->connected = false;
                break;
        case 1:
                f->connected = true;
                core_time(f->core);
                core_connected(f->core);
                break;
        case 2:
                core_loss(f->core);
                break;
        case 3:
                f->history_down = !f->history_down;
                break;
        case 4:
                f->ingested_seq = f->ingested_seq == UINT64_MAX ? f->next_seq - 1 : UINT64_MAX;
                break;
        case 5:
                f->lose_acks = !f->lose_acks;
                break;
        case 6:
                world_digest(w);
                break;
        case 7:
                alive_send(f->core);
                break;
        }
}

/* --- time --- */

/* Whatever was asked is answered within 5 s, or has failed */
static void time_out(struct world *w, uint64_t step_ns)
{
        w->waited_ns += step_ns;
        if (w->waited_ns < UINT64_C(5000000000))
                return;
        w->waited_ns = 0;
        for (struct fake_task *t = w->f->tasks; t; t = t->next)
                if (t->kind != TASK_LIVE && !t->error)
                        t->error = BUS_E_TIMEOUT;
}

static void op_tick(struct world *w)
{
        static const uint32_t ms[] = {50, 100, 300, 600, 1200, 5000, 16000, 31000};
        struct fake *f = w->f;
        uint64_t step = ms[take_byte(w) % 8] * UINT64_C(1000000);

        world_announce(w);
        time_out(w, step);
        f->now_ns += step;
        f->wall_ns += (int64_t)step;
        core_tick(f->core);
        world_settle(w);
}

/* The log forgets the ids that it has */
static void op_window(struct world *w)
{
        struct fake *f = w->f;
        uint64_t step = (f->config.dedupe_window_ms + 1000) * 1000000;

        world_announce(w);
        time_out(w, step);
        f->now_ns += step;
        f->wall_ns += (int64_t)step;
        f->dedupe_from = f->n_log;
        core_tick(f->core);
        world_settle(w);
}

static void op_flush(struct world *w)
{
        core_flush(w->f->core, 1 + take_byte(w) % 8);
        world_settle(w);
}

#define OP(name)                                                                                                       \
        {                                                                                                              \
#name, op_##name                                                                                       \
        }

/* What matters most stands here more than once */
static const struct {
        const char *name;
        void (*run)(struct world *w);
} ops[] = {
        OP(connect), OP(connect), OP(drop),       OP(stuck),   OP(pack),   OP(hello),   OP(hello),
        OP(resume),  OP(resume),  OP(auth),       OP(send),    OP(send),   OP(send),    OP(change),
        OP(garbage), OP(pong),    OP(message),    OP(message), OP(member), OP(member),  OP(bucket),
        OP(foreign), OP(trim),    OP(new_stream), OP(run),     OP(run),    OP(run_all), OP(run_all),
        OP(swap),    OP(fail),    OP(again),      OP(bus),     OP(tick),   OP(window),  OP(flush),
};

static void step(struct world *w)
{
        const uint8_t *at = w->input;
        unsigned op = take_byte(w) % (sizeof(ops) / sizeof(ops[0]));

        if (world_trace)
                fprintf(stderr, "-- %s\n", ops[op].name);
        ops[op].run(w);
        if (world_trace) {
                fprintf(stderr, "  ");
                for (; at < w->input; at++)
                        fprintf(stderr, " %02x", *at);
                fprintf(stderr, "\n");
        }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
        (void)argc;
        (void)argv;
        setenv("CMOCKA_TEST_ABORT", "1",
               1); /* outside of a test an assertion of the fake world would only be printed */
        world_trace = getenv("PARLEY_FUZZ_TRACE") != NULL;
        /* the log of a failing world is long */
        log_init("fuzz", world_trace ? LOG_DEBUG : (enum log_level)(LOG_ERROR + 1));
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        static struct world w;

        if (n < 2)
                return 0;
        world_init(&w, data[0]);
        w.input = data + 1;
        w.end = data + n;
        for (unsigned i = 0; i < STEPS_MAX && w.input < w.end; i++) {
                core_time(w.f->core);
                step(&w);
                check_core(&w);
        }
        world_heal(&w);
        check_core(&w);
        world_done(&w);
        return 0;
}
