/* One connection with TLS: what comes from the client goes into the socket pair, and back. */
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/log.h"
#include "gateway/core.h"
#include "gateway/stats.h"
#include "gateway/ws_tls_impl.h"

/* Records of one connection and direction in a row, before the others get their turn */
#define ROUNDS 4
/* How long a client may take for what is left when the plain end is closed, and to end its side */
#define LINGER_MS 5000

/* The link's states: what it waits for follows from them alone, by link_watch */
enum link_state {
        LINK_FRESH,   /* the client has said nothing */
        LINK_SHAKING, /* the handshake */
        LINK_OPEN,
        LINK_FLUSHING,  /* the plain end is closed: what is left goes out */
        LINK_LINGERING, /* all is sent; closed before the client has read it, the system could throw it away */
};

/* Bytes that the other side does not take just now; nothing most of the time */
struct rest {
        uint8_t *data;
        size_t at, len;
};

struct tls_link {
        struct ws_tls *tls;
        struct tls_link *prev, *next;
        uv_poll_t outer, inner;
        int outer_fd, inner_fd;
        unsigned n_handles; /* that are not closed */
        enum link_state state;
        SSL *ssl;
        int wants; /* UV_READABLE, UV_WRITABLE: of the outer socket, before the call that asked for it is made again */
        int outer_events, inner_events; /* that are watched */
        struct rest to_inner, to_outer;
        struct wheel_timer deadline;
};

static int rest_keep(struct rest *rest, const uint8_t *data, size_t len)
{
        rest->data = malloc(len);
        if (!rest->data)
                return -ENOMEM;
        memcpy(rest->data, data, len);
        rest->at = 0;
        rest->len = len;
        return 0;
}

static void rest_done(struct rest *rest)
{
        free(rest->data);
        *rest = (struct rest){0};
}

/* --- the end --- */

static void link_freed(uv_handle_t *handle)
{
        struct tls_link *link = handle->data;

        if (--link->n_handles)
                return;
        if (link->outer_fd >= 0) {
                close(link->outer_fd);
                close(link->inner_fd);
        }
        SSL_free(link->ssl);
        rest_done(&link->to_inner);
        rest_done(&link->to_outer);
        free(link);
}

static void link_close(struct tls_link *link)
{
        wheel_disarm(&link->deadline);
        DL_DELETE(link->tls->links, link);
        shutdown(link->inner_fd,
                 SHUT_RDWR); /* the descriptors are closed behind the handles, but the door may know now */
        uv_close((uv_handle_t *)&link->outer, link_freed);
        uv_close((uv_handle_t *)&link->inner, link_freed);
}

static void on_deadline(struct wheel_timer *t, uint64_t now_ms)
{
        (void)now_ms;
        link_close((struct tls_link *)((char *)t - offsetof(struct tls_link, deadline)));
}

static void link_deadline(struct tls_link *link)
{
        struct core *core = link->tls->core;

        core_time(core);
        wheel_arm(core->wheel, &link->deadline, core->now_ms + LINGER_MS, on_deadline);
}

/* Nothing goes on but that the client may read what was sent */
static void link_linger_begin(struct tls_link *link)
{
        shutdown(link->inner_fd, SHUT_RDWR);
        shutdown(link->outer_fd, SHUT_WR);
        link->state = LINK_LINGERING;
        if (!wheel_armed(&link->deadline))
                link_deadline(link);
}

