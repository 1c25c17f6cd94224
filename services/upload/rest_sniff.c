/* What an object is by its first bytes: its type, on the sniffer's thread, and the size that an image says. */
#include <string.h>

#include "upload/image.h"
#include "upload/rest.h"
#include "upload/sniffer.h"
#include "upload/upload_metrics.h"

enum { RETRY_MS = 1000 };

/* The upload stays as it is: the same request may come again */
static void put_off(struct rest_call *c, int error)
{
        metric_add(&metric_checks_refused, 1);
        if (error == SNIFFER_E_OWNER)
                http_problem(c->rq, PARLEY_RATE_LIMITED, RETRY_MS,
                             "too many files of yours are being looked at: complete it again in a moment");
        else if (error == SNIFFER_E_FULL)
                rest_problem(c, PARLEY_UNAVAILABLE, "too many files are being looked at; try again");
        else if (error == SNIFFER_E_STOPPED)
                rest_problem(c, PARLEY_UNAVAILABLE, "the service is stopping; try again");
        else
                rest_unavailable(c, "memory", error);
}

static void count(const struct rest_call *c)
{
        metric_set(&metric_checks_waiting, sniffer_waiting(c->rest->env->sniffer));
}

static void on_sniffed(int error, const char *type, void *userdata)
{
        struct rest_call *c = userdata;

        count(c);
        if (error) {
                put_off(c, error);
                return;
        }
        memcpy(c->found, type, strlen(type) + 1);
        c->sniffed(c);
}

static void on_read(int error, const struct store_result *head, void *userdata)
{
        struct rest_call *c = userdata;
        int r;

        if (error) {
                rest_store_failed(c, error);
                return;
        }
        c->width = c->height = 0;
        (void)image_size(head->data, head->n, &c->width, &c->height); /* written where it says it so early */
        r = sniffer_ask(c->rest->env->sniffer, c->claims.user_id, head->data, head->n, on_sniffed, c);
        count(c);
        if (r != 0)
                put_off(c, r);
}

void rest_ask_store(struct rest_call *c, unsigned which, objects_call call, store_handler then)
{
        struct objects o;
        int r;

        objects_of_upload(c->upload, &o);
        r = call(c->rest->env->store, &o.all[which], then, c);
        if (r != 0)
                then(r, NULL, c);
}

void rest_sniff(struct rest_call *c, unsigned which, rest_then then)
{
        c->sniffed = then;
        rest_ask_store(c, which, c->rest->env->store->ops->read, on_read);
}
