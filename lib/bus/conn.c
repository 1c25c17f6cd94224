/* The life of a connection: connect on a worker, open, broken or closed, destroyed on a worker, freed. */
#include "bus/conn.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/config.h"
#include "bus/bus_config.h"
#include "bus/conn_impl.h"

#define CONNECT_TIMEOUT_MS 2000 /* of each address: TCP, TLS, the server's greeting, our login */
#define PING_INTERVAL_MS 5000   /* with two unanswered ones a stopped server is noticed after 10 to 15 s */
#define PINGS_OUT 2
#define READ_BYTES (64 * 1024)    /* at most so much is read, and handled, in one loop turn */
#define TLS_WRITE_DEADLINE_MS 250 /* nats.c waits inside a TLS write for a full socket, with or without an event loop */
#define MAX_ADDRESSES 16

/* nats.c's error handler runs on a thread of its own and may be late: it finds its connection here, or not any more */
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct conn *registry;
static uint64_t registry_last_id;

static void registry_add(struct conn *c)
{
        pthread_mutex_lock(&registry_lock);
        c->id = ++registry_last_id;
        c->next = registry;
        registry = c;
        pthread_mutex_unlock(&registry_lock);
}

static void registry_remove(struct conn *c)
{
        pthread_mutex_lock(&registry_lock);
        for (struct conn **at = &registry; *at != NULL; at = &(*at)->next)
                if (*at == c) {
                        *at = c->next;
                        break;
                }
        pthread_mutex_unlock(&registry_lock);
}

static void on_nats_error(natsConnection *nc, natsSubscription *sub, natsStatus s, void *closure)
{
        const char *text = NULL;

        (void)sub;
        if (natsConnection_GetLastError(nc, &text) == NATS_OK || text == NULL)
                text = natsStatus_GetText(s);
        pthread_mutex_lock(&registry_lock);
        for (struct conn *c = registry; c != NULL; c = c->next) {
                if (c->id != (uint64_t)(uintptr_t)closure)
                        continue;
                if (s == NATS_SLOW_CONSUMER)
                        c->options.lost(c->options.userdata);
                else
                        c->options.complaint(text, c->options.userdata);
        }
        pthread_mutex_unlock(&registry_lock);
}

/* In the order given, beginning with the one that `first` says: whoever leaves a server comes to another */
static natsStatus set_addresses(natsOptions *o, char *urls, unsigned first)
{
        const char *list[MAX_ADDRESSES], *turned[MAX_ADDRESSES];
        int n = 0;
        char *rest;

        for (char *url = strtok_r(urls, ", ", &rest); url != NULL; url = strtok_r(NULL, ", ", &rest)) {
                if (n == MAX_ADDRESSES)
                        return NATS_INVALID_ARG;
                list[n++] = url;
        }
        for (int i = 0; i < n; i++)
                turned[i] = list[(first + (unsigned)i) % (unsigned)n];
        natsStatus s = n > 0 ? natsOptions_SetServers(o, turned, n) : NATS_INVALID_ARG;
        return s == NATS_OK ? natsOptions_SetNoRandomize(o, true) : s;
}

static natsStatus set_tls(natsOptions *o, const char *ca)
{
        natsStatus s = natsOptions_SetSecure(o, true);

        if (s == NATS_OK)
                s = natsOptions_LoadCATrustedCertificates(o, ca);
        if (s == NATS_OK)
                s = natsOptions_SetWriteDeadline(o, TLS_WRITE_DEADLINE_MS);
        return s;
}

