#include "gateway/frame.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/wire.h"

/* libwebsockets writes right in front of `data` */
_Static_assert(offsetof(struct frame, data) == offsetof(struct frame, room) + TRANSPORT_ROOM, "room before data");

struct frame *frame_new(size_t n)
{
        struct frame *f = malloc(sizeof(*f) + n);

        if (!f)
                return NULL;
        frame_init(f, n);
        return f;
}

int frame_encode(struct buf *scratch, const Parley__V1__ServerFrame *message, enum encoding encoding,
                 struct frame **ret_frame)
{
        struct frame *f;
        int r;

        buf_reset(scratch, 65536);
        if (encoding == ENCODING_JSON) {
                r = wire_frame_json_encode(&message->base, scratch);
                if (r == 0)
                        r = buf_append(scratch, "\n", 1);
        } else {
                r = wire_proto_encode_delimited(&message->base, scratch);
        }
        if (r)
                return r == BUF_E_FULL ? -E2BIG : r;
        f = frame_new(scratch->len);
        if (!f)
                return -ENOMEM;
        memcpy(f->data, scratch->data, scratch->len);
        *ret_frame = f;
        return 0;
}

void frame_unref(struct frame *f)
{
        if (f && --f->refs == 0)
                free(f);
}
