/* The door into an actor: other threads put items in, the loop's thread takes them out.
 *
 * inbox_post is thread-safe and never blocks on the loop. Items are delivered in the order they were posted, in batches:
 * the handler is called once for each item, then `turn_end` (may be NULL) once. Bounded by bytes: what waits and is not
 * yet taken out for a batch never passes max_bytes; inbox_post refuses. */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct uv_loop_s uv_loop_t;

struct inbox;
struct inbox_item {
        struct inbox_item *next;
        size_t bytes; /* what it counts for; set by the poster */
};

typedef void (*inbox_handler)(struct inbox_item *item, void *userdata); /* takes ownership */
typedef void (*inbox_turn_end)(void *userdata);

enum { INBOX_E_FULL = 1, INBOX_E_CLOSED = 2 };

/* 0, -ENOMEM, or what uv_async_init says. On the loop's thread. */
int inbox_new(struct inbox **ret_inbox, uv_loop_t *loop, size_t max_bytes, inbox_handler handler,
              inbox_turn_end turn_end, void *userdata);
/* 0: the inbox owns the item; INBOX_E_FULL, INBOX_E_CLOSED: the caller still does */
int inbox_post(struct inbox *in, struct inbox_item *item);
/* Refuses posts from now on, hands the rest to `drop`, and closes the async handle; the memory is released once the
 * loop has run its close callbacks: until then inbox_post answers INBOX_E_CLOSED, afterwards no thread may call it.
 * On the loop's thread, also from a handler (turn_end is not called then). in may be NULL. */
void inbox_close(struct inbox *in, inbox_handler drop);
