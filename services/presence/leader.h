/* Which of several instances speaks: all of them know everything, one tells. Pure.
 *
 * Whoever speaks is heard at least every second. The one whose id comes first goes on when two speak; who hears nobody for a while begins. Two
 * that do not hear each other both speak, each to those who hear it, which does no harm: both say the same. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ident.h"

/* LEADER_SPEAK_MS: so often it speaks at the least, and its tick is no rarer. LEADER_SILENT_MS: then another one does. */
enum { LEADER_SPEAK_MS = 1000, LEADER_SILENT_MS = 3 * LEADER_SPEAK_MS };

struct leader {
        char id[IDENT_MAX + 1];
        char heard[IDENT_MAX + 1]; /* who spoke last, before us in the order; empty: nobody */
        uint64_t heard_ms;         /* when; or when we began to listen */
        uint32_t settle_ms;
        bool leading;
};

/* settle_ms: how long it listens before it begins by itself */
void leader_init(struct leader *l, const char *id, uint64_t now_ms, uint32_t settle_ms);
/* We heard nothing for a while, and may know less than others: from now on we listen, as in the beginning */
void leader_yield(struct leader *l, uint64_t now_ms);
/* Another one spoke. True: it is to be listened to, we are silent. */
bool leader_heard(struct leader *l, const char *id, uint64_t now_ms);
/* True: we speak. ready: we have something to say. */
bool leader_tick(struct leader *l, uint64_t now_ms, bool ready);
