/* The phases, in this order: what is later judged by what was seen before.
 *
 *   files     the records of the bucket FILES; scans that nobody answered are asked for again
 *   users     their quotas, against the sum of their files
 *   objects   published objects, against the records
 *   messages  the files that messages carry, against the records
 *   judge     records without an object, or without a message
 *   pending   what is left of bodies whose upload is over
 *
 * What seems to be missing is asked for by itself before it counts. Nothing of a file is ever removed here: its record may be what was lost. What is
 * removed is bodies whose upload is over, which nobody has ever seen. */
#include "upload/reconcile_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/ticker.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "upload/carried.h"
#include "upload/hold_core.h"
#include "upload/objects.h"
#include "upload/reconcile_mend.h"
#include "upload/records.h"
#include "upload/store.h"
#include "wire/wire.h"

/* JUDGED: files a page. REST: after a page of so many ms nine times as many without work. CHECKING_MS: a scanner has had its time. */
enum { BATCH = 100, LINGER_MS = 50, JUDGED = 1000, REST = 9, REST_MAX_MS = 10000, CHECKING_MS = 3600 * 1000 };

#define FILE_SUBJECT "$KV." BUCKET_FILES "." KEY_FILES_FILE
#define USER_SUBJECT "$KV." BUCKET_FILES "." KEY_FILES_USER
enum phase { FILES, USERS, OBJECTS, MESSAGES, JUDGE, PENDING, OVER };

struct reconcile_run {
        struct env *env;
        struct reconcile_terms terms;
        struct findings *findings;
        struct mend mend;
        struct ticker *ticker; /* runs while nothing is under way */
        struct bus_reader *reader;
        enum phase phase;
        bool last;           /* this page is the last one of its phase */
        bool messages_known; /* all of them were seen */
        bool stopping;
        uint64_t page_ms, now_ms; /* when the page began, of the loop; when all began, unix */
        char cursor[STORE_CURSOR_MAX + 1];
        size_t judged;
        char (*names)[STORE_NAME_MAX + 1]; /* of this page: what seems to be missing, and is asked for */
        size_t n_names, names_room, at;
        struct store_object body; /* that is dropped */
        struct objects objects;   /* of the file that is asked for */
        Parley__V1__StoredFile *file;
        char incomplete[160];
};

/* --- the end --- */

static void run_free(struct reconcile_run *run)
{
        findings_free(run->findings);
        ticker_free(run->ticker);
        free(run->names);
        free(run);
}

static void finish(struct reconcile_run *run)
{
        struct env *env = run->env;

        run->phase = OVER;
        ticker_stop(run->ticker);
        bus_reader_free(run->reader);
        run->reader = NULL;
        if (run->mend.n_running)
                return; /* comes here again */
        run->terms.done(run->findings, run->incomplete, run->terms.userdata);
        run_free(run);
        env_end(env);
}

static void on_mended(void *userdata)
{
        struct reconcile_run *run = userdata;

        if (run->phase == OVER)
                finish(run);
}

static void lacks(struct reconcile_run *run, const char *what, int error)
{
        if (!*run->incomplete)
                (void)snprintf(run->incomplete, sizeof(run->incomplete), "%s (error %d)", what, error);
}

static void give_up(struct reconcile_run *run, const char *what, int error)
{
        lacks(run, what, error);
        finish(run);
}

/* --- pages --- */

static void page_over(struct reconcile_run *run)
{
        uint64_t ms = (env_now_ms(run->env) - run->page_ms) * REST;

        run->n_names = run->at = 0;
        if (run->last) {
                bus_reader_free(run->reader);
                run->reader = NULL;
                run->last = false;
                run->cursor[0] = '\0';
                if (run->phase == FILES)
                        findings_sort(run->findings);
                run->phase++;
        }
        if (run->stopping || run->phase == OVER)
                finish(run);
        else
                ticker_start(run->ticker, ms > REST_MAX_MS ? REST_MAX_MS : ms, 0);
}

static void seems_missing(struct reconcile_run *run, const char *name)
{
        if (run->n_names == run->names_room) {
                size_t room = run->names_room ? run->names_room * 2 : 64;
                void *all = realloc(run->names, room * sizeof(*run->names));

                if (!all) {
                        lacks(run, "out of memory", -ENOMEM);
                        return;
                }
                run->names = all;
                run->names_room = room;
        }
        memcpy(run->names[run->n_names++], name, strlen(name) + 1);
}

