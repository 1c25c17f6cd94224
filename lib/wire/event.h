/* Helpers for the one schema: events as they are stored and compared. */
#pragma once

#include "parley/v1/event.pb-c.h"
#include "wire/wire.h"

#define FINGERPRINT_LEN 16

/* What a mutation asked for, without what the service adds (times, names, sequence): two requests under one identity
 * are the same request exactly when these are equal. The first 16 bytes of the SHA-256 over the kind of the body and
 * its canonical fields:
 *   message: content, type, thread_id, reply_to, mentions, attachments     message_edited: target_seq, content, mentions
 *   message_deleted: target_seq                               others: the whole body
 * Stored by history: neither the fields nor their numbers may change for a kind. 0, -ENOMEM. */
int event_fingerprint(const Parley__V1__Event *event, uint8_t ret[FINGERPRINT_LEN]);

/* "message", "message_edited", …: the name of the set body, for storage and logs; "none" when nothing is set */
const char *event_kind(const Parley__V1__Event *event);

/* Reads the payload of a log message (with wire_limits_internal) and sets seq and prev from the headers. An event of a
 * kind that this build does not know has no body: event_kind says "none". 0, WIRE_E_*, negative errno. */
int event_decode(const uint8_t *data, size_t n, uint64_t seq, uint64_t prev, Parley__V1__Event **ret_event,
                 struct wire_error *ret_error);
