#include "upload/store_s3.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "upload/s3_store.h"

/* How often the bucket is asked for when nothing else is asked of S3 */
enum { PROBE_MS = 5000 };

static struct store_s3 *of(const struct store *s)
{
        return (struct store_s3 *)s;
}

/* --- begin --- */

static void on_begun(struct s3_op *op, int error)
{
        if (error == 0 && !*op->answer.upload_id)
                error = STORE_E_UNAVAILABLE;
        if (error == 0)
                (void)snprintf(op->result.store_id, sizeof(op->result.store_id), "%s", op->answer.upload_id);
        op_end(op, error);
}

static int begin(struct store *s, const struct store_object *o, store_handler handler, void *userdata)
{
        struct s3_op *op = op_new(of(s), o, handler, userdata);

        if (!op)
                return -ENOMEM;
        if (o->n_parts == 1)
                return op_end_later(op);
        s3_key(&op->store->site, S3_FILES, op->name, op->key);
        op_request(op, "POST", op->key);
        op_query(op, "uploads", "");
        op_header(op, "content-type", op->content_type);
        op_header(op, "x-amz-checksum-algorithm", "SHA256");
        op->once = true; /* a second one would leave parts that nobody ends but the bucket's own rule */
        op_send(op, on_begun);
        return 0;
}

/* --- what is there --- */

static void on_parts(struct s3_op *op, int error)
{
        struct s3_answer *a = &op->answer;
        uint32_t *numbers = error ? NULL : malloc((a->n_parts + 1) * sizeof(*numbers));

        if (!error && !numbers)
                error = -ENOMEM;
        for (size_t i = 0; !error && i < a->n_parts; i++)
                if (s3_part_fits(&op->object, &a->parts[i]))
                        numbers[op->result.n_parts++] = a->parts[i].number;
        op->result.parts = numbers;
        op_end(op, error);
        free(numbers);
}

static void on_one_part(struct s3_op *op, int error)
{
        uint32_t one = 1;

        op->result.parts = &one;
        op->result.n_parts = error == 0 && op->x.length == op->object.size;
        op_end(op, error == STORE_E_MISSING ? 0 : error);
}

static int parts(struct store *s, const struct store_object *o, store_handler handler, void *userdata)
{
        struct s3_op *op = op_new(of(s), o, handler, userdata);

        if (!op)
                return -ENOMEM;
        if (o->n_parts > 1) {
                s3_list_parts(op, on_parts);
                return 0;
        }
        s3_key(&op->store->site, S3_PENDING, op->name, op->key);
        op_request(op, "HEAD", op->key);
        op_send(op, on_one_part);
        return 0;
}

/* All that there is of it: what is cut off is no reason to say what it is */
static void on_read(struct s3_op *op, int error)
{
        uint64_t whole = op->object.size < STORE_HEAD_BYTES ? op->object.size : STORE_HEAD_BYTES;

        if (error == 0 && op->x.answer.len != whole)
                error = STORE_E_UNAVAILABLE;
        op->result.data = op->x.answer.data;
        op->result.n = op->x.answer.len;
        op_end(op, error);
}

static int read_head(struct store *s, const struct store_object *o, store_handler handler, void *userdata)
{
        struct s3_op *op = op_new(of(s), o, handler, userdata);

        if (!op)
                return -ENOMEM;
        s3_key(&op->store->site, S3_FILES, op->name, op->key);
        (void)snprintf(op->text, sizeof(op->text), "bytes=0-%" PRIu64, STORE_HEAD_BYTES - 1);
        op_request(op, "GET", op->key);
        op_header(op, "range", op->text);
        op->max_head = STORE_HEAD_BYTES;
        op_send(op, on_read);
        return 0;
}

static void on_list(struct s3_op *op, int error)
{
        op->result.entries = op->answer.entries;
        op->result.n_entries = op->answer.n_entries;
        op->result.next = op->answer.truncated ? op->answer.next : "";
        op_end(op, error);
}

