/* What presence is asked of users: whom each watcher may see, and where they stand.
 *
 * One question is under way at a time, for all sessions together: whoever comes meanwhile is in the next. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bus/subjects.h"
#include "gateway/changes.h"
#include "gateway/look.h"
#include "gateway/session.h"
#include "gateway/stats.h"
#include "gateway/user.h"

/* ASK_PAIRS, ASK_USERS, ASK_LEFT: in one question; what presence takes. RETRY_MS: between two questions, when the first one failed. */
enum {
        ASK_PAIRS = 4096,
        ASK_USERS = 500,
        ASK_LEFT = 256,
        RETRY_MS = 1000,
        LATER_TICK_MS = 500,
        MESSAGE_MAX = 1000 << 10
};

struct ask_pair {
        uint64_t session;
        uint32_t generation, index; /* of the edge */
};

/* Who left a channel, of which presence may not have heard */
struct ask_left {
        uint64_t number; /* in the log of changes */
        Parley__V1__Left message;
        char user_id[IDENT_MAX + 1], channel_id[IDENT_MAX + 1];
};

struct ask {
        struct looks *all;
        struct ask_left left[ASK_LEFT];
        Parley__V1__Left *left_list[ASK_LEFT];
        uint32_t n_left;
        bool others;    /* those whom nobody here looks at, and who are not here, are added */
        bool more_left; /* there was no room for all but these */
        struct ask_pair pairs[ASK_PAIRS];
        char *ids[ASK_PAIRS];
        char *users[ASK_USERS];
        Parley__V1__Sight sights[ASK_PAIRS];
        Parley__V1__Sight *list[ASK_PAIRS];
        uint32_t n_pairs, n_users, n_sights;
        uint32_t mark;
        uint32_t speakers; /* looks->speakers then */
        uint64_t at_ms;
};

/* --- what is to be asked --- */

void look_ask(struct look *l)
{
        struct looks *all = l->session->core->looks;

        ring_add(&all->queue, &l->asking);
        look_ask_go(all);
}

/* False: there is no room */
static bool ask_add_edge(struct ask *a, struct look *l, uint32_t index)
{
        struct watch_edge *e = &l->edges[index];
        struct seen *who = e->seen;
        bool state = who->fresh != l->session->core->looks->epoch && who->mark != a->mark;

        if (a->n_pairs == ASK_PAIRS || (state && a->n_users == ASK_USERS))
                return false;
        if (state) {
                who->mark = a->mark;
                a->users[a->n_users++] = who->id;
        }
        a->pairs[a->n_pairs] = (struct ask_pair){l->session->handle, l->generation, index};
        a->ids[a->n_pairs++] = who->id;
        e->flags = (uint8_t)((e->flags & ~EDGE_ASK) | EDGE_ASKED);
        return true;
}

/* False: there is no room for all of it */
static bool ask_add(struct ask *a, struct look *l)
{
        Parley__V1__Sight *sight = &a->sights[a->n_sights];
        uint32_t first = a->n_pairs;
        bool whole = true;

        for (uint32_t i = 0; i < l->n_edges && whole; i++) {
                if (l->edges[i].flags & EDGE_ASK)
                        whole = ask_add_edge(a, l, i);
        }
        if (a->n_pairs == first)
                return whole;
        parley__v1__sight__init(sight);
        sight->viewer_id = l->session->user->id;
        sight->user_ids = &a->ids[first];
        sight->n_user_ids = a->n_pairs - first;
        a->list[a->n_sights++] = sight;
        return whole;
}

static void on_unsettled(void *userdata, uint64_t number, const char *user_id, const char *channel_id)
{
        struct ask *a = userdata;
        struct ask_left *left = &a->left[a->n_left];

        if (a->others == (seen_find(a->all, user_id) || user_find(a->all->core, user_id)))
                return;
        if (a->n_left == ASK_LEFT) {
                a->more_left |= !a->others;
                return;
        }
        left->number = number;
        memcpy(left->user_id, user_id, strlen(user_id) + 1);
        memcpy(left->channel_id, channel_id, strlen(channel_id) + 1);
        parley__v1__left__init(&left->message);
        left->message.user_id = left->user_id;
        left->message.channel_id = left->channel_id;
        a->left_list[a->n_left++] = &left->message;
}

/* Of the others nothing depends on the answer; but each that is settled is one less to go through with the next question, and the next set */
static void ask_add_left(struct looks *all, struct ask *a)
{
        a->others = false;
        a->more_left = changes_lost(all->core);
        changes_unsettled(all->core, on_unsettled, a);
        a->others = true;
        if (a->n_left < ASK_LEFT)
                changes_unsettled(all->core, on_unsettled, a);
}

