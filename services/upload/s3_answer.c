#include "upload/s3_answer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <expat.h>

#include "base/text.h"
#include "upload/plan.h"

enum { DEPTH_MAX = 8, PATH_MAX_LEN = 200, PAGE_MAX = 1000 };

struct reading {
        XML_Parser parser;
        struct s3_answer *answer;
        char path[PATH_MAX_LEN + 1]; /* "ListPartsResult/Part/Size" */
        unsigned depth;
        char text[S3_TEXT_MAX + 1];
        size_t n_text;
        struct s3_part part;
        struct store_entry entry;
        size_t n_page; /* parts, or entries */
        int error;
};

static void stop(struct reading *r, int error)
{
        if (!r->error)
                r->error = error;
        (void)XML_StopParser(r->parser, XML_FALSE);
}

/* --- values --- */

static int take(char *ret, size_t size, const char *text)
{
        if (strlen(text) >= size)
                return -EBADMSG;
        memcpy(ret, text, strlen(text) + 1);
        return 0;
}

static int number(const char *text, uint64_t max, uint64_t *ret)
{
        return text_parse_u64(text, 0, max, ret) < 0 ? -EBADMSG : 0;
}

/* It goes back to S3 in XML */
static int take_etag(char *ret, const char *text)
{
        for (const char *s = text; *s; s++)
                if (*s < ' ' || *s > '~' || strchr("<>&", *s))
                        return -EBADMSG;
        return take(ret, S3_ETAG_MAX + 1, text);
}

static int take_sum(char *ret, const char *text)
{
        uint8_t sum[MAC_LEN];

        if (base64_decode(text, strlen(text), sum, sizeof(sum)) != MAC_LEN)
                return -EBADMSG;
        return take(ret, S3_SUM_LEN + 1, text);
}

/* What stands under our prefix with another form of name is another's, and left out */
static int take_name(char *ret, const char *prefix, const char *key)
{
        size_t n = strlen(prefix);
        bool ours = strncmp(key, prefix, n) == 0 && !strchr(key + n, '/') && strlen(key + n) <= STORE_NAME_MAX;

        return take(ret, STORE_NAME_MAX + 1, ours ? key + n : "");
}

static int grow(void **list, size_t *room, size_t n, size_t size)
{
        size_t more = *room ? *room * 2 : 16;
        void *all;

        if (n < *room)
                return 0;
        all = realloc(*list, more * size);
        if (!all)
                return -ENOMEM;
        *list = all;
        *room = more;
        return 0;
}

static int add_part(struct reading *r)
{
        struct s3_answer *a = r->answer;

        if (r->part.number == 0 || r->n_page++ == PAGE_MAX || a->n_parts == PLAN_PARTS_MAX ||
            (a->n_parts && a->parts[a->n_parts - 1].number >= r->part.number))
                return -EBADMSG;
        if (grow((void **)&a->parts, &a->room_parts, a->n_parts, sizeof(*a->parts)) < 0)
                return -ENOMEM;
        a->parts[a->n_parts++] = r->part;
        return 0;
}

static int add_entry(struct reading *r)
{
        struct s3_answer *a = r->answer;

        if (r->n_page++ == PAGE_MAX)
                return -EBADMSG;
        if (!*r->entry.name)
                return 0;
        if (grow((void **)&a->entries, &a->room_entries, a->n_entries, sizeof(*a->entries)) < 0)
                return -ENOMEM;
        a->entries[a->n_entries++] = r->entry;
        return 0;
}

/* --- elements --- */

static int of_part(struct reading *r, const char *name)
{
        uint64_t n = 0;
        int error = 0;

        if (strcmp(name, "PartNumber") == 0) {
                error = number(r->text, PLAN_PARTS_MAX, &n);
                r->part.number = (uint32_t)n;
        } else if (strcmp(name, "Size") == 0) {
                error = number(r->text, UINT64_MAX, &r->part.size);
        } else if (strcmp(name, "ETag") == 0) {
                error = take_etag(r->part.etag, r->text);
        } else if (strcmp(name, "ChecksumSHA256") == 0) {
                error = take_sum(r->part.sha256, r->text);
        }
        return error;
}

static int of_entry(struct reading *r, const char *name)
{
        int32_t nanos;

        if (strcmp(name, "Key") == 0)
                return take_name(r->entry.name, r->answer->prefix ? r->answer->prefix : "", r->text);
        if (strcmp(name, "Size") == 0)
                return number(r->text, UINT64_MAX, &r->entry.size);
        if (strcmp(name, "LastModified") == 0)
                return rfc3339_parse(r->text, &r->entry.modified_s, &nanos) < 0 ? -EBADMSG : 0;
        return 0;
}

