#include "upload/reconcile_core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct file {
        uint8_t id[16];
        uint16_t flags;
        uint32_t owner; /* in `owners`; of a file that is DELETED nothing */
};

struct user {
        UT_hash_handle hh;
        uint64_t bytes, files;
        bool unsure; /* one of his files comes or goes */
        bool due;    /* one of them is */
        uint32_t index;
        char id[IDENT_MAX + 1];
};

struct findings {
        struct file *files;
        size_t n, room, n_deleted, n_due, n_due_owners;
        struct user *users, **owners; /* the same, in the order in which they came */
        size_t owners_room;
        struct found {
                uint64_t count, mended;
                unsigned n_ids;
                char ids[FINDINGS_IDS_MAX][IDENT_MAX + 1];
        } found[_FINDING_N];
};

const char *finding_text(enum finding f)
{
        static const char *const texts[] = {
#define X(name, text) text,
                FINDING_MAP(X)
#undef X
        };

        return texts[f];
}

struct findings *findings_new(void)
{
        return calloc(1, sizeof(struct findings));
}

void findings_free(struct findings *f)
{
        struct user *u, *tmp;

        if (!f)
                return;
        HASH_ITER (hh, f->users, u, tmp) {
                HASH_DEL(f->users, u);
                free(u);
        }
        free(f->owners);
        free(f->files);
        free(f);
}

/* --- ids: 16 bytes instead of 36 characters --- */

static int digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In lower case, as ours are */
static int pack(const char *id, uint8_t ret[16])
{
        unsigned n = 0;

        if (strlen(id) != UUID_LEN || !uuid_valid(id))
                return -EINVAL;
        for (const char *p = id; *p; p++) {
                int d = digit(*p);

                if (*p == '-')
                        continue;
                if (d < 0)
                        return -EINVAL;
                ret[n / 2] = (uint8_t)(n % 2 ? ret[n / 2] | d : d << 4);
                n++;
        }
        return 0;
}

static void unpack(const uint8_t id[16], char ret[UUID_LEN + 1])
{
        static const char digits[] = "0123456789abcdef";
        char *p = ret;

        for (unsigned i = 0; i < 16; i++) {
                if (i == 4 || i == 6 || i == 8 || i == 10)
                        *p++ = '-';
                *p++ = digits[id[i] >> 4];
                *p++ = digits[id[i] & 15];
        }
        *p = '\0';
}

static int compare(const void *a, const void *b)
{
        return memcmp(((const struct file *)a)->id, ((const struct file *)b)->id, 16);
}

/* --- what is there --- */

/* Still without his name */
static struct user *owner_new(struct findings *f)
{
        unsigned n = HASH_COUNT(f->users);
        struct user *u;

        if (n == f->owners_room) {
                size_t room = n ? 2 * (size_t)n : 64;
                struct user **all = realloc(f->owners, room * sizeof(struct user *));

                if (!all)
                        return NULL;
                f->owners = all;
                f->owners_room = room;
        }
        u = calloc(1, sizeof(*u));
        if (u) {
                u->index = n;
                f->owners[n] = u;
        }
        return u;
}

static struct user *user_get(struct findings *f, const char *user_id, int *ret_error)
{
        struct user *u;

        HASH_FIND_STR(f->users, user_id, u);
        *ret_error = 0;
        if (u)
                return u;
        *ret_error = strlen(user_id) > IDENT_MAX ? -EINVAL : HASH_COUNT(f->users) >= FINDINGS_USERS_MAX ? E2BIG : 0;
        if (*ret_error)
                return NULL;
        u = owner_new(f);
        if (!u) {
                *ret_error = -ENOMEM;
                return NULL;
        }
        memcpy(u->id, user_id, strlen(user_id) + 1);
        HASH_ADD_STR(f->users, id, u);
        return u;
}

int findings_add_file(struct findings *f, const char *id, unsigned flags, const char *user_id, uint64_t size, bool sure)
{
        uint8_t packed[16];
        uint32_t owner = 0;
        struct user *u;
        int r = pack(id, packed);

        if (r < 0)
                return r;
        if (flags & DELETED && f->n_deleted == FINDINGS_DELETED_MAX)
                return 0;
        if (!(flags & DELETED) && f->n - f->n_deleted == FINDINGS_FILES_MAX)
                return E2BIG;
        if (f->n == f->room) {
                size_t room = f->room ? f->room * 2 : 1024;
                struct file *all = realloc(f->files, room * sizeof(*all));

                if (!all)
                        return -ENOMEM;
                f->files = all;
                f->room = room;
        }
        if (flags & DELETED) {
                f->n_deleted++;
        } else {
                u = user_get(f, user_id, &r);
                if (!u)
                        return r;
                u->bytes += size;
                u->files++;
                u->unsure = u->unsure || !sure;
                owner = u->index;
        }
        memcpy(f->files[f->n].id, packed, 16);
        f->files[f->n].owner = owner;
        f->files[f->n++].flags = (uint16_t)flags;
        return 0;
}

