#include "upload/sniffer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/inbox.h"
#include "upload/plan.h"
#include "upload/sniff.h"

struct job {
        struct fair_item waits;
        struct inbox_item back;
        sniffer_handler handler;
        void *userdata;
        char type[PLAN_TYPE_MAX + 1];
        size_t n;
        uint8_t data[];
};

struct sniffer {
        struct sniff *sniff; /* of the thread alone, while there is one */
        struct inbox *inbox; /* what the thread has done */
        struct fair waiting;
        bool busy, stopped, threaded;
        uv_thread_t thread;
        uv_mutex_t lock; /* of the two below */
        uv_cond_t changed;
        struct job *next; /* for the thread to take; NULL: nothing */
        bool ending;
};

/* --- the thread --- */

/* NULL: it is over */
static struct job *take(struct sniffer *s)
{
        struct job *j;

        uv_mutex_lock(&s->lock);
        while (!s->next && !s->ending)
                uv_cond_wait(&s->changed, &s->lock);
        j = s->next;
        s->next = NULL;
        uv_mutex_unlock(&s->lock);
        return j;
}

static void work(void *userdata)
{
        struct sniffer *s = userdata;
        struct job *j;

        while ((j = take(s))) {
                const char *type = sniff_type(s->sniff, j->data, j->n);

                memcpy(j->type, type, strlen(type) + 1); /* plan_type_valid bounds it */
                (void)inbox_post(s->inbox,
                                 &j->back); /* one at a time, and the inbox is closed after the thread has ended */
        }
}

static void tell(struct sniffer *s, struct job *next, bool ending)
{
        uv_mutex_lock(&s->lock);
        s->next = next ? next : s->next;
        s->ending = ending;
        uv_cond_signal(&s->changed);
        uv_mutex_unlock(&s->lock);
}

/* --- the loop --- */

static struct job *of_waiting(struct fair_item *item)
{
        return (struct job *)((char *)item - offsetof(struct job, waits));
}

static struct job *of_back(struct inbox_item *item)
{
        return (struct job *)((char *)item - offsetof(struct job, back));
}

static void answer(struct job *j, int error)
{
        j->handler(error, error ? NULL : j->type, j->userdata);
        free(j);
}

static void start_next(struct sniffer *s)
{
        struct fair_item *item = s->busy ? NULL : fair_next(&s->waiting);

        if (!item)
                return;
        s->busy = true;
        tell(s, of_waiting(item), false);
}

static void on_done(struct inbox_item *item, void *userdata)
{
        struct sniffer *s = userdata;

        s->busy = false;
        start_next(s); /* before the answer: the thread goes on meanwhile */
        answer(of_back(item), 0);
}

static void on_dropped(struct inbox_item *item, void *userdata)
{
        (void)userdata;
        answer(of_back(item), SNIFFER_E_STOPPED);
}

static struct job *job_new(const uint8_t *data, size_t n, sniffer_handler handler, void *userdata)
{
        struct job *j;

        if (n > SNIFF_BYTES_MAX)
                n = SNIFF_BYTES_MAX;
        j = malloc(sizeof(*j) + n);
        if (!j)
                return NULL;
        *j = (struct job){.handler = handler, .userdata = userdata, .n = n};
        memcpy(j->data, data, n);
        return j;
}

int sniffer_ask(struct sniffer *s, const char *owner, const uint8_t *data, size_t n, sniffer_handler handler,
                void *userdata)
{
        struct fair_item *victim = NULL;
        struct job *j;
        int r;

        if (s->stopped)
                return SNIFFER_E_STOPPED;
        j = job_new(data, n, handler, userdata);
        if (!j)
                return -ENOMEM;
        r = fair_join(&s->waiting, &j->waits, owner, &victim);
        if (r != 0) {
                free(j);
                return r;
        }
        start_next(s);
        if (victim)
                answer(of_waiting(victim), SNIFFER_E_FULL);
        return 0;
}

unsigned sniffer_waiting(const struct sniffer *s)
{
        return s->waiting.owners.n;
}

/* --- its life --- */

static int start(struct sniffer *s)
{
        int r = uv_mutex_init(&s->lock);

        if (r < 0)
                return r;
        r = uv_cond_init(&s->changed);
        if (r < 0) {
                uv_mutex_destroy(&s->lock);
                return r;
        }
        r = uv_thread_create(&s->thread, work, s);
        if (r < 0) {
                uv_cond_destroy(&s->changed);
                uv_mutex_destroy(&s->lock);
                return r;
        }
        s->threaded = true;
        return 0;
}

int sniffer_new(struct sniffer **ret_sniffer, const struct sniffer_options *options)
{
        struct sniffer *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->waiting = (struct fair){.owners = {.max = options->max, .max_owner = options->max_owner}};
        r = sniff_new(&s->sniff);
        if (r == 0) /* SIZE_MAX: one item at a time is no flood */
                r = inbox_new(&s->inbox, options->loop, SIZE_MAX, on_done, NULL, s);
        if (r == 0)
                r = start(s);
        if (r < 0) {
                sniffer_free(s);
                return r;
        }
        *ret_sniffer = s;
        return 0;
}

void sniffer_stop(struct sniffer *s)
{
        struct fair_item *item;

        s->stopped = true;
        while ((item = fair_next(&s->waiting)))
                answer(of_waiting(item), SNIFFER_E_STOPPED);
}

void sniffer_free(struct sniffer *s)
{
        if (!s)
                return;
        sniffer_stop(s);
        if (s->threaded) {
                tell(s, NULL, true);
                (void)uv_thread_join(&s->thread);
                uv_cond_destroy(&s->changed);
                uv_mutex_destroy(&s->lock);
        }
        inbox_close(s->inbox, on_dropped);
        sniff_free(s->sniff);
        free(s);
}
