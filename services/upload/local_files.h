/* The folder of the local store. Every function blocks: not for the loop's thread. No state but the folder's descriptor.
 *
 *   pending/<name>/data      bodies as they come, each at its offset
 *   pending/<name>/<part>    "<size> <sha256>": this part is there, whole and durable
 *   sealed/<name>            out of the clients' reach, not yet published
 *   files/<xx>/<name>        published; xx: the last two characters of the name
 *   lock                     held by the one service that uses the folder
 *
 * Names are ids of ours ([0-9a-f-], 36 and more); the caller checks them. Returns: 0, or negative errno; what is renamed or made is durable
 * when a function returns, but for local_begin. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "auth/mac.h"
#include "upload/store.h"

struct local_dir {
        int fd, lock_fd;
};

/* Makes what is missing, but for the folders above path. -EBUSY: another service uses it. */
int local_dir_open(struct local_dir *d, const char *path);
void local_dir_close(struct local_dir *d);

/* Not durable before the first body is: after a power failure the upload may have to be begun again, and no disk is waited for here */
int local_begin(const struct local_dir *d, const char *name);
/* For one body; what is known of an earlier one of this part is forgotten. -ENOENT: no such upload (any more); -EEXIST: it is sealed */
int local_body_open(const struct local_dir *d, const char *name, uint32_t part, int *ret_fd);
int local_body_write(int fd, const void *data, size_t n, uint64_t offset);
/* Lets the disk begin with these bytes, which were written: what is left to wait for at the end is little. May wait for a busy disk. */
void local_body_flush(int fd, uint64_t offset, uint64_t n);
/* All of it was written: from now on the part is there */
int local_body_end(const struct local_dir *d, const char *name, uint32_t part, int fd, uint64_t size,
                   const uint8_t sha256[MAC_LEN]);
/* Ascending; *ret_parts is malloc'ed */
int local_parts(const struct local_dir *d, const struct store_object *o, uint32_t **ret_parts, uint32_t *ret_n);
/* -ENOENT: not all of it is there; -EIO: its parts are, and its bytes are not as many */
int local_seal(const struct local_dir *d, const struct store_object *o, char ret_sum[STORE_SUM_MAX + 1]);
/* The first bytes of a sealed or published object, at most *n, which becomes how many they are */
int local_read(const struct local_dir *d, const char *name, uint8_t *ret, size_t *n);
int local_publish(const struct local_dir *d, const char *name);
int local_forget(const struct local_dir *d, const char *name);
int local_remove(const struct local_dir *d, const char *name);
int local_file_open(const struct local_dir *d, const char *name, int *ret_fd, uint64_t *ret_size);
/* A page of store.h's list: one of its folders. *ret_entries is malloc'ed; ret_next has LOCAL_CURSOR_MAX + 1 bytes. -EINVAL: no such cursor */
#define LOCAL_CURSOR_MAX 7
int local_list(const struct local_dir *d, bool published, const char *cursor, struct store_entry **ret_entries,
               size_t *ret_n, char *ret_next);
