/* Encoded server frames: made once for all sessions that get the same bytes. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "gateway/transport.h"
#include "parley/v1/client.pb-c.h"

enum encoding {
        ENCODING_JSON,  /* one line, newline included */
        ENCODING_PROTO, /* length-delimited */
        _ENCODING_N,
};

struct frame {
        uint32_t refs;
        uint32_t len;
        uint32_t queued;              /* in so many queues of sessions */
        uint8_t room[TRANSPORT_ROOM]; /* the transport writes its header here */
        uint8_t data[];
};

/* 0 and a frame with one reference, -ENOMEM, -E2BIG. scratch: any buffer; its content is lost. */
int frame_encode(struct buf *scratch, const Parley__V1__ServerFrame *message, enum encoding encoding,
                 struct frame **ret_frame);
/* n bytes to be filled in */
struct frame *frame_new(size_t n);
/* The same in memory for sizeof(*f) + n bytes, which frame_unref frees */
static inline void frame_init(struct frame *f, size_t n)
{
        f->refs = 1;
        f->queued = 0;
        f->len = (uint32_t)n;
}
static inline struct frame *frame_ref(struct frame *f)
{
        f->refs++;
        return f;
}
void frame_unref(struct frame *f); /* NULL is fine */
