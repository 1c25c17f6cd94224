/* The checksum of a sealed object whose server does not say it, or said it to nobody: its bytes are read once, in pieces, and kept nowhere. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "upload/store_s3.h"

static void drop(struct s3_sum *s)
{
        mac_hash_free(s->part);
        mac_hash_free(s->all);
        s->part = s->all = NULL;
}

static int restart(struct s3_op *op)
{
        struct s3_sum *s = &op->sum;
        int r;

        drop(s);
        s->n = s->total = 0;
        r = mac_hash_new(&s->part);
        return r < 0 ? r : mac_hash_new(&s->all);
}

static int end_part(struct s3_sum *s)
{
        int r = mac_hash_end(s->part, s->digest);

        mac_hash_free(s->part);
        s->part = NULL;
        s->n = 0;
        if (r == 0)
                r = mac_hash_update(s->all, s->digest, MAC_LEN);
        return r == 0 ? mac_hash_new(&s->part) : r;
}

static int take(struct s3_exchange *x, const void *data, size_t n)
{
        struct s3_op *op = (struct s3_op *)((char *)x - offsetof(struct s3_op, x));
        struct s3_sum *s = &op->sum;
        const uint8_t *bytes = data;
        int r = n > op->object.size - s->total ? -EMSGSIZE : 0;

        s->total += r == 0 ? n : 0;
        while (r == 0 && n) {
                uint64_t room = op->object.part_size - s->n;
                size_t now = n < room ? n : (size_t)room;

                r = mac_hash_update(s->part, bytes, now);
                bytes += now;
                n -= now;
                s->n += now;
                if (r == 0 && s->n == op->object.part_size)
                        r = end_part(s);
        }
        return r;
}

static int finish(struct s3_op *op)
{
        struct s3_sum *s = &op->sum;
        int r = s->n ? end_part(s) : 0;

        if (r == 0 && op->object.n_parts > 1)
                r = mac_hash_end(s->all, s->digest);
        if (r < 0)
                return r;
        mac_hex(s->digest, op->result.sum);
        if (op->object.n_parts > 1)
                (void)snprintf(op->result.sum + MAC_HEX_LEN, STORE_SUM_MAX + 1 - MAC_HEX_LEN, "-%" PRIu32,
                               op->object.n_parts);
        return 0;
}

static void on_read(struct s3_op *op, int error)
{
        if (error == 0 && op->sum.total != op->object.size)
                error = STORE_E_UNAVAILABLE; /* cut off, under a status that says it was not */
        if (error == 0)
                error = finish(op);
        drop(&op->sum);
        op->summed(op, error);
}

void s3_sum(struct s3_op *op, void (*then)(struct s3_op *op, int error))
{
        log_info("S3 does not say the checksum of an object: it is read", LOG_S("object", op->name),
                 LOG_U("bytes", op->object.size));
        op->summed = then;
        s3_key(&op->store->site, S3_FILES, op->name, op->key);
        op_request(op, "GET", op->key);
        op->patient = true;
        op->restart = restart;
        op->x.piece = take;
        op_send(op, on_read);
}
