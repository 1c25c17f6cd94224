#include "gateway/handle.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t handle_make(uint32_t index, uint32_t generation)
{
        return (uint64_t)generation << 32 | (index + 1);
}

int handle_put(struct handle_table *t, void *object, uint64_t *ret_handle)
{
        uint32_t index;

        if (t->free_head) {
                index = t->free_head - 1;
                t->free_head = t->slots[index].next_free;
        } else {
                if (t->n == t->cap) {
                        uint32_t cap = t->cap ? t->cap * 2 : 64;
                        struct handle_slot *slots = realloc(t->slots, cap * sizeof(*slots));

                        if (!slots)
                                return -ENOMEM;
                        t->slots = slots;
                        t->cap = cap;
                }
                index = t->n++;
                t->slots[index].generation = 0;
        }
        t->slots[index].object = object;
        *ret_handle = handle_make(index, t->slots[index].generation);
        return 0;
}

void *handle_get(const struct handle_table *t, uint64_t handle)
{
        uint32_t index = (uint32_t)handle - 1;

        if (!handle || index >= t->n || t->slots[index].generation != handle >> 32)
                return NULL;
        return t->slots[index].object;
}

void handle_remove(struct handle_table *t, uint64_t handle)
{
        uint32_t index = (uint32_t)handle - 1;

        if (!handle_get(t, handle))
                return;
        t->slots[index].object = NULL;
        t->slots[index].generation++;
        t->slots[index].next_free = t->free_head;
        t->free_head = index + 1;
}

void handle_table_done(struct handle_table *t)
{
        free(t->slots);
        *t = (struct handle_table){0};
}
