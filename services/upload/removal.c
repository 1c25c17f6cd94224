#include "upload/removal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/ident.h"
#include "base/log.h"
#include "bus/bus.h"
#include "upload/objects.h"
#include "upload/quota.h"
#include "upload/records.h"

enum { TRIES_MAX = 5 }; /* somebody else changed the record in between */

struct removal {
        struct env *env;
        char id[UUID_LEN + 1];
        Parley__V1__StoredFile *file;
        uint64_t revision;
        unsigned tries;
        removal_handler handler;
        void *userdata;
};

static int look(struct removal *m);

static void end(struct removal *m, int error, const char *what)
{
        struct env *env = m->env;

        m->handler(error, what, m->userdata);
        if (m->file)
                protobuf_c_message_free_unpacked(&m->file->base, NULL);
        free(m);
        env_end(env);
}

static void on_freed(int error, void *userdata)
{
        struct removal *m = userdata;

        if (error)
                log_warn("the quota of a user counts a file that is gone", LOG_S("user", m->file->user_id),
                         LOG_S("file", m->id), LOG_I("error", error));
        end(m, 0, NULL);
}

static void on_unrecorded(int error, void *userdata)
{
        struct removal *m = userdata;
        struct quota_change change = {.kind = QUOTA_FREE, .id = m->id};
        struct objects o;
        int r = error;

        if (error == BUS_E_CONFLICT && ++m->tries < TRIES_MAX)
                r = look(m);
        else if (error == 0) {
                objects_of_file(m->file, &o);
                change.size = objects_bytes(&o);
                r = quota_run(m->env->quota, m->file->user_id, &change, on_freed, m);
                if (r != 0)
                        on_freed(r, m);
                return;
        }
        if (r != 0)
                end(m, r, "NATS");
}

static void on_removed(int error, void *userdata)
{
        struct removal *m = userdata;
        int r = error ? error : record_delete_file(m->env, m->id, m->revision, on_unrecorded, m);

        if (r != 0)
                end(m, r, error ? "the store" : "NATS");
}

static void on_file(int error, ProtobufCMessage *message, uint64_t revision, void *userdata)
{
        struct removal *m = userdata;
        struct objects o;

        if (m->file)
                protobuf_c_message_free_unpacked(&m->file->base, NULL);
        m->file = (Parley__V1__StoredFile *)message;
        m->revision = revision;
        if (error || !m->file->attachment) {
                end(m, error == BUS_E_NOT_FOUND ? 0 : error ? error : -EBADMSG, "NATS");
                return;
        }
        objects_of_file(m->file, &o);
        objects_run(m->env, &o, m->env->store->ops->remove, on_removed, m);
}

static int look(struct removal *m)
{
        return record_get_file(m->env, m->id, on_file, m);
}

int removal_run(struct env *env, const char *id, removal_handler handler, void *userdata)
{
        struct removal *m = calloc(1, sizeof(*m));
        int r = -ENOMEM;

        if (m) {
                m->env = env;
                m->handler = handler;
                m->userdata = userdata;
                memcpy(m->id, id, UUID_LEN);
                r = look(m);
        }
        if (r == 0)
                env_begin(env);
        else
                free(m);
        return r;
}
