/* Several frames in one message, made once for all sessions of a turn that have the same ones pending. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gateway/frame.h"

struct core;

/* A packed message is not made larger than this (one frame alone may be) */
#define PACK_MAX_BYTES 65536
/* So many different batches are remembered in a turn */
#define PACK_CACHE 256
/* Smaller messages are not compressed: the effort costs more than is saved */
#define DEFLATE_MIN_BYTES 4096

int packs_new(struct core *core);
void packs_free(struct core *core);
/* The bytes of these frames one behind the other, kept until packs_clear; a single frame is itself. NULL: no memory.
 * deflate: compressed where that makes it smaller; *ret_deflated says. */
struct frame *pack_get(struct core *core, struct frame *const *frames, unsigned n, enum encoding encoding, bool deflate,
                       bool *ret_deflated);
/* The end of a turn's writing */
void packs_clear(struct core *core);
