/* What is told of one's own users who write: how often, and of whom at all.
 *
 * Nothing is told of somebody invisible. Whether he is that is read in the bucket where it is kept, each time: a status is acknowledged when it
 * stands there, wherever it was set, and neither the gateways nor presence, which may be away, have to have heard of it. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bus/subjects.h"
#include "gateway/channel.h"
#include "gateway/stats.h"
#include "gateway/typing_impl.h"
#include "gateway/user.h"

/* TYPED_MAX: channels that a user writes in at once; more are not told. READS_MAX: at once; more are not told. LATE_MS: what is read later is told
 * of one who may have stopped. */
enum { TYPED_MAX = 8, READS_MAX = 256, LATE_MS = 1000 };

struct typed {
        const struct channel *channel; /* only compared */
        uint64_t at_ms;
        uint32_t reading; /* by this number it is read whether he may be shown; 0: it is not */
        bool on;          /* told to others */
        char thread_id[UUID_LEN + 1];
};

struct reading {
        struct core *core;
        uint64_t at_ms;
        uint32_t number;
        char user_id[IDENT_MAX + 1], channel_id[IDENT_MAX + 1];
};

/* --- the channels that a user writes in --- */

static struct typed *typed_find(const struct user *u, const struct channel *c)
{
        for (unsigned i = 0; u->typed && i < TYPED_MAX; i++)
                if (u->typed[i].channel == c)
                        return &u->typed[i];
        return NULL;
}

/* His place for this channel, or the oldest one */
static struct typed *typed_get(struct user *u, const struct channel *c)
{
        struct typed *found = typed_find(u, c);

        if (!u->typed)
                u->typed = calloc(TYPED_MAX, sizeof(*u->typed));
        if (found || !u->typed)
                return found;
        found = u->typed;
        for (unsigned i = 1; i < TYPED_MAX; i++)
                if (u->typed[i].at_ms < found->at_ms)
                        found = &u->typed[i];
        return found;
}

/* --- telling --- */

static void say(struct user *u, const struct channel *c, const char *thread_id, bool stopped)
{
        struct core *core = u->core;
        Parley__V1__TypingSignal m = PARLEY__V1__TYPING_SIGNAL__INIT;
        uint8_t data[256]; /* two ids and a flag */
        char subject[SUBJECT_MAX];

        m.user_id = u->id;
        m.thread_id = (char *)thread_id;
        m.stopped = stopped;
        subject_typing(subject, c->shard->number, c->id);
        if (core->up.publish(core->up.self, subject, data, parley__v1__typing_signal__pack(&m, data)))
                return; /* it is over soon in any case */
        metric_add(&stat_typing_said, 1);
}

static void say_begin(struct user *u, const struct channel *c, struct typed *typed)
{
        typed->on = true;
        say(u, c, typed->thread_id, false);
}

static void say_end(struct user *u, const struct channel *c, struct typed *typed, const char *thread_id)
{
        typed->reading = 0;
        if (typed->on)
                say(u, c, thread_id, true);
        typed->on = false;
}

/* --- may he be shown? --- */

static bool is_invisible(const Parley__V1__Status *s, int64_t now_s)
{
        return s && s->mode == PARLEY__V1__STATUS__MODE__invisible &&
               (!s->mode_until || s->mode_until->seconds > now_s);
}

/* False also when it cannot be known */
static bool is_shown(int error, const struct bus_msg *msg, int64_t now_s)
{
        Parley__V1__PresenceRecord *record;
        bool shown;

        if (error)
                return error == BUS_E_NOT_FOUND; /* he never said anything of himself */
        record = parley__v1__presence_record__unpack(NULL, msg->len, msg->data);
        if (!record)
                log_warn("what a user says of himself cannot be read");
        shown = record && !is_invisible(record->status, now_s);
        parley__v1__presence_record__free_unpacked(record, NULL);
        return shown;
}

static void on_read(int error, const struct bus_msg *msg, void *userdata)
{
        struct reading *r = userdata;
        struct core *core = r->core;
        struct user *u = user_find(core, r->user_id);
        struct channel *c = channel_find(core, r->channel_id);
        struct typed *typed = u && c ? typed_find(u, c) : NULL;
        bool late = core->now_ms - r->at_ms > LATE_MS, wanted = typed && typed->reading == r->number;

        core->typing_reads--;
        free(r);
        if (!wanted)
                return;
        typed->reading = 0;
        if (late || user_role(u, c) == PARLEY__V1__ROLE__none)
                return;
        if (is_shown(error, msg, core_wall_s(core))) {
                say_begin(u, c, typed);
                return;
        }
        metric_add(&stat_typing_hidden, 1);
        say_end(u, c, typed, typed->thread_id);
}

static void read_start(struct user *u, const struct channel *c, struct typed *typed)
{
        struct core *core = u->core;
        struct reading *r = core->typing_reads < READS_MAX ? malloc(sizeof(*r)) : NULL;

        typed->reading = 0;
        if (!r)
                return;
        if (++core->typing_number == 0)
                core->typing_number = 1;
        *r = (struct reading){.core = core, .at_ms = core->now_ms, .number = core->typing_number};
        memcpy(r->user_id, u->id, strlen(u->id) + 1);
        memcpy(r->channel_id, c->id, strlen(c->id) + 1);
        typed->reading = r->number;
        core->typing_reads++;
        up_kv_get(&core->up, BUCKET_PRESENCE, u->id, on_read, r);
}

/* --- what he does --- */

static void write_begin(struct user *u, struct channel *c, const char *thread_id)
{
        struct typed *typed = typed_get(u, c);
        uint64_t now_ms = u->core->now_ms;

        if (!typed || (typed->at_ms && now_ms - typed->at_ms < TYPING_EVERY_MS))
                return;
        if (typed->channel != c)
                *typed = (struct typed){.channel = c};
        typed->at_ms = now_ms;
        memcpy(typed->thread_id, thread_id, strlen(thread_id) + 1);
        read_start(u, c, typed);
}

void typing_write(struct user *u, struct channel *c, const char *thread_id, bool stopped)
{
        struct typed *typed;

        if (typing_crowd(c))
                return;
        if (!stopped)
                write_begin(u, c, thread_id);
        else if ((typed = typed_find(u, c)))
                say_end(u, c, typed, thread_id);
}

void typing_sent(struct user *u, const struct channel *c, const char *thread_id)
{
        struct typed *typed = typed_find(u, c);

        if (typed && typed->reading && strcmp(typed->thread_id, thread_id) == 0)
                typed->reading = 0;
}
