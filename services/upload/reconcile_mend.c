#include "upload/reconcile_mend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bus/subjects.h"
#include "upload/carried.h"
#include "upload/hold_core.h"
#include "upload/marks_core.h"
#include "upload/records.h"
#include "upload/removal.h"
#include "wire/wire.h"

enum { VALUE_MAX = 512 << 10 }; /* of quota.c */

static void ended(struct mend *m)
{
        if (--m->n_running == 0)
                m->idle(m->userdata);
}

static void over(struct mend *m, enum finding kind, int error)
{
        if (error)
                log_warn("what is apart could not be mended", LOG_S("what", finding_text(kind)), LOG_I("error", error));
        else
                findings_mended(m->findings, kind);
        ended(m);
}

static void on_told(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        (void)ack;
        (void)text;
        over(userdata, FINDING_CHECKING_TOO_LONG, error);
}

void mend_tell_again(struct mend *m, const char *id, const struct bus_msg *entry)
{
        m->n_running += bus_publish_stream(m->env->bus, SUBJECT_UPLOAD_COMPLETED, id, entry->data, entry->len, NULL,
                                           on_told, m) == 0;
}

static void on_quota(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        (void)ack;
        (void)text;
        over(userdata, FINDING_QUOTA_DIFFERS, error);
}

void mend_remember(struct mend *m, const Parley__V1__Reconciliation *before)
{
        for (size_t i = 0; before && i < before->n_findings; i++) {
                const Parley__V1__Reconciliation__Finding *f = before->findings[i];

                if (strcmp(f->what, finding_text(FINDING_QUOTA_DIFFERS)) != 0)
                        continue;
                for (size_t k = 0; k < f->n_ids && m->n_again < FINDINGS_IDS_MAX; k++)
                        (void)snprintf(m->again[m->n_again++], IDENT_MAX + 1, "%s", f->ids[k]);
        }
}

void mend_quota(struct mend *m, const char *user_id, const Parley__V1__UserFiles *value, uint64_t revision)
{
        struct buf b = BUF_INIT(VALUE_MAX);
        char key[IDENT_MAX + 8];
        unsigned i = 0;

        while (i < m->n_again && strcmp(m->again[i], user_id) != 0)
                i++;
        (void)snprintf(key, sizeof(key), KEY_FILES_USER "%s", user_id);
        if (i < m->n_again && wire_proto_encode(&value->base, &b) == 0)
                m->n_running += bus_kv_put(m->env->bus, BUCKET_FILES, key, b.len ? b.data : (const void *)"", b.len,
                                           revision, on_quota, m) == 0;
        buf_done(&b);
}

static void on_removed(int error, const char *what, void *userdata)
{
        (void)what;
        over(userdata, FINDING_REMOVING_TOO_LONG, error);
}

void mend_remove(struct mend *m, const char *id)
{
        m->n_running += removal_run(m->env, id, on_removed, m) == 0;
}

static void on_collected(int error, const char *what, uint64_t held_until_ms, void *userdata)
{
        struct mend *m = userdata;

        (void)what;
        if (held_until_ms)
                ended(m); /* a descriptor was given meanwhile */
        else
                over(m, FINDING_RECORD_WITHOUT_MESSAGE, error);
}

static void on_lost_collected(int error, const char *what, uint64_t held_until_ms, void *userdata)
{
        struct mend *m = userdata;

        (void)what;
        if (held_until_ms)
                ended(m);
        else
                over(m, FINDING_MESSAGE_LOST, error);
}

static void on_record_collected(int error, const char *what, uint64_t held_until_ms, void *userdata)
{
        (void)held_until_ms;
        if (error)
                log_warn("the record of a deleted file stays", LOG_S("what", what), LOG_I("error", error));
        ended(userdata);
}

void mend_collect(struct mend *m, const char *id, uint64_t checked_at_ms, enum collect what)
{
        static const release_handler handlers[] = {
                [COLLECT_UNSENT] = on_collected,
                [COLLECT_LOST] = on_lost_collected,
                [COLLECT_RECORD] = on_record_collected,
        };

        if (what == COLLECT_LOST)
                findings_note(m->findings, FINDING_MESSAGE_LOST, id);
        m->n_running += removal_collect(m->env, id, checked_at_ms, handlers[what], m) == 0;
}