static int list(struct store *s, bool published, const char *cursor, store_handler handler, void *userdata)
{
        struct s3_op *op = strlen(cursor) <= STORE_CURSOR_MAX ? op_new(of(s), NULL, handler, userdata) : NULL;

        if (!op)
                return strlen(cursor) <= STORE_CURSOR_MAX ? -ENOMEM : -EINVAL;
        s3_key(&op->store->site, published ? S3_FILES : S3_PENDING, "", op->key); /* the prefix */
        op->answer.prefix = op->key;
        (void)snprintf(op->text, sizeof(op->text), "%s", cursor);
        op_request(op, "GET", "");
        op_query(op, "list-type", "2");
        op_query(op, "max-keys", "1000");
        op_query(op, "prefix", op->key);
        if (*op->text)
                op_query(op, "continuation-token", op->text);
        op_send(op, on_list);
        return 0;
}

/* --- the end of an upload, or of a file --- */

/* Sealed objects are where they are published: nobody has an address before there is a record of the file */
static int publish(struct store *s, const struct store_object *o, store_handler handler, void *userdata)
{
        struct s3_op *op = op_new(of(s), o, handler, userdata);

        return op ? op_end_later(op) : -ENOMEM;
}

static void on_gone(struct s3_op *op, int error)
{
        op_end(op, error == STORE_E_MISSING ? 0 : error);
}

static void drop(struct s3_op *op, enum s3_place place, void (*then)(struct s3_op *op, int error))
{
        s3_key(&op->store->site, place, op->name, op->key);
        op_request(op, "DELETE", op->key);
        op_send(op, then);
}

static int forget(struct store *s, const struct store_object *o, store_handler handler, void *userdata)
{
        struct s3_op *op = op_new(of(s), o, handler, userdata);

        if (!op)
                return -ENOMEM;
        if (o->n_parts > 1)
                return op_end_later(op); /* joining has left nothing */
        drop(op, S3_PENDING, on_gone);
        return 0;
}

static void on_files_gone(struct s3_op *op, int error)
{
        if (error && error != STORE_E_MISSING)
                op_end(op, error);
        else if (op->object.n_parts == 1)
                drop(op, S3_PENDING, on_gone);
        else
                op_end(op, 0);
}

static void on_aborted(struct s3_op *op, int error)
{
        if (error && error != STORE_E_MISSING)
                op_end(op, error);
        else
                drop(op, S3_FILES, on_files_gone);
}

static int remove_object(struct store *s, const struct store_object *o, store_handler handler, void *userdata)
{
        struct s3_op *op;

        HASH_FIND_STR(of(s)->sealing, o->name, op);
        if (op)
                return STORE_E_BUSY;
        op = op_new(of(s), o, handler, userdata);
        if (!op)
                return -ENOMEM;
        if (!*op->store_id) {
                drop(op, S3_FILES, on_files_gone);
                return 0;
        }
        s3_key(&op->store->site, S3_FILES, op->name, op->key);
        op_request(op, "DELETE", op->key);
        op_query(op, "uploadId", op->store_id);
        op_send(op, on_aborted);
        return 0;
}

/* --- addresses --- */

static void put_header(struct store_put *put, struct s3_request *rq, const char *name, const char *value)
{
        struct store_header *h = &put->headers[put->n_headers++];

        h->name = name;
        (void)snprintf(h->value, sizeof(h->value), "%s", value);
        rq->headers[rq->n_headers++] = (struct sigv4_pair){name, h->value};
}

static int sign_put(struct store *s, const struct store_object *o, uint32_t part, const char *sha256,
                    const char *user_id, int64_t now_s, uint32_t ttl_s, struct store_put *ret)
{
        const struct s3_site *site = &of(s)->site;
        struct store_put put = {.url = BUF_INIT(S3_URL_MAX)};
        struct s3_request rq = {.method = "PUT"};
        char key[S3_KEY_MAX + 1], length[24], number[16], sum[BASE64_SIZE(MAC_LEN)];
        uint8_t mac[MAC_LEN];
        int r;

        (void)user_id; /* the server has no places that one could take from another */
        s3_key(site, o->n_parts == 1 ? S3_PENDING : S3_FILES, o->name, key);
        rq.key = key;
        (void)snprintf(length, sizeof(length), "%" PRIu64, plan_part_bytes(o->size, o->part_size, part));
        rq.headers[rq.n_headers++] = (struct sigv4_pair){"content-length", length};
        if (o->n_parts == 1) {
                put_header(&put, &rq, "content-type", o->content_type);
        } else {
                (void)snprintf(number, sizeof(number), "%" PRIu32, part);
                rq.query[rq.n_query++] = (struct sigv4_pair){"partNumber", number};
                rq.query[rq.n_query++] = (struct sigv4_pair){"uploadId", o->store_id};
        }
        if (*sha256) {
                if (mac_unhex(sha256, mac) < 0)
                        return -EINVAL;
                (void)base64_encode(mac, MAC_LEN, sum);
                put_header(&put, &rq, "x-amz-checksum-sha256", sum);
        }
        r = s3_presign(site, &rq, now_s, ttl_s, &put.url);
        if (r != 0) {
                store_put_done(&put);
                return r < 0 ? r : -EINVAL;
        }
        *ret = put;
        return 0;
}