void findings_sort(struct findings *f)
{
        if (f->n)
                qsort(f->files, f->n, sizeof(*f->files), compare);
}

static struct file *find(const struct findings *f, const char *id)
{
        struct file key;

        if (f->n == 0 || pack(id, key.id) < 0)
                return NULL;
        return bsearch(&key, f->files, f->n, sizeof(key), compare);
}

bool findings_see(struct findings *f, const char *id, unsigned flags)
{
        struct file *found = find(f, id);

        if (found)
                found->flags |= (uint16_t)flags;
        return found;
}

unsigned findings_flags(const struct findings *f, const char *id)
{
        const struct file *found = find(f, id);

        return found ? found->flags : 0;
}

bool findings_object_name(const char *name, char ret_id[UUID_LEN + 1], unsigned *ret_flag)
{
        uint8_t packed[16];
        bool thumbnail = name[0] == '0' && name[1] == '-';

        if (pack(thumbnail ? name + 2 : name, packed) < 0)
                return false;
        unpack(packed, ret_id);
        *ret_flag = thumbnail ? SEEN_THUMBNAIL : SEEN_OBJECT;
        return true;
}

bool findings_user_right(const struct findings *f, const char *user_id, const Parley__V1__UserFiles *value,
                         uint64_t *ret_bytes, uint64_t *ret_files)
{
        const struct user *u;

        HASH_FIND_STR(f->users, user_id, u);
        *ret_bytes = u ? u->bytes : 0;
        *ret_files = u ? u->files : 0;
        if (value->n_reservations || (u && u->unsure))
                return true;
        return value->bytes == *ret_bytes && value->files == *ret_files;
}

size_t findings_files(const struct findings *f)
{
        return f->n;
}

unsigned findings_file(const struct findings *f, size_t i, char ret_id[UUID_LEN + 1])
{
        unpack(f->files[i].id, ret_id);
        return f->files[i].flags;
}

void findings_due(struct findings *f, size_t i)
{
        struct user *u = f->owners[f->files[i].owner];

        f->n_due++;
        f->n_due_owners += !u->due;
        u->due = true;
}

bool findings_goes(const struct findings *f, unsigned flags, bool anyway)
{
        bool lost = f->n_due > FINDINGS_DUE_MIN && f->n_due_owners > 1 &&
                    f->n_due_owners > HASH_COUNT(f->users) / FINDINGS_DUE_SHARE;

        if (flags & SEEN_MESSAGE || !(flags & UNSENDABLE))
                return false;
        return flags & DELETED || (flags & UNSENT_LONG && (anyway || !(lost || flags & SENT)));
}

/* --- what is apart --- */

void findings_note(struct findings *f, enum finding kind, const char *id)
{
        struct found *found = &f->found[kind];

        found->count++;
        if (found->n_ids < FINDINGS_IDS_MAX && strlen(id) <= IDENT_MAX)
                memcpy(found->ids[found->n_ids++], id, strlen(id) + 1);
}

void findings_mended(struct findings *f, enum finding kind)
{
        f->found[kind].mended++;
}

uint64_t findings_count(const struct findings *f, enum finding kind)
{
        return f->found[kind].count;
}

void findings_report(const struct findings *f, void (*with)(Parley__V1__Reconciliation *r, void *userdata),
                     void *userdata)
{
        Parley__V1__Reconciliation report = PARLEY__V1__RECONCILIATION__INIT;
        Parley__V1__Reconciliation__Finding all[_FINDING_N], *pointers[_FINDING_N];
        char *ids[_FINDING_N][FINDINGS_IDS_MAX];

        for (unsigned i = 0; i < _FINDING_N; i++) {
                const struct found *found = &f->found[i];

                parley__v1__reconciliation__finding__init(&all[i]);
                all[i].what = (char *)finding_text(i);
                all[i].count = found->count;
                all[i].mended = found->mended;
                all[i].ids = ids[i];
                all[i].n_ids = found->n_ids;
                for (unsigned k = 0; k < found->n_ids; k++)
                        ids[i][k] = (char *)found->ids[k];
                pointers[i] = &all[i];
        }
        report.findings = pointers;
        report.n_findings = _FINDING_N;
        report.files = f->n - f->n_deleted;
        with(&report, userdata);
}