/* --- what messages carry, from one comparison to the next --- */

struct sent {
        struct mend *mend;
        bool due;
        char id[UUID_LEN + 1];
};

static void sent_over(struct sent *s)
{
        ended(s->mend);
        free(s);
}

static void on_sent_put(int error, void *userdata)
{
        struct sent *s = userdata;

        if (error && error != BUS_E_CONFLICT) /* then the next comparison will do */
                log_warn("that a message carries a file could not be written down", LOG_S("file", s->id),
                         LOG_I("error", error));
        sent_over(s);
}

static bool there(const Parley__V1__StoredFile *f)
{
        return f && f->attachment && f->state != PARLEY__V1__FILE_STATE__removing &&
               f->state != PARLEY__V1__FILE_STATE__deleted;
}

static void on_carried(int error, ProtobufCMessage *message, uint64_t revision, void *userdata)
{
        struct sent *s = userdata;
        Parley__V1__StoredFile *f = (Parley__V1__StoredFile *)message;
        int r = error;

        if (there(f) && !f->sent) {
                f->sent = true;
                r = record_put_file(s->mend->env, f, revision, on_sent_put, s);
                if (r == 0)
                        s = NULL;
        }
        if (f)
                protobuf_c_message_free_unpacked(message, NULL);
        if (s)
                on_sent_put(r == BUS_E_NOT_FOUND ? 0 : r, s);
}

static void on_not_carried(int error, ProtobufCMessage *message, uint64_t revision, void *userdata)
{
        struct sent *s = userdata;
        const Parley__V1__StoredFile *f = (const Parley__V1__StoredFile *)message;

        (void)error;
        (void)revision;
        if (there(f) && f->sent && !f->released_at_ms) {
                findings_note(s->mend->findings, FINDING_MESSAGE_LOST, s->id);
                if (s->due)
                        findings_note(s->mend->findings, FINDING_NOT_COLLECTED, s->id);
        }
        if (message)
                protobuf_c_message_free_unpacked(message, NULL);
        sent_over(s);
}

static void sent_look(struct mend *m, const char *id, bool due, record_handler then)
{
        struct sent *s = malloc(sizeof(*s));

        if (!s)
                return; /* the next comparison will do */
        *s = (struct sent){.mend = m, .due = due};
        memcpy(s->id, id, UUID_LEN + 1);
        if (record_get_file(m->env, id, then, s) == 0)
                m->n_running++;
        else
                free(s);
}

void mend_sent(struct mend *m, const char *id)
{
        sent_look(m, id, false, on_carried);
}

void mend_lost(struct mend *m, const char *id, bool due)
{
        sent_look(m, id, due, on_not_carried);
}

/* --- channels that a file is in no more --- */

struct channels {
        struct mend *mend;
        uint64_t now_ms;
        char id[UUID_LEN + 1];
        unsigned n;
        char ids[CARRIED_CHANNELS_MAX][IDENT_MAX + 1]; /* that carry it */
};

static bool carries(const struct channels *c, const char *channel_id)
{
        for (unsigned i = 0; i < c->n; i++)
                if (strcmp(c->ids[i], channel_id) == 0)
                        return true;
        return false;
}

static void on_channels_put(int error, void *userdata)
{
        struct channels *c = userdata;

        if (error && error != BUS_E_CONFLICT) /* somebody changed it just now: the next comparison will do */
                log_warn("channels that a file is in no more could not be taken off", LOG_S("file", c->id),
                         LOG_I("error", error));
        ended(c->mend);
        free(c);
}

