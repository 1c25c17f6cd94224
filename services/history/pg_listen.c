/* A connection of its own that waits for NOTIFY. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history/pg_internal.h"

enum { RETRY_MIN_MS = 200, RETRY_MAX_MS = 5000, LISTEN_TIMEOUT_MS = 10000 };

struct pg_listener {
        uv_loop_t *loop;
        char *conninfo, *application;
        char listen[512]; /* "LISTEN a; LISTEN b" */
        PGconn *pq;
        uv_poll_t *poll;
        uv_timer_t timer;
        uint32_t backoff_ms;
        bool connecting, listening, closing;
        void (*on_up)(void *userdata);
        void (*on_notify)(const char *channel, const char *payload, void *userdata);
        void *userdata;
        void (*close_done)(void *userdata);
        void *close_userdata;
};

static void connect_now(uv_timer_t *timer);

static void poll_closed(uv_handle_t *handle)
{
        free(handle);
}

static void drop(struct pg_listener *l)
{
        if (l->poll) {
                (void)uv_poll_stop(l->poll);
                uv_close((uv_handle_t *)l->poll, poll_closed);
        }
        l->poll = NULL;
        PQfinish(l->pq);
        l->pq = NULL;
        l->listening = false;
}

static void retry(struct pg_listener *l)
{
        drop(l);
        if (l->closing)
                return;
        l->backoff_ms = l->backoff_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : l->backoff_ms * 2;
        (void)uv_timer_start(&l->timer, connect_now, l->backoff_ms, 0);
}

/* The answers to LISTEN. 0, or -EIO. */
static int read_answers(struct pg_listener *l)
{
        PGresult *res;
        int r = 0;

        while (!PQisBusy(l->pq) && (res = PQgetResult(l->pq))) {
                if (PQresultStatus(res) != PGRES_COMMAND_OK)
                        r = -EIO;
                PQclear(res);
        }
        if (r < 0 || PQisBusy(l->pq))
                return r;
        l->listening = true;
        l->backoff_ms = RETRY_MIN_MS;
        (void)uv_timer_stop(&l->timer);
        l->on_up(l->userdata);
        return 0;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
        struct pg_listener *l = poll->data;
        PGnotify *n;

        (void)events;
        if (status < 0 || PQconsumeInput(l->pq) != 1 || (!l->listening && read_answers(l) < 0)) {
                retry(l);
                return;
        }
        while (!l->closing && (n = PQnotifies(l->pq))) {
                l->on_notify(n->relname, n->extra, l->userdata);
                PQfreemem(n);
        }
        if (!l->closing && PQstatus(l->pq) == CONNECTION_BAD)
                retry(l);
}

static void on_listen_timeout(uv_timer_t *timer)
{
        retry(timer->data);
}

static bool start(struct pg_listener *l, PGconn *pq)
{
        l->pq = pq;
        if (!pq || PQstatus(pq) != CONNECTION_OK || PQsetnonblocking(pq, 1) != 0 || PQsendQuery(pq, l->listen) != 1 ||
            PQflush(pq) != 0)
                return false;
        l->poll = calloc(1, sizeof(*l->poll));
        if (!l->poll)
                return false;
        if (uv_poll_init(l->loop, l->poll, PQsocket(pq)) < 0) {
                free(l->poll);
                l->poll = NULL;
                return false;
        }
        l->poll->data = l;
        return uv_poll_start(l->poll, UV_READABLE, on_poll) == 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
        struct pg_listener *l = handle->data;

        if (l->close_done)
                l->close_done(l->close_userdata);
        free(l->conninfo);
        free(l->application);
        free(l);
}

static void on_connected(PGconn *pq, void *userdata)
{
        struct pg_listener *l = userdata;

        l->connecting = false;
        if (l->closing) {
                PQfinish(pq);
                uv_close((uv_handle_t *)&l->timer, on_timer_closed);
        } else if (!start(l, pq)) {
                retry(l);
        } else {
                (void)uv_timer_start(&l->timer, on_listen_timeout, LISTEN_TIMEOUT_MS, 0);
        }
}

static void connect_now(uv_timer_t *timer)
{
        struct pg_listener *l = timer->data;

        if (pg_connect(l->loop, l->conninfo, l->application, LISTEN_TIMEOUT_MS, on_connected, l) == 0)
                l->connecting = true;
        else
                retry(l);
}

int pg_listener_new(struct pg_listener **ret_listener, uv_loop_t *loop, const char *conninfo, const char *application,
                    const char *const *channels, unsigned n_channels, void (*on_up)(void *userdata),
                    void (*on_notify)(const char *channel, const char *payload, void *userdata), void *userdata)
{
        struct pg_listener *l = calloc(1, sizeof(*l));
        size_t used = 0;

        if (!l)
                return -ENOMEM;
        *l = (struct pg_listener){
                .loop = loop, .backoff_ms = RETRY_MIN_MS, .on_up = on_up, .on_notify = on_notify, .userdata = userdata};
        for (unsigned i = 0; i < n_channels && used < sizeof(l->listen); i++)
                used += (size_t)snprintf(l->listen + used, sizeof(l->listen) - used, "LISTEN %s;", channels[i]);
        l->conninfo = strdup(conninfo);
        l->application = strdup(application);
        if (!l->conninfo || !l->application || used >= sizeof(l->listen)) {
                free(l->conninfo);
                free(l->application);
                free(l);
                return -ENOMEM;
        }
        (void)uv_timer_init(loop, &l->timer);
        l->timer.data = l;
        (void)uv_timer_start(&l->timer, connect_now, 0, 0);
        *ret_listener = l;
        return 0;
}

void pg_listener_close(struct pg_listener *l, void (*done)(void *userdata), void *userdata)
{
        if (!l) {
                if (done)
                        done(userdata);
                return;
        }
        l->closing = true;
        l->close_done = done;
        l->close_userdata = userdata;
        drop(l);
        (void)uv_timer_stop(&l->timer);
        if (!l->connecting)
                uv_close((uv_handle_t *)&l->timer, on_timer_closed);
}
