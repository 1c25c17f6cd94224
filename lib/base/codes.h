/* The error codes that clients see, in error frames and in problem documents: one list for every service.
 *
 * X(NAME, text, http status, title) */
#pragma once

#define PARLEY_CODE_MAP(X)                                                                                             \
        X(OK, "ok", 200, "OK")                                                                                         \
        X(BAD_REQUEST, "bad_request", 400, "The request is not valid")                                                 \
        X(BAD_FRAME, "bad_frame", 400, "The frame cannot be read")                                                     \
        X(UNKNOWN_TYPE, "unknown_type", 400, "There is no frame of this type")                                         \
        X(TOO_LARGE, "too_large", 413, "Too large")                                                                    \
        X(UNAUTHENTICATED, "unauthenticated", 401, "A valid token is needed")                                          \
        X(TOKEN_EXPIRED, "token_expired", 401, "The token has expired")                                                \
        X(FORBIDDEN, "forbidden", 403, "Not allowed")                                                                  \
        X(NOT_A_MEMBER, "not_a_member", 403, "Not a member of this channel")                                           \
        X(NOT_FOUND, "not_found", 404, "There is no such thing")                                                       \
        X(METHOD_NOT_ALLOWED, "method_not_allowed", 405, "This path has no such method")                               \
        X(ARCHIVED, "archived", 409, "The channel is archived")                                                        \
        X(ID_CONFLICT, "id_conflict", 409, "This id was used for something else")                                      \
        X(CONFLICT, "conflict", 409, "This contradicts what is there")                                                 \
        X(RATE_LIMITED, "rate_limited", 429, "Too many requests")                                                      \
        X(UNAVAILABLE, "unavailable", 503, "Not available now; try again")                                             \
        X(INTERNAL, "internal", 500, "Something went wrong here")

// clang-format off
enum parley_code {
#define X(name, text, http, title) PARLEY_##name,
        PARLEY_CODE_MAP(X)
#undef X
        _PARLEY_CODE_N,
};
// clang-format on

/* "not_a_member" and the like; never NULL */
const char *parley_code_text(enum parley_code code);
/* The code of a text, as another service wrote it; PARLEY_INTERNAL for one that this build does not know */
enum parley_code parley_code_parse(const char *text);
/* The HTTP status of a code */
unsigned parley_code_http(enum parley_code code);
/* A short English title; never NULL */
const char *parley_code_title(enum parley_code code);
