#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/ident.h"
#include "upload/local_store.h"
#include "upload/local_url.h"

enum op { OP_BEGIN, OP_PARTS, OP_SEAL, OP_READ, OP_PUBLISH, OP_FORGET, OP_REMOVE, OP_LIST };

/* One piece of work on the pool */
struct local_job {
        uv_work_t work;
        struct local_store *store;
        enum op op;
        char name[LOCAL_NAME_MAX + 1];
        struct store_object object;
        store_handler handler;
        void *userdata;
        int error;
        uint32_t *parts;
        struct store_entry *entries;
        bool published;
        char cursor[LOCAL_CURSOR_MAX + 1]; /* OP_LIST: of this page, then of the next */
        bool holds;
        struct local_job *prev, *next; /* in the store's list of those that hold */
        struct store_result result;
        uint8_t data[]; /* OP_READ */
};

static struct local_store *of(const struct store *s)
{
        return (struct local_store *)s;
}

static void run(uv_work_t *work)
{
        struct local_job *j = (struct local_job *)((char *)work - offsetof(struct local_job, work));
        const struct local_dir *d = &j->store->dir;

        switch (j->op) {
        case OP_BEGIN:
                j->error = local_begin(d, j->name);
                break;
        case OP_PARTS:
                j->error = local_parts(d, &j->object, &j->parts, &j->result.n_parts);
                break;
        case OP_SEAL:
                j->result.size = j->object.size;
                j->error = local_seal(d, &j->object, j->result.sum);
                break;
        case OP_READ:
                j->result.n = STORE_HEAD_BYTES;
                j->error = local_read(d, j->name, j->data, &j->result.n);
                break;
        case OP_PUBLISH:
                j->error = local_publish(d, j->name);
                break;
        case OP_FORGET:
                j->error = local_forget(d, j->name);
                break;
        case OP_REMOVE:
                j->error = local_remove(d, j->name);
                break;
        case OP_LIST:
                j->error = local_list(d, j->published, j->cursor, &j->entries, &j->result.n_entries, j->cursor);
                break;
        }
}

/* What belongs to normal operation */
static int meaning(int error)
{
        if (error == -ENOENT)
                return STORE_E_MISSING;
        return error == -ENOSPC || error == -EDQUOT ? STORE_E_UNAVAILABLE : error;
}

static void ran(uv_work_t *work, int status)
{
        struct local_job *j = (struct local_job *)((char *)work - offsetof(struct local_job, work));
        struct env *env = j->store->env;
        int error = status < 0 ? status : meaning(j->error);

        if (j->holds)
                DL_DELETE(j->store->holding, j);
        j->result.parts = j->parts;
        j->result.data = j->data;
        j->result.entries = j->entries;
        j->result.next = j->cursor;
        j->handler(error, error ? NULL : &j->result, j->userdata);
        free(j->parts);
        free(j->entries);
        free(j);
        env_end(env);
}

static struct local_job *job_new(struct store *s, enum op op, store_handler handler, void *userdata)
{
        struct local_job *j = calloc(1, sizeof(*j) + (op == OP_READ ? STORE_HEAD_BYTES : 0));

        if (!j)
                return NULL;
        j->store = of(s);
        j->op = op;
        j->handler = handler;
        j->userdata = userdata;
        return j;
}

static int submit(struct local_job *j)
{
        struct env *env = j->store->env;
        int r = uv_queue_work(env->loop, &j->work, run, ran);

        if (r < 0) {
                free(j);
                return r;
        }
        if (j->holds)
                DL_APPEND(j->store->holding, j);
        env_begin(env);
        return 0;
}

bool local_store_held(const struct local_store *s, const char *name)
{
        for (const struct local_job *j = s->holding; j; j = j->next)
                if (strcmp(j->name, name) == 0)
                        return true;
        return false;
}

static int start(struct store *s, enum op op, const struct store_object *o, store_handler handler, void *userdata)
{
        size_t n = strlen(o->name);
        struct local_job *j = n <= LOCAL_NAME_MAX ? job_new(s, op, handler, userdata) : NULL;

        if (!j)
                return n <= LOCAL_NAME_MAX ? -ENOMEM : -EINVAL;
        j->object = *o;
        memcpy(j->name, o->name, n + 1);
        j->object.name = j->name;
        j->object.store_id = j->object.content_type = "";
        j->holds = op == OP_SEAL || op == OP_REMOVE;
        return submit(j);
}

static int begin(struct store *s, const struct store_object *o, store_handler handler, void *userdata)
{
        return start(s, OP_BEGIN, o, handler, userdata);
}

static int parts(struct store *s, const struct store_object *o, store_handler handler, void *userdata)
{
        return start(s, OP_PARTS, o, handler, userdata);
}

static int seal(struct store *s, const struct store_object *o, store_handler handler, void *userdata)
{
        return local_transfers_stop(of(s), o->name) ? start(s, OP_SEAL, o, handler, userdata) : STORE_E_BUSY;
}

