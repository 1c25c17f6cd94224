#include "session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

#define MARK "~t=" /* then due time (16 hex digits), ".", number (8), ".", run (2), "~" */
#define MARK_LENGTH 32
#define MAX_ATTEMPTS 100 /* of a client to come back after a cut */

/* --- speaking --- */

static void say(struct session *s, enum speak_frame frame, const struct said *said)
{
        static char buf[65536];
        size_t n = speak(&s->worker->o->speaker, frame, said, buf, sizeof(buf));

        if (n && wsc_send(&s->ws, speak_is_binary(&s->worker->o->speaker), buf, n) < 0)
                s->ws.closed = true;
}

static void hello(struct session *s)
{
        static struct cursor cursors[PLAN_MAX_ROOMS];
        struct said said = {.user = s->plan->user,
                            .token = s->plan->token,
                            .room = "",
                            .content = "",
                            .id = "",
                            .cursors = cursors};

        for (unsigned i = 0; i < s->plan->n_rooms; i++)
                if (s->chains[i].known)
                        cursors[said.n_cursors++] = (struct cursor){s->worker->plan.rooms[s->plan->rooms[i]],
                                                                    s->chains[i].epoch, s->chains[i].cursor};
        said.ref = 1;
        say(s, SPEAK_HELLO, &said);
        for (unsigned i = 0; i < s->plan->n_rooms; i++) {
                said.room = s->worker->plan.rooms[s->plan->rooms[i]];
                said.ref = i + 2;
                say(s, SPEAK_JOIN, &said);
        }
}

/* A version 4 UUID from a number and the run's start: never repeated, cheap */
static void make_id(char *ret, size_t cap, uint64_t n, uint64_t salt)
{
        salt *= 0x9e3779b97f4a7c15u;
        snprintf(ret, cap, "%08x-%04x-4%03x-8%03x-%012" PRIx64, (uint32_t)(salt >> 32), (uint32_t)(salt >> 16) & 0xffff,
                 (uint32_t)salt & 0xfff, (uint32_t)(salt >> 12) & 0xf, n);
}

unsigned session_room_of(const struct session *s, uint64_t n)
{
        return s->plan->n_rooms ? (unsigned)(n / s->worker->c.senders % s->plan->n_rooms) : 0;
}

/* Which messages are edits: spread evenly, but not in step with rooms and senders */
static bool is_edit(const struct session *s, uint64_t n)
{
        return (n * 0x9e3779b97f4a7c15u >> 40) % 1000 < s->worker->c.edits;
}

void session_send(struct session *s, uint64_t n, uint64_t due)
{
        struct worker *w = s->worker;
        unsigned k = session_room_of(s, n);
        struct chain *chain = s->plan->n_rooms ? &s->chains[k] : NULL;
        char id[64], mark[MARK_LENGTH + 1];
        struct said said = {.user = s->plan->user,
                            .token = s->plan->token,
                            .content = w->content,
                            .id = id,
                            .n = n,
                            .ref = (uint32_t)n + 1,
                            .room = chain ? w->plan.rooms[s->plan->rooms[k]] : ""};
        bool edit = chain && chain->own && is_edit(s, n);

        make_id(id, sizeof(id), n, w->c.start);
        snprintf(mark, sizeof(mark), MARK "%016" PRIx64 ".%08" PRIx32 ".%02x~", due, (uint32_t)n, w->c.run);
        memcpy(w->content, mark, MARK_LENGTH);
        said.target = chain ? chain->own : 0;
        say(s, edit ? SPEAK_EDIT : SPEAK_SEND, &said);
        w->t->sent++;
        w->t->to_ack += w->o->speaker.how != SPEAK_TEXT || *w->o->speaker.ack;
        if (w->o->audience == AUDIENCE_SELF || !chain)
                w->t->expected++;
        else
                w->t->expected += w->audience[s->plan->rooms[k]] - (w->o->audience == AUDIENCE_OTHERS);
}

void session_ping(struct session *s)
{
        if (s->state == SESSION_READY)
                say(s, SPEAK_PING, &(struct said){0});
}

/* --- hearing --- */

static struct chain *chain_of(struct session *s, struct span room)
{
        for (unsigned i = 0; i < s->plan->n_rooms; i++) {
                unsigned k = (s->last_chain + i) % s->plan->n_rooms;
                const char *name = s->worker->plan.rooms[s->plan->rooms[k]];

                if (strncmp(name, room.p, room.n) == 0 && !name[room.n]) {
                        s->last_chain = k;
                        return &s->chains[k];
                }
        }
        return NULL;
}

static uint64_t hex(const char *p, unsigned n)
{
        uint64_t v = 0;

        for (; n--; p++)
                v = v << 4 | (uint64_t)(*p <= '9' ? *p - '0' : *p - 'a' + 10);
        return v;
}

