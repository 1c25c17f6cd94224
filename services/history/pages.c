#include "history/pages.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/subjects.h"
#include "history/pg.h"

/* Of a page of messages, roughly: clients that ask and do not read make answers pile up. */
enum { MESSAGES_MAX_BYTES = 1 << 20 };

/* Each span is scanned by the key with a limit of its own: an absence costs nothing, however long it was. The cursor of the stream is
 * read by the same statement, so that it is of the same moment. */
#define SPANS "unnest($2::bigint[], $3::bigint[]) AS v(lo, hi)"

static const struct pg_stmt stmt_events = {
        "pages_events",
        "SELECT s.last_seq, s.epoch, x.* FROM (SELECT last_seq, epoch FROM streams WHERE name = $7::text) s LEFT JOIN LATERAL ("
        "SELECT y.* FROM " SPANS " CROSS JOIN LATERAL ("
        "SELECT " EVENT_COLUMNS " FROM " EVENT_TABLES
        " WHERE e.channel_id = $1::text AND e.seq >= GREATEST(v.lo, $4::bigint) "
        "AND e.seq <= LEAST(v.hi, $5::bigint) ORDER BY e.seq LIMIT $6::bigint) y ORDER BY y.seq LIMIT $6::bigint) x ON true ORDER BY x.seq"};
static const struct pg_stmt stmt_messages = {
        "pages_messages",
        "SELECT s.last_seq, s.epoch, x.* FROM (SELECT last_seq, epoch FROM streams WHERE name = $8::text) s LEFT JOIN LATERAL ("
        "(SELECT false AS up, d.* FROM " SPANS " CROSS JOIN LATERAL ("
        "SELECT " MESSAGE_COLUMNS
        " FROM messages m WHERE m.channel_id = $1::text AND m.seq >= v.lo AND m.seq <= LEAST(v.hi, $4::bigint) "
        "ORDER BY m.seq DESC LIMIT $5::bigint) d ORDER BY d.seq DESC LIMIT $5::bigint) UNION ALL "
        "(SELECT true, u.* FROM " SPANS " CROSS JOIN LATERAL ("
        "SELECT " MESSAGE_COLUMNS
        " FROM messages m WHERE m.channel_id = $1::text AND m.seq >= GREATEST(v.lo, $6::bigint) AND m.seq <= v.hi "
        "ORDER BY m.seq LIMIT $7::bigint) u ORDER BY u.seq LIMIT $7::bigint)) x ON true ORDER BY x.seq"};
static const struct pg_stmt stmt_cursor = {
        "pages_cursor", "SELECT e.seq FROM events e JOIN messages m ON m.channel_id = e.channel_id AND m.seq = e.seq "
                        "WHERE e.channel_id = $1::text AND e.id = $2::text ORDER BY e.seq LIMIT 1"};

void pages_stream_of(const struct env *env, const char *channel_id, char *ret)
{
        subject_chat_stream(ret, subject_shard(channel_id, (uint32_t)env->config->shards));
}

