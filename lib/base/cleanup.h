/* Scope-bound release. `_cleanup_(x_freep) X *x = NULL;` frees at the end of the scope. */
#pragma once

#include <stdlib.h>

#define _cleanup_(f) __attribute__((__cleanup__(f)))
#define _public_ __attribute__((__visibility__("default")))
#define _printf_(fmt, args) __attribute__((__format__(__printf__, fmt, args)))
#define _unused_ __attribute__((__unused__))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Defines x_freep for use with _cleanup_ */
#define DEFINE_FREEP(type, free_func)                                                                                  \
        static inline void free_func##p(type **p)                                                                      \
        {                                                                                                              \
                free_func(*p);                                                                                         \
        }

static inline void cleanup_free(void *p)
{
        free(*(void **)p);
}
#define _cleanup_free_ _cleanup_(cleanup_free)