static const char *find_mark(struct worker *w, struct span text)
{
        const char *p;

        if (text.n >= w->hint + MARK_LENGTH && memcmp(text.p + w->hint, MARK, 3) == 0)
                return text.p + w->hint;
        p = text.n ? memmem(text.p, text.n, MARK, 3) : NULL;
        if (!p || (size_t)(text.p + text.n - p) < MARK_LENGTH)
                return NULL;
        w->hint = (size_t)(p - text.p);
        return p;
}

/* All that was sent and not only the mark, as far as no server may change it: a payload that was cut short is none */
static bool is_whole(const struct worker *w, struct span text, const char *mark)
{
        return (size_t)(text.p + text.n - mark) >= w->o->payload &&
               memcmp(mark + MARK_LENGTH, w->content + MARK_LENGTH, w->o->payload - MARK_LENGTH) == 0;
}

/* A message of this load; true: new */
static bool count_payload(struct session *s, struct span text)
{
        struct worker *w = s->worker;
        const char *mark = find_mark(w, text);
        uint64_t due, n;

        if (!mark || w->c.phase != PHASE_LOAD || hex(mark + 29, 2) != w->c.run || !is_whole(w, text, mark)) {
                w->t->other++;
                return false;
        }
        due = hex(mark + 3, 16);
        n = hex(mark + 20, 8);
        if (n >= w->c.total || s->got[n / 8] & 1u << n % 8) {
                w->t->doubled++;
                return false;
        }
        s->got[n / 8] |= (uint8_t)(1u << n % 8);
        w->t->delivered++;
        w->t->last_ns = w->now;
        if (due >= w->c.warm) {
                w->t->measured++;
                hist_add(&w->t->delivery, w->now - due);
        }
        return true;
}

/* A client has all that it missed */
static void filled(struct session *s)
{
        struct worker *w = s->worker;

        w->t->filled++;
        w->t->last_ns = w->now;
        hist_add(&w->t->delivery, w->now - w->c.start);
}

static void fill(struct session *s, struct chain *chain)
{
        chain->missed++;
        s->worker->t->delivered++;
        if (chain->filled || chain->missed < s->worker->c.expect)
                return;
        chain->filled = true;
        if (++s->n_filled == s->plan->n_rooms)
                filled(s);
}

static void on_event(struct session *s, const struct heard *h)
{
        struct worker *w = s->worker;
        struct chain *chain;

        if (w->o->speaker.how == SPEAK_TEXT) {
                count_payload(s, h->text);
                return;
        }
        chain = chain_of(s, h->room);
        if (!chain || !chain->known) {
                w->t->other++;
                return;
        }
        if (h->seq <= chain->cursor) {
                w->t->doubled++;
                return;
        }
        if (h->prev != chain->cursor)
                w->t->breaks++;
        chain->cursor = h->seq;
        if (w->c.phase == PHASE_RESUME)
                fill(s, chain);
        else
                count_payload(s, h->text);
}

static void on_ack(struct session *s, const struct heard *h)
{
        struct worker *w = s->worker;
        uint64_t n = (uint64_t)h->ref - 1, due;

        if (!h->ref || w->c.phase != PHASE_LOAD || n >= w->c.total)
                return;
        /* or a second answer to one message would stand for the answer that another never got */
        if (n % w->c.senders != s->index || w->answered[n / 8] & 1u << n % 8) {
                w->t->doubled++;
                return;
        }
        w->answered[n / 8] |= (uint8_t)(1u << n % 8);
        w->t->acked++;
        if (s->plan->n_rooms && h->seq && !is_edit(s, n))
                s->chains[session_room_of(s, n)].own = h->seq;
        due = w->c.start + (uint64_t)((double)n * w->c.interval);
        if (due >= w->c.warm)
                hist_add(&w->t->ack, w->now - due);
}

/* The answer's ref is none of a message */
static void watch(struct session *s)
{
        const struct plan *plan = &s->worker->plan;
        unsigned n = plan->n_clients, step = n < 200 ? 1 : n / 100;
        static char buf[32768];
        size_t at = (size_t)snprintf(buf, sizeof(buf), "{\"type\":\"watch\",\"ref\":%u,\"userIds\":[", UINT32_MAX);

        for (unsigned i = 1; i <= s->worker->o->watch && i * step < n && at < sizeof(buf) - 512; i++)
                at += (size_t)snprintf(buf + at, sizeof(buf) - at, "%s\"%.256s\"", i > 1 ? "," : "",
                                       plan->clients[(s->index + i * step) % n].user);
        at += (size_t)snprintf(buf + at, sizeof(buf) - at, "]}\n");
        if (wsc_send(&s->ws, false, buf, at) < 0)
                s->ws.closed = true;
}

