#include "presence/mirror.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "presence/roster.h"

#define PREFIX_MEMBERS "$KV." BUCKET_MEMBERS "."
#define PREFIX_EVERYONE "$KV." BUCKET_CHANNELS "." KEY_EVERYONE_PREFIX
#define PREFIX_PRESENCE "$KV." BUCKET_PRESENCE "."

enum { BATCH = 512, N_BUCKETS = 3 };

/* One bucket, or a part of it */
struct followed {
        struct mirror *mirror;
        struct bus_reader *reader;
        const char *prefix;
        uint64_t seq; /* the last one that was given */
        int (*take)(struct roster *r, const char *key, const struct bus_msg *msg);
        bool complete;
};

struct mirror {
        struct roster *roster;
        void (*before)(void *userdata);
        void *userdata;
        struct followed buckets[N_BUCKETS];
};

static int take_members(struct roster *r, const char *key, const struct bus_msg *msg)
{
        Parley__V1__Memberships *list = msg->deleted ? NULL
                                                     : parley__v1__memberships__unpack(NULL, msg->len, msg->data);
        int error = list || msg->deleted ? roster_memberships(r, key, list) : -EBADMSG;

        parley__v1__memberships__free_unpacked(list, NULL);
        return error;
}

static int take_everyone(struct roster *r, const char *key, const struct bus_msg *msg)
{
        return roster_everyone(r, key, !msg->deleted);
}

static int take_record(struct roster *r, const char *key, const struct bus_msg *msg)
{
        Parley__V1__PresenceRecord *record = msg->deleted
                                                     ? NULL
                                                     : parley__v1__presence_record__unpack(NULL, msg->len, msg->data);
        int error = record || msg->deleted ? roster_record(r, key, record, msg->seq) : -EBADMSG;

        parley__v1__presence_record__free_unpacked(record, NULL);
        return error;
}

static void on_entry(const struct bus_msg *msg, void *userdata)
{
        struct followed *f = userdata;
        size_t n = strlen(f->prefix);
        int r;

        f->mirror->before(f->mirror->userdata);
        if (msg->seq <= f->seq) { /* after a break all is given again, and until then what we have may be old */
                f->complete = false;
                if (f->take == take_record)
                        roster_forget_revisions(f->mirror->roster);
        }
        f->seq = msg->seq;
        r = strncmp(msg->subject, f->prefix, n) == 0 ? f->take(f->mirror->roster, msg->subject + n, msg) : -EINVAL;
        if (r < 0)
                log_warn("an entry of a bucket cannot be taken in", LOG_S("subject", msg->subject),
                         LOG_S("why", strerror(-r)));
        if (msg->pending == 0)
                f->complete = true;
}

static void on_batch_end(int error, unsigned n, void *userdata)
{
        struct followed *f = userdata;

        /* the first batch of a bucket that is there, and empty, ends at once */
        if (!error && n == 0)
                f->complete = true;
        bus_reader_next(f->reader);
}

static int follow(struct mirror *m, unsigned which, struct bus *bus, const char *stream, const char *filter,
                  const char *prefix, int (*take)(struct roster *r, const char *key, const struct bus_msg *msg))
{
        struct followed *f = &m->buckets[which];
        const struct bus_reader_options options = {.stream = stream,
                                                   .filter = filter,
                                                   .batch = BATCH,
                                                   .last_per_subject = true,
                                                   .handler = on_entry,
                                                   .batch_end = on_batch_end,
                                                   .userdata = f};

        *f = (struct followed){.mirror = m, .prefix = prefix, .take = take};
        return bus_reader_new(&f->reader, bus, &options);
}

int mirror_new(struct mirror **ret_mirror, struct bus *bus, struct roster *roster, void (*before)(void *userdata),
               void *userdata)
{
        struct mirror *m = calloc(1, sizeof(*m));
        int r;

        if (!m)
                return -ENOMEM;
        m->roster = roster;
        m->before = before;
        m->userdata = userdata;
        r = follow(m, 0, bus, "KV_" BUCKET_MEMBERS, NULL, PREFIX_MEMBERS, take_members);
        if (r == 0)
                r = follow(m, 1, bus, "KV_" BUCKET_CHANNELS, PREFIX_EVERYONE ">", PREFIX_EVERYONE, take_everyone);
        if (r == 0)
                r = follow(m, 2, bus, "KV_" BUCKET_PRESENCE, NULL, PREFIX_PRESENCE, take_record);
        if (r != 0) {
                mirror_free(m);
                return r > 0 ? -EINVAL : r;
        }
        *ret_mirror = m;
        return 0;
}

void mirror_free(struct mirror *m)
{
        if (!m)
                return;
        for (unsigned i = 0; i < N_BUCKETS; i++) {
                if (m->buckets[i].reader)
                        bus_reader_free(m->buckets[i].reader);
        }
        free(m);
}

void mirror_broken(struct mirror *m)
{
        for (unsigned i = 0; i < N_BUCKETS; i++)
                m->buckets[i].complete = false;
}

bool mirror_complete(const struct mirror *m)
{
        for (unsigned i = 0; i < N_BUCKETS; i++) {
                if (!m->buckets[i].complete)
                        return false;
        }
        return true;
}