static void ask_next(struct reconcile_run *run);

static void asked(struct reconcile_run *run, int error, const char *what)
{
        if (error) {
                give_up(run, what, error);
                return;
        }
        run->at++;
        ask_next(run);
}

/* --- one that seems to be missing --- */

/* Its name says which file it belongs to; only such names are asked for */
static void id_of(const struct reconcile_run *run, char ret[UUID_LEN + 1])
{
        unsigned flag;

        ret[0] = '\0';
        (void)findings_object_name(run->names[run->at], ret, &flag);
}

static void on_forgotten(int error, const struct store_result *r, void *userdata)
{
        struct reconcile_run *run = userdata;

        (void)r;
        if (error == 0)
                findings_mended(run->findings, FINDING_PENDING_WITHOUT_UPLOAD);
        asked(run, error, "the store cannot be asked");
}

/* The body alone: `forget` leaves what was published */
static void on_upload(int error, ProtobufCMessage *m, uint64_t revision, void *userdata)
{
        struct reconcile_run *run = userdata;
        char id[UUID_LEN + 1];
        int r = 0;

        (void)revision;
        if (m)
                protobuf_c_message_free_unpacked(m, NULL);
        if (error == BUS_E_NOT_FOUND) {
                id_of(run, id);
                findings_note(run->findings, FINDING_PENDING_WITHOUT_UPLOAD, id);
                run->body = (struct store_object){run->names[run->at], "", "", 1, 1, 1};
                r = run->env->store->ops->forget(run->env->store, &run->body, on_forgotten, run);
                if (r != 0)
                        asked(run, r, "the store cannot be asked");
        } else {
                asked(run, error, "NATS cannot be asked");
        }
}

static void on_object(int error, void *userdata)
{
        struct reconcile_run *run = userdata;
        const char *id = run->names[run->at];
        bool used = findings_flags(run->findings, id) & SEEN_MESSAGE;

        if (error == STORE_E_MISSING)
                findings_note(run->findings, used ? FINDING_MESSAGE_WITHOUT_OBJECT : FINDING_RECORD_WITHOUT_OBJECT, id);
        protobuf_c_message_free_unpacked(&run->file->base, NULL);
        run->file = NULL;
        asked(run, error == STORE_E_MISSING ? 0 : error, "the store cannot be asked");
}

static void on_record(int error, ProtobufCMessage *m, uint64_t revision, void *userdata)
{
        struct reconcile_run *run = userdata;
        char id[UUID_LEN + 1];

        (void)revision;
        id_of(run, id);
        run->file = (Parley__V1__StoredFile *)m;
        if (error == BUS_E_NOT_FOUND && run->phase != JUDGE)
                findings_note(run->findings,
                              run->phase == OBJECTS ? FINDING_OBJECT_WITHOUT_RECORD : FINDING_MESSAGE_WITHOUT_RECORD,
                              id);
        if (error == 0 && run->phase == JUDGE && run->file->attachment) {
                objects_of_file(run->file, &run->objects);
                objects_run(run->env, &run->objects, run->env->store->ops->read, on_object, run);
                return;
        }
        if (m)
                protobuf_c_message_free_unpacked(m, NULL);
        run->file = NULL;
        asked(run, error == BUS_E_NOT_FOUND ? 0 : error, "NATS cannot be asked");
}

static void ask_next(struct reconcile_run *run)
{
        char id[UUID_LEN + 1];
        int r;

        if (run->at == run->n_names || run->stopping) {
                page_over(run);
                return;
        }
        id_of(run, id);
        r = run->phase == PENDING ? record_get_upload(run->env, id, on_upload, run)
                                  : record_get_file(run->env, id, on_record, run);
        if (r != 0)
                give_up(run, "NATS cannot be asked", r);
}

/* --- records and quotas --- */

static uint64_t age_ms(const struct reconcile_run *run)
{
        return 2 * run->env->config->pending_ttl_s * 1000;
}

