/* Helpers for the one schema: events as they are stored and compared. */
#pragma once

#include "parley/v1/event.pb-c.h"
#include "wire/wire.h"

#define FINGERPRINT_LEN 16

/* What a mutation asked for, without what the service adds (times, names, sequence): two requests under one identity are the same
 * request exactly when these are equal. The first 16 bytes of the SHA-256 over the body's canonical fields. */
void event_fingerprint(const Parley__V1__Event *event, uint8_t ret[FINGERPRINT_LEN]);

/* "message", "message_edited", …: the name of the set body, for storage and logs; "none" when nothing is set */
const char *event_kind(const Parley__V1__Event *event);

/* Reads the payload of a log message and sets seq and prev from the headers. 0, WIRE_E_*, negative errno. */
int event_decode(const uint8_t *data, size_t n, uint64_t seq, uint64_t prev, Parley__V1__Event **ret_event, struct wire_error *ret_error);