static natsStatus build_options(struct conn *c, natsOptions *o, char *urls, const char *password)
{
        const struct conn_options *co = &c->options;
        natsStatus s = set_addresses(o, urls, co->first);

        if (s == NATS_OK && co->name != NULL)
                s = natsOptions_SetName(o, co->name);
        if (s == NATS_OK && co->user != NULL)
                s = natsOptions_SetUserInfo(o, co->user, password != NULL ? password : "");
        if (s == NATS_OK && co->tls_ca != NULL)
                s = set_tls(o, co->tls_ca);
        if (s == NATS_OK)
                s = natsOptions_SetTimeout(o, CONNECT_TIMEOUT_MS);
        if (s == NATS_OK)
                s = natsOptions_SetAllowReconnect(o, false);
        if (s == NATS_OK)
                s = natsOptions_SetPingInterval(o, PING_INTERVAL_MS);
        if (s == NATS_OK)
                s = natsOptions_SetMaxPingsOut(o, PINGS_OUT);
        if (s == NATS_OK)
                s = natsOptions_SetIOBufSize(o, READ_BYTES);
        if (s == NATS_OK)
                s = natsOptions_SetSendAsap(o, true); /* no flusher thread, which adds 1 ms: we write once a turn */
        if (s == NATS_OK)
                s = natsOptions_UseGlobalMessageDelivery(o, true);
        if (s == NATS_OK)
                s = natsOptions_SetErrorHandler(o, on_nats_error, (void *)(uintptr_t)c->id);
        if (s == NATS_OK)
                s = natsOptions_SetEventLoop(o, c, conn_attach, conn_want_read, conn_want_write, conn_detach);
        return s;
}

/* nats.c releases messages on a thread of its own, which it wakes for each. Where it may preempt, a heap that we let go costs a switch to that
 * thread and back for each message in it; a batch thread waits until we sleep. The library's threads begin here and inherit it. */
static natsStatus open_library(void)
{
        const struct sched_param none = {0};
        struct sched_param before;
        int policy, known = pthread_getschedparam(pthread_self(), &policy, &before);

        if (known == 0 && policy == SCHED_OTHER)
                pthread_setschedparam(pthread_self(), SCHED_BATCH, &none); /* refused: it is slower, no more */
        natsStatus s = nats_Open(-1);
        if (known == 0 && policy == SCHED_OTHER)
                pthread_setschedparam(pthread_self(), policy, &before);
        return s;
}

static natsStatus connect_with(struct conn *c, const char *password)
{
        natsOptions *o = NULL;
        _cleanup_free_ char *urls = strdup(c->options.url);
        natsStatus s = urls != NULL ? open_library() : NATS_NO_MEMORY;

        if (s == NATS_OK)
                s = natsOptions_Create(&o);
        if (s == NATS_OK)
                s = build_options(c, o, urls, password);
        if (s == NATS_OK)
                s = natsConnection_Connect(&c->nc, o);
        natsOptions_Destroy(o);
        return s;
}

/* With the password as it is by now, then with the one of the start: while a password is changed some servers take the one, some the other */
static natsStatus connect_once(struct conn *c)
{
        const char *first = c->options.password;
        char *now = config_secret_again(BUS_PASSWORD_SETTING, first);
        natsStatus s = connect_with(c, now);

        if (s == NATS_CONNECTION_AUTH_FAILED && now != NULL && first != NULL && strcmp(now, first) != 0)
                s = connect_with(c, first);
        if (now != NULL)
                explicit_bzero(now, strlen(now));
        free(now);
        return s;
}

/* On a worker */
static void connect_work(uv_work_t *work)
{
        struct conn *c = work->data;
        natsStatus s = connect_once(c);

        if (s != NATS_OK) {
                const char *text = nats_GetLastError(NULL);

                c->error = s == NATS_NO_MEMORY ? -ENOMEM : BUS_E_DISCONNECTED;
                snprintf(c->text, sizeof(c->text), "%s", text != NULL && *text != '\0' ? text : natsStatus_GetText(s));
                c->nc = NULL;
        }
        nats_ReleaseThreadMemory();
}

static void destroy_work(uv_work_t *work)
{
        struct conn *c = work->data;

        natsConnection_Destroy(c->nc);
        nats_ReleaseThreadMemory();
}

static void after_destroy(uv_work_t *work, int status)
{
        struct conn *c = work->data;

        (void)status;
        c->working = false;
        conn_over(c); /* the loop may not have heard of it yet */
        conn_subs_release(c);
        conn_answers_release(c);
        c->nc = NULL;
        conn_settle(c);
}

