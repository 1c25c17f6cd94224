/* The objects of one upload or file in the store: its content and, where it has one, its thumbnail. */
#pragma once

#include "base/ident.h"
#include "parley/v1/upload.pb-c.h"
#include "upload/env.h"
#include "upload/quota_core.h"
#include "upload/store.h"

#define OBJECTS_THUMBNAIL_PREFIX "0-" /* of a thumbnail's name, before the file's id: of the letters that names have */
#define OBJECTS_NAME_MAX (UUID_LEN + sizeof(OBJECTS_THUMBNAIL_PREFIX) - 1)

/* In struct objects */
enum { OBJECT_CONTENT, OBJECT_THUMBNAIL };

/* Borrows from what it is of; not to be copied */
struct objects {
        struct store_object all[2];
        unsigned n;
        char thumbnail[OBJECTS_NAME_MAX + 1];
};

void objects_of_upload(const Parley__V1__PendingUpload *u, struct objects *ret);
/* Of what may have been a file with this id, of which nothing is known */
void objects_of_id(const char *id, struct objects *ret);
void objects_of_file(const Parley__V1__StoredFile *f, struct objects *ret);
/* ret: OBJECTS_NAME_MAX + 1 bytes */
void objects_thumbnail_name(const char *id, char *ret);
/* The bytes of all, which is what counts for a quota */
uint64_t objects_bytes(const struct objects *o);

/* What can still be sent to the addresses of an upload that ends now, once more, beside its object: for a COMMIT or RELEASE of it */
void objects_hold(const struct env *env, const Parley__V1__PendingUpload *u, struct quota_change *ret);
/* How long an address that is signed now for a body of it is valid: not longer than the upload. s */
uint32_t objects_url_ttl(const struct env *env, const Parley__V1__PendingUpload *u);

typedef int (*objects_call)(struct store *s, const struct store_object *o, store_handler handler, void *userdata);
/* error: as of the store */
typedef void (*objects_handler)(int error, void *userdata);
/* One of the store's calls whose answer is only whether it worked (publish, forget, remove) for one object after the other, up to the first error.
 * What o borrows from has to stay until handler is called, exactly once, perhaps before this returns. */
void objects_run(struct env *env, const struct objects *o, objects_call call, objects_handler handler, void *userdata);
