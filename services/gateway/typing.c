#include "gateway/typing.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bus/subjects.h"
#include "gateway/changes.h"
#include "gateway/channel.h"
#include "gateway/session.h"
#include "gateway/stats.h"
#include "gateway/typing_impl.h"
#include "gateway/user.h"

/* --- threads and writers --- */

struct typing_thread *thread_find(struct typing *t, const char *id)
{
        struct typing_thread *thread = t->threads;

        while (thread && strcmp(thread->id, id) != 0)
                thread = thread->next;
        return thread;
}

/* Forgets those in which nobody writes, and nobody was told of anybody */
void threads_clean(struct typing *t)
{
        struct typing_thread **at = &t->threads;

        while (*at) {
                struct typing_thread *thread = *at;

                if (thread->n || thread->n_told) {
                        at = &thread->next;
                        continue;
                }
                *at = thread->next;
                free(thread);
        }
}

/* Behind all that wait for their turn */
void threads_append(struct typing *t, struct typing_thread *threads)
{
        struct typing_thread **at = &t->threads;

        while (*at)
                at = &(*at)->next;
        *at = threads;
}

static struct typing_thread *thread_get(struct typing *t, const char *id)
{
        struct typing_thread *thread = thread_find(t, id);

        if (thread)
                return thread;
        threads_clean(t); /* so that there are never more than writers, and those whose end is to be told */
        thread = calloc(1, sizeof(*thread));
        if (!thread)
                return NULL;
        memcpy(thread->id, id, strlen(id) + 1);
        threads_append(t, thread);
        return thread;
}

static void writer_unlink(struct writer *w)
{
        struct typing_thread *thread = w->thread;

        if (w->prev)
                w->prev->next = w->next;
        else
                thread->first = w->next;
        if (w->next)
                w->next->prev = w->prev;
        else
                thread->last = w->prev;
        thread->n--;
        thread->changed = true;
}

static void writer_link(struct writer *w, struct typing_thread *thread)
{
        w->thread = thread;
        w->told = false;
        w->next = NULL;
        w->prev = thread->last;
        if (w->prev)
                w->prev->next = w;
        else
                thread->first = w;
        thread->last = w;
        thread->n++;
        thread->changed = true;
}

static void writer_end(struct typing *t, struct writer *w)
{
        writer_unlink(w);
        HASH_DEL(t->writers, w);
        free(w);
}

static struct writer *writer_find(const struct place *p, const char *user_id)
{
        struct writer *w = NULL;

        if (p->typing)
                HASH_FIND_STR(p->typing->writers, user_id, w);
        return w;
}

static struct writer *writer_new(struct typing *t, const char *user_id)
{
        size_t n = strlen(user_id);
        struct writer *w = calloc(1, sizeof(*w) + n + 1);

        if (!w)
                return NULL;
        memcpy(w->id, user_id, n + 1);
        HASH_ADD_KEYPTR(hh, t->writers, w->id, n, w);
        if (!w->hh.tbl) {
                free(w);
                return NULL;
        }
        return w;
}

/* --- when the next update is due --- */

void typing_arm(struct typing *t)
{
        struct core *core = t->place->core;
        uint64_t due_ms = UINT64_MAX, earliest_ms = t->sent_ms ? t->sent_ms + TYPING_UPDATE_MS : 0;

        for (const struct typing_thread *thread = t->threads; thread; thread = thread->next) {
                uint64_t at_ms = thread->changed ? core->now_ms : thread->sent_ms + TYPING_REPEAT_MS;

                if (at_ms < due_ms)
                        due_ms = at_ms;
        }
        for (const struct writer *w = t->writers; w; w = w->hh.next)
                if (w->until_ms < due_ms)
                        due_ms = w->until_ms;
        if (due_ms < earliest_ms || due_ms == UINT64_MAX)
                due_ms = earliest_ms; /* with nothing left that is when it ends */
        wheel_arm(core->wheel, &t->timer, due_ms, typing_tell);
}

