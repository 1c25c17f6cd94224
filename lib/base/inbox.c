#include "base/inbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include <uv.h>

struct inbox_list {
        struct inbox_item *first, **end;
};

struct inbox {
        uv_async_t async;
        pthread_mutex_t lock;
        struct inbox_list posted; /* under lock, as are bytes and closed */
        size_t bytes;
        bool closed;
        struct inbox_item *batch; /* taken out and not yet handled: the loop's thread only */
        size_t max_bytes;
        inbox_handler handler;
        inbox_turn_end turn_end;
        void *userdata;
};

static void list_clear(struct inbox_list *list)
{
        list->first = NULL;
        list->end = &list->first;
}

static struct inbox_item *inbox_take_all(struct inbox *in)
{
        struct inbox_item *all;

        pthread_mutex_lock(&in->lock);
        all = in->posted.first;
        list_clear(&in->posted);
        in->bytes = 0;
        pthread_mutex_unlock(&in->lock);
        return all;
}

static void inbox_on_async(uv_async_t *async)
{
        struct inbox *in = async->data;

        in->batch = inbox_take_all(in);
        if (!in->batch)
                return;
        /* A handler may close the inbox: then inbox_close has emptied the batch, and only the close callback is left */
        while (in->batch) {
                struct inbox_item *item = in->batch;

                in->batch = item->next;
                item->next = NULL;
                in->handler(item, in->userdata);
        }
        if (in->turn_end && !uv_is_closing((uv_handle_t *)&in->async))
                in->turn_end(in->userdata);
}

int inbox_new(struct inbox **ret_inbox, uv_loop_t *loop, size_t max_bytes, inbox_handler handler,
              inbox_turn_end turn_end, void *userdata)
{
        struct inbox *in;
        int r;

        in = calloc(1, sizeof(*in));
        if (!in)
                return -ENOMEM;
        list_clear(&in->posted);
        in->max_bytes = max_bytes;
        in->handler = handler;
        in->turn_end = turn_end;
        in->userdata = userdata;
        r = pthread_mutex_init(&in->lock, NULL);
        if (r != 0) {
                free(in);
                return -r;
        }
        r = uv_async_init(loop, &in->async, inbox_on_async);
        if (r < 0) {
                pthread_mutex_destroy(&in->lock);
                free(in);
                return r;
        }
        in->async.data = in;
        *ret_inbox = in;
        return 0;
}

int inbox_post(struct inbox *in, struct inbox_item *item)
{
        bool was_empty;
        int r = 0;

        pthread_mutex_lock(&in->lock);
        if (in->closed) {
                r = INBOX_E_CLOSED;
        } else if (in->bytes > in->max_bytes || item->bytes > in->max_bytes - in->bytes) {
                r = INBOX_E_FULL;
        } else {
                was_empty = !in->posted.first;
                item->next = NULL;
                *in->posted.end = item;
                in->posted.end = &item->next;
                in->bytes += item->bytes;
                /* Under the lock, so that inbox_close cannot come between: the handle lives. It never blocks. */
                if (was_empty)
                        uv_async_send(&in->async);
        }
        pthread_mutex_unlock(&in->lock);
        return r;
}

static void inbox_on_closed(uv_handle_t *handle)
{
        struct inbox *in = handle->data;

        pthread_mutex_destroy(&in->lock);
        free(in);
}

static void drop_all(struct inbox_item *item, inbox_handler drop, void *userdata)
{
        while (item) {
                struct inbox_item *next = item->next;

                item->next = NULL;
                drop(item, userdata);
                item = next;
        }
}

void inbox_close(struct inbox *in, inbox_handler drop)
{
        struct inbox_item *batch;

        if (!in)
                return;
        pthread_mutex_lock(&in->lock);
        in->closed = true;
        pthread_mutex_unlock(&in->lock);

        batch = in->batch;
        in->batch = NULL;
        drop_all(batch, drop, in->userdata);
        drop_all(inbox_take_all(in), drop, in->userdata);
        uv_close((uv_handle_t *)&in->async, inbox_on_closed);
}