static int64_t to_i64(uint64_t v)
{
        return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static void add_spans(struct pg_job *job, const struct visibility *v)
{
        struct pg_array lo, hi;

        pg_array_init(&lo, PG_INT8, SIZE_MAX);
        pg_array_init(&hi, PG_INT8, SIZE_MAX);
        for (unsigned i = 0; i < v->n; i++) {
                pg_array_i64(&lo, to_i64(v->spans[i].from));
                pg_array_i64(&hi, to_i64(v->spans[i].to));
        }
        pg_arg_array(job, &lo);
        pg_arg_array(job, &hi);
        pg_array_done(&lo);
        pg_array_done(&hi);
}

/* --- events --- */

struct events_read {
        uint64_t after, through;
        uint32_t limit;
        size_t max_bytes;
        events_handler handler;
        void *userdata;
};

/* As many as fit, at least one */
static uint32_t fitting(const struct event_rows *rows, size_t max_bytes)
{
        size_t bytes = 0;

        for (size_t i = 0; i < rows->n; i++) {
                bytes += protobuf_c_message_get_packed_size(&rows->events[i]->base) + 16;
                if (i && bytes > max_bytes)
                        return (uint32_t)i;
        }
        return (uint32_t)rows->n;
}

static void on_events(int error, const struct pg_results *r, void *userdata)
{
        struct events_read *q = userdata;
        struct events_page page = {0};
        struct event_rows rows = {0};
        uint64_t cursor;

        if (!error)
                error = event_rows_read(r, 0, 0, pg_rows(r, 0), 2, &rows);
        if (!error) {
                uint32_t fit = fitting(&rows, q->max_bytes);

                cursor = pg_rows(r, 0) ? (uint64_t)pg_i64(r, 0, 0, 0) : 0;
                page.epoch = pg_rows(r, 0) ? (uint64_t)pg_i64(r, 0, 0, 1) : 0;
                page.events = rows.events;
                page.n = fit;
                page.through = page_events_through(q->after, fit, fit < rows.n ? fit : q->limit,
                                                   fit ? rows.events[fit - 1]->seq : 0, cursor, q->through, &page.more);
        }
        q->handler(error, error ? NULL : &page, q->userdata);
        event_rows_done(&rows);
        free(q);
}

int pages_events(struct env *env, const struct events_query *query, events_handler handler, void *userdata)
{
        struct events_read *q = calloc(1, sizeof(*q));
        struct pg_job *job = pg_job_new(PG_READ);
        char stream[SUBJECT_MAX];

        if (!q || !job) {
                free(q);
                pg_job_free(job);
                return -ENOMEM;
        }
        *q = (struct events_read){.after = query->after,
                                  .through = query->through,
                                  .limit = query->limit,
                                  .max_bytes = query->max_bytes,
                                  .handler = handler,
                                  .userdata = userdata};
        pages_stream_of(env, query->channel_id, stream);
        pg_job_add(job, &stmt_events);
        pg_arg_text(job, query->channel_id);
        add_spans(job, query->visibility);
        pg_arg_i64(job, to_i64(query->after < PAGE_SEQ_MAX ? query->after + 1 : PAGE_SEQ_MAX));
        pg_arg_i64(job, query->through ? to_i64(query->through) : INT64_MAX);
        pg_arg_i64(job, query->limit);
        pg_arg_text(job, stream);
        pg_run(env->pg, job, 0, on_events, q);
        return 0;
}

/* --- messages --- */

struct messages_read {
        struct env *env;
        char channel_id[IDENT_MAX + 1];
        struct page_query query;
        struct page_plan plan;
        struct visibility visibility;
        messages_handler handler;
        void *userdata;
};

static void messages_fail(struct messages_read *q, int error)
{
        q->handler(error, NULL, q->userdata);
        free(q);
}

/* Control characters are written with six bytes in JSON. */
static size_t message_size(const Parley__V1__Message *m)
{
        size_t n = protobuf_c_message_get_packed_size(&m->base) + 256; /* names of the members */

        for (const unsigned char *p = (const unsigned char *)m->content; *p; p++)
                n += *p < 0x20 ? 5 : 0;
        return n;
}

static int fit(const struct messages_read *q, uint32_t n_down, const struct message_rows *rows, struct page_cut *cut)
{
        size_t *sizes = calloc(rows->n + 1, sizeof(*sizes));

        if (!sizes)
                return -ENOMEM;
        for (size_t i = 0; i < rows->n; i++)
                sizes[i] = message_size(rows->messages[i]);
        page_fit(&q->plan, sizes, MESSAGES_MAX_BYTES, n_down, cut);
        free(sizes);
        return 0;
}

static void on_messages(int error, const struct pg_results *r, void *userdata)
{
        struct messages_read *q = userdata;
        struct messages_page page = {0};
        struct message_rows rows = {0};
        struct page_cut cut;
        uint32_t n_down = 0, n_up = 0, first;

        if (error) {
                messages_fail(q, error);
                return;
        }
        for (unsigned i = 0; i < pg_rows(r, 0); i++)
                if (!pg_null(r, 0, i, 2))
                        *(pg_bool(r, 0, i, 2) ? &n_up : &n_down) += 1;
        page_cut(&q->plan, n_down, n_up, &cut);
        if (pg_rows(r, 0)) {
                page.complete_through = (uint64_t)pg_i64(r, 0, 0, 0);
                page.epoch = (uint64_t)pg_i64(r, 0, 0, 1);
        }
        first = cut.first;
        error = message_rows_read(r, 0, cut.first, cut.n, 3, &rows);
        if (!error && rows.n)
                error = fit(q, n_down, &rows, &cut);
        page.has_before = cut.has_before;
        page.has_after = cut.has_after;
        page.messages = rows.messages ? rows.messages + (cut.first - first) : NULL;
        page.n = rows.n ? cut.n : 0;
        q->handler(error, error ? NULL : &page, q->userdata);
        message_rows_done(&rows);
        free(q);
}

static void read_page(struct messages_read *q, uint64_t seq)
{
        struct pg_job *job = pg_job_new(PG_READ);
        char stream[SUBJECT_MAX];

        if (!job) {
                messages_fail(q, -ENOMEM);
                return;
        }
        page_plan(&q->query, seq, &q->plan);
        pages_stream_of(q->env, q->channel_id, stream);
        pg_job_add(job, &stmt_messages);
        pg_arg_text(job, q->channel_id);
        add_spans(job, &q->visibility);
        pg_arg_i64(job, to_i64(q->plan.down_from));
        pg_arg_i64(job, q->plan.down_n);
        pg_arg_i64(job, to_i64(q->plan.up_from));
        pg_arg_i64(job, q->plan.up_n);
        pg_arg_text(job, stream);
        pg_run(q->env->pg, job, 0, on_messages, q);
}

static void on_cursor(int error, const struct pg_results *r, void *userdata)
{
        struct messages_read *q = userdata;
        uint64_t seq;

        if (error || pg_rows(r, 0) == 0) {
                messages_fail(q, error ? error : PAGES_E_NO_CURSOR);
                return;
        }
        seq = (uint64_t)pg_i64(r, 0, 0, 0);
        /* the id of what one may not see is as unknown as any other */
        if (!visibility_sees(&q->visibility, seq))
                messages_fail(q, PAGES_E_NO_CURSOR);
        else
                read_page(q, seq);
}

int pages_messages(struct env *env, const char *channel_id, const struct page_query *query,
                   const struct visibility *visibility, messages_handler handler, void *userdata)
{
        struct messages_read *q = calloc(1, sizeof(*q));
        struct pg_job *job;

        if (!q)
                return -ENOMEM;
        *q = (struct messages_read){
                .env = env, .query = *query, .visibility = *visibility, .handler = handler, .userdata = userdata};
        (void)snprintf(q->channel_id, sizeof(q->channel_id), "%s", channel_id);
        if (!query->by_id) {
                read_page(q, query->seq);
                return 0;
        }
        job = pg_job_new(PG_READ);
        if (!job) {
                free(q);
                return -ENOMEM;
        }
        pg_job_add(job, &stmt_cursor);
        pg_arg_text(job, channel_id);
        pg_arg_text(job, query->id);
        pg_run(env->pg, job, 0, on_cursor, q);
        return 0;
}
