#include "upload/local_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/ident.h"

/* What is published lies in 256 folders, by the last two characters of its name; a page is one of them. */
enum { FOLDERS = 256, PATH_SIZE = 32 };

struct found {
        struct store_entry *entries;
        size_t n, room;
};

static int keep(struct found *f, const char *name, const struct stat *st)
{
        struct store_entry *e;

        if (f->n == f->room) {
                size_t room = f->room ? f->room * 2 : 64;

                e = realloc(f->entries, room * sizeof(*e));
                if (!e)
                        return -ENOMEM;
                f->entries = e;
                f->room = room;
        }
        e = &f->entries[f->n++];
        memcpy(e->name, name, strlen(name) + 1); /* at most STORE_NAME_MAX: is_name */
        e->size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
        e->modified_s = st->st_mtime;
        return 0;
}

/* Names that are not ours are nobody's to report */
static bool is_name(const char *name)
{
        size_t n = strlen(name);

        return n >= UUID_LEN && n <= STORE_NAME_MAX && strspn(name, "0123456789abcdef-") == n;
}

static int read_folder(const struct local_dir *d, const char *path, struct found *f)
{
        int fd = openat(d->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r = 0;
        struct dirent *e;
        struct stat st;
        DIR *dir;

        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        dir = fdopendir(fd);
        if (!dir) {
                (void)close(fd);
                return -ENOMEM;
        }
        while (r == 0 && (e = readdir(dir)))
                if (is_name(e->d_name) && fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
                        r = keep(f, e->d_name, &st);
        (void)closedir(dir);
        return r;
}

static int parse(const char *cursor, unsigned *ret_folder)
{
        char *end;
        unsigned long n = strtoul(cursor, &end, 16);

        if (!*cursor) {
                *ret_folder = 0;
                return 0;
        }
        if (strlen(cursor) != 2 || *end || n >= FOLDERS)
                return -EINVAL;
        *ret_folder = (unsigned)n;
        return 0;
}

int local_list(const struct local_dir *d, bool published, const char *cursor, struct store_entry **ret_entries,
               size_t *ret_n, char *ret_next)
{
        struct found f = {0};
        char path[PATH_SIZE];
        unsigned folder;
        int r = parse(cursor, &folder);

        if (r < 0)
                return r;
        if (published) {
                (void)snprintf(path, sizeof(path), "files/%02x", folder);
                r = read_folder(d, path, &f);
        } else {
                r = read_folder(d, "pending", &f);
                if (r == 0)
                        r = read_folder(d, "sealed", &f);
        }
        if (r < 0) {
                free(f.entries);
                return r;
        }
        *ret_next = '\0';
        if (published && folder + 1 < FOLDERS)
                (void)snprintf(ret_next, LOCAL_CURSOR_MAX + 1, "%02x", folder + 1);
        *ret_entries = f.entries;
        *ret_n = f.n;
        return 0;
}