/* Something has changed: an update is due as soon as the last one is a second ago */
static void typing_changed(struct typing *t)
{
        uint64_t now_ms = t->place->core->now_ms, due_ms = t->sent_ms ? t->sent_ms + TYPING_UPDATE_MS : now_ms;

        if (due_ms < now_ms)
                due_ms = now_ms;
        if (!wheel_armed(&t->timer) || t->timer.due_ms > due_ms)
                wheel_arm(t->place->core->wheel, &t->timer, due_ms, typing_tell);
}

void typing_expire(struct typing *t, uint64_t now_ms)
{
        struct writer *w, *tmp;

        HASH_ITER (hh, t->writers, w, tmp)
                if (w->until_ms <= now_ms)
                        writer_end(t, w);
}

void typing_free(struct place *p)
{
        struct typing *t = p->typing;
        struct writer *w, *tmp;

        if (!t)
                return;
        wheel_disarm(&t->timer);
        HASH_ITER (hh, t->writers, w, tmp)
                writer_end(t, w);
        while (t->threads) {
                struct typing_thread *next = t->threads->next;

                free(t->threads);
                t->threads = next;
        }
        free(t);
        p->typing = NULL;
}

/* --- what is heard --- */

/* Members who get it, at least: presence knows the rest, once it was asked */
bool typing_crowd(const struct channel *c)
{
        uint64_t most = c->core->config->typing_max_members;

        /* of a user with several devices each is one here */
        return c->place && c->place->members ? c->place->members > most : c->n_subs > most;
}

static struct typing *typing_get(struct place *p)
{
        if (p->typing)
                return p->typing;
        p->typing = calloc(1, sizeof(*p->typing));
        if (p->typing)
                p->typing->place = p;
        return p->typing;
}

/* Without memory he is not shown */
static void typing_begin(struct place *p, const char *user_id, const char *thread_id)
{
        struct typing *t = typing_get(p);
        struct typing_thread *thread;
        struct writer *w = writer_find(p, user_id);

        if (!t || (!w && HASH_COUNT(t->writers) >= p->core->config->typing_max_members))
                return;
        thread = thread_get(t, thread_id);
        if (thread && !w && (w = writer_new(t, user_id)))
                writer_link(w, thread);
        if (!thread || !w)
                return;
        w->until_ms = p->core->now_ms + TYPING_SHOWN_MS;
        if (w->thread != thread) {
                writer_unlink(w);
                writer_link(w, thread);
        }
        if (thread->changed)
                typing_changed(t);
}

static void typing_end(struct place *p, struct writer *w)
{
        writer_end(p->typing, w);
        typing_changed(p->typing);
}

void typing_message(struct place *p, const char *user_id, const char *thread_id)
{
        struct writer *w = writer_find(p, user_id);

        if (w && strcmp(w->thread->id, thread_id) == 0)
                typing_end(p, w);
}

void typing_left(struct place *p, const char *user_id)
{
        struct writer *w = writer_find(p, user_id);

        if (w)
                typing_end(p, w);
}

static void on_typing(const struct bus_msg *msg, void *userdata)
{
        struct place *p = userdata;
        Parley__V1__TypingSignal *m = parley__v1__typing_signal__unpack(NULL, msg->len, msg->data);

        if (!m || !ident_valid(m->user_id) || (*m->thread_id && !uuid_valid(m->thread_id)))
                log_warn("a word of somebody who is writing cannot be read", LOG_S("subject", msg->subject));
        else if (m->stopped)
                typing_message(p, m->user_id, m->thread_id);
        else if (!typing_crowd(p->channel) && !changes_removed(p->core, m->user_id, p->channel->id))
                typing_begin(p, m->user_id, m->thread_id);
        parley__v1__typing_signal__free_unpacked(m, NULL);
}

int typing_listen(struct place *p)
{
        struct upstream *up = &p->core->up;
        char subject[SUBJECT_MAX];

        if (!p->core->config->typing_max_members)
                return 0;
        subject_typing(subject, p->channel->shard->number, p->channel->id);
        return up->subscribe(up->self, subject, on_typing, p, &p->typing_sub);
}

void typing_deaf(struct place *p)
{
        if (p->typing_sub)
                p->core->up.unsubscribe(p->core->up.self, p->typing_sub);
        p->typing_sub = NULL;
        typing_free(p);
}
