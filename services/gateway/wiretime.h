/* Times of the schema. */
#pragma once

#include <stdint.h>

#include "google/protobuf/timestamp.pb-c.h"

/* Milliseconds, as the protocol has them */
static inline void wiretime_set(Google__Protobuf__Timestamp *ret, int64_t ns)
{
        google__protobuf__timestamp__init(ret);
        ret->seconds = ns / 1000000000;
        ret->nanos = (int32_t)(ns % 1000000000 / 1000000 * 1000000);
}

static inline void wiretime_set_s(Google__Protobuf__Timestamp *ret, int64_t seconds)
{
        google__protobuf__timestamp__init(ret);
        ret->seconds = seconds;
}

static inline int64_t wiretime_ns(const Google__Protobuf__Timestamp *t)
{
        return t ? t->seconds * 1000000000 + t->nanos : 0;
}
