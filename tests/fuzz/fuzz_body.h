/* What the targets of HTTP bodies share. */
#pragma once

#include "wire/wire.h"

/* Reads data as a service reads a body of this type, which is refused with words, or can be written again. The caller frees it with
 * protobuf_c_message_free_unpacked. NULL: refused */
ProtobufCMessage *fuzz_body_read(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t n,
                                 size_t max_elements);
