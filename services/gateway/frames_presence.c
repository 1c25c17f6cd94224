#include <stdlib.h>

#include "bus/subjects.h"
#include "gateway/frames.h"
#include "gateway/here.h"
#include "gateway/user.h"
#include "parley/v1/presence.pb-c.h"

void frame_idle(struct session *s, const Parley__V1__ClientFrame *frame)
{
        if (s->idle != frame->idle->idle) {
                s->idle = frame->idle->idle;
                here_touch(s->user);
        }
        frame_done(s, frame->ref);
}

/* A status that waits for presence to have it written */
struct setting {
        struct core *core;
        uint64_t session;
        uint32_t ref;
};

static void on_answer(int error, const struct bus_msg *msg, void *userdata)
{
        struct setting *w = userdata;
        struct session *s = handle_get(&w->core->handles, w->session);
        uint32_t ref = w->ref;
        Parley__V1__StatusAnswer *answer = error ? NULL : parley__v1__status_answer__unpack(NULL, msg->len, msg->data);

        free(w);
        if (s && !answer)
                session_error(s, ref, PARLEY_UNAVAILABLE, 1000, "presence cannot be reached now; try again");
        else if (s && answer->error)
                session_error(s, ref, parley_code_parse(answer->error->code), answer->retry_ms, "%s",
                              answer->error->message);
        else if (s)
                frame_done(s, ref);
        parley__v1__status_answer__free_unpacked(answer, NULL);
}

void frame_status(struct session *s, const Parley__V1__ClientFrame *frame)
{
        struct core *core = s->core;
        Parley__V1__StatusRequest request = PARLEY__V1__STATUS_REQUEST__INIT;
        struct setting *w = malloc(sizeof(*w));
        size_t n;

        request.user_id = s->user->id;
        request.status = frame->status;
        n = parley__v1__status_request__get_packed_size(&request);
        buf_reset(&core->scratch, 65536);
        if (!w || buf_reserve(&core->scratch, n)) {
                free(w);
                session_error(s, frame->ref, PARLEY_INTERNAL, 1000, "no memory");
                return;
        }
        parley__v1__status_request__pack(&request, core->scratch.data);
        *w = (struct setting){.core = core, .session = s->handle, .ref = frame->ref};
        up_request(&core->up, RPC_PRESENCE_STATUS, core->scratch.data, n, on_answer, w);
}
