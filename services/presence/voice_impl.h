/* Inside of voice: what is said (voice.c), answered (voice_answer.c), and written (voice_store.c). */
#pragma once

#include "base/buf.h"
#include "base/ratetable.h"
#include "presence/leader.h"
#include "presence/roster.h"
#include "presence/voice.h"

/* VOICE_MESSAGE_MAX: what NATS carries, 1 MiB, less its headers. VOICE_USERS: whose rate is remembered. VOICE_STATUS_COST: of a change,
 * the seconds of an hour: the table's rates are by the second, ours by the hour. */
enum { VOICE_MESSAGE_MAX = 1000 << 10, VOICE_USERS = 50000, VOICE_STATUS_COST = 3600 };

struct bus_sub;
struct to_store;
struct question;

struct voice {
        struct voice_options options;
        struct leader leader;
        struct tidings tidings;
        struct buf bytes;
        struct ratetable *status_rate;
        struct bus_sub *gateways, *alive, *others, *query, *status;
        struct to_store *store_first, *store_last;
        unsigned n_store;
        struct question *questions; /* in the order in which they are gone on with */
        unsigned n_questions;
        uint64_t counter, said_ms, heard_ms; /* heard: anything, while we lead */
        bool begun;
        bool spoke_last; /* and nobody has since: what changes while we are silent is for us to tell, or nobody would */
};

bool voice_publish(struct voice *v, const char *subject, const ProtobufCMessage *message);
/* Whether requests are answered */
void voice_answer_begin(struct voice *v);
void voice_answer_end(struct voice *v);
/* Writes some of the records that wait */
void voice_store_some(struct voice *v);
void voice_store_clear(struct voice *v);
