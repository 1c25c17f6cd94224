#include "upload/carried.h"

#include <errno.h>
#include <stdlib.h>

#include "bus/bus.h"
#include "bus/subjects.h"
#include "wire/wire.h"

/* TIMEOUT_MS: history waits for its ingest for 2 s */
enum { TIMEOUT_MS = 10000, REQUEST_MAX = 64 << 10 };

struct asking {
        struct env *env;
        carried_handler handler;
        void *userdata;
};

static void on_answer(int error, const struct bus_msg *msg, void *userdata)
{
        struct asking *a = userdata;
        struct wire_error wire_error;
        ProtobufCMessage *m = NULL;
        const Parley__V1__FilesResponse *r;

        if (error == 0 && wire_proto_decode(&parley__v1__files_response__descriptor, msg->data, msg->len,
                                            &wire_limits_internal, &m, &wire_error) != 0)
                error = -EBADMSG;
        r = (const Parley__V1__FilesResponse *)m;
        if (r && (r->error || !r->caught_up))
                error = -EAGAIN;
        a->handler(error, error ? NULL : r, a->userdata);
        if (m)
                protobuf_c_message_free_unpacked(m, NULL);
        env_end(a->env);
        free(a);
}

int carried_ask(struct env *env, const Parley__V1__FilesRequest *rq, carried_handler handler, void *userdata)
{
        struct asking *a = malloc(sizeof(*a));
        struct buf bytes = BUF_INIT(REQUEST_MAX);
        int r = a ? wire_proto_encode(&rq->base, &bytes) : -ENOMEM;

        if (r == 0) {
                *a = (struct asking){env, handler, userdata};
                r = bus_request(env->bus, RPC_HISTORY_FILES, bytes.data, bytes.len, TIMEOUT_MS, NULL, on_answer, a);
        }
        buf_done(&bytes);
        if (r == 0)
                env_begin(env);
        else
                free(a);
        return r;
}
