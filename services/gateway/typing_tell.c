/* Updates of who is writing: one for all who read, another one for each who is named in it. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "gateway/channel.h"
#include "gateway/session.h"
#include "gateway/stats.h"
#include "gateway/typing_impl.h"
#include "gateway/user.h"

/* With more than this part of its queue filled a session gets no updates of this kind */
enum { QUEUE_SHARE = 8 };

/* Who is left out of an update: nobody, or the reader. A reader who is not among the names only makes the rest one less. */
enum variant { FOR_OTHERS, FOR_ONE_OF_REST, VARIANTS };

struct update {
        struct typing *typing;
        struct typing_thread *thread;
        struct frame *frames[VARIANTS][_ENCODING_N];
};

static struct frame *update_encode(const struct update *u, const struct writer *without, uint32_t n, uint8_t encoding)
{
        Parley__V1__ServerFrame frame = PARLEY__V1__SERVER_FRAME__INIT;
        Parley__V1__TypingUsers m = PARLEY__V1__TYPING_USERS__INIT;
        char *names[TYPING_NAMES];
        struct frame *f = NULL;
        int r;

        m.channel_id = (char *)u->typing->place->channel->id;
        m.thread_id = u->thread->id;
        m.user_ids = names;
        for (struct writer *w = u->thread->first; w && m.n_user_ids < TYPING_NAMES; w = w->next) {
                if (w != without)
                        names[m.n_user_ids++] = w->id;
        }
        m.more = n - (uint32_t)m.n_user_ids;
        frame.body_case = PARLEY__V1__SERVER_FRAME__BODY_TYPING;
        frame.typing = &m;
        r = frame_encode(&u->typing->place->core->scratch, &frame, (enum encoding)encoding, &f);
        if (r)
                log_error("a frame cannot be encoded", LOG_I("error", r));
        return r ? NULL : f;
}

static bool is_named(const struct typing_thread *thread, const struct writer *reader)
{
        unsigned i = 0;

        for (const struct writer *w = thread->first; w && i < TYPING_NAMES; w = w->next, i++)
                if (w == reader)
                        return true;
        return false;
}

static void update_queue(struct session *s, struct frame *f)
{
        if (!f)
                return;
        metric_add(&stat_typing_updates, 1);
        session_queue(s, f);
}

/* He hears nothing of himself: nothing at all when nobody else is, nor was, in it */
static bool concerns(const struct typing_thread *thread, const struct writer *reader, const char *reader_id)
{
        uint32_t now = thread->n - (reader != NULL), before = thread->n_told;

        if (reader && reader->told)
                before--;
        else if (!reader && before == 1 && strcmp(thread->sole, reader_id) == 0)
                before = 0;
        return now || before;
}

static void update_tell(struct update *u, struct session *s)
{
        struct writer *reader = NULL;
        enum variant variant = FOR_OTHERS;

        HASH_FIND_STR(u->typing->writers, s->user->id, reader);
        if (reader && reader->thread != u->thread)
                reader = NULL;
        if (!concerns(u->thread, reader, s->user->id))
                return;
        if (s->queue_bytes > s->core->config->session_max_queue_bytes / QUEUE_SHARE) {
                metric_add(&stat_typing_dropped, 1);
                return;
        }
        if (reader && is_named(u->thread, reader)) {
                struct frame *f = update_encode(u, reader, u->thread->n - 1, s->encoding);

                update_queue(s, f);
                frame_unref(f);
                return;
        }
        if (reader)
                variant = FOR_ONE_OF_REST;
        if (!u->frames[variant][s->encoding])
                u->frames[variant][s->encoding] = update_encode(u, NULL, u->thread->n - (reader != NULL), s->encoding);
        update_queue(s, u->frames[variant][s->encoding]);
}

static void update_done(struct update *u)
{
        for (unsigned v = 0; v < VARIANTS; v++)
                for (unsigned e = 0; e < _ENCODING_N; e++)
                        frame_unref(u->frames[v][e]);
}

/* --- when --- */

static void thread_told(struct typing_thread *thread, uint64_t now_ms)
{
        thread->changed = false;
        thread->sent_ms = now_ms;
        thread->n_told = thread->n;
        thread->sole[0] = '\0';
        if (thread->n == 1)
                memcpy(thread->sole, thread->first->id, strlen(thread->first->id) + 1);
        for (struct writer *w = thread->first; w; w = w->next)
                w->told = true;
}

/* Backwards: a session that is closed by it is replaced by one that had its turn */
static void thread_tell(struct typing *t, struct typing_thread *thread)
{
        struct update u = {.typing = t, .thread = thread};
        const struct look_refs *by = &t->place->by;

        for (uint32_t n = by->n; n-- > 0;)
                update_tell(&u, by->refs[n].look->session);
        update_done(&u);
        thread_told(thread, t->place->core->now_ms);
        t->sent_ms = t->place->core->now_ms;
}

static bool is_due(const struct typing_thread *thread, uint64_t now_ms)
{
        return thread->changed || (thread->n && now_ms - thread->sent_ms >= TYPING_REPEAT_MS);
}

/* So many that are due, in turns: who was told stands behind those who were not. What is in no thread comes first, however many there are. */
static void threads_tell(struct typing *t, uint64_t now_ms)
{
        struct typing_thread *top = thread_find(t, ""), **at = &t->threads, *told = NULL, **end = &told;
        unsigned n = 0;

        if (top && is_due(top, now_ms)) {
                thread_tell(t, top);
                n++;
        }
        while (*at && n < TYPING_THREADS) {
                struct typing_thread *thread = *at;

                if (!is_due(thread, now_ms)) {
                        at = &thread->next;
                        continue;
                }
                thread_tell(t, thread);
                n++;
                *at = thread->next;
                thread->next = NULL;
                *end = thread;
                end = &thread->next;
        }
        threads_append(t, told);
}

void typing_tell(struct wheel_timer *timer, uint64_t now_ms)
{
        struct typing *t = RING_OWNER(timer, struct typing, timer);
        struct place *p = t->place;

        typing_expire(t, now_ms);
        threads_clean(t); /* they would take the turns of others */
        p->held = true;
        threads_tell(t, now_ms);
        p->held = false;
        threads_clean(t);
        if (!p->by.n)
                place_drop(p);
        else if (!t->threads && now_ms - t->sent_ms >= TYPING_UPDATE_MS)
                typing_free(p);
        else
                typing_arm(t);
}

void typing_greet(struct session *s)
{
        for (uint32_t i = 0; s->look && i < s->look->n_focus; i++) {
                struct place *p = s->look->focus[i].place;
                unsigned n = TYPING_THREADS;

                if (!p || !p->typing)
                        continue;
                p->held = true;
                for (struct typing_thread *thread = p->typing->threads; thread && s->look && n; thread = thread->next) {
                        struct update u = {.typing = p->typing, .thread = thread};

                        if (thread->n && !thread->changed) { /* else it is told with all */
                                update_tell(&u, s);
                                n--;
                        }
                        update_done(&u);
                }
                p->held = false;
                place_drop(p);
        }
}
