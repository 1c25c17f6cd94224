/* Reading what there is, a page at a time. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bus/bus.h"
#include "bus/subjects.h"
#include "upload/carried.h"
#include "upload/hold_core.h"
#include "upload/reconcile_phases.h"
#include "wire/wire.h"

/* CHECKING_MS: a scanner has had its time */
enum { BATCH = 100, LINGER_MS = 50, CHECKING_MS = 3600 * 1000 };

#define FILE_SUBJECT "$KV." BUCKET_FILES "." KEY_FILES_FILE
#define USER_SUBJECT "$KV." BUCKET_FILES "." KEY_FILES_USER

/* --- records and quotas --- */

static uint64_t age_ms(const struct reconcile_run *run)
{
        return 2 * run->env->config->pending_ttl_s * 1000;
}

static void take_file(struct reconcile_run *run, const char *id, const struct bus_msg *msg,
                      const Parley__V1__StoredFile *f)
{
        uint64_t until = f->created_at_ms + age_ms(run);
        bool removing = f->state == PARLEY__V1__FILE_STATE__removing,
             gone = f->state == PARLEY__V1__FILE_STATE__deleted;
        const uint64_t unsent_s = run->env->config->unsent_ttl_s;
        struct objects o;
        unsigned flags = f->attachment->thumbnail ? HAS_THUMBNAIL : 0;
        int r;

        objects_of_file(f, &o);
        flags |= gone ? DELETED : until < run->now_ms && !removing ? OLD : 0;
        until = hold_latest(f->descriptor_until_ms, until, run->env->config->descriptor_ttl_s);
        flags |= until < run->now_ms && !removing ? UNSENDABLE : 0;
        flags |= flags & UNSENDABLE && unsent_s && until + unsent_s * 1000 < run->now_ms ? UNSENT_LONG : 0;
        flags |= f->n_channel_ids > 1 ? IN_CHANNELS : 0;
        flags |= f->sent && !f->released_at_ms && !removing && !gone ? SENT : 0;
        r = findings_add_file(run->findings, id, flags, f->user_id, objects_bytes(&o), !removing);
        if (r != 0)
                run_lacks(run, r > 0 ? "there are more files or users than are compared" : "not every record was read",
                          r);
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
                mend_mark(&run->mend, key, msg->seq, run->terms.pending_ttl_s, run->now_ms);
        if (msg->deleted)
                return;
        if (wire_proto_decode(type, msg->data, msg->len, &wire_limits_internal, &m, &error) != 0) {
                run_lacks(run, "an entry of the bucket FILES cannot be read", -EBADMSG);
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
                run_give_up(run, "NATS cannot be asked", error);
        else
                run_page_over(run);
}

void run_read_bucket(struct reconcile_run *run)
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
                run_give_up(run, "NATS cannot be asked", r);
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
                run_seems_missing(run, e->name);
}

static void on_list(int error, const struct store_result *r, void *userdata)
{
        struct reconcile_run *run = userdata;

        if (error) {
                run_give_up(run, "the store cannot be asked", error);
                return;
        }
        for (size_t i = 0; i < r->n_entries; i++)
                take_object(run, &r->entries[i]);
        run->last = !*r->next;
        (void)snprintf(run->cursor, sizeof(run->cursor), "%s", r->next);
        run_ask_next(run);
}

void run_read_store(struct reconcile_run *run)
{
        struct store *s = run->env->store;
        int r = s->ops->list(s, run->phase == OBJECTS, run->cursor, on_list, run);

        if (r != 0)
                run_give_up(run, "the store cannot be asked", r);
}

/* --- messages --- */

/* Without history the rest can be compared all the same */
static void no_messages(struct reconcile_run *run, int error)
{
        run_lacks(run, "history cannot say which files messages carry", error);
        run->last = true;
        run_page_over(run);
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
                        run_seems_missing(run, id);
        }
        run->last = !r->more || r->n_files == 0;
        run->messages_known = run->last;
        if (r->n_files)
                (void)snprintf(run->cursor, sizeof(run->cursor), "%s", r->files[r->n_files - 1]->file_id);
        run_ask_next(run);
}

void run_read_messages(struct reconcile_run *run)
{
        Parley__V1__FilesRequest rq = PARLEY__V1__FILES_REQUEST__INIT;
        int r;

        rq.after_id = run->cursor;
        rq.limit = CARRIED_IDS_MAX;
        r = carried_ask(run->env, &rq, on_carried, run);
        if (r != 0)
                no_messages(run, r);
}