static void on_ready(struct session *s)
{
        const struct speaker *speaker = &s->worker->o->speaker;
        unsigned joins = speaker->how == SPEAK_TEXT && *speaker->join ? s->plan->n_rooms : 0,
                 wanted = joins + (!joins || *speaker->hello);

        if (++s->readies != wanted || s->state != SESSION_CONNECTING)
                return;
        s->state = SESSION_READY;
        s->worker->t->ready++;
        s->worker->pending--;
        if (s->worker->o->watch)
                watch(s);
        if (s->worker->o->speaker.how == SPEAK_TEXT && s->worker->c.phase == PHASE_RESUME)
                filled(s); /* what it missed came before the mark */
}

static void on_error(struct session *s, const struct heard *h)
{
        if (!s->worker->t->errors++)
                fprintf(stderr, "parley-bench: %s was answered %.*s\n", s->plan->user,
                        (int)(h->text.n < 400 ? h->text.n : 400), h->text.p);
}

static void on_heard(void *arg, const struct heard *h)
{
        struct session *s = arg;
        struct chain *chain;

        switch (h->kind) {
        case HEARD_READY:
                on_ready(s);
                break;
        case HEARD_STATE:
                chain = chain_of(s, h->room);
                if (chain && !chain->known)
                        *chain = (struct chain){.known = true, .epoch = h->epoch, .cursor = h->seq};
                break;
        case HEARD_EVENT:
                on_event(s, h);
                break;
        case HEARD_ACK:
                on_ack(s, h);
                break;
        case HEARD_REPLAY:
                chain = chain_of(s, h->room);
                if (chain && chain->cursor != h->seq)
                        s->worker->t->breaks++; /* complete through a sequence that we do not have */
                break;
        case HEARD_GAP:
                s->worker->t->gaps++;
                break;
        case HEARD_ERROR:
                on_error(s, h);
                break;
        case HEARD_OTHER:
                break;
        }
}

static void on_message(struct wsc *ws, const char *data, size_t n)
{
        struct session *s = ws->user;

        s->worker->now = ws->read_ns;
        if (data) {
                speak_hear(&s->worker->o->speaker, data, n, on_heard, s);
                return;
        }
        hello(s);
        if (s->worker->o->speaker.how == SPEAK_TEXT && !*s->worker->o->speaker.ready)
                on_ready(s);
}

/* --- life --- */

int session_connect(struct session *s)
{
        const struct load_options *o = s->worker->o;
        struct said said = {.user = s->plan->user, .token = s->plan->token};
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = s};
        char target[6144];
        int r;

        if (!speak_template(o->target, &said, target, sizeof(target)))
                return -EINVAL;
        s->ws.user = s;
        s->readies = 0;
        s->state = SESSION_CONNECTING;
        r = wsc_connect(&s->ws, s->index, o->host, o->port, target, o->protocol);
        if (r == 0 && epoll_ctl(s->worker->ep, EPOLL_CTL_ADD, s->ws.fd, &event) < 0)
                r = -errno;
        s->worker->pending += r == 0;
        return r;
}

static void on_closed(struct session *s)
{
        struct tally *t = s->worker->t;

        s->worker->pending -= s->state == SESSION_CONNECTING;
        if (s->worker->c.phase == PHASE_RESUME && s->n_filled < s->plan->n_rooms && s->attempts++ < MAX_ATTEMPTS) {
                t->ready -= s->state == SESSION_READY;
                t->retries++;
                wsc_done(&s->ws);
                if (session_connect(s) == 0)
                        return;
        }
        if (s->state == SESSION_CONNECTING)
                t->refused++;
        s->state = SESSION_CLOSED;
        t->closed++;
        if (s->ws.close_code < MAX_CLOSE_CODE)
                t->closes[s->ws.close_code]++;
        wsc_done(&s->ws);
}

void session_ready(struct session *s, uint32_t events)
{
        uint64_t frames = s->ws.frames, bytes = s->ws.bytes;

        if (s->ws.fd < 0)
                return;
        wsc_ready(&s->ws, (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0, on_message);
        s->worker->t->frames += s->ws.frames - frames;
        s->worker->t->bytes += s->ws.bytes - bytes;
        if (s->ws.closed)
                on_closed(s);
}

void session_begin(struct session *s)
{
        const struct command *c = &s->worker->c;

        free(s->got);
        s->got = c->phase == PHASE_LOAD ? calloc(c->total / 8 + 1, 1) : NULL;
        if (c->phase == PHASE_LOAD && !s->got)
                die("memory");
        s->n_filled = s->attempts = 0;
        for (unsigned i = 0; i < s->plan->n_rooms; i++) {
                s->chains[i].filled = false;
                s->chains[i].missed = 0;
        }
}

void session_cut(struct session *s)
{
        if (s->state == SESSION_READY)
                s->worker->t->ready--;
        s->worker->pending -= s->state == SESSION_CONNECTING;
        s->state = SESSION_NONE;
        wsc_done(&s->ws);
}

void session_done(struct session *s)
{
        wsc_done(&s->ws);
        free(s->chains);
        free(s->got);
}