/* Somebody who does not speak TLS is told so in the words that he understands */
static void link_fail(struct tls_link *link)
{
        static const char answer[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
                                     "This port speaks TLS: use https:// or wss://.\n";
        unsigned long e = ERR_peek_last_error();
        const char *why = ERR_reason_error_string(e);

        metric_add(&stat_tls_failed, 1);
        log_debug("a TLS handshake failed", LOG_S("why", why ? why : "the client has gone"));
        if (ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) == SSL_R_HTTP_REQUEST &&
            send(link->outer_fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                log_debug("and the client could not be told");
        ERR_clear_error();
        link_linger_begin(link);
}

/* --- what goes on; each returns false when the connection is at its end --- */

/* After a call that did not do what it should */
static bool link_wants(struct tls_link *link, int result)
{
        switch (SSL_get_error(link->ssl, result)) {
        case SSL_ERROR_WANT_READ:
                link->wants |= UV_READABLE;
                return true;
        case SSL_ERROR_WANT_WRITE:
                link->wants |= UV_WRITABLE;
                return true;
        default:
                return false;
        }
}

static bool link_begin(struct tls_link *link)
{
        char byte;

        /* Whom the door has refused meanwhile costs no cryptography */
        if (recv(link->inner_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
                return false;
        link->ssl = SSL_new(link->tls->context);
        if (!link->ssl || SSL_set_fd(link->ssl, link->outer_fd) != 1)
                return false;
        SSL_set_accept_state(link->ssl);
        link->state = LINK_SHAKING;
        return true;
}

static bool link_shake(struct tls_link *link)
{
        int r;

        ERR_clear_error();
        r = SSL_do_handshake(link->ssl);
        if (r == 1) {
                link->state = LINK_OPEN;
                return true;
        }
        if (link_wants(link, r))
                return true;
        link_fail(link);
        return true;
}

/* To one side. *ret_n: how much of it has gone. false: the connection is over */
typedef bool (*side_write)(struct tls_link *link, const uint8_t *data, size_t len, size_t *ret_n);

/* What is left for a side; less may be left then, or nothing */
static bool link_flush(struct tls_link *link, struct rest *rest, side_write write)
{
        size_t n;

        if (!rest->len)
                return true;
        if (!write(link, rest->data + rest->at, rest->len - rest->at, &n))
                return false;
        rest->at += n;
        if (rest->at == rest->len)
                rest_done(rest);
        return true;
}

/* What its side does not take is left for it */
static bool link_pass(struct tls_link *link, struct rest *rest, side_write write, const uint8_t *data, size_t len)
{
        size_t n;

        return write(link, data, len, &n) && (n == len || !rest_keep(rest, data + n, len - n));
}

static bool inner_write(struct tls_link *link, const uint8_t *data, size_t len, size_t *ret_n)
{
        ssize_t n = send(link->inner_fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno != EAGAIN && errno != EINTR)
                return false;
        *ret_n = n < 0 ? 0 : (size_t)n;
        return true;
}

/* From the client, until there is no more or the door does not take it */
static bool link_read(struct tls_link *link)
{
        struct rest *rest = &link->to_inner;
        uint8_t *room = link->tls->room;

        if (!link_flush(link, rest, inner_write))
                return false;
        for (unsigned i = 0; i < ROUNDS && !rest->len; i++) {
                int r;

                ERR_clear_error();
                r = SSL_read(link->ssl, room, TLS_RECORD_MAX);
                if (r <= 0)
                        return link_wants(link, r);
                if (!link_pass(link, rest, inner_write, room, (size_t)r))
                        return false;
        }
        return true;
}

/* *ret_n: how much of it has gone */
static bool outer_write(struct tls_link *link, const uint8_t *data, size_t len, size_t *ret_n)
{
        for (*ret_n = 0; *ret_n < len;) {
                int r;

                ERR_clear_error();
                r = SSL_write(link->ssl, data + *ret_n, (int)(len - *ret_n));
                if (r <= 0)
                        return link_wants(link, r);
                *ret_n += (size_t)r;
        }
        return true;
}

static void link_finish(struct tls_link *link)
{
        ERR_clear_error();
        (void)SSL_shutdown(link->ssl); /* says that it ends; whether the client says so, too, is not waited for */
        ERR_clear_error();
        link_linger_begin(link);
}

/* To the client, until there is no more or it does not take it */
static bool link_write(struct tls_link *link)
{
        struct rest *rest = &link->to_outer;
        uint8_t *room = link->tls->room;

        if (!link_flush(link, rest, outer_write))
                return false;
        for (unsigned i = 0; i < ROUNDS && !rest->len; i++) {
                ssize_t got = recv(link->inner_fd, room, TLS_RECORD_MAX, MSG_DONTWAIT);

                if (got < 0 && (errno == EAGAIN || errno == EINTR))
                        return true;
                if (got <= 0) {
                        link_finish(link);
                        return true;
                }
                if (!link_pass(link, rest, outer_write, room, (size_t)got))
                        return false;
        }
        return true;
}

static bool link_linger(struct tls_link *link)
{
        ssize_t n = 0;

        for (unsigned i = 0; i < ROUNDS; i++) {
                n = recv(link->outer_fd, link->tls->room, TLS_RECORD_MAX, MSG_DONTWAIT);
                if (n <= 0)
                        break;
        }
        return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* from_client: it is its socket of which something is known */
static bool link_step(struct tls_link *link, bool from_client)
{
        link->wants = 0;
        if (link->state == LINK_FRESH && !link_begin(link))
                return false;
        if (link->state == LINK_SHAKING && !link_shake(link))
                return false;
        if (link->state == LINK_OPEN && (from_client || link->to_inner.len) && !link_read(link))
                return false;
        if ((link->state == LINK_OPEN || link->state == LINK_FLUSHING) && (!from_client || link->to_outer.len) &&
            !link_write(link))
                return false;
        return link->state != LINK_LINGERING || link_linger(link);
}

/* --- events --- */

static void on_outer(uv_poll_t *poll, int status, int events);
static void on_inner(uv_poll_t *poll, int status, int events);

static void watch(uv_poll_t *poll, int *watched, int events, uv_poll_cb on_event)
{
        if (*watched == events)
                return; /* or epoll would be told the same again, each time */
        *watched = events;
        if (events)
                uv_poll_start(poll, events, on_event);
        else
                uv_poll_stop(poll);
}

static void link_watch(struct tls_link *link)
{
        bool open = link->state == LINK_OPEN;
        int outer = link->wants, inner = 0;

        if (link->state == LINK_FRESH || link->state == LINK_LINGERING || (open && !link->to_inner.len))
                outer |= UV_READABLE;
        if ((open || link->state == LINK_FLUSHING) && !link->to_outer.len)
                inner |= UV_READABLE;
        if (open && link->to_inner.len)
                inner |= UV_WRITABLE;
        if (link->state < LINK_FLUSHING)
                inner |= UV_DISCONNECT;
        watch(&link->outer, &link->outer_events, outer, on_outer);
        watch(&link->inner, &link->inner_events, inner, on_inner);
}

static void link_go(struct tls_link *link, bool from_client)
{
        if (link_step(link, from_client))
                link_watch(link);
        else
                link_close(link);
}

static void on_outer(uv_poll_t *poll, int status, int events)
{
        struct tls_link *link = poll->data;

        (void)events;
        if (status < 0)
                link_close(link);
        else
                link_go(link, true);
}

static void on_inner(uv_poll_t *poll, int status, int events)
{
        struct tls_link *link = poll->data;
        bool ended = status < 0 || (events & UV_DISCONNECT);

        if (ended && link->state < LINK_OPEN) {
                link_close(link); /* the door does not wait any longer */
                return;
        }
        if (status < 0)
                link->inner_events = 0; /* the loop does not watch it any more */
        if (ended && link->state == LINK_OPEN) {
                link->state = LINK_FLUSHING;
                rest_done(&link->to_inner);
                link_deadline(link);
        }
        link_go(link, false);
}

/* --- from outside --- */

int tls_link_new(struct ws_tls *tls, int outer, int inner)
{
        struct tls_link *link = calloc(1, sizeof(*link));
        int r;

        if (!link)
                return -ENOMEM;
        link->tls = tls;
        link->outer_fd = outer;
        link->inner_fd = inner;
        link->outer.data = link->inner.data = link;
        r = uv_poll_init(tls->loop, &link->outer, outer);
        if (r) {
                free(link);
                return r;
        }
        r = uv_poll_init(tls->loop, &link->inner, inner);
        if (r) {
                /* its handle is on the loop already, and goes with the connection */
                link->outer_fd = link->inner_fd = -1;
                link->n_handles = 1;
                uv_close((uv_handle_t *)&link->outer, link_freed);
                return r;
        }
        link->n_handles = 2;
        DL_APPEND(tls->links, link);
        link_watch(link);
        return 0;
}

void tls_link_end(struct tls_link *link)
{
        if (link->state == LINK_OPEN || link->state == LINK_FLUSHING)
                (void)link_write(link); /* as far as it goes: it is closed in any case */
        link_close(link);
}
