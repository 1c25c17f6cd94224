/* Random messages of any type, for the tests of lib/wire. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every type that the schema has, and the one with all kinds of fields */
extern const ProtobufCMessageDescriptor *const wire_all_types[];
extern const size_t wire_n_all_types;

/* A message with random content, at most `depth` levels deep; free with protobuf_c_message_free_unpacked. At least the body of a frame
 * is set. */
ProtobufCMessage *wire_random_message(const ProtobufCMessageDescriptor *type, unsigned depth, uint64_t *seed);

/* Whether two messages hold the same: their packed bytes are the same */
bool wire_equal(const ProtobufCMessage *a, const ProtobufCMessage *b);
