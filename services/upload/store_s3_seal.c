/* Sealing: what is answered for files/<name> counts, and where there is nothing it is made, once. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/text.h"
#include "upload/store_s3.h"

static void look(struct s3_op *op, void (*then)(struct s3_op *op, int error))
{
        s3_key(&op->store->site, S3_FILES, op->name, op->key);
        op_request(op, "HEAD", op->key);
        op_header(op, "x-amz-checksum-mode", "ENABLED");
        op_send(op, then);
}

/* "<base64>", or of parts "<base64>-<n>"; what is neither says nothing */
static void take_sum(struct s3_op *op)
{
        uint8_t sum[MAC_LEN];
        size_t n = strcspn(op->x.sha256, "-");
        char expected[16] = "";

        if (op->object.n_parts > 1)
                (void)snprintf(expected, sizeof(expected), "-%" PRIu32, op->object.n_parts);
        if (base64_decode(op->x.sha256, n, sum, sizeof(sum)) != MAC_LEN || strcmp(op->x.sha256 + n, expected) != 0)
                return;
        mac_hex(sum, op->result.sum);
        memcpy(op->result.sum + MAC_HEX_LEN, expected, strlen(expected) + 1);
}

/* Also where another made it at the same time */
static void on_made(struct s3_op *op, int error)
{
        if (error == 0 && op->x.length == UINT64_MAX)
                error = STORE_E_UNAVAILABLE; /* it does not say how large it is: that is no size */
        if (error == 0) {
                take_sum(op);
                op->result.size = op->x.length;
        }
        if (error == 0 && !*op->result.sum && op->result.size == op->object.size)
                s3_sum(op, op_end);
        else
                op_end(op, error);
}

static void on_request_made(struct s3_op *op, int error)
{
        (void)FAILPOINT("upload.s3_made");
        /* Missing: nothing to copy or to join; or it was, by another or by a try of ours whose answer was lost */
        if (error != 0)
                *op->result.sum = '\0';
        if (error == 0 || error == S3_E_EXISTS || error == STORE_E_MISSING)
                look(op, on_made);
        else
                op_end(op, error);
}

/* --- one body --- */

static void copy(struct s3_op *op)
{
        char from[S3_KEY_MAX + 1];

        s3_key(&op->store->site, S3_PENDING, op->name, from);
        s3_key(&op->store->site, S3_FILES, op->name, op->key);
        op->source.len = 0;
        if (s3_copy_source(&op->store->env->config->s3, from, &op->source) != 0) {
                op_end(op, -ENOMEM);
                return;
        }
        op_request(op, "PUT", op->key);
        op_header(op, "x-amz-copy-source", (const char *)op->source.data);
        op_header(op, "x-amz-checksum-algorithm", "SHA256"); /* of the copy, which nobody but S3 has made */
        op_header(op, "if-none-match", "*");
        /* What else the client has said of its body is not taken over: an encoding would have others see other bytes than were looked at */
        op_header(op, "x-amz-metadata-directive", "REPLACE");
        op_header(op, "content-type", op->content_type);
        op->patient = true;
        (void)FAILPOINT("upload.s3_copy");
        op_send(op, on_request_made);
}

/* --- parts --- */

bool s3_part_fits(const struct store_object *o, const struct s3_part *p)
{
        return p->number <= o->n_parts && p->size == plan_part_bytes(o->size, o->part_size, p->number) && *p->sha256;
}

static void on_page(struct s3_op *op, int error);

static void list_page(struct s3_op *op)
{
        s3_key(&op->store->site, S3_FILES, op->name, op->key);
        (void)snprintf(op->text, sizeof(op->text), "%s", op->answer.next);
        op_request(op, "GET", op->key);
        op_query(op, "uploadId", op->store_id);
        op_query(op, "max-parts", "1000");
        if (*op->text)
                op_query(op, "part-number-marker", op->text);
        op_send(op, on_page);
}

/* A server that says "go on" without giving more would keep us for ever */
static void on_page(struct s3_op *op, int error)
{
        size_t n = op->answer.n_parts;

        if (error || !op->answer.truncated)
                op->listed(op, error);
        else if (n == op->n_listed)
                op->listed(op, STORE_E_UNAVAILABLE);
        else {
                op->n_listed = n;
                list_page(op);
        }
}

void s3_list_parts(struct s3_op *op, void (*then)(struct s3_op *op, int error))
{
        op->listed = then;
        op->n_listed = 0;
        op->answer.n_parts = 0;
        *op->answer.next = '\0';
        list_page(op);
}

/* The SHA-256 of the parts' SHA-256s, as S3 and local_files.c have it */
static int composite(const struct s3_answer *a, char ret[STORE_SUM_MAX + 1])
{
        struct mac_hash *h;
        uint8_t sum[MAC_LEN];
        int r = mac_hash_new(&h);

        if (r < 0)
                return r;
        for (size_t i = 0; r == 0 && i < a->n_parts; i++) {
                (void)base64_decode(a->parts[i].sha256, S3_SUM_LEN, sum, sizeof(sum)); /* checked when it was read */
                r = mac_hash_update(h, sum, sizeof(sum));
        }
        if (r == 0)
                r = mac_hash_end(h, sum);
        mac_hash_free(h);
        if (r < 0)
                return r;
        mac_hex(sum, ret);
        (void)snprintf(ret + MAC_HEX_LEN, STORE_SUM_MAX + 1 - MAC_HEX_LEN, "-%zu", a->n_parts);
        return 0;
}

static void join(struct s3_op *op, int error)
{
        const struct s3_answer *a = &op->answer;
        bool whole = a->n_parts == op->object.n_parts;

        for (size_t i = 0; whole && i < a->n_parts; i++)
                whole = s3_part_fits(&op->object, &a->parts[i]);
        if (error == STORE_E_MISSING) {
                look(op, on_made); /* it was joined between our two requests, or never begun */
                return;
        }
        if (error || !whole) {
                op_end(op, error ? error : STORE_E_MISSING);
                return;
        }
        op_request(op, "POST", op->key);
        op_query(op, "uploadId", op->store_id);
        op_header(op, "content-type", "application/xml");
        op->patient = true;
        if (composite(a, op->result.sum) < 0 || s3_complete_body(a->parts, a->n_parts, &op->body) != 0)
                op_end(op, -ENOMEM);
        else
                op_send(op, on_request_made);
}

/* --- both --- */

static void on_looked(struct s3_op *op, int error)
{
        if (error != STORE_E_MISSING)
                on_made(op, error);
        else if (op->object.n_parts == 1)
                copy(op);
        else
                s3_list_parts(op, join);
}

int s3_seal(struct store *store, const struct store_object *o, store_handler handler, void *userdata)
{
        struct store_s3 *s = (struct store_s3 *)store;
        struct s3_op *op;

        HASH_FIND_STR(s->sealing, o->name, op);
        if (op)
                return STORE_E_BUSY;
        op = op_new(s, o, handler, userdata);
        if (!op)
                return -ENOMEM;
        HASH_ADD_STR(s->sealing, name, op);
        op->sealing = true;
        look(op, on_looked);
        return 0;
}
