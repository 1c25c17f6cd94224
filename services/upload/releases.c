#include "upload/releases.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codes.h"
#include "base/ident.h"
#include "base/log.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "parley/v1/internal.pb-c.h"
#include "upload/removal.h"
#include "upload/upload_metrics.h"
#include "wire/wire.h"

/* RUNNING_MAX: requests at a time; who asks beyond it runs into his timeout and asks again */
enum { FILES_MAX = 100, RUNNING_MAX = 4, ANSWER_MAX = 64 << 10 };

struct releases {
        struct env *env;
        struct bus_sub *sub;
        unsigned n_running;
};

struct request {
        struct releases *releases;
        char reply[SUBJECT_MAX];
        Parley__V1__ReleaseFilesRequest *files;
        size_t at, n_gone, n_held;
        char *gone[FILES_MAX];
        Parley__V1__HeldFile held[FILES_MAX], *held_all[FILES_MAX];
};

static void next(struct request *q);

static void answer(struct request *q, const char *code, const char *text)
{
        Parley__V1__ReleaseFilesResponse response = PARLEY__V1__RELEASE_FILES_RESPONSE__INIT;
        Parley__V1__RpcError error = PARLEY__V1__RPC_ERROR__INIT;
        struct env *env = q->releases->env;
        struct buf bytes = BUF_INIT(ANSWER_MAX);

        error.code = (char *)code;
        error.message = (char *)text;
        response.error = code ? &error : NULL;
        response.file_ids = q->gone;
        response.n_file_ids = q->n_gone;
        response.held = q->held_all;
        response.n_held = q->n_held;
        if (wire_proto_encode(&response.base, &bytes) != 0 ||
            bus_publish(env->bus, q->reply, bytes.len ? bytes.data : (const void *)"", bytes.len, NULL) != 0)
                log_warn("a request to remove files could not be answered", LOG_S("reply", q->reply));
        buf_done(&bytes);
        q->releases->n_running--;
        if (q->files)
                protobuf_c_message_free_unpacked(&q->files->base, NULL);
        free(q);
        env_end(env);
}

static void add_held(struct request *q, uint64_t until_ms)
{
        Parley__V1__HeldFile *h = &q->held[q->n_held];

        parley__v1__held_file__init(h);
        h->file_id = q->files->file_ids[q->at];
        h->until_ms = until_ms;
        q->held_all[q->n_held++] = h;
        metric_add(&metric_file_holds, 1);
}

static void on_released(int error, const char *what, uint64_t held_until_ms, void *userdata)
{
        struct request *q = userdata;

        if (error) {
                log_warn("a file of a deleted message could not be removed", LOG_S("file", q->files->file_ids[q->at]),
                         LOG_S("what", what), LOG_I("error", error));
        } else if (held_until_ms) {
                add_held(q, held_until_ms);
        } else {
                metric_add(&metric_file_releases, 1);
                q->gone[q->n_gone++] = q->files->file_ids[q->at];
        }
        q->at++;
        next(q);
}

static void next(struct request *q)
{
        if (q->at == q->files->n_file_ids)
                answer(q, NULL, NULL);
        else if (removal_release(q->releases->env, q->files->file_ids[q->at], q->files->checked_at_ms, on_released,
                                 q) != 0)
                answer(q, parley_code_text(PARLEY_UNAVAILABLE), "the files cannot be removed now");
}

static bool well_formed(const Parley__V1__ReleaseFilesRequest *files)
{
        for (size_t i = 0; i < files->n_file_ids; i++)
                if (!uuid_valid(files->file_ids[i]))
                        return false;
        return files->n_file_ids <= FILES_MAX;
}

static void on_request(const struct bus_msg *msg, void *userdata)
{
        struct releases *r = userdata;
        struct wire_error error = {0};
        ProtobufCMessage *m = NULL;
        struct request *q;

        if (!msg->reply || strlen(msg->reply) >= SUBJECT_MAX || r->n_running >= RUNNING_MAX)
                return;
        q = calloc(1, sizeof(*q));
        if (!q)
                return;
        q->releases = r;
        memcpy(q->reply, msg->reply, strlen(msg->reply) + 1);
        r->n_running++;
        env_begin(r->env);
        if (wire_proto_decode(&parley__v1__release_files_request__descriptor, msg->data, msg->len,
                              &wire_limits_internal, &m, &error) != 0) {
                answer(q, parley_code_text(PARLEY_BAD_REQUEST), "the request cannot be read");
                return;
        }
        q->files = (Parley__V1__ReleaseFilesRequest *)m;
        if (!well_formed(q->files))
                answer(q, parley_code_text(PARLEY_BAD_REQUEST), "file_ids must be at most 100 UUIDs");
        else if (!r->env->buckets_there)
                answer(q, parley_code_text(PARLEY_UNAVAILABLE), "the service is starting");
        else
                next(q);
}

void releases_connected(struct releases *r)
{
        int e = r->sub ? 0 : bus_subscribe(r->env->bus, RPC_UPLOAD_RELEASE, "upload", on_request, r, &r->sub);

        if (e != 0)
                log_error("cannot answer requests over NATS", LOG_S("subject", RPC_UPLOAD_RELEASE), LOG_I("error", e));
}

void releases_stop(struct releases *r)
{
        bus_unsubscribe(r->sub);
        r->sub = NULL;
}

int releases_new(struct releases **ret_releases, struct env *env)
{
        struct releases *r = calloc(1, sizeof(*r));

        if (!r)
                return -ENOMEM;
        r->env = env;
        *ret_releases = r;
        return 0;
}

void releases_free(struct releases *r)
{
        free(r);
}
