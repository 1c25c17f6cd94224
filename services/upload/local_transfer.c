/* Bodies on their way into the local store. A body goes through two buffers: one is filled while the other is hashed and written on the
 * pool; when both are full the client waits. Each has one of the places of shares.h, by what its address says; who is cut off hears why. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ident.h"
#include "base/log.h"
#include "base/text.h"
#include "upload/local_store.h"
#include "upload/local_url.h"
#include "upload/upload_metrics.h"

/* FLUSH_BYTES: the disk is given so much at a time; a multiple of LOCAL_BUFFER */
enum { FLUSH_BYTES = 1 << 20, OWNER_RETRY_MS = 1000, LATE_MS = 3000 };

enum step { STEP_OPEN, STEP_WRITE, STEP_END };

struct local_transfer {
        struct local_store *store;
        struct http_request *rq; /* NULL: the client is gone, or was answered */
        struct share place;
        char key[LOCAL_NAME_MAX + 12]; /* "<name>/<part>" */
        char name[LOCAL_NAME_MAX + 1], sha256[MAC_HEX_LEN + 1];
        uint32_t part;
        uint64_t size, offset, written;
        int fd;
        struct mac_hash *hash;
        uint8_t digest[MAC_LEN];
        size_t n[2]; /* bytes in each buffer */
        unsigned fill;
        bool running, ended, listed, superseded, finished;
        enum step step;
        int error, work_error; /* the second one is the pool's while something runs */
        uv_work_t work;
        UT_hash_handle hh;
        uint8_t buffers[2][LOCAL_BUFFER];
};

static void unlist(struct local_transfer *t)
{
        if (t->listed)
                HASH_DEL(t->store->transfers, t);
        t->listed = false;
}

/* Once nothing needs it: neither a request nor the pool */
static void release(struct local_transfer *t)
{
        struct env *env = t->store->env;

        if (t->rq || t->running)
                return;
        unlist(t);
        shares_leave(&t->store->bodies, &t->place);
        t->store->n_transfers--;
        metric_set(&metric_transfers, t->store->n_transfers);
        if (t->fd >= 0)
                (void)close(t->fd);
        mac_hash_free(t->hash);
        free(t);
        env_end(env);
}

/* --- on the pool --- */

static int end_body(struct local_transfer *t)
{
        uint8_t want[MAC_LEN];
        int r = mac_hash_end(t->hash, t->digest);

        if (r < 0)
                return r;
        if (*t->sha256 && (mac_unhex(t->sha256, want) < 0 || !mac_equal(want, t->digest)))
                return -EBADMSG;
        return local_body_end(&t->store->dir, t->name, t->part, t->fd, t->size, t->digest);
}

static void work_run(uv_work_t *work)
{
        struct local_transfer *t = (struct local_transfer *)((char *)work - offsetof(struct local_transfer, work));
        unsigned full = !t->fill;

        if (t->step == STEP_OPEN) {
                t->work_error = local_body_open(&t->store->dir, t->name, t->part, &t->fd);
        } else if (t->step == STEP_WRITE) {
                t->work_error = mac_hash_update(t->hash, t->buffers[full], t->n[full]);
                if (t->work_error == 0)
                        t->work_error = local_body_write(t->fd, t->buffers[full], t->n[full], t->offset + t->written);
                t->written += t->n[full];
                if (t->work_error == 0 && t->written % FLUSH_BYTES == 0)
                        local_body_flush(t->fd, t->offset + t->written - FLUSH_BYTES, FLUSH_BYTES);
        } else {
                t->work_error = end_body(t);
        }
}

/* --- on the loop --- */

