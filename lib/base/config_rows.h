/* Rows of a service's table of settings, written short. For the one file that has the table: it defines CONFIG_STRUCT, the struct that is
 * filled, before it includes this. n: name, m: member, d: default, lo and hi: bounds, u: unit, h: help; see struct config_item. */
#pragma once

#include <stddef.h>

#include "base/config.h"

#define STRING(n, m, d, h)                                                                                             \
        {                                                                                                              \
                .name = (n), .type = CONFIG_STRING, .offset = offsetof(CONFIG_STRUCT, m), .def = (d), .help = (h)      \
        }
#define SECRET(n, m, h)                                                                                                \
        {                                                                                                              \
                .name = (n), .type = CONFIG_SECRET, .offset = offsetof(CONFIG_STRUCT, m), .help = (h)                  \
        }
#define NUMBER(n, m, d, lo, hi, u, h)                                                                                  \
        {                                                                                                              \
                .name = (n), .type = CONFIG_U64, .offset = offsetof(CONFIG_STRUCT, m), .def = (d), .min = (lo),        \
                .max = (hi), .unit = (u), .help = (h)                                                                  \
        }
/* 0 switches the limit off */
#define LIMIT(n, m, d, lo, hi, u, h)                                                                                   \
        {                                                                                                              \
                .name = (n), .type = CONFIG_U64, .offset = offsetof(CONFIG_STRUCT, m), .def = (d), .min = (lo),        \
                .max = (hi), .zero_is_off = true, .unit = (u), .help = (h)                                             \
        }
#define SWITCH(n, m, d, h)                                                                                             \
        {                                                                                                              \
                .name = (n), .type = CONFIG_BOOL, .offset = offsetof(CONFIG_STRUCT, m), .def = (d), .help = (h)        \
        }
