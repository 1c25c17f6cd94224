/* Files on their way out of the local store. Each has one of the places of shares.h until the last byte was taken, by what its address says. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "upload/local_store.h"
#include "upload/local_url.h"
#include "upload/range.h"
#include "upload/upload_metrics.h"

enum { OWNER_RETRY_MS = 1000 };

/* Released with its request */
struct reading {
        uv_work_t work;
        struct local_store *store;
        struct http_request *rq;
        struct share place;
        char name[LOCAL_NAME_MAX + 1];
        int error, fd;
        uint64_t size;
};

static struct reading *of_place(struct share *p)
{
        return (struct reading *)((char *)p - offsetof(struct reading, place));
}

static void on_gone(void *context)
{
        struct reading *g = context;

        shares_leave(&g->store->reads, &g->place);
        metric_set(&metric_reads, g->store->reads.owners.n);
        free(g);
}

/* The request ends in the next turn; the place is free now */
static void cut(struct reading *g)
{
        metric_add(&metric_reads_cut, 1);
        shares_leave(&g->store->reads, &g->place);
        http_cut(g->rq);
}

void local_reads_look(struct local_store *s)
{
        uint64_t now_ms = env_now_ms(s->env);

        for (struct share *p = s->reads.all; p; p = p->next) {
                uint64_t moved = http_taken(of_place(p)->rq);

                if (moved > p->moved)
                        p->moved = moved;
                /* whoever pauses a film may: only who has moved least of late is to be known */
                (void)share_slow(p, 0, s->env->config->min_rate_window_s * 1000, now_ms);
        }
}

static bool admit(struct http_request *rq, struct local_store *s, const char *owner)
{
        struct share *victim = NULL;
        int r = shares_find(&s->reads, owner, env_now_ms(s->env), &victim);

        if (r == OWNERS_E_OWNER)
                http_problem(rq, PARLEY_RATE_LIMITED, OWNER_RETRY_MS,
                             "%u files are on their way to you: let one of them end first", s->reads.owners.max_owner);
        else if (r == OWNERS_E_FULL)
                http_problem(rq, PARLEY_UNAVAILABLE, LOCAL_RETRY_MS, "too many files are being read; try again");
        else if (victim)
                cut(of_place(victim));
        return r == 0;
}

static void read_open(uv_work_t *work)
{
        struct reading *g = (struct reading *)((char *)work - offsetof(struct reading, work));

        g->error = local_file_open(&g->store->dir, g->name, &g->fd, &g->size);
}

static void send_file(struct http_request *rq, const struct reading *g)
{
        uint64_t first = 0, n = g->size;
        enum range_result range = range_parse(http_header(rq, "Range"), g->size, &first, &n);
        char text[96];

        if (range == RANGE_OUTSIDE) {
                (void)close(g->fd);
                (void)snprintf(text, sizeof(text), "bytes */%llu", (unsigned long long)g->size);
                http_set_header(rq, "Content-Range", text);
                http_respond(rq, 416, "text/plain", "", 0);
                return;
        }
        if (range == RANGE_PART) {
                (void)snprintf(text, sizeof(text), "bytes %llu-%llu/%llu", (unsigned long long)first,
                               (unsigned long long)(first + n - 1), (unsigned long long)g->size);
                http_set_header(rq, "Content-Range", text);
        }
        (void)snprintf(text, sizeof(text), "\"%s\"", g->name); /* what an id stands for never changes */
        http_set_header(rq, "ETag", text);
        http_set_header(rq, "Accept-Ranges", "bytes");
        http_set_header(rq, "Cache-Control", "private, no-store");
        http_set_header(rq, "Content-Security-Policy", "default-src 'none'; sandbox");
        http_set_header(rq, "Content-Disposition", http_query(rq, "disposition"));
        http_respond_file(rq, range == RANGE_PART ? 206 : 200, http_query(rq, "type"), g->fd, first, n);
}

/* With the answer g may be gone */
static void read_opened(uv_work_t *work, int status)
{
        struct reading *g = (struct reading *)((char *)work - offsetof(struct reading, work));
        struct env *env = g->store->env;

        if (status == 0 && g->error == 0)
                send_file(g->rq, g);
        else if (g->error == -ENOENT)
                http_problem(g->rq, PARLEY_NOT_FOUND, 0, "there is no such file any more");
        else
                http_problem(g->rq, PARLEY_UNAVAILABLE, LOCAL_RETRY_MS, "the file cannot be read now; try again");
        env_end(env);
}

/* What the address says, once its signature holds; answers otherwise */
static bool read_address(struct http_request *rq, const struct local_store *s, struct local_get *ret)
{
        struct local_get get = {.name = http_param(rq, "name"),
                                .content_type = http_query(rq, "type"),
                                .disposition = http_query(rq, "disposition"),
                                .owner = http_query(rq, "owner")};
        uint64_t expires;

        if (!local_name_valid(get.name) || !get.content_type || !get.disposition || !local_owner_valid(get.owner) ||
            !local_query_u64(rq, "expires", INT64_MAX, &expires)) {
                http_problem(rq, PARLEY_BAD_REQUEST, 0, "this is no address that the service has given");
                return false;
        }
        get.expires_at_s = (int64_t)expires;
        if (!local_url_get_valid(s->env->config->secret, &get, http_query(rq, "signature"), env_wall_s())) {
                http_problem(rq, PARLEY_FORBIDDEN, 0, "the address is not signed like this, or its time is over");
                return false;
        }
        *ret = get;
        return true;
}

void local_get(struct http_request *rq, struct local_store *s)
{
        struct local_get get;
        struct reading *g;

        if (!read_address(rq, s, &get) || !admit(rq, s, get.owner))
                return;
        g = calloc(1, sizeof(*g));
        if (!g || shares_take(&s->reads, &g->place, get.owner, http_taken(rq), env_now_ms(s->env)) < 0) {
                free(g);
                http_problem(rq, PARLEY_UNAVAILABLE, LOCAL_RETRY_MS, "out of memory");
                return;
        }
        metric_set(&metric_reads, s->reads.owners.n);
        g->store = s;
        g->rq = rq;
        memcpy(g->name, get.name, strlen(get.name) + 1);
        http_set_context(rq, g, on_gone);
        if (uv_queue_work(s->env->loop, &g->work, read_open, read_opened) < 0) {
                http_problem(rq, PARLEY_UNAVAILABLE, LOCAL_RETRY_MS, "the file cannot be read now; try again");
                return;
        }
        env_begin(s->env);
}