static void answer(struct local_transfer *t)
{
        struct http_request *rq = t->rq;
        char tag[MAC_HEX_LEN + 3];

        unlist(t);
        t->rq = NULL;
        http_set_context(rq, NULL, NULL);
        if (t->superseded) {
                http_problem(rq, PARLEY_CONFLICT, 0,
                             "another request for the same part came later, or the upload ended");
        } else if (t->error == -EBADMSG) {
                http_problem(rq, PARLEY_BAD_REQUEST, 0, "the body's SHA-256 is not the one that was announced");
        } else if (t->error == -ENOENT) {
                http_problem(rq, PARLEY_NOT_FOUND, 0, "there is no such upload any more");
        } else if (t->error == -EEXIST) {
                http_problem(rq, PARLEY_CONFLICT, 0, "the upload is complete: it cannot be changed");
        } else if (t->error) {
                log_error("a body could not be stored", LOG_S("upload", t->name), LOG_I("error", t->error),
                          LOG_S("trace_id", http_trace_id(rq)));
                http_problem(rq, PARLEY_UNAVAILABLE, LOCAL_RETRY_MS, "the store takes nothing now; try again");
        } else {
                (void)snprintf(tag, sizeof(tag), "\"");
                mac_hex(t->digest, tag + 1);
                (void)snprintf(tag + 1 + MAC_HEX_LEN, 2, "\"");
                http_set_header(rq, "ETag", tag);
                http_respond(rq, 200, "application/json", "", 0);
        }
}

static void work_done(uv_work_t *work, int status);

static void work_start(struct local_transfer *t, enum step step)
{
        int r;

        t->step = step;
        t->running = true;
        r = uv_queue_work(t->store->env->loop, &t->work, work_run, work_done);
        if (r < 0) { /* only where the request is malformed: there is no other reason */
                t->running = false;
                t->error = r;
        }
}

/* What is to be done next, when nothing is running */
static void step(struct local_transfer *t)
{
        if (t->running)
                return;
        if (!t->error && !t->superseded && !t->finished) {
                if (t->n[t->fill] == LOCAL_BUFFER || (t->ended && t->n[t->fill])) {
                        t->fill = !t->fill;
                        work_start(t, STEP_WRITE);
                } else if (t->ended) {
                        t->finished = true;
                        work_start(t, STEP_END);
                }
        }
        if (t->running)
                return;
        if (t->ended && t->rq)
                answer(t);
        release(t);
}

static void work_done(uv_work_t *work, int status)
{
        struct local_transfer *t = (struct local_transfer *)((char *)work - offsetof(struct local_transfer, work));
        struct http_request *rq = t->ended ? NULL : t->rq; /* whose body is still coming */

        t->running = false;
        if (!t->error)
                t->error = status < 0 ? status : t->work_error;
        if (t->step == STEP_WRITE) {
                metric_add(&metric_received, (double)t->n[!t->fill]);
                t->n[!t->fill] = 0;
        }
        if (t->superseded)
                unlist(t);
        if (!t->rq && !t->ended) { /* nobody sends the rest */
                release(t);
                return;
        }
        step(t);
        if (rq)
                http_resume(rq);
}

static void on_gone(void *context)
{
        struct local_transfer *t = context;

        t->rq = NULL;
        release(t);
}

/* Ends it before all of it has come; t may be gone after that. What is on the pool ends by itself; the place is free now. One that has come is
 * answered when the pool is done. */
static void cut(struct local_transfer *t, enum cut_reason why)
{
        static const struct {
                unsigned status;
                enum parley_code code;
                uint32_t retry_ms;
                const char *text;
        } as[] = {
                [CUT_SLOW] = {408, PARLEY_BAD_REQUEST, LOCAL_RETRY_MS, "the body comes too slowly"},
                [CUT_OTHERS] = {503, PARLEY_UNAVAILABLE, OWNER_RETRY_MS,
                                "all places are taken, and you hold most of them: this one was given to somebody else"},
                [CUT_SUPERSEDED] = {409, PARLEY_CONFLICT, 0,
                                    "another request for the same part came later, or the upload ended"},
        };
        struct http_request *rq = t->rq;

        if (!rq || t->ended || !http_abandon(rq, as[why].status, as[why].code, as[why].retry_ms, as[why].text))
                return;
        metric_add(&metric_cut[why], 1);
        shares_leave(&t->store->bodies, &t->place);
        t->superseded = true; /* nothing more is written */
        t->rq = NULL;
        http_set_context(rq, NULL, NULL);
        release(t);
}

static void supersede(struct local_transfer *t)
{
        t->superseded = true;
        if (!t->running)
                unlist(t);
        cut(t, CUT_SUPERSEDED);
}

