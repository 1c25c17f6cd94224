#include "history/digest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/ident.h"
#include "base/ticker.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "history/history_metrics.h"
#include "parley/v1/internal.pb-c.h"
#include "wire/wire.h"

/* A message of a digest stays far below NATS' limit; more channels than HEADS_MAX are told at once, not after 2 s */
enum { PERIOD_MS = 2000, HEADS_PER_MESSAGE = 2000, HEADS_MAX = 20000 };

struct head {
        char channel_id[IDENT_MAX + 1];
        uint64_t seq;
        UT_hash_handle hh;
};

struct digest {
        struct env *env;
        unsigned shard;
        uint64_t epoch;
        struct head *heads;
        struct ticker *ticker;
};

static void forget(struct digest *d)
{
        struct head *h, *tmp;

        HASH_ITER (hh, d->heads, h, tmp) {
                HASH_DEL(d->heads, h);
                free(h);
        }
}

static void publish(struct digest *d, Parley__V1__Digest__Head **heads, size_t n)
{
        Parley__V1__Digest digest = PARLEY__V1__DIGEST__INIT;
        struct buf bytes = BUF_INIT(HEADS_PER_MESSAGE * 128);
        char subject[SUBJECT_MAX];

        digest.source = (char *)"history";
        digest.epoch = d->epoch;
        digest.heads = heads;
        digest.n_heads = n;
        subject_digest(subject, d->shard);
        /* A digest that does not get out is made good by the next change and by the checks after a reconnect. */
        if (wire_proto_encode(&digest.base, &bytes) == 0 &&
            bus_publish(d->env->bus, subject, bytes.data, bytes.len, NULL) == 0)
                metric_add(&metric_digests, 1);
        buf_done(&bytes);
}

static void flush(struct digest *d)
{
        static Parley__V1__Digest__Head heads[HEADS_PER_MESSAGE];
        static Parley__V1__Digest__Head *pointers[HEADS_PER_MESSAGE];
        size_t n = 0;

        for (struct head *h = d->heads; h; h = h->hh.next) {
                parley__v1__digest__head__init(&heads[n]);
                heads[n].channel_id = h->channel_id;
                heads[n].seq = h->seq;
                pointers[n] = &heads[n];
                if (++n == HEADS_PER_MESSAGE || !h->hh.next) {
                        publish(d, pointers, n);
                        n = 0;
                }
        }
        forget(d);
}

static void on_tick(void *userdata)
{
        flush(userdata);
}

int digest_new(struct digest **ret_digest, struct env *env, unsigned shard)
{
        struct digest *d = calloc(1, sizeof(*d));

        if (!d)
                return -ENOMEM;
        d->env = env;
        d->shard = shard;
        d->ticker = ticker_new(env->loop, on_tick, d);
        if (!d->ticker) {
                free(d);
                return -ENOMEM;
        }
        *ret_digest = d;
        return 0;
}

void digest_free(struct digest *d)
{
        if (!d)
                return;
        forget(d);
        ticker_free(d->ticker);
        free(d);
}

void digest_start(struct digest *d, uint64_t epoch)
{
        forget(d);
        d->epoch = epoch;
        ticker_start(d->ticker, PERIOD_MS, PERIOD_MS);
}

void digest_stop(struct digest *d)
{
        ticker_stop(d->ticker);
        forget(d);
}

void digest_note(struct digest *d, const char *channel_id, uint64_t seq)
{
        struct head *h;

        HASH_FIND_STR(d->heads, channel_id, h);
        if (!h) {
                h = calloc(1, sizeof(*h));
                if (!h)
                        return; /* the next change of this channel tells as well */
                memcpy(h->channel_id, channel_id, strlen(channel_id) + 1);
                HASH_ADD_STR(d->heads, channel_id, h);
                if (!h->hh.tbl) {
                        free(h);
                        return;
                }
        }
        h->seq = seq;
        if (HASH_COUNT(d->heads) >= HEADS_MAX)
                flush(d);
}