static void ask_collect(struct looks *all, struct ask *a)
{
        a->all = all;
        a->n_left = a->n_pairs = a->n_users = a->n_sights = 0;
        a->mark = ++all->mark;
        a->at_ms = all->core->now_ms;
        a->speakers = all->speakers;
        while (all->queue.next != &all->queue && a->n_pairs < ASK_PAIRS) {
                struct look *l = RING_OWNER(all->queue.next, struct look, asking);

                if (!ask_add(a, l))
                        return;
                ring_remove(&l->asking);
        }
}

/* --- asking --- */

size_t look_query(struct core *core, const Parley__V1__PresenceQuery *q)
{
        size_t n = parley__v1__presence_query__get_packed_size(q);

        buf_reset(&core->scratch, MESSAGE_MAX);
        if (buf_reserve(&core->scratch, n))
                return 0;
        metric_add(&stat_presence_queries, 1);
        return parley__v1__presence_query__pack(q, core->scratch.data);
}

static void on_retry(struct wheel_timer *t, uint64_t now_ms)
{
        (void)now_ms;
        look_ask_go(RING_OWNER(t, struct looks, retry_timer));
}

/* At once, when the answer was waited for for as long */
static void ask_retry(struct looks *all, uint64_t asked_ms)
{
        wheel_arm(all->core->wheel, &all->retry_timer, asked_ms + RETRY_MS, on_retry);
}

/* The look of a pair, unless it is gone or has another set of edges now */
static struct look *pair_look(const struct looks *all, const struct ask_pair *pair)
{
        const struct session *s = handle_get(&all->core->handles, pair->session);
        struct look *l = s ? s->look : NULL;

        return l && l->generation == pair->generation ? l : NULL;
}

/* The pairs are asked again, after a while */
static void ask_failed(struct looks *all, struct ask *a)
{
        ask_retry(all, a->at_ms);
        for (uint32_t i = 0; i < a->n_pairs; i++) {
                struct look *l = pair_look(all, &a->pairs[i]);

                if (!l)
                        continue;
                l->edges[a->pairs[i].index].flags &= (uint8_t)~EDGE_ASKED;
                l->edges[a->pairs[i].index].flags |= EDGE_ASK;
                look_ask(l);
        }
}

static void on_sights(int error, const struct bus_msg *msg, void *userdata);

static void ask_send(struct looks *all, struct ask *a)
{
        Parley__V1__PresenceQuery q = PARLEY__V1__PRESENCE_QUERY__INIT;
        size_t n;

        q.user_ids = a->users;
        q.n_user_ids = a->n_users;
        q.sights = a->list;
        q.n_sights = a->n_sights;
        ask_add_left(all, a);
        q.left = a->left_list;
        q.n_left = a->n_left;
        n = look_query(all->core, &q);
        all->asking = a;
        if (n)
                up_request(&all->core->up, RPC_PRESENCE_QUERY, all->core->scratch.data, n, on_sights, all);
        else
                on_sights(BUS_E_REFUSED, NULL, all);
}

void look_ask_go(struct looks *all)
{
        struct ask *a;

        if (all->asking || all->queue.next == &all->queue || wheel_armed(&all->retry_timer))
                return;
        a = malloc(sizeof(*a));
        if (!a) {
                ask_retry(all, all->core->now_ms);
                return;
        }
        ask_collect(all, a);
        if (a->n_pairs)
                ask_send(all, a);
        else
                free(a);
}

/* --- the answer --- */

/* What is answered of a pair is, or may be, from before one of them left. Where not all who left were named: an edge that was there then is in
 * doubt; one that was not, or whose user is hidden because another instance had heard of it, is not shown for the first time now. */
static bool is_behind(const struct ask *a, const struct look *l, const struct watch_edge *e, bool visible)
{
        return e->seen->mark == a->mark || l->mark == a->mark ||
               (a->more_left && (edge_doubted(e) || (visible && e->sight != SIGHT_VISIBLE)));
}

static void edge_answer(const struct ask *a, struct look *l, struct watch_edge *e, bool visible)
{
        uint8_t was = e->sight;

        e->flags &= (uint8_t)~EDGE_ASKED;
        if (l->snapshot_due) /* the last answer that it waits for may be this one */
                look_soon(l);
        if (e->flags & (EDGE_ASK | EDGE_LATER)) { /* something has changed since it was asked */
                e->flags |= was == SIGHT_UNKNOWN ? EDGE_DOUBT : 0;
                return;
        }
        if (is_behind(a, l, e, visible)) {
                e->flags |= EDGE_DOUBT | EDGE_LATER;
                look_ask_later(l);
                return;
        }
        e->flags &= (uint8_t)~EDGE_DOUBT;
        e->sight = visible && e->seen->generation ? SIGHT_VISIBLE : SIGHT_HIDDEN;
        if (was == SIGHT_UNKNOWN)
                l->pending--;
        else if (was != e->sight || e->flags & EDGE_NEWS)
                look_news_of(l, (uint32_t)(e - l->edges));
}

