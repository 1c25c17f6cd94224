#include "upload/quota.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/ident.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "wire/wire.h"

/* TRIES_MAX: another service wrote in between. WAITING_MAX: changes of one user that wait. VALUE_MAX: a thousand reservations have 60 KiB. */
enum { TRIES_MAX = 20, WAITING_MAX = 1000, VALUE_MAX = 512 << 10 };

struct waiting {
        struct waiting *next;
        struct quota_change change;
        char id[UUID_LEN + 1];
        int result;
        quota_handler handler;
        void *userdata;
};

struct user {
        struct quota *quota;
        struct waiting *first, **last; /* not taken up yet */
        struct waiting *batch;         /* in the value that is being written */
        unsigned n_waiting, tries;
        unsigned n_expected;          /* quota_expect */
        bool busy;                    /* its value is being read or written */
        bool fresh;                   /* files was read for what waits now, and not before it */
        Parley__V1__UserFiles *files; /* the value at this revision, as far as is known; NULL: not known */
        uint64_t revision;
        UT_hash_handle hh;
        char id[IDENT_MAX + 1];
};

struct quota {
        struct env *env;
        struct user *users; /* those with something under way or expected */
};

static int read_value(struct user *u);
static void go_on(struct user *u);
static void apply(struct user *u);

int quota_new(struct quota **ret_quota, struct env *env)
{
        struct quota *q = calloc(1, sizeof(*q));

        if (!q)
                return -ENOMEM;
        q->env = env;
        *ret_quota = q;
        return 0;
}

void quota_free(struct quota *q)
{
        free(q);
}

/* --- the end of a batch --- */

static void forget_value(struct user *u)
{
        if (u->files)
                protobuf_c_message_free_unpacked(&u->files->base, NULL);
        u->files = NULL;
        u->fresh = false;
}

static void drop_unused(struct user *u)
{
        if (u->busy || u->first || u->n_expected)
                return;
        forget_value(u);
        HASH_DEL(u->quota->users, u);
        free(u);
}

static void finish(struct user *u, int error)
{
        struct waiting *w = u->batch, *next;
        struct env *env = u->quota->env;

        u->batch = NULL;
        u->busy = false;
        u->tries = 0;
        u->fresh = false;
        if (!u->first)
                drop_unused(u);
        else if (u->files)
                apply(u);
        else
                go_on(u);
        for (; w; w = next) {
                next = w->next;
                w->handler(error ? error : w->result, w->userdata);
                free(w);
                env_end(env);
        }
}

static void on_put(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        struct user *u = userdata;

        (void)text;
        if (error)
                forget_value(u);
        else
                u->revision = ack->seq;
        if (error == BUS_E_CONFLICT && ++u->tries < TRIES_MAX)
                go_on(u);
        else
                finish(u, error ? -EAGAIN : 0);
}

/* --- reading, applying, writing --- */

static int put(struct user *u)
{
        struct buf value = BUF_INIT(VALUE_MAX);
        char key[IDENT_MAX + 8];
        int r = wire_proto_encode(&u->files->base, &value);

        (void)snprintf(key, sizeof(key), KEY_FILES_USER "%s", u->id);
        if (r == 0)
                r = bus_kv_put(u->quota->env->bus, BUCKET_FILES, key, value.data ? (const void *)value.data : "",
                               value.len, u->revision, on_put, u);
        buf_done(&value);
        if (r == 0)
                u->busy = true;
        else
                forget_value(u);
        return r;
}

/* What gathered while an earlier batch was written goes with this one; after a conflict the batch is applied again. */
static void take_up(struct user *u)
{
        struct waiting **end = &u->batch;

        while (*end)
                end = &(*end)->next;
        *end = u->first;
        u->first = NULL;
        u->last = &u->first;
        u->n_waiting = 0;
}

static int apply_one(struct user *u, struct waiting *w)
{
        const struct quota_limits limits = upload_config_quota(u->quota->env->config);

        w->result = quota_apply(u->files, &w->change, &limits, env_wall_ms());
        return w->result;
}

