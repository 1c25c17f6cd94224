/* A mutation (send, edit, delete) between its frame and its one answer.
 *
 *   mutation_begin → [edit, delete: target_find] → [retry: lookup, the log's epoch] → publish → publish_on_puback → ack
 *
 * It outlives its session: the answer is dropped then, the publish is not. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/codes.h"
#include "base/ident.h"
#include "gateway/channel.h"
#include "gateway/session.h"
#include "policy/policy.h"
#include "wire/event.h"

struct mutation {
        struct mutation *prev, *next;
        struct core *core;
        struct channel *channel; /* a reference */
        uint64_t session;        /* handle */
        uint32_t ref;
        uint32_t retry_age_ms;
        bool retry;
        bool published;      /* and only its answer is waited for */
        bool foreseen;       /* foresight.h */
        bool looked_up;      /* history was asked for this identity */
        bool target_leader;  /* the target was looked for at the leader */
        bool target_may_any; /* may delete what others wrote */
        bool admin;
        enum policy_action action; /* what must still be allowed when it is published */
        uint64_t started_ns;
        uint64_t target_seq;   /* 0: none */
        uint64_t visible_from; /* what lies below is hidden from this user */
        int64_t unstored_ms;   /* of a retry: until then it was not stored, unix ms */
        uint64_t stored_seq;   /* of an identity that was stored before */
        size_t expired; /* 0, or 1 and which descriptor has: of a retry, which is acked if it is stored, and never published */
        enum parley_code target_error; /* why it cannot be, unless the identity is stored already */
        /* What the log gets, behind this struct. An edit or a deletion gets its target's id first: it has `event`, too, and is packed again. */
        size_t n_packed;
        Parley__V1__Event *event; /* NULL: only packed */
        Google__Protobuf__Timestamp created_at;
        size_t bytes; /* of it all, about */
        char id[UUID_LEN + 1];
        char actor_id[IDENT_MAX + 1];
        char trace_id[33];
        uint8_t packed[];
};

struct mutation_options {
        uint32_t ref;
        bool retry;
        uint32_t retry_age_ms;
        uint64_t target_seq, visible_from;
        bool target_may_any;
        size_t expired; /* see struct mutation */
        enum policy_action action;
};

/* Copies the event; checks have been made: its id is a UUID and its actor an identifier. Answers the session in the end, exactly once. */
void mutation_begin(struct session *s, struct channel *c, const Parley__V1__Event *event,
                    const struct mutation_options *options);
/* Of what was asked for. 0, -ENOMEM. */
int mutation_fingerprint(const struct mutation *m, uint8_t ret[FINGERPRINT_LEN]);
/* The answers; both free it */
void mutation_ack(struct mutation *m, uint64_t seq, const Google__Protobuf__Timestamp *created_at, bool duplicate);
__attribute__((__format__(__printf__, 4, 5))) void mutation_fail(struct mutation *m, enum parley_code code,
                                                                 uint32_t retry_ms, const char *format, ...);

/* --- publish.c --- */
void publish_start(struct mutation *m);
/* The identity is stored as this event: the same request is acked, another one is an error. content_hash: NULL, or what its fingerprint was */
void publish_answer_stored(struct mutation *m, const Parley__V1__Event *stored, const uint8_t *content_hash,
                           size_t n_hash);
/* Asks history whether the identity is stored */
void publish_lookup(struct mutation *m);

/* --- target.c --- */
void target_find(struct mutation *m);
/* At the end of the process: what is unanswered is forgotten */
void mutation_free_all(struct core *core);
