/* The buckets MEMBERS, CHANNELS (what is open to everyone) and PRESENCE, read into the roster and followed. */
#pragma once

#include <stdbool.h>

struct bus;
struct roster;
struct mirror;

/* 0, negative errno */
int mirror_new(struct mirror **ret_mirror, struct bus *bus, struct roster *roster, void (*before)(void *userdata),
               void *userdata);
void mirror_free(struct mirror *m);
/* All that was in the buckets has been read at least once */
bool mirror_complete(const struct mirror *m);