static void take_file(struct reconcile_run *run, const char *id, const struct bus_msg *msg,
                      const Parley__V1__StoredFile *f)
{
        uint64_t until = f->created_at_ms + age_ms(run);
        bool removing = f->state == PARLEY__V1__FILE_STATE__removing;
        struct objects o;
        unsigned flags = f->attachment->thumbnail ? HAS_THUMBNAIL : 0;
        int r;

        objects_of_file(f, &o);
        flags |= until < run->now_ms && !removing ? OLD : 0;
        until = hold_latest(f->descriptor_until_ms, until, run->env->config->descriptor_ttl_s);
        flags |= until < run->now_ms && !removing ? UNSENDABLE : 0;
        r = findings_add_file(run->findings, id, flags, f->user_id, objects_bytes(&o), !removing);
        if (r != 0)
                lacks(run, r > 0 ? "there are more files or users than are compared" : "not every record was read", r);
        if (f->state == PARLEY__V1__FILE_STATE__checking && f->created_at_ms + CHECKING_MS < run->now_ms) {
                findings_note(run->findings, FINDING_CHECKING_TOO_LONG, id);
                mend_tell_again(&run->mend, id, msg);
        }
        if (removing && f->created_at_ms + age_ms(run) < run->now_ms) {
                findings_note(run->findings, FINDING_REMOVING_TOO_LONG, id);
                mend_remove(&run->mend, id);
        }
}

static void take_user(struct reconcile_run *run, const char *user_id, const struct bus_msg *msg,
                      Parley__V1__UserFiles *value)
{
        uint64_t bytes, files;

        if (msg->seq >= run->terms.since_revision || *run->incomplete ||
            findings_user_right(run->findings, user_id, value, &bytes, &files))
                return;
        findings_note(run->findings, FINDING_QUOTA_DIFFERS, user_id);
        value->bytes = bytes;
        value->files = files;
        mend_quota(&run->mend, user_id, value, msg->seq);
}

static void on_entry(const struct bus_msg *msg, void *userdata)
{
        struct reconcile_run *run = userdata;
        const ProtobufCMessageDescriptor *type = run->phase == FILES ? &parley__v1__stored_file__descriptor
                                                                     : &parley__v1__user_files__descriptor;
        struct wire_error error;
        ProtobufCMessage *m;
        const char *key = msg->subject + strlen(run->phase == FILES ? FILE_SUBJECT : USER_SUBJECT);

        run->last = msg->pending == 0;
        if (msg->deleted && run->phase == FILES)
                mend_mark(&run->mend, key, msg->seq, run->now_ms);
        if (msg->deleted)
                return;
        if (wire_proto_decode(type, msg->data, msg->len, &wire_limits_internal, &m, &error) != 0) {
                lacks(run, "an entry of the bucket FILES cannot be read", -EBADMSG);
                return;
        }
        if (run->phase == USERS)
                take_user(run, key, msg, (Parley__V1__UserFiles *)m);
        else if (((Parley__V1__StoredFile *)m)->attachment)
                take_file(run, key, msg, (const Parley__V1__StoredFile *)m);
        protobuf_c_message_free_unpacked(m, NULL);
}

static void on_batch(int error, unsigned n, void *userdata)
{
        struct reconcile_run *run = userdata;

        run->last = run->last || n == 0;
        if (error)
                give_up(run, "NATS cannot be asked", error);
        else
                page_over(run);
}

static void read_bucket(struct reconcile_run *run)
{
        const struct bus_reader_options options = {.stream = "KV_" BUCKET_FILES,
                                                   .filter = run->phase == FILES ? FILE_SUBJECT ">" : USER_SUBJECT ">",
                                                   .batch = BATCH,
                                                   .linger_ms = LINGER_MS,
                                                   .last_per_subject = true,
                                                   .handler = on_entry,
                                                   .batch_end = on_batch,
                                                   .userdata = run};
        int r = 0;

        if (run->reader)
                bus_reader_next(run->reader);
        else
                r = bus_reader_new(&run->reader, run->env->bus, &options);
        if (r != 0) {
                run->reader = NULL;
                give_up(run, "NATS cannot be asked", r);
        }
}

/* --- the store --- */

static void take_object(struct reconcile_run *run, const struct store_entry *e)
{
        uint64_t age = run->phase == OBJECTS ? age_ms(run) : age_ms(run) + run->env->config->url_ttl_s * 1000;
        bool old = (uint64_t)e->modified_s * 1000 + age < run->now_ms;
        char id[UUID_LEN + 1];
        unsigned flag;

        if (!findings_object_name(e->name, id, &flag))
                return;
        if (run->phase == PENDING ? old : !findings_see(run->findings, id, flag) && old)
                seems_missing(run, e->name);
}