bool local_transfers_stop(struct local_store *s, const char *name)
{
        struct local_transfer *t, *tmp;
        bool stopped = true;

        HASH_ITER (hh, s->transfers, t, tmp) {
                if (strcmp(t->name, name) != 0)
                        continue;
                if (t->running)
                        stopped = false;
                supersede(t);
        }
        return stopped;
}

void local_transfers_look(struct local_store *s)
{
        const struct upload_config *c = s->env->config;
        uint64_t now_ms = env_now_ms(s->env);
        bool late = now_ms - s->looked_ms > LATE_MS; /* nothing was read meanwhile: the process stood still */
        struct local_transfer *t, *tmp;

        s->looked_ms = now_ms;
        HASH_ITER (hh, s->transfers, t, tmp) {
                if (late || t->running)
                        share_waited(&t->place, now_ms); /* for us, or for the disk */
                else if (share_slow(&t->place, c->min_rate, c->min_rate_window_s * 1000, now_ms))
                        cut(t, CUT_SLOW);
        }
}

/* --- the request --- */

bool local_query_u64(const struct http_request *rq, const char *name, uint64_t max, uint64_t *ret)
{
        const char *text = http_query(rq, name);

        return text && text_parse_u64(text, 0, max, ret) == 0;
}

bool local_name_valid(const char *name)
{
        return name && strlen(name) <= LOCAL_NAME_MAX && strspn(name, "0123456789abcdef-") == strlen(name) &&
               strlen(name) >= UUID_LEN;
}

bool local_owner_valid(const char *owner)
{
        return owner && strlen(owner) == LOCAL_URL_OWNER_LEN &&
               strspn(owner, "0123456789abcdef") == LOCAL_URL_OWNER_LEN;
}

/* What the address says, once its signature holds; answers otherwise */
static bool read_address(struct http_request *rq, struct local_store *s, struct local_put *ret)
{
        const char *part = http_param(rq, "part"), *sha256 = http_query(rq, "sha256");
        struct local_put put = {.name = http_param(rq, "name"),
                                .sha256 = sha256 ? sha256 : "",
                                .content_type = http_query(rq, "type"),
                                .owner = http_query(rq, "owner")};
        const char *type = http_header(rq, "Content-Type");
        uint64_t number, expires;

        if (!local_name_valid(put.name) || text_parse_u64(part, 1, PLAN_PARTS_MAX, &number) < 0 || !put.content_type ||
            !local_owner_valid(put.owner) || !local_query_u64(rq, "size", PLAN_SIZE_MAX, &put.size) ||
            !local_query_u64(rq, "offset", PLAN_SIZE_MAX, &put.offset) ||
            !local_query_u64(rq, "expires", INT64_MAX, &expires) || strlen(put.sha256) > MAC_HEX_LEN) {
                http_problem(rq, PARLEY_BAD_REQUEST, 0, "this is no address that the service has given");
                return false;
        }
        put.part = (uint32_t)number;
        put.expires_at_s = (int64_t)expires;
        if (!local_url_put_valid(s->env->config->secret, &put, http_query(rq, "signature"), env_wall_s())) {
                http_problem(rq, PARLEY_FORBIDDEN, 0, "the address is not signed like this, or its time is over");
                return false;
        }
        if (*put.content_type && (!type || strcmp(type, put.content_type) != 0)) {
                http_problem(rq, PARLEY_FORBIDDEN, 0, "the address is signed for a Content-Type of %s",
                             put.content_type);
                return false;
        }
        *ret = put;
        return true;
}

/* Nobody else at the same part: whoever comes later wins, as the earlier one may be a connection that is long dead. */
static bool alone(struct http_request *rq, struct local_store *s, const char *name, const char *key)
{
        struct local_transfer *other;
        bool busy;

        if (local_store_held(s, name)) {
                http_problem(rq, PARLEY_UNAVAILABLE, LOCAL_RETRY_MS,
                             "the upload is being completed or removed; try again");
                return false;
        }
        HASH_FIND_STR(s->transfers, key, other);
        if (!other)
                return true;
        busy = other->running;
        supersede(other);
        if (busy)
                http_problem(rq, PARLEY_UNAVAILABLE, LOCAL_RETRY_MS,
                             "an earlier request for this part is being ended; try again");
        return !busy;
}

