#include "upload/reconcile_mend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bus/subjects.h"
#include "upload/records.h"
#include "upload/removal.h"
#include "wire/wire.h"

enum { VALUE_MAX = 512 << 10 }; /* of quota.c */
/* Of a mark: from the begin of its upload. No upload may take longer, whatever the setting was then; two hours more for clocks that differ, of which
 * rest_complete.c takes one */
#define MARK_AGE_MS ((UPLOAD_PENDING_TTL_MAX_S + UINT64_C(7200)) * 1000)

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

void mend_mark(struct mend *m, const char *id, uint64_t revision, uint64_t now_ms)
{
        uint64_t begun_ms;
        struct mark *k;

        if (!uuid_v7_time(id, &begun_ms) || begun_ms + MARK_AGE_MS > now_ms)
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
