/* Messages that are done with, released many at a time.
 *
 * natsMsg_Destroy hands each message to a collecting thread of nats.c and wakes it: at a low rate that is a context switch for every
 * message in and out. Released in heaps it is one for many. */
#include "bus/conn_impl.h"

#define TRASH_BYTES (256 * 1024) /* of payload that may wait */

void conn_trash_empty(struct conn *c)
{
        for (unsigned i = 0; i < c->n_trash; i++)
                natsMsg_Destroy(c->trash[i]);
        c->n_trash = 0;
        c->trash_bytes = 0;
}

void conn_trash_put(struct conn *c, natsMsg *msg)
{
        if (msg == NULL)
                return;
        c->trash[c->n_trash++] = msg;
        c->trash_bytes += (size_t)natsMsg_GetDataLength(msg);
        if (c->n_trash == CONN_TRASH_MAX || c->trash_bytes > TRASH_BYTES)
                conn_trash_empty(c);
}
