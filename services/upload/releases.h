/* rpc.upload.release: files whose last message was deleted are removed, and whoever asks hears which ones are gone. */
#pragma once

#include "upload/env.h"

struct releases;

int releases_new(struct releases **ret_releases, struct env *env);
/* From the first connection on */
void releases_connected(struct releases *r);
/* Takes no more requests; what runs counts in env */
void releases_stop(struct releases *r);
void releases_free(struct releases *r); /* NULL is fine */