static void on_list(int error, const struct store_result *r, void *userdata)
{
        struct reconcile_run *run = userdata;

        if (error) {
                give_up(run, "the store cannot be asked", error);
                return;
        }
        for (size_t i = 0; i < r->n_entries; i++)
                take_object(run, &r->entries[i]);
        run->last = !*r->next;
        (void)snprintf(run->cursor, sizeof(run->cursor), "%s", r->next);
        ask_next(run);
}

static void read_store(struct reconcile_run *run)
{
        struct store *s = run->env->store;
        int r = s->ops->list(s, run->phase == OBJECTS, run->cursor, on_list, run);

        if (r != 0)
                give_up(run, "the store cannot be asked", r);
}

/* --- messages --- */

/* Without history the rest can be compared all the same */
static void no_messages(struct reconcile_run *run, int error)
{
        lacks(run, "history cannot say which files messages carry", error);
        run->last = true;
        page_over(run);
}

static void on_carried(int error, const Parley__V1__FilesResponse *r, void *userdata)
{
        struct reconcile_run *run = userdata;

        if (error) {
                no_messages(run, error);
                return;
        }
        for (size_t i = 0; i < r->n_files; i++) {
                const char *id = r->files[i]->file_id;

                if (uuid_valid(id) && !findings_see(run->findings, id, SEEN_MESSAGE))
                        seems_missing(run, id);
        }
        run->last = !r->more || r->n_files == 0;
        run->messages_known = run->last;
        if (r->n_files)
                (void)snprintf(run->cursor, sizeof(run->cursor), "%s", r->files[r->n_files - 1]->file_id);
        ask_next(run);
}

static void read_messages(struct reconcile_run *run)
{
        Parley__V1__FilesRequest rq = PARLEY__V1__FILES_REQUEST__INIT;
        int r;

        rq.after_id = run->cursor;
        rq.limit = CARRIED_IDS_MAX;
        r = carried_ask(run->env, &rq, on_carried, run);
        if (r != 0)
                no_messages(run, r);
}

/* --- judging --- */

static void judge(struct reconcile_run *run)
{
        size_t end = run->judged + JUDGED, n = findings_files(run->findings);
        char id[UUID_LEN + 1];

        run->last = end >= n;
        for (; run->judged < (run->last ? n : end); run->judged++) {
                unsigned flags = findings_file(run->findings, run->judged, id),
                         there = SEEN_OBJECT | (flags & HAS_THUMBNAIL ? SEEN_THUMBNAIL : 0);

                if (flags & OLD && (flags & there) != there)
                        seems_missing(run, id);
                if (flags & UNSENDABLE && !(flags & SEEN_MESSAGE) && run->messages_known)
                        findings_note(run->findings, FINDING_RECORD_WITHOUT_MESSAGE, id);
        }
        ask_next(run);
}

/* --- life --- */

static void step(void *userdata)
{
        static void (*const phases[])(struct reconcile_run * run) = {
                [FILES] = read_bucket,      [USERS] = read_bucket, [OBJECTS] = read_store,
                [MESSAGES] = read_messages, [JUDGE] = judge,       [PENDING] = read_store};
        struct reconcile_run *run = userdata;

        run->page_ms = env_now_ms(run->env);
        phases[run->phase](run);
}

int reconcile_run_start(struct reconcile_run **ret_run, struct env *env, const struct reconcile_terms *terms)
{
        struct reconcile_run *run = calloc(1, sizeof(*run));

        if (!run)
                return -ENOMEM;
        run->env = env;
        run->terms = *terms;
        run->now_ms = env_wall_ms();
        run->findings = findings_new();
        run->mend = (struct mend){.env = env, .findings = run->findings, .idle = on_mended, .userdata = run};
        run->ticker = ticker_new(env->loop, step, run);
        if (!run->findings || !run->ticker) {
                run_free(run);
                return -ENOMEM;
        }
        mend_remember(&run->mend, terms->before);
        env_begin(env);
        ticker_start(run->ticker, 0, 0);
        *ret_run = run;
        return 0;
}

void reconcile_run_stop(struct reconcile_run *run, const char *why)
{
        lacks(run, why, 0);
        run->stopping = true;
        if (run->phase != OVER && (ticker_active(run->ticker) || run->phase == FILES || run->phase == USERS))
                finish(run);
}