/* The ids that stay come first; true: others went */
static bool take_off(const struct channels *c, Parley__V1__StoredFile *f)
{
        size_t n = 0, n_users = 0;

        for (size_t i = 0; i < f->n_channel_ids; i++) {
                bool stays = carries(c, f->channel_ids[i]);

                if (i < f->n_channel_users && stays)
                        f->channel_users[n_users++] = f->channel_users[i];
                else if (i < f->n_channel_users)
                        free(f->channel_users[i]);
                if (stays)
                        f->channel_ids[n++] = f->channel_ids[i];
                else
                        free(f->channel_ids[i]);
        }
        if (n == f->n_channel_ids)
                return false;
        f->n_channel_ids = n;
        f->n_channel_users = n_users;
        return true;
}

static void on_shared(int error, ProtobufCMessage *message, uint64_t revision, void *userdata)
{
        struct channels *c = userdata;
        Parley__V1__StoredFile *f = (Parley__V1__StoredFile *)message;
        uint64_t ttl_s = c->mend->env->config->descriptor_ttl_s;
        int r = error;

        if (r == 0 && (hold_known(&f->descriptor_until_ms, env_wall_ms(), ttl_s) ||
                       (hold_end(f->descriptor_until_ms, ttl_s) < c->now_ms && take_off(c, f) && f->n_channel_ids))) {
                r = record_put_file(c->mend->env, f, revision, on_channels_put, c);
                if (r == 0)
                        c = NULL;
        }
        if (f)
                protobuf_c_message_free_unpacked(message, NULL);
        if (c)
                on_channels_put(r == BUS_E_NOT_FOUND ? 0 : r, c);
}

void mend_channels(struct mend *m, const Parley__V1__CarriedFile *carried, uint64_t now_ms)
{
        struct channels *c;

        if (carried->n_channel_ids == 0 || carried->n_channel_ids >= CARRIED_CHANNELS_MAX)
                return; /* there may be more of them than are told */
        c = calloc(1, sizeof(*c));
        if (!c)
                return;
        c->mend = m;
        c->now_ms = now_ms;
        (void)snprintf(c->id, sizeof(c->id), "%s", carried->file_id);
        for (size_t i = 0; i < carried->n_channel_ids; i++)
                (void)snprintf(c->ids[c->n++], IDENT_MAX + 1, "%s", carried->channel_ids[i]);
        if (record_get_file(m->env, c->id, on_shared, c) == 0)
                m->n_running++;
        else
                free(c);
}

/* --- marks of deletions --- */

struct mark {
        struct mend *mend;
        uint64_t revision;
        char id[UUID_LEN + 1];
};

static void on_purged(int error, const char *text, void *userdata)
{
        struct mark *k = userdata;

        if (error)
                log_warn("the mark of a deletion stays in its bucket", LOG_S("file", k->id), LOG_S("why", text));
        ended(k->mend);
        free(k);
}

/* While the upload has a record its end is still to come, and needs to know that there was a file */
static void on_upload(int error, ProtobufCMessage *upload, uint64_t revision, void *userdata)
{
        struct mark *k = userdata;
        char key[sizeof(KEY_FILES_FILE) + UUID_LEN];
        int r = 0;

        (void)revision;
        if (upload)
                protobuf_c_message_free_unpacked(upload, NULL);
        (void)snprintf(key, sizeof(key), KEY_FILES_FILE "%s", k->id);
        if (error == BUS_E_NOT_FOUND)
                r = bus_kv_purge(k->mend->env->bus, BUCKET_FILES, key, k->revision, on_purged, k);
        if (error != BUS_E_NOT_FOUND || r != 0) {
                ended(k->mend); /* the next comparison will do */
                free(k);
        }
}

void mend_mark(struct mend *m, const char *id, uint64_t revision, uint64_t ttl_s, uint64_t now_ms)
{
        uint64_t begun_ms;
        struct mark *k;

        if (!uuid_v7_time(id, &begun_ms) || !marks_over(begun_ms, ttl_s, now_ms))
                return;
        k = malloc(sizeof(*k));
        if (!k)
                return;
        *k = (struct mark){.mend = m, .revision = revision};
        memcpy(k->id, id, UUID_LEN + 1);
        if (record_get_upload(m->env, id, on_upload, k) == 0)
                m->n_running++;
        else
                free(k);
}
