/* In this order, so that whoever comes after a death at any point goes on, by the record alone:
 *
 *   FILES     the file is removing: gone for everybody
 *   objects
 *   quota     counts it no more, once
 *   FILES     the record is gone; or says that the file was deleted on purpose, while a message may carry it */
#include "upload/removal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/ident.h"
#include "bus/bus.h"
#include "upload/hold_core.h"
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
        uint64_t as_of_ms, held_until_ms;
        bool on_purpose;
        bool collects; /* of released: a file that is kept is not released by it */
        bool end_told; /* its record did not say how long descriptors of it are valid: it does now */
        removal_handler handler;
        release_handler released; /* instead: what may still be sent is kept */
        void *userdata;
};

static int look(struct removal *m);

static void end(struct removal *m, int error, const char *what)
{
        struct env *env = m->env;

        if (m->released)
                m->released(error, what, error ? 0 : m->held_until_ms, m->userdata);
        else
                m->handler(error, what, m->userdata);
        if (m->file)
                protobuf_c_message_free_unpacked(&m->file->base, NULL);
        free(m);
        env_end(env);
}

static void on_unrecorded(int error, void *userdata)
{
        struct removal *m = userdata;
        int r = error;

        if (error == BUS_E_CONFLICT && ++m->tries < TRIES_MAX)
                r = look(m);
        if (r != 0 || error == 0)
                end(m, r, "NATS");
}

/* No more of it than whose it was */
static int put_deleted(struct removal *m)
{
        Parley__V1__StoredFile f = PARLEY__V1__STORED_FILE__INIT;
        Parley__V1__Attachment a = PARLEY__V1__ATTACHMENT__INIT;

        a.id = m->id;
        f.attachment = &a;
        f.user_id = m->file->user_id;
        f.created_at_ms = m->file->created_at_ms;
        f.descriptor_until_ms = m->file->descriptor_until_ms;
        f.state = PARLEY__V1__FILE_STATE__deleted;
        return record_put_file(m->env, &f, m->revision, on_unrecorded, m);
}

static void on_freed(int error, void *userdata)
{
        struct removal *m = userdata;
        int r = error;

        (void)FAILPOINT("upload.removal_freed");
        if (r == 0 && m->file->on_purpose)
                r = put_deleted(m);
        else if (r == 0)
                r = record_delete_file(m->env, m->id, m->revision, on_unrecorded, m);
        if (r != 0)
                end(m, r, "NATS");
}

static void on_removed(int error, void *userdata)
{
        struct removal *m = userdata;
        struct quota_change change = {.kind = QUOTA_FREE, .id = m->id, .leaves_mark = m->file->on_purpose};
        struct objects o;
        int r = error;

        (void)FAILPOINT("upload.removal_removed");
        if (r == 0) {
                objects_of_file(m->file, &o);
                change.size = objects_bytes(&o);
                r = quota_run(m->env->quota, m->file->user_id, &change, on_freed, m);
        }
        if (r != 0)
                end(m, r, error ? "the store" : "NATS");
}

/* Read again: for its revision */
static void on_marked(int error, void *userdata)
{
        struct removal *m = userdata;
        int r = error;

        (void)FAILPOINT("upload.removal_marked");
        if (error == 0 || (error == BUS_E_CONFLICT && m->tries < TRIES_MAX))
                r = look(m);
        if (r != 0)
                end(m, r, "NATS");
}

static void on_nothing_left(int error, void *userdata)
{
        end(userdata, error, "the store");
}

/* Whether there never was such a file, or its record was lost with what NATS had last: no id is used twice, so what has this name may go. */
static void remove_unrecorded(struct removal *m)
{
        struct objects o;

        objects_of_id(m->id, &o);
        objects_run(m->env, &o, m->env->store->ops->remove, on_nothing_left, m);
}

static void on_held(int error, void *userdata)
{
        struct removal *m = userdata;
        int r = error;

        if (error == BUS_E_CONFLICT && m->tries < TRIES_MAX) {
                m->held_until_ms = 0;
                r = look(m);
                if (r == 0)
                        return;
        }
        end(m, r, "NATS");
}

