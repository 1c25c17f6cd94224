/* How long news wait before they are told: not at all while there are few, and otherwise for what else comes for the same session, since a write costs more
 * than all that is in it.
 *
 * In a storm, when many come or go at once, they wait for no longer than lets all be told within five seconds of it. The gateway of him who comes takes up to
 * a second of these, presence half a one, and telling a crowd in turns some tenths. */
#include "gateway/look.h"

/* With more news a second than CALM they wait: HOLD_MS for each one more, HOLD_MAX_MS at most, so that a gateway with 10,000 sessions, each of which has
 * news every six or seven seconds, makes two writes of five less. HOLD_STORM_MS: at most in a storm, which it also is while each session
 * has news every second (and so many in a write in any case). */
enum { CALM_PER_S = 250, HOLD_MS = 5, HOLD_MAX_MS = 6000, HOLD_STORM_MS = 2000, LOAD_MS = 1000 };
static_assert((unsigned)HOLD_MAX_MS + 2 * TELL_TICK_MS < TELL_TICKS * TELL_TICK_MS, "the calendar has no day so late");

/* A storm: within five seconds more than STORM_PERCENT of those who are looked at have changed, or STORM_CHANGES. Of a crowd of whom a tenth comes and
 * a tenth goes in a minute, it is less than two in a hundred. STORM_MS: so long after the last such moment what it brought is told as in a storm. */
enum { STORM_PERCENT = 3, STORM_CHANGES = 3000, STORM_MS = 5000 };

/* True: it begins */
static bool storm_seen(struct calendar *c, uint64_t now_ms)
{
        bool storm = now_ms < c->storm_until_ms;

        c->storm_until_ms = now_ms + STORM_MS;
        return !storm;
}

bool hold_change(struct looks *all)
{
        struct calendar *c = &all->telling;
        uint64_t second = all->core->now_ms / 1000;
        unsigned most = (unsigned)((uint64_t)HASH_COUNT(all->seen) * STORM_PERCENT / 100), n = 0;

        if (second - c->second >= CHANGES_S)
                c->second = second - CHANGES_S;
        while (c->second != second)
                c->changes[++c->second % CHANGES_S] = 0;
        c->changes[second % CHANGES_S]++;
        for (unsigned i = 0; i < CHANGES_S; i++)
                n += c->changes[i];
        return n > (most < STORM_CHANGES ? most : STORM_CHANGES) && storm_seen(c, all->core->now_ms);
}

bool hold_news(struct looks *all)
{
        struct calendar *c = &all->telling;
        uint64_t now_ms = all->core->now_ms, passed_ms = now_ms - c->since_ms;
        bool begins = false;

        if (passed_ms >= LOAD_MS) {
                c->per_s = passed_ms >= 4 * LOAD_MS ? 0 : (c->per_s + (unsigned)(c->news * 1000ULL / passed_ms)) / 2;
                c->news = 0;
                c->since_ms = now_ms;
                begins = c->per_s > all->n && storm_seen(c, now_ms);
        }
        c->news++;
        return begins;
}

uint64_t hold_news_ms(const struct looks *all)
{
        const struct calendar *c = &all->telling;
        uint64_t ms = c->per_s > CALM_PER_S ? (uint64_t)(c->per_s - CALM_PER_S) * HOLD_MS : 0,
                 max = all->core->now_ms < c->storm_until_ms ? HOLD_STORM_MS : HOLD_MAX_MS;

        return ms < max ? ms : max;
}
