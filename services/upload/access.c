#include "upload/access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/ident.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "wire/wire.h"

struct reading {
        struct env *env;
        bool admin;
        enum policy_action action;
        access_handler handler;
        void *userdata;
        unsigned n_left;
        bool failed;
        char *const *channel_ids; /* NULL: the one below alone */
        size_t n_channels, at;
        bool others; /* a look at those that he is no member of, which may be open to all */
        Parley__V1__Channel *channel;
        Parley__V1__Memberships *memberships;
        char channel_id[IDENT_MAX + 1];
};

static const Parley__V1__Role *role_in(const struct reading *a, const char *channel_id)
{
        for (size_t i = 0; a->memberships && i < a->memberships->n_memberships; i++)
                if (strcmp(a->memberships->memberships[i]->channel_id, channel_id) == 0)
                        return &a->memberships->memberships[i]->role;
        return NULL;
}

static enum parley_code judge(const struct reading *a)
{
        if (a->failed)
                return PARLEY_UNAVAILABLE;
        if (!a->channel)
                return PARLEY_NOT_A_MEMBER;
        return policy_check(a->channel, policy_role(a->channel, role_in(a, a->channel_id)), a->admin, a->action);
}

static bool ask_next(struct reading *a);

static void finish(struct reading *a)
{
        struct env *env = a->env;
        enum parley_code code;

        if (--a->n_left)
                return;
        code = judge(a);
        if (a->channel_ids && code != PARLEY_OK && code != PARLEY_UNAVAILABLE) {
                if (ask_next(a))
                        return;
                code = a->failed ? PARLEY_UNAVAILABLE : PARLEY_NOT_A_MEMBER;
        }
        a->handler(code, a->userdata);
        if (a->channel)
                protobuf_c_message_free_unpacked(&a->channel->base, NULL);
        if (a->memberships)
                protobuf_c_message_free_unpacked(&a->memberships->base, NULL);
        free(a);
        env_end(env);
}

static ProtobufCMessage *read_value(struct reading *a, int error, const struct bus_msg *msg,
                                    const ProtobufCMessageDescriptor *type)
{
        struct wire_error wire_error;
        ProtobufCMessage *m = NULL;

        if (error == BUS_E_NOT_FOUND)
                return NULL;
        if (error || wire_proto_decode(type, msg->data, msg->len, &wire_limits_internal, &m, &wire_error) != 0)
                a->failed = true;
        return m;
}

static void on_channel(int error, const struct bus_msg *msg, void *userdata)
{
        struct reading *a = userdata;

        a->channel = (Parley__V1__Channel *)read_value(a, error, msg, &parley__v1__channel__descriptor);
        finish(a);
}

/* False: there is none, or it cannot be asked for */
static bool ask_next(struct reading *a)
{
        const char *id;

        if (a->channel)
                protobuf_c_message_free_unpacked(&a->channel->base, NULL);
        a->channel = NULL;
        for (;; a->at++) {
                if (a->at == a->n_channels && a->others)
                        return false;
                if (a->at == a->n_channels) {
                        a->others = true;
                        a->at = 0;
                }
                id = a->channel_ids[a->at];
                if (!role_in(a, id) == a->others && strlen(id) <= IDENT_MAX)
                        break;
        }
        memcpy(a->channel_id, id, strlen(id) + 1);
        a->at++;
        a->n_left = 1;
        a->failed = bus_kv_get(a->env->bus, BUCKET_CHANNELS, a->channel_id, on_channel, a) != 0;
        return !a->failed;
}

static void on_memberships(int error, const struct bus_msg *msg, void *userdata)
{
        struct reading *a = userdata;

        a->memberships = (Parley__V1__Memberships *)read_value(a, error, msg, &parley__v1__memberships__descriptor);
        finish(a);
}

int access_read(struct env *env, const char *user_id, bool admin, const char *channel_id, enum policy_action action,
                access_handler handler, void *userdata)
{
        struct reading *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return -ENOMEM;
        *a = (struct reading){
                .env = env, .admin = admin, .action = action, .handler = handler, .userdata = userdata, .n_left = 2};
        memcpy(a->channel_id, channel_id, strlen(channel_id) + 1);
        r = bus_kv_get(env->bus, BUCKET_CHANNELS, channel_id, on_channel, a);
        if (r != 0) {
                free(a);
                return r;
        }
        env_begin(env);
        if (bus_kv_get(env->bus, BUCKET_MEMBERS, user_id, on_memberships, a) != 0)
                on_memberships(BUS_E_DISCONNECTED, NULL, a);
        return 0;
}

int access_read_any(struct env *env, const char *user_id, bool admin, char *const *channel_ids, size_t n,
                    enum policy_action action, access_handler handler, void *userdata)
{
        struct reading *a;
        int r;

        if (n == 1)
                return access_read(env, user_id, admin, channel_ids[0], action, handler, userdata);
        a = calloc(1, sizeof(*a));
        if (!a)
                return -ENOMEM;
        *a = (struct reading){.env = env,
                              .admin = admin,
                              .action = action,
                              .handler = handler,
                              .userdata = userdata,
                              .channel_ids = channel_ids,
                              .n_channels = n,
                              .n_left = 1};
        r = bus_kv_get(env->bus, BUCKET_MEMBERS, user_id, on_memberships, a);
        if (r != 0) {
                free(a);
                return r;
        }
        env_begin(env);
        return 0;
}
