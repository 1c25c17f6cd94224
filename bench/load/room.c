/* Senders to every member of one channel, open loop. Each delivery counts from the time at which its message was meant to be sent. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "load.h"

#define SETTLE_NS 10000000000u /* how long after the last send deliveries are waited for */
#define CONNECTING 64          /* connections opened before the first of them has to be ready */

struct member {
        struct wsc ws;
        bool ready;
        uint64_t last_seq;
        uint64_t got;
};

static struct {
        struct hist delivery, ack;
        uint64_t delivered, acked, errors, breaks, doubled;
        uint64_t *intended; /* by message number */
        uint64_t n_intended;
        uint64_t now;
        unsigned ready;
} run;

static uint64_t number_after(const char *p, const char *end)
{
        uint64_t v = 0;

        while (p < end && *p >= '0' && *p <= '9')
                v = v * 10 + (uint64_t)(*p++ - '0');
        return v;
}

static const char *find(const char *p, const char *end, const char *what, size_t n)
{
        p = memmem(p, (size_t)(end - p), what, n);
        return p ? p + n : NULL;
}

static void on_event(struct member *m, const char *p, const char *end)
{
        const char *seq = find(p, end, "\"seq\":", 6), *prev = find(p, end, "\"prev\":", 7),
                   *t = find(p, end, "\"content\":\"n=", 13);
        uint64_t s, n;

        if (!seq || !prev)
                return;
        s = number_after(seq, end);
        if (s <= m->last_seq) {
                run.doubled++;
                return;
        }
        if (m->last_seq && number_after(prev, end) != m->last_seq)
                run.breaks++;
        m->last_seq = s;
        n = t ? number_after(t, end) : 0;
        if (!t || n >= run.n_intended)
                return;
        m->got++;
        run.delivered++;
        hist_add(&run.delivery, run.now - run.intended[n]);
}

static void on_line(struct member *m, const char *p, const char *end)
{
        static const char event[] = "{\"type\":\"event\"", ack[] = "{\"type\":\"ack\"", ready[] = "{\"type\":\"ready\"",
                          error[] = "{\"type\":\"error\"";

        if (!memcmp(p, event, sizeof(event) - 1)) {
                on_event(m, p, end);
        } else if (!memcmp(p, ack, sizeof(ack) - 1)) {
                const char *ref = find(p, end, "\"ref\":", 6);
                uint64_t n = ref ? number_after(ref, end) - 1 : run.n_intended;

                run.acked++;
                if (n < run.n_intended)
                        hist_add(&run.ack, run.now - run.intended[n]);
        } else if (!memcmp(p, ready, sizeof(ready) - 1)) {
                m->ready = true;
                run.ready++;
        } else if (!memcmp(p, error, sizeof(error) - 1)) {
                if (!run.errors++)
                        fprintf(stderr, "parley-bench: %.*s\n", (int)(end - p), p);
        }
}

static void on_message(struct wsc *c, const char *data, size_t n)
{
        const char *end = data + n;

        while (data < end) {
                const char *nl = memchr(data, '\n', (size_t)(end - data));

                if (!nl)
                        nl = end;
                if (nl - data > 16)
                        on_line(c->user, data, nl);
                data = nl + 1;
        }
}

static unsigned pump(int ep, uint64_t until)
{
        struct epoll_event events[512];
        int n = wait_events(ep, events, 512, until);

        for (int i = 0; i < n; i++) {
                struct member *m = events[i].data.ptr;

                run.now = now_ns();
                if (events[i].events & EPOLLOUT)
                        wsc_flush(&m->ws);
                if (!m->ws.closed && wsc_read(&m->ws, on_message) < 0)
                        m->ws.closed = true;
                if (m->ws.closed)
                        epoll_ctl(ep, EPOLL_CTL_DEL, m->ws.fd, NULL);
        }
        return (unsigned)n;
}

static void connect_all(const struct options *o, int ep, struct member *members, char **tokens)
{
        uint64_t deadline = now_ns() + 120000000000u;

        for (int i = 0; i < o->conns; i++) {
                struct member *m = &members[i];
                char path[4096];
                int r;

                snprintf(path, sizeof(path), "/ws?token=%s", tokens[i]);
                r = wsc_connect(&m->ws, (unsigned)i, o->host, o->port, path, o->protocol);
                if (r < 0) {
                        errno = -r;
                        die("connect");
                }
                m->ws.user = m;
                if (epoll_ctl(ep, EPOLL_CTL_ADD, m->ws.fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = m}) < 0)
                        die("epoll_ctl");
                while (run.ready + CONNECTING < (unsigned)i + 1 && now_ns() < deadline)
                        pump(ep, now_ns() + 10000000);
        }
        while (run.ready < (unsigned)o->conns && now_ns() < deadline)
                pump(ep, now_ns() + 10000000);
        if (run.ready < (unsigned)o->conns) {
                fprintf(stderr, "parley-bench: only %u of %d sessions are ready\n", run.ready, o->conns);
                exit(1);
        }
}

/* A version 4 UUID from the message's number and the run's start: never repeated, cheap */
static void make_id(char *ret, uint64_t n, uint64_t salt)
{
        snprintf(ret, 64, "%08x-%04x-4%03x-8%03x-%012" PRIx64, (uint32_t)(salt >> 32), (uint32_t)(salt >> 16) & 0xffff,
                 (uint32_t)salt & 0xfff, (uint32_t)(salt >> 12) & 0xf, n);
}