static int of_root(struct reading *r, const char *path)
{
        struct s3_answer *a = r->answer;

        if (strcmp(path, "Error/Code") == 0)
                return take(a->code, sizeof(a->code), r->text);
        if (strcmp(path, "Error/Message") == 0) {
                (void)snprintf(a->message, sizeof(a->message), "%.*s", (int)sizeof(a->message) - 1, r->text);
                return 0;
        }
        if (strcmp(path, "InitiateMultipartUploadResult/UploadId") == 0)
                return take(a->upload_id, sizeof(a->upload_id), r->text);
        if (strcmp(path, "ListPartsResult/IsTruncated") == 0 || strcmp(path, "ListBucketResult/IsTruncated") == 0)
                a->truncated = strcmp(r->text, "true") == 0;
        if (strcmp(path, "ListPartsResult/NextPartNumberMarker") == 0 ||
            strcmp(path, "ListBucketResult/NextContinuationToken") == 0)
                return take(a->next, sizeof(a->next), r->text);
        if (strcmp(path, "ListPartsResult/Part") == 0)
                return add_part(r);
        return strcmp(path, "ListBucketResult/Contents") == 0 ? add_entry(r) : 0;
}

static int element(struct reading *r)
{
        static const char part[] = "ListPartsResult/Part/", entry[] = "ListBucketResult/Contents/";

        if (strncmp(r->path, part, sizeof(part) - 1) == 0)
                return of_part(r, r->path + sizeof(part) - 1);
        if (strncmp(r->path, entry, sizeof(entry) - 1) == 0)
                return of_entry(r, r->path + sizeof(entry) - 1);
        return of_root(r, r->path);
}

static void XMLCALL on_begin(void *userdata, const XML_Char *name, const XML_Char **attributes)
{
        struct reading *r = userdata;
        size_t n = strlen(r->path);

        (void)attributes;
        if (r->depth == DEPTH_MAX || n + 1 + strlen(name) > PATH_MAX_LEN) {
                stop(r, -EBADMSG);
                return;
        }
        if (r->depth++ == 0 && take(r->answer->root, sizeof(r->answer->root), name) < 0) {
                stop(r, -EBADMSG);
                return;
        }
        (void)snprintf(r->path + n, sizeof(r->path) - n, "%s%s", n ? "/" : "", name);
        r->n_text = 0;
        if (strcmp(r->path, "ListPartsResult/Part") == 0)
                r->part = (struct s3_part){0};
        if (strcmp(r->path, "ListBucketResult/Contents") == 0)
                r->entry = (struct store_entry){0};
}

static void XMLCALL on_end(void *userdata, const XML_Char *name)
{
        struct reading *r = userdata;
        char *slash = strrchr(r->path, '/');
        int error;

        (void)name;
        r->text[r->n_text] = '\0';
        error = element(r);
        if (error < 0)
                stop(r, error);
        *(slash ? slash : r->path) = '\0';
        r->depth--;
        r->n_text = 0;
}

static void XMLCALL on_text(void *userdata, const XML_Char *text, int n)
{
        struct reading *r = userdata;

        if (r->n_text + (size_t)n > S3_TEXT_MAX) {
                stop(r, -EBADMSG);
                return;
        }
        memcpy(r->text + r->n_text, text, (size_t)n);
        r->n_text += (size_t)n;
}

static void XMLCALL on_doctype(void *userdata, const XML_Char *name, const XML_Char *system, const XML_Char *public_id,
                               int internal)
{
        (void)name;
        (void)system;
        (void)public_id;
        (void)internal;
        stop(userdata, -EBADMSG);
}

int s3_answer_read(struct s3_answer *ret, const void *data, size_t n)
{
        struct reading r = {.answer = ret};
        size_t n_parts = ret->n_parts, n_entries = ret->n_entries;
        enum XML_Status status;

        if (n > S3_ANSWER_MAX)
                return -EBADMSG;
        r.parser = XML_ParserCreate("UTF-8");
        if (!r.parser)
                return -ENOMEM;
        ret->truncated = false;
        *ret->next = '\0';
        XML_SetUserData(r.parser, &r);
        XML_SetElementHandler(r.parser, on_begin, on_end);
        XML_SetCharacterDataHandler(r.parser, on_text);
        XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
        status = XML_Parse(r.parser, data, (int)n, 1);
        if (status != XML_STATUS_OK && !r.error)
                r.error = XML_GetErrorCode(r.parser) == XML_ERROR_NO_MEMORY ? -ENOMEM : -EBADMSG;
        XML_ParserFree(r.parser);
        if (!r.error && ret->truncated && !*ret->next)
                r.error = -EBADMSG; /* nobody could go on */
        if (r.error) {              /* the page may come again */
                ret->n_parts = n_parts;
                ret->n_entries = n_entries;
        }
        return r.error;
}

void s3_answer_done(struct s3_answer *a)
{
        free(a->parts);
        free(a->entries);
        *a = (struct s3_answer){0};
}

int s3_complete_body(const struct s3_part *parts, size_t n, struct buf *out)
{
        char text[S3_ETAG_MAX + S3_SUM_LEN + 200];
        int r = buf_append_str(out, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");

        for (size_t i = 0; r == 0 && i < n; i++) {
                const struct s3_part *p = &parts[i];

                (void)snprintf(text, sizeof(text),
                               "<Part><PartNumber>%" PRIu32
                               "</PartNumber><ETag>%s</ETag><ChecksumSHA256>%s</ChecksumSHA256></Part>",
                               p->number, p->etag, p->sha256);
                r = buf_append_str(out, text);
        }
        return r == 0 ? buf_append_str(out, "</CompleteMultipartUpload>") : r;
}
