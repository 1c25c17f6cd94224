/* The WebSocket close codes that the gateway sends; docs/protocol.md says what a client does on each.
 *
 * 1012 and 1013 are registered (IANA, WebSocket Close Code Number Registry); 4000 to 4999 are for applications (RFC
 * 6455, 7.4.2).
 *
 * X(NAME, value, text): the reason that goes with the code where the closing place has nothing better to say;
 * at most 123 bytes (RFC 6455, 5.5). */
#pragma once

#define PARLEY_CLOSE_MAP(X)                                                                                            \
        X(SERVICE_RESTART, 1012, "the gateway stops; reconnect after the hint")                                        \
        X(TRY_AGAIN_LATER, 1013, "not available now; try again later")                                                 \
        X(PROTOCOL_ERROR, 4000, "protocol error")                                                                      \
        X(UNAUTHENTICATED, 4001, "a valid token is needed")                                                            \
        X(TOKEN_EXPIRED, 4002, "the token has expired")                                                                \
        X(FORBIDDEN, 4003, "not allowed")                                                                              \
        X(HELLO_TIMEOUT, 4004, "no hello in time")                                                                     \
        X(IDLE, 4005, "silent for too long")                                                                           \
        X(TOO_SLOW, 4008, "reading too slowly; resume")                                                                \
        X(TOO_MANY, 4009, "too many connections or frames")                                                            \
        X(RECONNECT, 4010, "reconnect at once")

enum parley_close {
#define X(name, value, text) PARLEY_CLOSE_##name = (value),
        PARLEY_CLOSE_MAP(X)
#undef X
};

/* Never NULL */
static inline const char *parley_close_text(enum parley_close code)
{
        switch (code) {
#define X(name, value, text)                                                                                           \
        case PARLEY_CLOSE_##name:                                                                                      \
                return text;
                PARLEY_CLOSE_MAP(X)
#undef X
        }
        return "";
}