/* Nobody is refused by a value that may be old: it is read anew. What is put is compared with the revision. */
static void apply(struct user *u)
{
        bool changed = false;
        int r = 0;

        take_up(u);
        for (struct waiting *w = u->batch; w; w = w->next)
                changed = apply_one(u, w) == 0 || changed;
        if (changed)
                r = put(u);
        else if (!u->fresh) {
                go_on(u);
                return;
        }
        if (!changed || r != 0)
                finish(u, r ? -EAGAIN : 0);
}

/* The only one that waits, with a value that was read before it came */
static int apply_at_once(struct user *u)
{
        int r = apply_one(u, u->first) == 0 ? put(u) : read_value(u);

        if (r == 0 && u->files) /* else it is taken up with the value that is being read */
                take_up(u);
        return r;
}

static void on_got(int error, const struct bus_msg *msg, void *userdata)
{
        struct user *u = userdata;
        struct env *env = u->quota->env;
        ProtobufCMessage *m = NULL;
        struct wire_error wire_error;
        int r = error && error != BUS_E_NOT_FOUND ? -EAGAIN : 0;

        if (r == 0 && wire_proto_decode(&parley__v1__user_files__descriptor, error ? (const uint8_t *)"" : msg->data,
                                        error ? 0 : msg->len, &wire_limits_internal, &m, &wire_error) != 0)
                r = -EBADMSG;
        u->files = (Parley__V1__UserFiles *)m;
        u->revision = error ? 0 : msg->seq;
        u->fresh = true;
        if (r == 0 && (u->first || u->batch)) {
                apply(u);
        } else {
                take_up(u);
                finish(u, r);
        }
        env_end(env);
}

static int read_value(struct user *u)
{
        char key[IDENT_MAX + 8];
        int r;

        forget_value(u);
        (void)snprintf(key, sizeof(key), KEY_FILES_USER "%s", u->id);
        r = bus_kv_get(u->quota->env->bus, BUCKET_FILES, key, on_got, u);
        u->busy = r == 0;
        if (r == 0)
                env_begin(u->quota->env);
        return r;
}

static void go_on(struct user *u)
{
        if (read_value(u) != 0) {
                take_up(u);
                finish(u, -EAGAIN);
        }
}

/* --- */

static struct user *user_get(struct quota *q, const char *user_id)
{
        struct user *u;

        HASH_FIND_STR(q->users, user_id, u);
        if (u)
                return u;
        u = calloc(1, sizeof(*u));
        if (!u)
                return NULL;
        u->quota = q;
        u->last = &u->first;
        (void)snprintf(u->id, sizeof(u->id), "%s", user_id);
        HASH_ADD_STR(q->users, id, u);
        return u;
}

static void add(struct user *u, struct waiting *w)
{
        *u->last = w;
        u->last = &w->next;
        u->n_waiting++;
}

/* Of the only one */
static void take_back(struct user *u)
{
        u->first = NULL;
        u->last = &u->first;
        u->n_waiting = 0;
}

bool quota_expect(struct quota *q, const char *user_id)
{
        struct user *u = user_get(q, user_id);

        if (!u)
                return false;
        u->n_expected++;
        if (!u->busy && !u->files)
                (void)read_value(u); /* quota_run tries again */
        return true;
}

void quota_expect_end(struct quota *q, const char *user_id)
{
        struct user *u;

        HASH_FIND_STR(q->users, user_id, u);
        if (u) { /* it is there as long as it is expected */
                u->n_expected--;
                drop_unused(u);
        }
}

int quota_run(struct quota *q, const char *user_id, const struct quota_change *change, quota_handler handler,
              void *userdata)
{
        struct waiting *w = calloc(1, sizeof(*w));
        struct user *u = w ? user_get(q, user_id) : NULL;

        if (!u || u->n_waiting >= WAITING_MAX) {
                free(w);
                return u ? -EAGAIN : -ENOMEM;
        }
        w->change = *change;
        (void)snprintf(w->id, sizeof(w->id), "%s", change->id);
        w->change.id = w->id;
        w->handler = handler;
        w->userdata = userdata;
        add(u, w);
        if (!u->busy && (u->files ? apply_at_once(u) : read_value(u)) != 0) {
                take_back(u);
                drop_unused(u);
                free(w);
                return -EAGAIN;
        }
        env_begin(q->env);
        return 0;
}