/* A place, if need be another's. Twice as many buffers as places: those that were cut off have theirs until the disk has what is in them. */
static bool admit(struct http_request *rq, struct local_store *s, const char *owner)
{
        struct share *victim = NULL;
        int r = shares_find(&s->bodies, owner, env_now_ms(s->env), &victim);

        if (r == OWNERS_E_OWNER) {
                http_problem(rq, PARLEY_RATE_LIMITED, OWNER_RETRY_MS,
                             "%u bodies of yours are on their way: let one of them end first",
                             s->bodies.owners.max_owner);
                return false;
        }
        if (r == OWNERS_E_FULL || s->n_transfers >= 2 * s->bodies.owners.max) {
                http_problem(rq, PARLEY_UNAVAILABLE, LOCAL_RETRY_MS, "too many bodies are being taken in; try again");
                return false;
        }
        if (victim)
                cut((struct local_transfer *)((char *)victim - offsetof(struct local_transfer, place)), CUT_OTHERS);
        return true;
}

static struct local_transfer *transfer_new(struct local_store *s, const struct local_put *put, const char *key)
{
        struct local_transfer *t = malloc(sizeof(*t));

        if (!t)
                return NULL;
        memset(t, 0, offsetof(struct local_transfer, buffers));
        if (mac_hash_new(&t->hash) < 0) {
                free(t);
                return NULL;
        }
        if (shares_take(&s->bodies, &t->place, put->owner, 0, env_now_ms(s->env)) < 0) {
                mac_hash_free(t->hash);
                free(t);
                return NULL;
        }
        t->store = s;
        t->fd = -1;
        t->part = put->part;
        t->size = put->size;
        t->offset = put->offset;
        memcpy(t->name, put->name, strlen(put->name) + 1);
        memcpy(t->sha256, put->sha256, strlen(put->sha256) + 1);
        memcpy(t->key, key, strlen(key) + 1);
        return t;
}

void local_put_begin(struct http_request *rq, struct local_store *s)
{
        char key[sizeof(((struct local_transfer *)0)->key)];
        struct local_transfer *t;
        struct local_put put;
        uint64_t n;

        if (!read_address(rq, s, &put))
                return;
        if (!http_content_length(rq, &n) || n != put.size) {
                http_problem(rq, PARLEY_BAD_REQUEST, 0,
                             "the body must have exactly %llu bytes, and say so in Content-Length",
                             (unsigned long long)put.size);
                return;
        }
        (void)snprintf(key, sizeof(key), "%s/%u", put.name, put.part);
        if (!alone(rq, s, put.name, key) || !admit(rq, s, put.owner))
                return;
        t = transfer_new(s, &put, key);
        if (!t) {
                http_problem(rq, PARLEY_UNAVAILABLE, LOCAL_RETRY_MS, "out of memory");
                return;
        }
        env_begin(s->env);
        s->n_transfers++;
        metric_set(&metric_transfers, s->n_transfers);
        HASH_ADD_STR(s->transfers, key, t);
        t->listed = true;
        t->rq = rq;
        http_set_context(rq, t, on_gone);
        work_start(t, STEP_OPEN);
}

size_t local_put_piece(struct http_request *rq, const uint8_t *data, size_t n)
{
        struct local_transfer *t = http_context(rq);
        size_t taken = 0;

        if (t->error || t->superseded)
                return n; /* read to its end, so that it can be told why */
        while (taken < n) {
                size_t room = LOCAL_BUFFER - t->n[t->fill];
                size_t now = n - taken < room ? n - taken : room;

                if (now == 0)
                        break; /* both are full */
                memcpy(t->buffers[t->fill] + t->n[t->fill], data + taken, now);
                t->n[t->fill] += now;
                t->place.moved += now;
                taken += now;
                if (!t->running)
                        step(t);
                if (t->error)
                        return n;
        }
        return taken;
}

void local_put(struct http_request *rq, struct local_store *s)
{
        struct local_transfer *t = http_context(rq);

        (void)s;
        t->ended = t->place.whole = true;
        step(t);
}
