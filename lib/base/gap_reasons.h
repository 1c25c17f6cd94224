/* Why a gap is sent in place of events; docs/protocol.md says what a client does on each.
 *
 * X(NAME, text) */
#pragma once

#define PARLEY_GAP_MAP(X)                                                                                              \
        X(TOO_LONG, "too_long")                                                                                        \
        X(EPOCH_CHANGED, "epoch_changed")                                                                              \
        X(UNAVAILABLE, "unavailable")                                                                                  \
        X(CURSOR_AHEAD, "cursor_ahead")

// clang-format off
enum parley_gap {
#define X(name, text) PARLEY_GAP_##name,
        PARLEY_GAP_MAP(X)
#undef X
};
// clang-format on

/* As clients see it; never NULL */
static inline const char *parley_gap_text(enum parley_gap reason)
{
        switch (reason) {
#define X(name, text)                                                                                                  \
        case PARLEY_GAP_##name:                                                                                        \
                return text;
                PARLEY_GAP_MAP(X)
#undef X
        }
        return "";
}