static int read_head(struct store *s, const struct store_object *o, store_handler handler, void *userdata)
{
        return start(s, OP_READ, o, handler, userdata);
}

static int publish(struct store *s, const struct store_object *o, store_handler handler, void *userdata)
{
        return start(s, OP_PUBLISH, o, handler, userdata);
}

static int forget(struct store *s, const struct store_object *o, store_handler handler, void *userdata)
{
        return start(s, OP_FORGET, o, handler, userdata);
}

static int remove_object(struct store *s, const struct store_object *o, store_handler handler, void *userdata)
{
        return local_transfers_stop(of(s), o->name) ? start(s, OP_REMOVE, o, handler, userdata) : STORE_E_BUSY;
}

static int list(struct store *s, bool published, const char *cursor, store_handler handler, void *userdata)
{
        struct local_job *j = strlen(cursor) <= LOCAL_CURSOR_MAX ? job_new(s, OP_LIST, handler, userdata) : NULL;

        if (!j)
                return strlen(cursor) <= LOCAL_CURSOR_MAX ? -ENOMEM : -EINVAL;
        j->published = published;
        (void)snprintf(j->cursor, sizeof(j->cursor), "%s", cursor);
        return submit(j);
}

/* --- addresses --- */

enum { URL_MAX = 4096 };

static int sign_put(struct store *s, const struct store_object *o, uint32_t part, const char *sha256,
                    const char *user_id, int64_t now_s, uint32_t ttl_s, struct store_put *ret)
{
        const struct upload_config *c = of(s)->env->config;
        char owner[LOCAL_URL_OWNER_LEN + 1];
        const struct local_put put = {.name = o->name,
                                      .part = part,
                                      .size = plan_part_bytes(o->size, o->part_size, part),
                                      .offset = (uint64_t)(part - 1) * o->part_size,
                                      .sha256 = sha256,
                                      .content_type = o->n_parts == 1 ? o->content_type : "", /* as S3 has it */
                                      .owner = owner,
                                      .expires_at_s = now_s + ttl_s};
        struct store_put made = {.url = BUF_INIT(URL_MAX)};
        int r = local_url_owner(c->secret, user_id, owner);

        if (r == 0)
                r = local_url_put(c->secret, c->public_url, &put, &made.url);

        if (r == 0 && *put.content_type) {
                made.headers[0].name = "content-type";
                if (strlen(put.content_type) >= sizeof(made.headers[0].value))
                        r = BUF_E_FULL;
                else
                        memcpy(made.headers[0].value, put.content_type, strlen(put.content_type) + 1);
                made.n_headers = 1;
        }
        if (r != 0) {
                store_put_done(&made);
                return r < 0 ? r : -EINVAL;
        }
        *ret = made;
        return 0;
}

static int sign_get(struct store *s, const char *name, const char *content_type, const char *disposition,
                    const char *user_id, int64_t now_s, uint32_t ttl_s, struct buf *ret_url)
{
        const struct upload_config *c = of(s)->env->config;
        char owner[LOCAL_URL_OWNER_LEN + 1];
        const struct local_get get = {.name = name,
                                      .content_type = content_type,
                                      .disposition = disposition,
                                      .owner = owner,
                                      .expires_at_s = now_s + ttl_s};
        struct buf url = BUF_INIT(URL_MAX);
        int r = local_url_owner(c->secret, user_id, owner);

        if (r == 0)
                r = local_url_get(c->secret, c->public_url, &get, &url);

        if (r != 0) {
                buf_done(&url);
                return r < 0 ? r : -EINVAL;
        }
        *ret_url = url;
        return 0;
}

static bool ready(const struct store *s)
{
        (void)s;
        return true;
}

/* Whoever closes has waited until nothing runs (env.h), and bodies on their way count as running. */
static void store_close(struct store *store, void (*done)(void *userdata), void *userdata)
{
        struct local_store *s = of(store);

        local_dir_close(&s->dir);
        free(s);
        done(userdata);
}

static const struct store_ops ops = {.begin = begin,
                                     .sign_put = sign_put,
                                     .parts = parts,
                                     .seal = seal,
                                     .read = read_head,
                                     .publish = publish,
                                     .forget = forget,
                                     .remove = remove_object,
                                     .sign_get = sign_get,
                                     .list = list,
                                     .ready = ready,
                                     .close = store_close};

int store_local_new(struct store **ret_store, struct env *env)
{
        struct local_store *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->base.ops = &ops;
        s->env = env;
        s->bodies = (struct shares){.owners = {.max = (unsigned)env->config->max_transfers,
                                               .max_owner = (unsigned)env->config->max_user_transfers}};
        s->reads = (struct shares){.owners = {.max = (unsigned)env->config->max_reads,
                                              .max_owner = (unsigned)env->config->max_user_reads}};
        r = local_dir_open(&s->dir, env->config->dir);
        if (r < 0) {
                free(s);
                return r;
        }
        *ret_store = &s->base;
        return 0;
}
