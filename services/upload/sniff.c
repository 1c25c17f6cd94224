/* The only file that includes magic.h. */
#include "upload/sniff.h"

#include <errno.h>
#include <magic.h>
#include <stdlib.h>

#include "upload/plan.h"
#include "upload/squeeze.h"

/* Bounds of its work on hostile content, below its own defaults */
enum { REGEX_MAX = 4096, DEPTH_MAX = 20, NAME_DEPTH_MAX = 20 };

struct sniff {
        magic_t magic;
        uint8_t text[SNIFF_BYTES_MAX];
};

int sniff_new(struct sniff **ret_sniff)
{
        struct sniff *s = calloc(1, sizeof(*s));
        size_t regex = REGEX_MAX, depth = DEPTH_MAX, names = NAME_DEPTH_MAX;

        if (!s)
                return -ENOMEM;
        /* Nothing is unpacked, no program is run, no file is opened */
        s->magic = magic_open(MAGIC_MIME_TYPE | MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_TAR | MAGIC_NO_CHECK_ELF |
                              MAGIC_NO_CHECK_APPTYPE | MAGIC_NO_CHECK_CDF | MAGIC_NO_CHECK_TOKENS | MAGIC_ERROR);
        if (!s->magic || magic_load(s->magic, NULL) < 0) {
                int r = s->magic ? -ENOENT : -ENOMEM;

                sniff_free(s);
                return r;
        }
        (void)magic_setparam(s->magic, MAGIC_PARAM_REGEX_MAX, &regex);
        (void)magic_setparam(s->magic, MAGIC_PARAM_INDIR_MAX, &depth);
        (void)magic_setparam(s->magic, MAGIC_PARAM_NAME_MAX, &names);
        *ret_sniff = s;
        return 0;
}

void sniff_free(struct sniff *s)
{
        if (!s)
                return;
        if (s->magic)
                magic_close(s->magic);
        free(s);
}

const char *sniff_type(struct sniff *s, const uint8_t *data, size_t n)
{
        size_t kept = squeeze_blanks(data, n < SNIFF_BYTES_MAX ? n : SNIFF_BYTES_MAX, s->text);
        const char *type = kept ? magic_buffer(s->magic, s->text, kept) : NULL;

        return type && plan_type_valid(type) ? type : "application/octet-stream";
}