static int sign_get(struct store *s, const char *name, const char *content_type, const char *disposition,
                    const char *user_id, int64_t now_s, uint32_t ttl_s, struct buf *ret_url)
{
        const struct s3_site *site = &of(s)->site;
        char key[S3_KEY_MAX + 1];
        struct s3_request rq = {.method = "GET",
                                .key = key,
                                .query = {{"response-content-disposition", disposition},
                                          {"response-content-type", content_type},
                                          {"response-cache-control", "private, no-store"}},
                                .n_query = 3};
        struct buf url = BUF_INIT(S3_URL_MAX);
        int r;

        (void)user_id;
        s3_key(site, S3_FILES, name, key);
        r = s3_presign(site, &rq, now_s, ttl_s, &url);
        if (r != 0) {
                buf_done(&url);
                return r < 0 ? r : -EINVAL;
        }
        *ret_url = url;
        return 0;
}

/* --- is it there? --- */

static bool ready(const struct store *s)
{
        return of(s)->there;
}

static void on_probed(struct s3_op *op, int error)
{
        struct store_s3 *s = op->store;

        s->probing = false;
        if (error == STORE_E_MISSING) {
                s->there = s->known = false; /* there is no such bucket: asked and said again, each second */
                log_warn("S3 has no such bucket", LOG_S("bucket", s->env->config->s3.bucket));
        }
        op_end(op, error);
}

static void on_second(uv_timer_t *timer)
{
        struct store_s3 *s = timer->data;
        struct s3_op *op;

        if (s->probing || (s->there && env_now_ms(s->env) - s->heard_ms < PROBE_MS))
                return;
        op = op_new(s, NULL, NULL, NULL);
        if (!op)
                return;
        s->probing = true;
        op_request(op, "HEAD", "");
        op->probe = true;
        op_send(op, on_probed);
}

/* --- from birth to death --- */

static void part_closed(struct store_s3 *s)
{
        if (--s->n_closing)
                return;
        s->closed(s->userdata);
        free(s);
}

static void on_http_closed(void *userdata)
{
        part_closed(userdata);
}

static void on_second_closed(uv_handle_t *handle)
{
        part_closed(handle->data);
}

/* Whoever closes has waited until nothing runs (env.h). */
static void store_close(struct store *store, void (*done)(void *userdata), void *userdata)
{
        struct store_s3 *s = of(store);

        s->closed = done;
        s->userdata = userdata;
        s->n_closing = 2;
        uv_close((uv_handle_t *)&s->second, on_second_closed);
        s3_http_close(s->http, on_http_closed, s);
}

static const struct store_ops ops = {.begin = begin,
                                     .sign_put = sign_put,
                                     .parts = parts,
                                     .seal = s3_seal,
                                     .read = read_head,
                                     .publish = publish,
                                     .forget = forget,
                                     .remove = remove_object,
                                     .sign_get = sign_get,
                                     .list = list,
                                     .ready = ready,
                                     .close = store_close};

int store_s3_new(struct store **ret_store, struct env *env)
{
        const struct s3_config *c = &env->config->s3;
        const struct s3_http_options options = {.loop = env->loop,
                                                .ca = c->ca,
                                                .connect_timeout_ms = (uint32_t)c->connect_timeout_ms,
                                                .max_requests = (unsigned)c->max_requests,
                                                .max_waiting = (unsigned)c->max_waiting};
        struct store_s3 *s;
        int r;

        if (*c->ca && access(c->ca, R_OK) < 0)
                return -errno;
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->base.ops = &ops;
        s->env = env;
        s3_site_init(&s->site, c);
        r = s3_http_new(&s->http, &options);
        if (r < 0) {
                free(s);
                return r;
        }
        (void)uv_timer_init(env->loop, &s->second);
        s->second.data = s;
        (void)uv_timer_start(&s->second, on_second, 0, 1000);
        *ret_store = &s->base;
        return 0;
}
