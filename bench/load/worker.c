#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "load.h"

/* Each client, as Parley and others drop who is silent for longer. Evenly, as those of so many people are: the pings of a second all at once
 * would be a storm of their own, which everybody's messages wait for. */
#define PING_EVERY_NS 20000000000u
#define PING_STEP_NS 2000000u
#define PING_MAX_NS 1000000000u
#define SEND_BURST 32 /* messages that are overdue, before sockets are read again */

/* --- connecting --- */

/* Opens what may be opened at once, in the order of the plan */
static void connect_more(struct worker *w)
{
        while (w->begun < w->n_sessions && w->pending < w->o->window) {
                int r = session_connect(&w->sessions[w->begun]);

                if (r < 0) {
                        errno = -r;
                        die("connect");
                }
                w->begun++;
        }
}

static unsigned share(const struct worker *w, unsigned n)
{
        return n / w->o->procs + (w->index < n % w->o->procs);
}

static void begin_connect(struct worker *w)
{
        free(w->audience);
        w->audience = plan_audience(&w->plan, w->c.n);
        w->n_sessions = share(w, w->c.n);
}

/* All at once, as after a failure of the network */
static void begin_resume(struct worker *w)
{
        for (unsigned i = 0; i < w->n_sessions; i++) {
                int r = session_connect(&w->sessions[i]);

                if (r < 0) {
                        errno = -r;
                        die("reconnect");
                }
                /* what is answered meanwhile must not wait for the last of us */
                if (i % 64 == 63) {
                        struct epoll_event events[64];
                        int n = wait_events(w->ep, events, 64, 0);

                        for (int k = 0; k < n; k++)
                                if (events[k].data.ptr)
                                        session_ready(events[k].data.ptr, events[k].events);
                }
        }
}

/* --- sending --- */

static uint64_t due_of(const struct worker *w, uint64_t n)
{
        return w->c.start + (uint64_t)((double)n * w->c.interval);
}

/* Moves w->next to the next message whose sender is ours */
static void skip_others(struct worker *w)
{
        while (w->next < w->c.total && w->next % w->c.senders % w->o->procs != w->index)
                w->next++;
        if (w->next == w->c.total)
                w->t->sent_all = true;
}

static void send_due(struct worker *w)
{
        for (unsigned i = 0; i < SEND_BURST && w->next < w->c.total; i++) {
                uint64_t due = due_of(w, w->next), now = now_ns();
                struct session *s = &w->sessions[w->next % w->c.senders / w->o->procs];

                if (now < due)
                        return;
                if (now - due > w->t->late_ns)
                        w->t->late_ns = now - due;
                session_send(s, w->next, due);
                w->next++;
                skip_others(w);
        }
}

static uint64_t next_due(const struct worker *w)
{
        uint64_t until = w->next_ping;

        if (w->c.phase == PHASE_LOAD && w->next < w->c.total && due_of(w, w->next) < until)
                until = due_of(w, w->next);
        return until;
}

static void ping_some(struct worker *w)
{
        uint64_t each_ns = PING_EVERY_NS / (w->begun + 1);
        unsigned n = each_ns < PING_STEP_NS ? (unsigned)(PING_STEP_NS / each_ns) : 1;
        uint64_t wait_ns = n * each_ns;

        for (; n && w->begun; n--, w->pinged++)
                session_ping(&w->sessions[w->pinged % w->begun]);
        w->next_ping = w->now + (wait_ns < PING_MAX_NS ? wait_ns : PING_MAX_NS);
}

/* --- commands --- */

static uint64_t segments(const struct worker *w)
{
        uint64_t n = 0;

        for (unsigned i = 0; i < w->begun; i++)
                n += wsc_segments(&w->sessions[i].ws);
        return n;
}

/* Everything that is counted for one command alone */
static void reset(struct tally *t)
{
        t->sent_all = false;
        t->sent = t->to_ack = t->acked = t->expected = t->delivered = t->measured = t->doubled = t->breaks = t->errors =
                0;
        t->gaps = t->other = t->retries = t->filled = t->frames = t->bytes = t->late_ns = t->last_ns = 0;
        memset(&t->delivery, 0, sizeof(t->delivery));
        memset(&t->ack, 0, sizeof(t->ack));
}

static void begin(struct worker *w)
{
        reset(w->t);
        w->t->segments = segments(w);
        for (unsigned i = 0; i < w->n_all; i++)
                session_begin(&w->sessions[i]);
        w->next = 0;
        free(w->answered);
        w->answered = w->c.phase == PHASE_LOAD ? calloc(w->c.total / 8 + 1, 1) : NULL;
        if (w->c.phase == PHASE_LOAD && !w->answered)
                die("memory");
        if (w->c.phase == PHASE_CONNECT)
                begin_connect(w);
        else if (w->c.phase == PHASE_LOAD)
                skip_others(w);
        else if (w->c.phase == PHASE_RESUME)
                begin_resume(w);
        else if (w->c.phase == PHASE_CUT)
                for (unsigned i = share(w, w->c.keep); i < w->begun; i++)
                        session_cut(&w->sessions[i]);
}

static void obey(struct worker *w)
{
        char byte;
        ssize_t r = read(w->pipe, &byte, 1);

        if (r < 0 && errno == EINTR)
                return;
        if (r <= 0)
                _exit(0);
        w->c = w->shared->command;
        if (w->c.phase == PHASE_IDLE)
                w->t->segments = segments(w) - w->t->segments;
        else
                begin(w);
        __atomic_store_n(&w->t->serial, w->c.serial, __ATOMIC_RELEASE);
}

static void turn(struct worker *w)
{
        struct epoll_event events[128];
        int n = wait_events(w->ep, events, 128, next_due(w));

        for (int i = 0; i < n; i++) {
                if (w->c.phase == PHASE_LOAD)
                        send_due(w); /* what is due meanwhile is not kept waiting */
                if (events[i].data.ptr)
                        session_ready(events[i].data.ptr, events[i].events);
                else
                        obey(w);
        }
        w->now = now_ns();
        if (w->c.phase == PHASE_LOAD)
                send_due(w);
        else if (w->c.phase == PHASE_CONNECT)
                connect_more(w);
        if (w->now >= w->next_ping)
                ping_some(w);
}

static void make_sessions(struct worker *w)
{
        w->n_all = share(w, w->plan.n_clients);
        w->sessions = calloc(w->n_all ? w->n_all : 1, sizeof(*w->sessions));
        w->content = calloc(1, w->o->payload + 1);
        if (!w->sessions || !w->content)
                die("memory");
        memset(w->content, 'x', w->o->payload);
        for (unsigned i = 0; i < w->n_all; i++) {
                struct session *s = &w->sessions[i];

                s->index = i * w->o->procs + w->index;
                s->plan = &w->plan.clients[s->index];
                s->worker = w;
                s->ws.fd = -1;
                s->chains = calloc(s->plan->n_rooms ? s->plan->n_rooms : 1, sizeof(*s->chains));
                if (!s->chains)
                        die("memory");
        }
}

void worker_run(const struct load_options *o, struct shared *shared, unsigned index, int pipe)
{
        struct worker w = {.o = o, .index = index, .shared = shared, .t = &shared->tallies[index], .pipe = pipe};

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        plan_read(&w.plan, o->plan);
        make_sessions(&w);
        w.ep = epoll_create1(EPOLL_CLOEXEC);
        if (w.ep < 0 || epoll_ctl(w.ep, EPOLL_CTL_ADD, pipe, &(struct epoll_event){.events = EPOLLIN}) < 0)
                die("epoll");
        for (;;)
                turn(&w);
}