static void send_one(const struct options *o, struct member *m, uint64_t n, uint64_t salt, const char *filler)
{
        static char text[65536];
        char id[64];
        int len;

        make_id(id, n, salt);
        len = snprintf(text, sizeof(text),
                       "{\"type\":\"send\",\"ref\":%" PRIu64
                       ",\"channelId\":\"%s\",\"message\":{\"id\":\"%s\",\"content\":\"n=%" PRIu64 " %s\"}}",
                       n + 1, o->channel, id, n, filler);
        if (wsc_send(&m->ws, text, (size_t)len) < 0)
                m->ws.closed = true;
}

static uint64_t load(const struct options *o, int ep, struct member *members)
{
        uint64_t total = (uint64_t)(o->rate * o->seconds), start = now_ns() + 10000000, salt = start * 2654435761u,
                 sent = 0, worst = 0;
        char *filler = calloc(1, (size_t)o->payload + 1);

        run.intended = calloc(total, sizeof(*run.intended));
        if (!run.intended || !filler)
                die("memory");
        memset(filler, 'x', (size_t)o->payload);
        run.n_intended = total;
        while (sent < total) {
                uint64_t due = start + (uint64_t)((double)sent * 1e9 / o->rate), now = now_ns();

                if (now < due) {
                        pump(ep, due);
                        continue;
                }
                run.intended[sent] = due;
                if (now - due > worst)
                        worst = now - due;
                send_one(o, &members[sent % (uint64_t)o->senders], sent, salt, filler);
                if (++sent % 16 == 0)
                        pump(ep, 0);
        }
        for (uint64_t end = now_ns() + SETTLE_NS;
             now_ns() < end && (run.delivered < total * (uint64_t)o->conns || run.acked < total);)
                pump(ep, now_ns() + 10000000);
        free(filler);
        return worst;
}

int mode_room(const struct options *o)
{
        char **tokens = read_tokens(o->tokens, o->conns);
        struct member *members = calloc((size_t)o->conns, sizeof(*members));
        int ep = epoll_create1(EPOLL_CLOEXEC);
        uint64_t start, total = (uint64_t)(o->rate * o->seconds), expected = total * (uint64_t)o->conns, worst;
        unsigned closed = 0;
        long cpu;
        double s;

        if (!members || ep < 0 || o->senders > o->conns)
                die("room");
        connect_all(o, ep, members, tokens);
        cpu = cpu_us(o->pid);
        start = now_ns();
        worst = load(o, ep, members);
        s = (double)(now_ns() - start) / 1e9;
        cpu = cpu_us(o->pid) - cpu;
        for (int i = 0; i < o->conns; i++)
                closed += members[i].ws.closed;
        printf("{\"mode\":\"room\",\"conns\":%d,\"rate\":%.0f,\"sent\":%" PRIu64 ",\"acked\":%" PRIu64
               ",\"delivered\":%" PRIu64 ",\"expected\":%" PRIu64 ",\"doubled\":%" PRIu64 ",\"breaks\":%" PRIu64
               ",\"errors\":%" PRIu64 ",\"closed\":%u"
               ",\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f,\"max_ms\":%.3f,\"ack_p50_ms\":%.3f,\"ack_p99_ms\":%.3f,\"per_s\":%.0f"
               ",\"late_send_ms\":%.3f,\"cpu_us_per_delivery\":%.3f,\"rss_kb\":%ld}\n",
               o->conns, o->rate, total, run.acked, run.delivered, expected, run.doubled, run.breaks, run.errors,
               closed, (double)hist_at(&run.delivery, 0.5) / 1e6, (double)hist_at(&run.delivery, 0.99) / 1e6,
               (double)hist_at(&run.delivery, 0.999) / 1e6, (double)run.delivery.max / 1e6,
               (double)hist_at(&run.ack, 0.5) / 1e6, (double)hist_at(&run.ack, 0.99) / 1e6, (double)run.delivered / s,
               (double)worst / 1e6, run.delivered ? (double)cpu / (double)run.delivered : 0, rss_kb(o->pid));
        return run.delivered == expected && run.acked == total && !run.doubled && !run.breaks && !run.errors && !closed
                       ? 0
                       : 1;
}

int mode_idle(const struct options *o)
{
        char **tokens = read_tokens(o->tokens, o->conns);
        struct member *members = calloc((size_t)o->conns, sizeof(*members));
        int ep = epoll_create1(EPOLL_CLOEXEC);
        long before = rss_kb(o->pid), after;
        unsigned closed = 0;

        if (!members || ep < 0)
                die("idle");
        connect_all(o, ep, members, tokens);
        for (uint64_t end = now_ns() + (uint64_t)(o->seconds * 1e9); now_ns() < end;)
                pump(ep, end);
        after = rss_kb(o->pid);
        for (int i = 0; i < o->conns; i++)
                closed += members[i].ws.closed;
        printf("{\"mode\":\"idle\",\"conns\":%d,\"rss_before_kb\":%ld,\"rss_after_kb\":%ld,\"kb_per_conn\":%.3f,\"closed\":%u}\n",
               o->conns, before, after, (double)(after - before) / o->conns, closed);
        return closed ? 1 : 0;
}
