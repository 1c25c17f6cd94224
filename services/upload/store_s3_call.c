/* Requests to S3, signed anew for each try. What is refused as overloaded or broken is tried again, with longer and longer pauses, until the time
 * of the request is over. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ident.h"
#include "base/log.h"
#include "upload/store_s3.h"

enum { PAUSE_MS = 50, PAUSE_MAX_MS = 2000, BODY_MAX = 4 << 20, HEADERS_MAX = 32 << 10 };

/* --- operations --- */

struct s3_op *op_new(struct store_s3 *s, const struct store_object *o, store_handler handler, void *userdata)
{
        struct s3_op *op = calloc(1, sizeof(*op));

        if (!op)
                return NULL;
        if (o && (strlen(o->name) > STORE_NAME_MAX || strlen(o->store_id) > STORE_ID_MAX ||
                  strlen(o->content_type) > PLAN_TYPE_MAX)) {
                free(op);
                return NULL;
        }
        op->store = s;
        op->handler = handler;
        op->userdata = userdata;
        op->source = BUF_INIT(S3_URL_MAX);
        op->body = BUF_INIT(BODY_MAX);
        op->url = BUF_INIT(S3_URL_MAX);
        op->headers = BUF_INIT(HEADERS_MAX);
        if (o) {
                op->object = *o;
                memcpy(op->name, o->name, strlen(o->name) + 1);
                memcpy(op->store_id, o->store_id, strlen(o->store_id) + 1);
                memcpy(op->content_type, o->content_type, strlen(o->content_type) + 1);
                op->object.name = op->name;
                op->object.store_id = op->store_id;
                op->object.content_type = op->content_type;
        }
        op->result.next = "";
        env_begin(s->env);
        return op;
}

void op_end(struct s3_op *op, int error)
{
        struct env *env = op->store->env;

        if (error == S3_E_EXISTS)
                error = STORE_E_UNAVAILABLE; /* where nobody expects it */
        if (op->sealing)
                HASH_DEL(op->store->sealing, op);
        if (op->handler)
                op->handler(error, error ? NULL : &op->result, op->userdata);
        s3_answer_done(&op->answer);
        buf_done(&op->source);
        buf_done(&op->body);
        buf_done(&op->url);
        buf_done(&op->headers);
        buf_done(&op->x.answer);
        free(op);
        env_end(env);
}

void op_request(struct s3_op *op, const char *method, const char *key)
{
        op->rq = (struct s3_request){.method = method, .key = key};
        op->body.len = 0;
        op->patient = op->once = op->probe = false;
        op->max_head = 0;
        op->restart = NULL;
        op->x.piece = NULL;
}

void op_query(struct s3_op *op, const char *name, const char *value)
{
        op->rq.query[op->rq.n_query++] = (struct sigv4_pair){name, value};
}

void op_header(struct s3_op *op, const char *name, const char *value)
{
        op->rq.headers[op->rq.n_headers++] = (struct sigv4_pair){name, value};
}

/* --- in a while --- */

struct wait {
        uv_timer_t timer;
        struct s3_op *op;
        void (*then)(struct s3_op *op);
};

static void on_wait_closed(uv_handle_t *handle)
{
        free(handle->data);
}

static void on_wait(uv_timer_t *timer)
{
        struct wait *w = timer->data;

        uv_close((uv_handle_t *)timer, on_wait_closed);
        w->then(w->op);
}

static int wait_ms(struct s3_op *op, uint64_t ms, void (*then)(struct s3_op *op))
{
        struct wait *w = calloc(1, sizeof(*w));

        if (!w)
                return -ENOMEM;
        w->op = op;
        w->then = then;
        w->timer.data = w;
        (void)uv_timer_init(op->store->env->loop, &w->timer);
        return uv_timer_start(&w->timer, on_wait, ms, 0);
}

static void end_well(struct s3_op *op)
{
        op_end(op, 0);
}

int op_end_later(struct s3_op *op)
{
        int r = wait_ms(op, 0, end_well);

        if (r < 0) {
                op->handler = NULL; /* the caller is told by what is returned */
                op_end(op, r);
        }
        return r;
}

/* --- one request --- */

static void try_once(struct s3_op *op);

static void note(struct store_s3 *s, bool there, const struct s3_op *op)
{
        if (there)
                s->heard_ms = env_now_ms(s->env);
        if (s->known && there == s->there)
                return;
        s->known = true;
        s->there = there;
        if (there)
                log_info("S3 answers");
        else
                log_warn("S3 cannot be used", LOG_S("endpoint", s->env->config->s3.endpoint), LOG_S("why", op->x.text),
                         LOG_U("status", op->x.status), LOG_S("code", op->answer.code));
}

static bool overloaded(const struct s3_op *op)
{
        static const char *const codes[] = {"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout"};

        /* 409: another request for the same key was under way */
        if (op->x.status == 429 || op->x.status == 409 || op->x.status >= 500)
                return true;
        for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
                if (strcmp(op->answer.code, codes[i]) == 0)
                        return true;
        return false;
}