static void destroy_start(struct conn *c)
{
        c->working = true;
        /* fails only without a function */
        uv_queue_work(c->options.loop, &c->work, destroy_work, after_destroy);
}

static int take_over(struct conn *c)
{
        int r = conn_answers_start(c);

        if (r == 0)
                r = conn_poll_start(c);
        if (r != 0)
                snprintf(c->text, sizeof(c->text), "the new connection cannot be used: %d", r);
        return r;
}

static void after_connect(uv_work_t *work, int status)
{
        struct conn *c = work->data;
        if (status < 0)
                c->error = BUS_E_DISCONNECTED; /* cancelled */
        int error = c->nc != NULL ? take_over(c) : c->error;

        c->working = false;
        if (c->nc != NULL && (error != 0 || c->close_wanted)) {
                c->state = CONN_CLOSING;
                destroy_start(c);
        } else {
                c->state = error != 0 ? CONN_CLOSING : CONN_OPEN;
        }
        if (!c->close_wanted)
                c->options.opened(error, c->text, c->options.userdata);
        if (c->state == CONN_OPEN && atomic_load(&c->stopped))
                conn_over(c);
        conn_settle(c);
}

void conn_over(struct conn *c)
{
        if (c->fd >= 0) {
                conn_poll_stop(c);
                natsConnection_ProcessCloseEvent(&c->fd);
        }
        if (c->state != CONN_OPEN)
                return;
        c->state = CONN_BROKEN;
        destroy_start(c);
        c->options.broken(c->options.userdata);
}

void conn_close(struct conn *c)
{
        if (c->state == CONN_OPENING) {
                c->close_wanted = true;
                uv_cancel((uv_req_t *)&c->work); /* if it has not begun */
        } else if (c->state == CONN_OPEN) {
                c->state = CONN_CLOSING;
                destroy_start(c);
        }
}

static void conn_free(struct conn *c)
{
        conn_trash_empty(c);
        for (size_t i = 0; i < ARRAY_SIZE(c->strings); i++)
                free(c->strings[i]);
        pthread_mutex_destroy(&c->lock);
        free(c);
}

static bool conn_detached(struct conn *c)
{
        pthread_mutex_lock(&c->lock);
        bool detached = c->detached || c->error != 0;
        pthread_mutex_unlock(&c->lock);
        return detached;
}

void conn_settle(struct conn *c)
{
        if (c->state < CONN_CLOSING || c->working || c->nc != NULL || c->polling || c->n_subs > 0)
                return;
        if (!c->ending) {
                if (!conn_detached(c))
                        return;
                c->ending = true;
                registry_remove(c);
                conn_link_close(c);
        } else if (c->n_handles == 0) {
                c->options.closed(c->options.userdata);
                conn_free(c);
        }
}

static int copy_strings(struct conn *c)
{
        const char **strings[] = {&c->options.url,    &c->options.name,    &c->options.user,      &c->options.password,
                                  &c->options.tls_ca, &c->options.answers, &c->options.ack_prefix};

        for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
                if (*strings[i] == NULL)
                        continue;
                c->strings[i] = strdup(*strings[i]);
                if (c->strings[i] == NULL)
                        return -ENOMEM;
                *strings[i] = c->strings[i];
        }
        return 0;
}

int conn_new(struct conn **ret_conn, const struct conn_options *options)
{
        struct conn *c = calloc(1, sizeof(*c));

        if (c == NULL)
                return -ENOMEM;
        c->options = *options;
        c->fd = -1;
        pthread_mutex_init(&c->lock, NULL);
        int r = copy_strings(c);
        if (r == 0)
                r = conn_link_init(c);
        if (r < 0) {
                conn_free(c);
                return r;
        }
        registry_add(c);
        c->work.data = c;
        c->working = true;
        uv_queue_work(options->loop, &c->work, connect_work, after_connect);
        *ret_conn = c;
        return 0;
}
