/* Subscriptions without nats.c's delivery thread: emptied on the loop after each read.
 *
 * A message that goes through the delivery thread costs two thread switches and an eventfd before the loop sees it. Here it costs a look at the
 * subscription after every read, so this is for few and busy ones. They never hold more than one read's worth. */
#include <stdlib.h>

#include "bus/conn_impl.h"

int conn_subscribe_direct(struct conn *c, const char *subject, bus_handler handler, void *userdata,
                          struct conn_sub **ret_sub)
{
        struct conn_sub *sub;
        natsStatus s;

        if (c->state != CONN_OPEN)
                return BUS_E_DISCONNECTED;
        sub = calloc(1, sizeof(*sub));
        if (sub == NULL)
                return -ENOMEM;
        *sub = (struct conn_sub){
                .done.run = conn_sub_done, .conn = c, .handler = handler, .userdata = userdata, .direct = true};
        s = natsConnection_SubscribeSync(&sub->sub, c->nc, subject);
        if (s == NATS_OK)
                s = natsSubscription_SetPendingLimits(sub->sub, -1, -1);
        if (s != NATS_OK) {
                natsSubscription_Destroy(sub->sub);
                free(sub);
                return conn_error(s);
        }
        conn_sub_link(c, sub);
        *ret_sub = sub;
        return 0;
}

/* The handler may end this or any other subscription: they are unlinked in a later turn only */
static unsigned drain(struct conn *c, struct conn_sub *s)
{
        int n = 0, done = 0;

        if (s->sub == NULL || natsSubscription_GetPending(s->sub, &n, NULL) != NATS_OK)
                return 0;
        for (; done < n && s->handler != NULL && c->state == CONN_OPEN; done++) {
                struct bus_msg seen;
                natsMsg *msg = NULL;

                if (natsSubscription_NextMsg(&msg, s->sub, 0) != NATS_OK) /* 0: does not wait */
                        break;
                conn_view(msg, &seen);
                s->handler(&seen, s->userdata);
                conn_trash_put(c, msg);
        }
        return (unsigned)done;
}

unsigned conn_direct_drain(struct conn *c)
{
        unsigned n = 0;

        for (struct conn_sub *s = c->directs; s != NULL; s = s->next)
                n += drain(c, s);
        return n;
}
