/* Numbers that stand for objects which may be gone when an answer comes: a number of a freed object is found by nobody. */
#pragma once

#include <stdint.h>

struct handle_slot {
        void *object; /* NULL: free */
        uint32_t generation;
        uint32_t next_free;
};

struct handle_table {
        struct handle_slot *slots;
        uint32_t n, cap;
        uint32_t free_head; /* index + 1; 0: none */
};

/* 0 and a number that is never 0; -ENOMEM */
int handle_put(struct handle_table *t, void *object, uint64_t *ret_handle);
/* NULL when it is gone, or for 0 */
void *handle_get(const struct handle_table *t, uint64_t handle);
void handle_remove(struct handle_table *t, uint64_t handle);
void handle_table_done(struct handle_table *t);
