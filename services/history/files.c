#include "history/files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/ident.h"
#include "history/heads.h"
#include "history/pg.h"
#include "wire/wire.h"

/* WAIT_MS: for ingest; CHANNELS_MAX: that are told of one file */
enum { WAIT_MS = 2000, CHANNELS_MAX = 50 };

/* $2: with the attachments, as any one message has them. Those that none carries are told where they wait for their release. */
static const struct pg_stmt stmt_carried = {
        "files_carried",
        "SELECT w.id, array_to_string(ARRAY(SELECT DISTINCT f.channel_id FROM message_files f WHERE f.file_id = w.id "
        "LIMIT $3::bigint), ','), CASE WHEN $2::boolean THEN (SELECT m.attachments FROM message_files f JOIN messages m "
        "USING (channel_id, seq) WHERE f.file_id = w.id LIMIT 1) END, w.carried FROM (SELECT id, EXISTS (SELECT FROM message_files f "
        "WHERE f.file_id = id) AS carried FROM unnest($1::text[]) AS id) AS w "
        "WHERE w.carried OR EXISTS (SELECT FROM file_releases r WHERE r.file_id = w.id)"};
static const struct pg_stmt stmt_page = {"files_page",
                                         "SELECT DISTINCT file_id, ''::text, NULL::bytea, true FROM message_files "
                                         "WHERE file_id > $1::text ORDER BY file_id LIMIT $2::bigint"};

struct asking {
        struct env *env;
        struct pg_array ids;
        bool whole; /* with the attachments */
        char after_id[UUID_LEN + 1];
        uint32_t limit;
        bool caught_up;
        files_handler handler;
        void *userdata;
};

const char *files_wrong(const Parley__V1__FilesRequest *rq)
{
        if (rq->n_file_ids > (rq->with_attachments ? FILES_WHOLE_MAX : FILES_IDS_MAX))
                return "file_ids must be at most 500, with_attachments 100";
        for (size_t i = 0; i < rq->n_file_ids; i++)
                if (!uuid_valid(rq->file_ids[i]))
                        return "file_ids must be UUIDs";
        if (rq->n_file_ids && rq->limit)
                return "either file_ids or limit is to be set";
        if (rq->limit > FILES_IDS_MAX || (*rq->after_id && !uuid_valid(rq->after_id)))
                return "limit must be at most 500, and after_id a UUID";
        return NULL;
}

static void asking_free(struct asking *a)
{
        pg_array_done(&a->ids);
        free(a);
}

static void over(struct asking *a, int error, const Parley__V1__FilesResponse *response)
{
        struct env *env = a->env;

        a->handler(error, response, a->userdata);
        asking_free(a);
        env_end(env);
}

/* --- rows --- */

struct row {
        Parley__V1__CarriedFile file;
        Parley__V1__Message *attachments; /* a Message that has nothing but these; NULL: not asked for */
        char *channels, *channel_ids[CHANNELS_MAX];
};

static void rows_free(struct row *rows, unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                if (rows[i].attachments)
                        protobuf_c_message_free_unpacked(&rows[i].attachments->base, NULL);
                free(rows[i].channels);
        }
        free(rows);
}

static int read_attachment(struct row *w, const uint8_t *bytes, size_t n)
{
        struct wire_error error;
        ProtobufCMessage *m;

        if (wire_proto_decode(&parley__v1__message__descriptor, bytes, n, &wire_limits_internal, &m, &error) != 0)
                return -EBADMSG;
        w->attachments = (Parley__V1__Message *)m;
        for (size_t i = 0; i < w->attachments->n_attachments; i++)
                if (strcasecmp(w->attachments->attachments[i]->id, w->file.file_id) == 0)
                        w->file.attachment = w->attachments->attachments[i];
        return 0;
}

static int read_row(struct row *w, const struct pg_results *r, unsigned i)
{
        char *rest, *id;

        parley__v1__carried_file__init(&w->file);
        w->file.file_id = (char *)pg_text(r, 0, i, 0);
        w->file.channel_ids = w->channel_ids;
        w->channels = strdup(pg_text(r, 0, i, 1));
        if (!w->channels)
                return -ENOMEM;
        rest = w->channels;
        while (*w->channels && w->file.n_channel_ids < CHANNELS_MAX && (id = strsep(&rest, ",")))
                w->channel_ids[w->file.n_channel_ids++] = id;
        if (!pg_null(r, 0, i, 2)) {
                size_t n;
                const uint8_t *bytes = pg_bytes(r, 0, i, 2, &n);

                return read_attachment(w, bytes, n);
        }
        return 0;
}

static void tell(struct asking *a, const struct pg_results *r)
{
        Parley__V1__FilesResponse response = PARLEY__V1__FILES_RESPONSE__INIT;
        unsigned n = pg_rows(r, 0);
        struct row *rows = calloc(n ? n : 1, sizeof(*rows));
        Parley__V1__CarriedFile **files = calloc(n ? n : 1, sizeof(Parley__V1__CarriedFile *));
        char **releasing = calloc(n ? n : 1, sizeof(char *));
        int error = rows && files && releasing ? 0 : -ENOMEM;

        for (unsigned i = 0; error == 0 && i < n; i++) {
                if (!pg_bool(r, 0, i, 3)) {
                        releasing[response.n_releasing++] = (char *)pg_text(r, 0, i, 0);
                        continue;
                }
                error = read_row(&rows[i], r, i);
                files[response.n_files++] = &rows[i].file;
        }
        response.files = files;
        response.releasing = releasing;
        response.caught_up = a->caught_up;
        response.more = a->limit && n == a->limit;
        over(a, error, error ? NULL : &response);
        if (rows)
                rows_free(rows, n);
        free(files);
        free(releasing);
}

/* --- asking --- */

static void on_found(int error, const struct pg_results *r, void *userdata)
{
        struct asking *a = userdata;

        if (error)
                over(a, error, NULL);
        else
                tell(a, r);
}

static void on_ingested(int error, bool ingested, void *userdata)
{
        struct asking *a = userdata;
        struct pg_job *job = error ? NULL : pg_job_new(PG_READ);

        if (!job) {
                over(a, error ? error : -ENOMEM, NULL);
                return;
        }
        a->caught_up = ingested;
        if (a->limit) {
                pg_job_add(job, &stmt_page);
                pg_arg_text(job, a->after_id);
                pg_arg_i64(job, a->limit);
        } else {
                pg_job_add(job, &stmt_carried);
                pg_arg_array(job, &a->ids);
                pg_arg_bool(job, a->whole);
                pg_arg_i64(job, CHANNELS_MAX);
        }
        pg_run(a->env->pg, job, 0, on_found, a);
}

int files_run(struct env *env, const Parley__V1__FilesRequest *rq, files_handler handler, void *userdata)
{
        struct asking *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return -ENOMEM;
        *a = (struct asking){.env = env,
                             .whole = rq->with_attachments,
                             .limit = rq->limit,
                             .handler = handler,
                             .userdata = userdata};
        memcpy(a->after_id, rq->after_id, strlen(rq->after_id) + 1);
        pg_array_init(&a->ids, PG_TEXT, SIZE_MAX);
        for (size_t i = 0; i < rq->n_file_ids; i++)
                pg_array_text(&a->ids, rq->file_ids[i]);
        r = heads_wait_ingested(env, WAIT_MS, on_ingested, a);
        if (r == 0)
                env_begin(env);
        else
                asking_free(a);
        return r;
}
