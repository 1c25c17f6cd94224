/* Entry of the image `web`: fills the edge's template in with PARLEY_EDGE_* of the environment and becomes nginx. There is no shell there.
 * Arguments are passed on to nginx; "-t" checks the result. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "listen.h"
#include "render.h"

#define TEMPLATE "/etc/parley/nginx.conf.in"
#define TEMPLATE_MAX 262144
#define NGINX "/usr/sbin/nginx"
#define ARGUMENTS_MAX 16
#define LISTEN_MAX 256

static char listen_on[LISTEN_MAX];

/* Only these may be empty: files are in the pages' own origin then, and whoever connects is the client. */
static const char *environment(const char *name)
{
        const char *v = getenv(name);

        if (strcmp(name, "PARLEY_EDGE_LISTEN") == 0)
                return *listen_on ? listen_on : NULL;
        if (strcmp(name, "PARLEY_EDGE_FILES_ORIGIN") == 0 || strcmp(name, "PARLEY_EDGE_TRUSTED_PROXIES") == 0)
                return v ? v : "";
        return v && *v ? v : NULL;
}

static int template_read(char *text)
{
        FILE *f = fopen(TEMPLATE, "re");
        size_t n;
        int r;

        if (!f)
                return -errno;
        n = fread(text, 1, TEMPLATE_MAX, f);
        r = ferror(f) ? -EIO : n == TEMPLATE_MAX ? -EFBIG : 0;
        text[n] = 0;
        (void)fclose(f);
        return r;
}

static int complain(const char *what, int error)
{
        (void)fprintf(stderr, "parley-edge: %s: %s\n", what, strerror(-error));
        return error;
}

static int configure(const char *path)
{
        static char text[TEMPLATE_MAX + 1];
        char error[256];
        FILE *out;
        int r = template_read(text);

        if (r < 0)
                return complain(TEMPLATE, r);
        out = fopen(path, "we");
        if (!out)
                return complain(path, -errno);
        r = render(out, text, environment, error, sizeof(error));
        if (r < 0)
                (void)fprintf(stderr, "parley-edge: %s\n", error);
        if (fclose(out) != 0 && r == 0)
                r = complain(path, -errno);
        return r;
}

static int become_nginx(const char *folder, const char *path, int argc, char **argv)
{
        const char *arguments[ARGUMENTS_MAX + 10] = {"nginx", "-p",     folder, "-c",         path,
                                                     "-e",    "stderr", "-g",   "daemon off;"};
        int n = 9;

        for (int i = 1; i < argc && i < ARGUMENTS_MAX; i++)
                arguments[n++] = argv[i];
        execv(NGINX, (char *const *)arguments);
        return -errno;
}

int main(int argc, char **argv)
{
        const char *folder = getenv("PARLEY_EDGE_TEMP"), *at = getenv("PARLEY_EDGE_LISTEN");
        char path[4096];
        int n;

        if (!folder || folder[0] != '/') {
                (void)fprintf(stderr, "parley-edge: PARLEY_EDGE_TEMP has to name a folder that can be written to\n");
                return 1;
        }
        n = snprintf(path, sizeof(path), "%s/nginx.conf", folder);
        if (n < 0 || (size_t)n >= sizeof(path)) {
                (void)complain("PARLEY_EDGE_TEMP", -ENAMETOOLONG);
                return 1;
        }
        if (at && edge_listen(at, at[0] == ':' && edge_has_ipv6(), listen_on, sizeof(listen_on)) < 0) {
                (void)complain("PARLEY_EDGE_LISTEN", -ENAMETOOLONG);
                return 1;
        }
        if (mkdir(folder, 0700) < 0 && errno != EEXIST) {
                (void)complain(folder, -errno);
                return 1;
        }
        if (configure(path) == 0)
                (void)complain(NGINX, become_nginx(folder, path, argc, argv));
        return 1;
}
