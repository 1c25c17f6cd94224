/* Gaps: a gateway that has everything, and answers with a gap, keeps its promises to nobody. So each must be one that the world has earned. */
#include "session_world.h"

#include "base/gap_reasons.h"
#include "gateway/fetch.h"
#include "gateway/user.h"

/* What an event is larger than it is in the log: as replay_frames.c counts it, and at most when it is written as JSON */
enum { EVENT_COUNTED = 400, EVENT_WRITTEN = 800 };

/* A replay of what may lie behind the cursor would pass a limit: of events, of bytes, or of what waits for this session */
static bool is_too_long(const struct client *c, const Parley__V1__Gap *g)
{
        const struct fake *f = c->w->f;
        size_t counted = 0, written = 1024, max_bytes = f->config.session_max_queue_bytes;
        unsigned n = 0;

        for (size_t i = 0; i < f->n_log; i++) {
                if (f->log[i].seq <= g->from_seq || strcmp(f->log[i].channel, g->channel_id) != 0)
                        continue;
                n++;
                counted += f->log[i].len + EVENT_COUNTED;
                written += 2 * f->log[i].len + EVENT_WRITTEN;
        }
        return n > f->config.replay_max_events || counted > max_bytes / 2 ||
               c->read_bytes + written > max_bytes * 3 / 4;
}

static void check_reason(const struct client *c, const struct view *v, const Parley__V1__Gap *g)
{
        const struct world *w = c->w;

        if (strcmp(g->reason, parley_gap_text(PARLEY_GAP_UNAVAILABLE)) == 0) {
                REQUIRE(w->trouble);
                return;
        }
        /* the others are answers only */
        REQUIRE(v->awaiting || c->garbled);
        if (strcmp(g->reason, parley_gap_text(PARLEY_GAP_TOO_LONG)) == 0) {
                REQUIRE(is_too_long(c, g));
        } else if (strcmp(g->reason, parley_gap_text(PARLEY_GAP_EPOCH_CHANGED)) == 0) {
                REQUIRE(w->trouble);
                REQUIRE(c->garbled || (v->asked_epoch && (v->asked_epoch != g->epoch || w->f->epoch != FAKE_EPOCH)));
        } else {
                REQUIRE(strcmp(g->reason, parley_gap_text(PARLEY_GAP_CURSOR_AHEAD)) == 0);
                REQUIRE(c->garbled || v->ahead);
        }
}

void check_gap(const struct client *c, const struct view *v, const Parley__V1__Gap *g)
{
        const struct fake *f = c->w->f;

        REQUIRE(g->from_seq <= v->cursor);
        REQUIRE(g->head_seq >= v->live && g->head_seq < f->next_seq);
        REQUIRE(g->epoch >= FAKE_EPOCH && g->epoch <= f->epoch);
        check_reason(c, v, g);
}

static bool is_waiting(const struct session *s)
{
        for (unsigned i = 0; i < s->n_links; i++)
                if (s->links[i].replay)
                        return true;
        return s->n_queue > 0;
}

void world_calm(struct world *w)
{
        const struct fake *f = w->f;
        bool calm = f->connected && !f->history_down && f->ingested_seq == UINT64_MAX && !f->tasks && !f->core->fetches;

        for (unsigned i = 0; i < N_CLIENTS; i++) {
                struct client *c = &w->clients[i];

                if (!c->session)
                        continue;
                calm &= !is_waiting(c->session);
                if (c->session->n_queue == 0)
                        c->read_bytes = 0;
        }
        if (calm)
                w->trouble = false;
}
