/* The gateway's core, driven by a byte code: frames, bus, failures, time; invariants after each step, everything healed at the end. */
#include "session_ops.h"

#include "base/log.h"
#include "bus/subjects.h"
#include "gateway/channel.h"
#include "gateway/digest.h"

enum { STEPS_MAX = 400, CONTENT_MAX = 3000 };

int LLVMFuzzerInitialize(int *argc, char ***argv);

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

/* The log is kept for longer than a lost copy takes to be missed: digests tell within seconds. Who is cut off asks when he is back. */
static bool is_reached(const struct world *w, uint64_t seq)
{
        for (size_t i = 0; w->f->connected && i < w->f->n_log; i++) {
                const struct fake_event *e = &w->f->log[i];
                const struct channel *c = e->seq <= seq ? channel_find(w->f->core, e->channel) : NULL;

                if (c && c->state != CHANNEL_IDLE && channel_position(c) < e->seq)
                        return false;
        }
        return true;
}

/* What the log may lose is only what history has */
static void op_trim(struct world *w)
{
        uint8_t b = take_byte(w);
        uint64_t seq = take_seq(w);

        if (seq >= w->f->next_seq || seq > w->f->ingested_seq || !is_reached(w, seq))
                return;
        if (b & 0x80 && !is_newest(w->f, seq) && w->n_holes < N_HOLES) {
                w->holes[w->n_holes++] = seq;
                fake_remove(w->f, seq);
        } else if (!(b & 0x80) && seq >= w->f->first_seq) {
                fake_trim(w->f, seq + 1);
        }
}

/* A copy without a mark counts as the first one, and nothing tells when it was sent: it is stored once as long as the log knows the id. So
 * docs/protocol.md has a client close the connection before it retries over another, and a gateway ends one that is silent: what was sent
 * arrives within the window. Across a log that is made anew nobody can promise that, unless every message waited for history. */
static void world_arrive(struct world *w)
{
        for (unsigned i = 0; i < N_CLIENTS; i++)
                client_unpack(&w->clients[i]);
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
                if (t->kind != TASK_LIVE && !t->error) {
                        t->error = BUS_E_TIMEOUT;
                        w->trouble = true;
                }
}

/* What the old log has said of itself arrives, or is lost, before there is a new one: it is made by somebody who asks for it first */
static void op_new_stream(struct world *w)
{
        world_arrive(w);
        w->trouble = true;
        for (struct fake_task *t = w->f->tasks; t; t = t->next)
                if (t->kind == TASK_INFO && !t->error)
                        t->error = BUS_E_TIMEOUT;
        world_announce(w);
        w->f->ingested_seq = UINT64_MAX;
        time_out(w, 1000000000);
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
                w->trouble = true;
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

        w->trouble |= b % 8 == 0 || b % 8 == 3 || b % 8 == 4;
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

        world_arrive(w);
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
        world_flush(w, 1 + take_byte(w) % 8);
        world_settle(w);
}

#define OP(name)                                                                                                       \
        {                                                                                                              \
#name, op_##name                                                                                       \
        }

/* What matters most stands here more than once */
struct op {
        const char *name;
        void (*run)(struct world *w);
};
static const struct op ops[] = {
        OP(connect), OP(connect), OP(drop),       OP(stuck),   OP(pack),   OP(hello),   OP(hello),
        OP(resume),  OP(resume),  OP(auth),       OP(send),    OP(send),   OP(send),    OP(change),
        OP(garbage), OP(pong),    OP(message),    OP(message), OP(member), OP(member),  OP(bucket),
        OP(foreign), OP(trim),    OP(new_stream), OP(run),     OP(run),    OP(run_all), OP(run_all),
        OP(swap),    OP(fail),    OP(again),      OP(bus),     OP(tick),   OP(window),  OP(flush),
};

/* These have bytes of their own, so that older inputs stay what they are */
enum { LOOK_FROM = 245 };
static const struct op look_ops[] = {OP(watch), OP(focus), OP(typing), OP(presence)};

static void step(struct world *w)
{
        const uint8_t *at = w->input;
        unsigned b = take_byte(w);
        const struct op *op = b >= LOOK_FROM ? &look_ops[(b - LOOK_FROM) % (sizeof(look_ops) / sizeof(look_ops[0]))]
                                             : &ops[b % (sizeof(ops) / sizeof(ops[0]))];

        if (world_trace)
                fprintf(stderr, "-- %s\n", op->name);
        op->run(w);
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
                world_calm(&w);
        }
        world_heal(&w);
        check_core(&w);
        world_done(&w);
        return 0;
}
