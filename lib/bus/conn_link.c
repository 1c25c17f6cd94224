/* A connection on the loop: nats.c's event adapter, with libuv.
 *
 * The adapter that nats.c ships was looked at and not taken: it must be attached first from the loop's own thread (we connect on a
 * worker), and it arms and disarms epoll for every write. Here bytes are written once per loop turn, before the loop waits; epoll is asked
 * about writing only while the socket is full. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "bus/conn_impl.h"

bool conn_on_loop(const struct conn *c)
{
        uv_thread_t self = uv_thread_self();

        return uv_thread_equal(&self, &c->thread) != 0;
}

static void flush_soon(struct conn *c);

/* A machine that is gone in the middle of a TLS record: nats.c waits for the rest with the lock held that its pings need. The kernel notices
 * after 5 + 3 * 2 s. And what could not be delivered by the time that a stopped server is given up must not be delivered when it is back: the
 * kernel would go on trying for minutes, also after the socket was closed, and a message that comes behind the server's memory of ids is
 * stored a second time. */
static void keep_alive(int fd)
{
        const int on = 1, idle_s = 5, interval_s = 2, count = 3;
        const unsigned undelivered_ms = 15000;

        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &undelivered_ms, sizeof(undelivered_ms));
}

/* From the worker that connects: polling starts when the loop takes the connection over */
natsStatus conn_attach(void **userdata, void *loop, natsConnection *nc, natsSock fd)
{
        struct conn *c = loop;

        (void)nc;
        keep_alive(fd);
        c->fd = fd;
        *userdata = c;
        return NATS_OK;
}

/* nats.c always reads; it stops reading to say that the socket must be closed */
natsStatus conn_want_read(void *userdata, bool add)
{
        struct conn *c = userdata;

        if (!add) {
                atomic_store(&c->stopped, true);
                uv_async_send(&c->kick);
        }
        return NATS_OK;
}

natsStatus conn_want_write(void *userdata, bool add)
{
        struct conn *c = userdata;

        atomic_store(&c->want_write, add);
        if (!add)
                return NATS_OK;
        if (conn_on_loop(c))
                flush_soon(c);
        else
                uv_async_send(&c->kick);
        return NATS_OK;
}

/* The last call. The loop frees the connection after it has seen `detached`, which it can only after the lock is released here. */
natsStatus conn_detach(void *userdata)
{
        struct conn *c = userdata;

        pthread_mutex_lock(&c->lock);
        c->detached = true;
        uv_async_send(&c->kick);
        pthread_mutex_unlock(&c->lock);
        return NATS_OK;
}

static void on_prepare(uv_prepare_t *handle);
static void on_poll(uv_poll_t *handle, int status, int events);

static void flush_soon(struct conn *c)
{
        if (!c->polling || c->flushing)
                return;
        c->flushing = true;
        uv_prepare_start(&c->prepare, on_prepare);
}

static void poll_again(struct conn *c)
{
        int events = UV_READABLE | (atomic_load(&c->want_write) ? UV_WRITABLE : 0);

        if (c->polling && events != c->poll_events && uv_poll_start(&c->poll, events, on_poll) == 0)
                c->poll_events = events;
}

/* Sends what there is; the rest when the socket takes more */
static void flush(struct conn *c)
{
        if (atomic_load(&c->want_write) && c->polling)
                natsConnection_ProcessWriteEvent(c->nc);
        if (atomic_load(&c->stopped))
                conn_over(c);
        else
                poll_again(c);
}

static void on_prepare(uv_prepare_t *handle)
{
        struct conn *c = handle->data;

        uv_prepare_stop(handle);
        c->flushing = false;
        flush(c);
}

/* What was read and needs no other thread; its turn ends once, so that what it causes leaves together */
static void take_in(struct conn *c)
{
        unsigned n = conn_acks_drain(c);

        n += conn_direct_drain(c);
        if (n > 0 && c->state == CONN_OPEN)
                c->options.turn_end(c->options.userdata);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
        struct conn *c = handle->data;

        /* libuv stops polling on an error. It is found again, and handled, by reading: behind what came before it, which may be more than
         * one read takes. */
        if (status < 0)
                c->poll_events = 0;
        if (status < 0 || (events & UV_READABLE) != 0) {
                natsConnection_ProcessReadEvent(c->nc);
                take_in(c);
        }
        if (c->polling && (events & UV_WRITABLE) != 0)
                flush(c);
        if (atomic_load(&c->stopped))
                conn_over(c);
        else
                poll_again(c);
}

static void on_kick(uv_async_t *handle)
{
        struct conn *c = handle->data;

        if (atomic_load(&c->stopped))
                conn_over(c);
        else if (atomic_load(&c->want_write))
                flush_soon(c);
        conn_settle(c);
}

int conn_link_init(struct conn *c)
{
        int r = uv_async_init(c->options.loop, &c->kick, on_kick);

        if (r < 0)
                return r;
        uv_prepare_init(c->options.loop, &c->prepare);
        c->kick.data = c;
        c->prepare.data = c;
        c->n_handles = 2;
        c->thread = uv_thread_self();
        return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
        struct conn *c = handle->data;

        c->n_handles--;
        conn_settle(c);
}

void conn_link_close(struct conn *c)
{
        uv_close((uv_handle_t *)&c->kick, on_handle_closed);
        uv_close((uv_handle_t *)&c->prepare, on_handle_closed);
}

int conn_poll_start(struct conn *c)
{
        int r = uv_poll_init_socket(c->options.loop, &c->poll, c->fd);

        if (r < 0)
                return r;
        c->poll.data = c;
        c->n_handles++;
        c->polling = true;
        r = uv_poll_start(&c->poll, UV_READABLE, on_poll);
        if (r < 0)
                conn_poll_stop(c);
        else
                c->poll_events = UV_READABLE;
        flush_soon(c);
        return r;
}

void conn_poll_stop(struct conn *c)
{
        if (!c->polling)
                return;
        c->polling = false;
        uv_prepare_stop(&c->prepare);
        uv_close((uv_handle_t *)&c->poll, on_handle_closed);
}
