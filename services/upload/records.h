/* What upload keeps: uploads that were begun (bucket UPLOADS), files (bucket FILES, file.<id>). */
#pragma once

#include <stdint.h>

#include "parley/v1/upload.pb-c.h"
#include "upload/env.h"
#include "upload/store.h"

/* error: 0, BUS_E_* (BUS_E_NOT_FOUND among them), -EBADMSG. m is NULL when error is not 0, else the handler's to free. revision: for the next
 * compare-and-set. */
typedef void (*record_handler)(int error, ProtobufCMessage *m, uint64_t revision, void *userdata);
/* error: 0, BUS_E_* (BUS_E_CONFLICT: another revision is there) */
typedef void (*record_done)(int error, void *userdata);

/* All return 0 and call the handler later, or BUS_E_* and negative errno. id: a UUID */
int record_get_upload(struct env *env, const char *id, record_handler handler, void *userdata);
int record_get_file(struct env *env, const char *id, record_handler handler, void *userdata);
/* expected: of bus_kv_put */
int record_put_upload(struct env *env, const Parley__V1__PendingUpload *u, uint64_t expected, record_done done,
                      void *userdata);
int record_put_file(struct env *env, const Parley__V1__StoredFile *f, uint64_t expected, record_done done,
                    void *userdata);
/* expected: of bus_kv_delete. Ids are never used again: a file is put with BUS_KV_NEVER, and deleting it with that, before there is one, says
 * that there never will be. */
int record_delete_upload(struct env *env, const char *id, uint64_t expected, record_done done, void *userdata);
int record_delete_file(struct env *env, const char *id, uint64_t expected, record_done done, void *userdata);
/* Reads the value of UPLOADS that a reader of the bucket gave. 0 or -EBADMSG */
int record_read_upload(const uint8_t *data, size_t n, Parley__V1__PendingUpload **ret_upload);

/* The object of an upload; borrows from it */
struct store_object record_object(const Parley__V1__PendingUpload *u);