/* What is answered of him, and to him, is not to be believed */
static void left_mark(struct looks *all, const char *user_id, uint32_t mark)
{
        struct seen *who = seen_find(all, user_id);
        struct user *u = user_find(all->core, user_id);

        if (who)
                who->mark = mark;
        for (struct session *s = u ? u->sessions : NULL; s; s = s->user_next)
                if (s->look)
                        s->look->mark = mark;
}

/* Those that it does not name have reached presence */
static void left_take(struct looks *all, struct ask *a, const Parley__V1__PresenceAnswer *answer)
{
        bool behind[ASK_LEFT] = {0};

        a->mark = ++all->mark;
        for (size_t i = 0; i < answer->n_behind; i++) {
                if (answer->behind[i] < a->n_left)
                        behind[answer->behind[i]] = true;
        }
        for (uint32_t i = 0; i < a->n_left; i++) {
                if (!behind[i]) {
                        changes_settle(all->core, a->left[i].number);
                        continue;
                }
                changes_unheard(all->core, a->left[i].number);
                left_mark(all, a->left[i].user_id, a->mark);
        }
}

static void sights_take(struct looks *all, struct ask *a, const Parley__V1__PresenceAnswer *answer)
{
        left_take(all, a, answer);
        for (size_t i = 0; i < answer->n_users; i++)
                (void)seen_take(all, answer->users[i]); /* without memory he stays unknown, which is hidden */
        for (uint32_t i = 0; i < a->n_pairs; i++) {
                struct look *l = pair_look(all, &a->pairs[i]);

                if (l)
                        edge_answer(a, l, &l->edges[a->pairs[i].index], answer->visible[i]);
        }
}

Parley__V1__PresenceAnswer *look_answer(int error, const struct bus_msg *msg)
{
        Parley__V1__PresenceAnswer *answer = error ? NULL
                                                   : parley__v1__presence_answer__unpack(NULL, msg->len, msg->data);

        if (!error && !answer)
                log_warn("an answer of presence cannot be read");
        return answer;
}

static void on_sights(int error, const struct bus_msg *msg, void *userdata)
{
        struct looks *all = userdata;
        struct ask *a = all->asking;
        Parley__V1__PresenceAnswer *answer = look_answer(error, msg);
        bool fine = answer && !answer->error && answer->n_visible == a->n_pairs;

        all->asking = NULL;
        if (answer && !fine)
                log_warn("presence refuses a question",
                         LOG_S("why", answer->error ? answer->error->message : "length"));
        if (fine && looks_source(all, answer->source, answer->counter, false))
                looks_resync(all);
        if (fine && a->speakers == all->speakers)
                sights_take(all, a, answer);
        else /* or by another one, who was not asked whether it has heard of what the one before had */
                ask_failed(all, a);
        free(a);
        parley__v1__presence_answer__free_unpacked(answer, NULL);
        look_ask_go(all);
}

/* --- later --- */

static void on_later(struct wheel_timer *t, uint64_t now_ms)
{
        struct looks *all = RING_OWNER(t, struct looks, later_timer);

        while (all->later.next != &all->later) {
                struct look *l = RING_OWNER(all->later.next, struct look, later);

                if (now_ms - l->later_ms < LOOK_LATER_MS) { /* the others came behind it */
                        wheel_arm(all->core->wheel, t, now_ms + LATER_TICK_MS, on_later);
                        return;
                }
                ring_remove(&l->later);
                for (uint32_t i = 0; i < l->n_edges; i++) {
                        if (l->edges[i].flags & EDGE_LATER)
                                l->edges[i].flags = (uint8_t)((l->edges[i].flags & ~EDGE_LATER) | EDGE_ASK);
                }
                look_ask(l);
        }
}

/* What comes while it waits already is asked with the rest: by then presence says by itself whose memberships have changed */
void look_ask_later(struct look *l)
{
        struct looks *all = l->session->core->looks;

        if (ring_holds(&l->later))
                return;
        l->later_ms = all->core->now_ms;
        ring_add(&all->later, &l->later);
        if (!wheel_armed(&all->later_timer))
                wheel_arm(all->core->wheel, &all->later_timer, all->core->now_ms + LATER_TICK_MS, on_later);
}
