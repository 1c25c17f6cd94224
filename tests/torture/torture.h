/* Allocation failure, as curl's torture tests have it: a script runs again and again, and each time another allocation fails, the first,
 * the second, …, until one run got through without. The linker's --wrap brings every malloc, calloc, realloc, strdup and strndup of our
 * code (and of libraries that are linked statically, as yyjson is) here; what protobuf-c unpacks comes through an allocator of ours. */
#pragma once

#include <stdbool.h>

/* Allocations fail only between these two, which nest the other way around: what the test itself does is not tried */
void torture_begin(void);
void torture_end(void);
/* The part of a fake that the code under test calls */
void torture_pause(void);
void torture_resume(void);
/* Whether the allocation of this run has failed already */
bool torture_failed(void);

/* run is called with the 1st, 2nd, … allocation failing; returns how many there were. It checks for itself what must hold. */
unsigned torture_each(void (*run)(void *arg), void *arg);