/* Whether nothing can have been done */
static bool surely_not_done(const struct s3_op *op, int error)
{
        return error == -ECONNREFUSED || op->x.status == 429 || op->x.status == 503 || op->x.status == 409;
}

static bool again(struct s3_op *op, int error)
{
        const struct s3_config *c = &op->store->env->config->s3;
        uint64_t pause = PAUSE_MS, now = env_now_ms(op->store->env);
        uint8_t random;

        if (op->tries >= c->tries || error == -EMSGSIZE || (op->once && !surely_not_done(op, error)))
                return false;
        for (unsigned i = 1; i < op->tries && pause < PAUSE_MAX_MS; i++)
                pause *= 3;
        random_bytes(&random, 1);
        pause += pause * random / 512; /* up to half as much again: not all at the same time */
        return now + pause < op->x.deadline_ms && wait_ms(op, pause, try_once) == 0;
}

/* The error document, also under 200, where S3 found out late; HEAD has none */
static int read_answer(struct s3_op *op)
{
        int r;

        *op->answer.root = *op->answer.code = '\0';
        if (op->max_head || op->x.answer.len == 0)
                return 0;
        r = s3_answer_read(&op->answer, op->x.answer.data, op->x.answer.len);
        if (r == -EBADMSG && op->x.status / 100 != 2) {
                *op->answer.code = '\0'; /* a proxy's page: the status says enough */
                return 0;
        }
        return r;
}

static void refused(const struct s3_op *op)
{
        log_warn("S3 refuses a request", LOG_S("method", op->rq.method), LOG_S("key", op->rq.key),
                 LOG_U("status", op->x.status), LOG_S("code", op->answer.code), LOG_S("message", op->answer.message));
}

static int verdict(struct s3_op *op)
{
        unsigned status = op->x.status;

        if (status / 100 == 2 && strcmp(op->answer.root, "Error") != 0)
                return 0;
        if (status == 404 && strcmp(op->answer.code, "NoSuchBucket") != 0)
                return STORE_E_MISSING;
        if (status == 412)
                return S3_E_EXISTS;
        /* Of joining: a part went missing, or was sent again, since they were listed */
        if (strcmp(op->answer.code, "InvalidPart") == 0 || strcmp(op->answer.code, "InvalidPartOrder") == 0)
                return STORE_E_MISSING;
        refused(op);
        return STORE_E_UNAVAILABLE;
}

static void on_done(struct s3_exchange *x, int error)
{
        struct s3_op *op = (struct s3_op *)((char *)x - offsetof(struct s3_op, x));
        int r = error ? error : read_answer(op);

        if (r == -ENOMEM) {
                op->then(op, r);
        } else if (r < 0 || overloaded(op)) {
                if (again(op, r))
                        return;
                if (r == -EBADMSG)
                        op->x.text = "the answer is no XML, or larger than any";
                if (r < 0 || op->x.status != 409)
                        note(op->store, false, op);
                refused(op);
                op->then(op, r == 0 && op->x.status == 409 ? STORE_E_BUSY : STORE_E_UNAVAILABLE);
        } else {
                r = verdict(op);
                if (r != STORE_E_UNAVAILABLE || op->probe) /* one object that is refused says nothing of the others */
                        note(op->store, r != STORE_E_UNAVAILABLE, op);
                op->then(op, r);
        }
}

/* In the next turn: handlers are never called from where an operation begins */
static void fail(struct s3_op *op)
{
        op->then(op, op->failure);
}

static void try_once(struct s3_op *op)
{
        struct store_s3 *s = op->store;
        int r;

        op->tries++;
        op->url.len = op->headers.len = 0;
        r = op->restart ? op->restart(op) : 0;
        if (r == 0)
                r = s3_sign(&s->site, &op->rq, op->body.data, op->body.len, env_wall_s(), &op->url, &op->headers);
        if (r == 0) {
                op->x.method = op->rq.method;
                op->x.url = (const char *)op->url.data;
                op->x.headers = &op->headers;
                op->x.body = op->body.data;
                op->x.n_body = op->body.len;
                op->x.cut = op->max_head > 0;
                op->x.answer.max = op->max_head ? op->max_head : S3_ANSWER_MAX;
                op->x.done = on_done;
                r = s3_http_start(s->http, &op->x);
        }
        if (r == 0)
                return;
        op->failure = r == -EAGAIN ? STORE_E_UNAVAILABLE : r < 0 ? r : -EINVAL;
        if (wait_ms(op, 0, fail) < 0)
                fail(op);
}

void op_send(struct s3_op *op, void (*then)(struct s3_op *op, int error))
{
        const struct s3_config *c = &op->store->env->config->s3;

        op->then = then;
        op->tries = 0;
        op->x.deadline_ms = env_now_ms(op->store->env) + (op->patient ? c->complete_timeout_ms : c->timeout_ms);
        try_once(op);
}