/* Whether descriptors of it may still be sent */
static bool sendable(struct removal *m)
{
        uint64_t ttl_s = m->env->config->descriptor_ttl_s;

        m->end_told = hold_known(&m->file->descriptor_until_ms, env_wall_ms(), ttl_s);
        m->held_until_ms = hold_end(m->file->descriptor_until_ms, ttl_s);
        if (m->held_until_ms > m->as_of_ms)
                return true;
        m->held_until_ms = 0;
        return false;
}

/* Written also where it was released before: whoever restores it by an older answer of history finds another revision. */
static int hold(struct removal *m)
{
        if (m->collects && !m->end_told) {
                end(m, 0, NULL);
                return 0;
        }
        m->tries++;
        if (!m->collects)
                m->file->released_at_ms = env_wall_ms();
        return record_put_file(m->env, m->file, m->revision, on_held, m);
}

static void on_file(int error, ProtobufCMessage *message, uint64_t revision, void *userdata)
{
        struct removal *m = userdata;
        struct objects o;
        int r = 0;

        if (m->file)
                protobuf_c_message_free_unpacked(&m->file->base, NULL);
        m->file = (Parley__V1__StoredFile *)message;
        m->revision = revision;
        if (error == BUS_E_NOT_FOUND) {
                remove_unrecorded(m);
        } else if (error || !m->file->attachment) {
                end(m, error ? error : -EBADMSG, "NATS");
        } else if (m->file->state == PARLEY__V1__FILE_STATE__removing) {
                objects_of_file(m->file, &o);
                objects_run(m->env, &o, m->env->store->ops->remove, on_removed, m);
        } else if (m->released && sendable(m)) {
                r = hold(m);
        } else if (m->file->state == PARLEY__V1__FILE_STATE__deleted && m->on_purpose) {
                end(m, 0, NULL);
        } else if (m->file->state == PARLEY__V1__FILE_STATE__deleted) {
                m->tries++;
                r = record_delete_file(m->env, m->id, revision, on_unrecorded, m);
        } else {
                m->tries++;
                m->file->on_purpose = m->on_purpose;
                m->file->state = PARLEY__V1__FILE_STATE__removing;
                r = record_put_file(m->env, m->file, revision, on_marked, m);
        }
        if (r != 0)
                end(m, r, "NATS");
}

static int look(struct removal *m)
{
        return record_get_file(m->env, m->id, on_file, m);
}

static int start(struct removal *m, const char *id)
{
        int r;

        memcpy(m->id, id, UUID_LEN);
        r = look(m);
        if (r == 0)
                env_begin(m->env);
        else
                free(m);
        return r;
}

static int run(struct env *env, const char *id, bool on_purpose, removal_handler handler, void *userdata)
{
        struct removal *m = calloc(1, sizeof(*m));

        if (!m)
                return -ENOMEM;
        m->env = env;
        m->on_purpose = on_purpose;
        m->handler = handler;
        m->userdata = userdata;
        return start(m, id);
}

int removal_run(struct env *env, const char *id, removal_handler handler, void *userdata)
{
        return run(env, id, false, handler, userdata);
}

int removal_delete(struct env *env, const char *id, removal_handler handler, void *userdata)
{
        return run(env, id, true, handler, userdata);
}

static int run_unsent(struct env *env, const char *id, uint64_t checked_at_ms, bool collects, release_handler handler,
                      void *userdata)
{
        struct removal *m = calloc(1, sizeof(*m));
        uint64_t now_ms = env_wall_ms();

        if (!m)
                return -ENOMEM;
        m->env = env;
        m->as_of_ms = checked_at_ms && checked_at_ms < now_ms ? checked_at_ms : now_ms;
        m->collects = collects;
        m->released = handler;
        m->userdata = userdata;
        return start(m, id);
}

int removal_release(struct env *env, const char *id, uint64_t checked_at_ms, release_handler handler, void *userdata)
{
        return run_unsent(env, id, checked_at_ms, false, handler, userdata);
}

int removal_collect(struct env *env, const char *id, uint64_t checked_at_ms, release_handler handler, void *userdata)
{
        return run_unsent(env, id, checked_at_ms, true, handler, userdata);
}
