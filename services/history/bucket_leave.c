#include "history/bucket_leave.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/ident.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "history/history_metrics.h"
#include "history/members_core.h"
#include "wire/wire.h"

/* VALUE_MAX: as in bucket.c. AS_NEW: what is there is as new */
enum { TRIES_MAX = 10, VALUE_MAX = 900 << 10, AS_NEW = 1 };

struct leave {
        struct env *env;
        char user_id[IDENT_MAX + 1], channel_id[IDENT_MAX + 1];
        uint64_t version, left_seq;
        struct buf value;
        unsigned tries;
        void (*done)(int error, void *userdata);
        void *userdata;
};

static int get_entry(struct leave *l);

static void finish(struct leave *l, int error)
{
        l->done(error, l->userdata);
        buf_done(&l->value);
        free(l);
}

/* 0, AS_NEW or -errno. The version of the whole is the sum of those of its parts, as bucket.c has it. */
static int pack_left(struct leave *l, const Parley__V1__Memberships *old)
{
        size_t n = old ? old->n_memberships : 0, at = 0;
        _cleanup_free_ Parley__V1__Membership **all = calloc(n + 1, sizeof(*all));
        Parley__V1__Memberships list = PARLEY__V1__MEMBERSHIPS__INIT;
        Parley__V1__Membership left;

        if (!all)
                return -ENOMEM;
        if (n)
                memcpy(all, old->memberships, n * sizeof(*all));
        while (at < n && strcmp(all[at]->channel_id, l->channel_id) != 0)
                at++;
        if (!members_left(all[at], l->version, l->left_seq, &left))
                return AS_NEW;
        list.version = (old ? old->version : 0) + l->version - (all[at] ? all[at]->version : 0);
        left.channel_id = l->channel_id;
        all[at] = &left;
        list.user_id = l->user_id;
        list.memberships = all;
        list.n_memberships = at == n ? n + 1 : n;
        buf_reset(&l->value, VALUE_MAX);
        return wire_proto_encode(&list.base, &l->value) == 0 ? 0 : -E2BIG;
}

static void on_put(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        struct leave *l = userdata;

        (void)ack;
        (void)text;
        if (error == 0)
                metric_add(&metric_bucket_writes, 1);
        if (error == BUS_E_CONFLICT && ++l->tries < TRIES_MAX) {
                error = get_entry(l);
                if (error == 0)
                        return;
        }
        finish(l, error);
}

static void on_entry(int error, const struct bus_msg *msg, void *userdata)
{
        struct leave *l = userdata;
        Parley__V1__Memberships *old = NULL;
        int r = 0;

        if (error && error != BUS_E_NOT_FOUND) {
                finish(l, error);
                return;
        }
        if (error == 0) {
                old = parley__v1__memberships__unpack(NULL, msg->len, msg->data);
                r = old ? 0 : -EBADMSG;
        }
        if (r == 0)
                r = pack_left(l, old);
        if (old)
                parley__v1__memberships__free_unpacked(old, NULL);
        if (r == AS_NEW) {
                finish(l, 0);
                return;
        }
        if (r == 0)
                r = bus_kv_put(l->env->bus, BUCKET_MEMBERS, l->user_id, l->value.data, l->value.len,
                               error ? 0 : msg->seq, on_put, l);
        if (r)
                finish(l, r);
}

static int get_entry(struct leave *l)
{
        return bus_kv_get(l->env->bus, BUCKET_MEMBERS, l->user_id, on_entry, l);
}

int bucket_leave(struct env *env, const char *user_id, const char *channel_id, uint64_t version, uint64_t left_seq,
                 void (*done)(int error, void *userdata), void *userdata)
{
        struct leave *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        *l = (struct leave){.env = env,
                            .version = version,
                            .left_seq = left_seq,
                            .value = BUF_INIT(VALUE_MAX),
                            .done = done,
                            .userdata = userdata};
        (void)snprintf(l->user_id, sizeof(l->user_id), "%s", user_id);
        (void)snprintf(l->channel_id, sizeof(l->channel_id), "%s", channel_id);
        r = get_entry(l);
        if (r) {
                buf_done(&l->value);
                free(l);
        }
        return r;
}
