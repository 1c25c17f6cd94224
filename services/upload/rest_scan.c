/* What scanners do: read what members may not yet read, quarantine, release. By a token with the claim `scan`; administrators may quarantine and
 * release, but do not read what is not theirs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bus/bus.h"
#include "upload/records.h"
#include "upload/rest.h"
#include "upload/upload_metrics.h"

enum { TRIES_MAX = 5, REASON_MAX = 200 };

static void content(struct rest_call *c)
{
        const Parley__V1__Attachment *a = c->file->attachment;
        const char *of = http_query(c->rq, "of");

        if (!of || strcmp(of, "file") == 0)
                rest_redirect(c, a->id, "application/octet-stream");
        else if (strcmp(of, "thumbnail") != 0)
                rest_problem(c, PARLEY_BAD_REQUEST, "of must be file or thumbnail");
        else if (a->thumbnail)
                rest_redirect(c, a->thumbnail->id, "application/octet-stream");
        else
                rest_problem(c, PARLEY_NOT_FOUND, "the file has no thumbnail");
}

void rest_scan_content(struct http_request *rq, void *userdata)
{
        struct rest_call *c = rest_begin(rq, userdata);

        if (!c)
                return;
        if (c->claims.scanner)
                rest_file(c, content, NULL);
        else
                rest_problem(c, PARLEY_FORBIDDEN, "this is for scanners: a token with the claim scan");
}

/* --- quarantine, release --- */

static void put(struct rest_call *c);

static void on_put(int error, void *userdata)
{
        struct rest_call *c = userdata;

        if (error == BUS_E_CONFLICT && ++c->tries < TRIES_MAX) {
                rest_file(c, put, NULL);
        } else if (error) {
                rest_unavailable(c, "NATS", error);
        } else {
                log_info(c->state == PARLEY__V1__FILE_STATE__ready ? "a file was released" : "a file was quarantined",
                         LOG_S("file", c->id), LOG_S("by", c->claims.user_id), LOG_S("reason", c->file->reason));
                metric_add(c->state == PARLEY__V1__FILE_STATE__ready ? &metric_released : &metric_quarantined, 1);
                rest_empty(c, 204);
        }
}

/* Borrows the reason for the time of writing */
static void put(struct rest_call *c)
{
        const Parley__V1__QuarantineRequest *b = (const Parley__V1__QuarantineRequest *)c->body;
        Parley__V1__StoredFile f = *c->file;
        int r;

        if (c->file->state == c->state) {
                rest_empty(c, 204);
                return;
        }
        /* Scans come late and twice: one that found nothing does not take back what another one found */
        if (c->file->state == PARLEY__V1__FILE_STATE__quarantined && !c->claims.admin) {
                rest_problem(c, PARLEY_CONFLICT, "this file is quarantined: an administrator may release it");
                return;
        }
        f.state = c->state;
        f.reason = (char *)(b ? b->reason : "");
        r = record_put_file(c->rest->env, &f, c->revision, on_put, c);
        if (r != 0)
                rest_unavailable(c, "NATS", r);
}

static bool allowed(struct rest_call *c)
{
        if (c->claims.scanner || c->claims.admin)
                return true;
        rest_problem(c, PARLEY_FORBIDDEN, "this is for scanners and administrators");
        return false;
}

void rest_quarantine(struct http_request *rq, void *userdata)
{
        struct rest_call *c = rest_begin(rq, userdata);

        if (!c || !allowed(c) || !rest_body(c, &parley__v1__quarantine_request__descriptor))
                return;
        if (strlen(((const Parley__V1__QuarantineRequest *)c->body)->reason) > REASON_MAX) {
                rest_problem(c, PARLEY_BAD_REQUEST, "reason is longer than %d bytes", REASON_MAX);
                return;
        }
        c->state = PARLEY__V1__FILE_STATE__quarantined;
        rest_file(c, put, NULL);
}

void rest_release(struct http_request *rq, void *userdata)
{
        struct rest_call *c = rest_begin(rq, userdata);

        if (!c || !allowed(c))
                return;
        c->state = PARLEY__V1__FILE_STATE__ready;
        rest_file(c, put, NULL);
}
