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
/* The connection to NATS is gone: what is in the buckets is not known any more, until all of it was given again */
void mirror_broken(struct mirror *m);
/* All that is in the buckets has been read since the last break: whoever speaks then knows who has left what by now */
bool mirror_complete(const struct mirror *m);
