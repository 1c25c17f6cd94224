#include "upload/records.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/ident.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "wire/wire.h"

enum { KEY_SIZE = UUID_LEN + 16, VALUE_MAX = 64 << 10 };

struct getting {
        struct env *env;
        const ProtobufCMessageDescriptor *type;
        record_handler handler;
        void *userdata;
};

static void on_got(int error, const struct bus_msg *msg, void *userdata)
{
        struct getting *g = userdata;
        struct wire_error wire_error;
        ProtobufCMessage *m = NULL;
        int r = error;

        if (r == 0 && wire_proto_decode(g->type, msg->data, msg->len, &wire_limits_internal, &m, &wire_error) != 0)
                r = -EBADMSG;
        g->handler(r, m, r ? 0 : msg->seq, g->userdata);
        env_end(g->env);
        free(g);
}

static int get(struct env *env, const char *bucket, const char *key, const ProtobufCMessageDescriptor *type,
               record_handler handler, void *userdata)
{
        struct getting *g = malloc(sizeof(*g));
        int r = -ENOMEM;

        if (g) {
                *g = (struct getting){env, type, handler, userdata};
                r = bus_kv_get(env->bus, bucket, key, on_got, g);
        }
        if (r == 0)
                env_begin(env);
        else
                free(g);
        return r;
}

struct putting {
        struct env *env;
        record_done done;
        void *userdata;
};

static void on_put(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        struct putting *p = userdata;

        (void)ack;
        (void)text;
        p->done(error, p->userdata);
        env_end(p->env);
        free(p);
}

/* m NULL: deletes */
static int put(struct env *env, const char *bucket, const char *key, const ProtobufCMessage *m, uint64_t expected,
               record_done done, void *userdata)
{
        struct putting *p = malloc(sizeof(*p));
        struct buf value = BUF_INIT(VALUE_MAX);
        int r = p ? 0 : -ENOMEM;

        if (p)
                *p = (struct putting){env, done, userdata};
        if (r == 0 && m)
                r = wire_proto_encode(m, &value);
        if (r == 0)
                r = m ? bus_kv_put(env->bus, bucket, key, value.data, value.len, expected, on_put, p)
                      : bus_kv_delete(env->bus, bucket, key, expected, on_put, p);
        buf_done(&value);
        if (r == 0)
                env_begin(env);
        else
                free(p);
        return r;
}

static const char *file_key(char key[KEY_SIZE], const char *id)
{
        (void)snprintf(key, KEY_SIZE, KEY_FILES_FILE "%s", id);
        return key;
}

int record_get_upload(struct env *env, const char *id, record_handler handler, void *userdata)
{
        return get(env, BUCKET_UPLOADS, id, &parley__v1__pending_upload__descriptor, handler, userdata);
}

int record_get_file(struct env *env, const char *id, record_handler handler, void *userdata)
{
        char key[KEY_SIZE];

        return get(env, BUCKET_FILES, file_key(key, id), &parley__v1__stored_file__descriptor, handler, userdata);
}

int record_put_upload(struct env *env, const Parley__V1__PendingUpload *u, uint64_t expected, record_done done,
                      void *userdata)
{
        return put(env, BUCKET_UPLOADS, u->id, &u->base, expected, done, userdata);
}

int record_put_file(struct env *env, const Parley__V1__StoredFile *f, uint64_t expected, record_done done,
                    void *userdata)
{
        char key[KEY_SIZE];

        return put(env, BUCKET_FILES, file_key(key, f->attachment->id), &f->base, expected, done, userdata);
}

int record_delete_upload(struct env *env, const char *id, uint64_t expected, record_done done, void *userdata)
{
        return put(env, BUCKET_UPLOADS, id, NULL, expected, done, userdata);
}

int record_delete_file(struct env *env, const char *id, uint64_t expected, record_done done, void *userdata)
{
        char key[KEY_SIZE];

        return put(env, BUCKET_FILES, file_key(key, id), NULL, expected, done, userdata);
}

int record_read_upload(const uint8_t *data, size_t n, Parley__V1__PendingUpload **ret_upload)
{
        struct wire_error wire_error;
        ProtobufCMessage *m;

        if (wire_proto_decode(&parley__v1__pending_upload__descriptor, data, n, &wire_limits_internal, &m,
                              &wire_error) != 0)
                return -EBADMSG;
        *ret_upload = (Parley__V1__PendingUpload *)m;
        return 0;
}

struct store_object record_object(const Parley__V1__PendingUpload *u)
{
        return (struct store_object){.name = u->id,
                                     .store_id = u->store_id,
                                     .content_type = u->content_type,
                                     .size = u->size,
                                     .part_size = u->part_size,
                                     .n_parts = u->part_count};
}
