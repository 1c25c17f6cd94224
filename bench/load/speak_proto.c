/* Parley's binary subprotocol: frames of protobuf, each behind its length. Numbers of fields are those of docs/protocol.md's schema,
 * proto/parley/v1/client.proto and event.proto; written by hand, so that an error of the services' code is not repeated here. */
#include <string.h>

#include "speak.h"

/* --- writing --- */

struct writer {
        char *p;
        size_t n, cap; /* n > cap: did not fit */
};

static void put(struct writer *w, const void *data, size_t n)
{
        if (n && w->n + n <= w->cap)
                memcpy(w->p + w->n, data, n);
        w->n += n;
}

static void put_varint(struct writer *w, uint64_t v)
{
        uint8_t buf[10];
        size_t n = 0;

        for (; v > 0x7f; v >>= 7)
                buf[n++] = (uint8_t)(v | 0x80);
        buf[n++] = (uint8_t)v;
        put(w, buf, n);
}

static void put_number(struct writer *w, unsigned field, uint64_t v)
{
        if (v) {
                put_varint(w, field << 3);
                put_varint(w, v);
        }
}

static void put_bytes(struct writer *w, unsigned field, const void *data, size_t n)
{
        put_varint(w, field << 3 | 2);
        put_varint(w, n);
        put(w, data, n);
}

static void put_text(struct writer *w, unsigned field, const char *text)
{
        if (*text)
                put_bytes(w, field, text, strlen(text));
}

static void put_body(struct writer *w, enum speak_frame frame, const struct said *said)
{
        char inner[20000];
        struct writer i = {inner, 0, sizeof(inner)};

        switch (frame) {
        case SPEAK_HELLO:
                put_text(w, 1, said->token);
                for (unsigned k = 0; k < said->n_cursors; k++) {
                        i.n = 0;
                        put_text(&i, 1, said->cursors[k].room);
                        put_number(&i, 2, said->cursors[k].epoch);
                        put_number(&i, 3, said->cursors[k].seq);
                        put_bytes(w, 2, inner, i.n);
                }
                put_text(w, 3, "bench");
                break;
        case SPEAK_SEND:
                put_text(&i, 1, said->id);
                put_text(&i, 2, said->content);
                put_text(w, 1, said->room);
                if (i.n <= i.cap)
                        put_bytes(w, 2, inner, i.n);
                else
                        w->n = w->cap + 1;
                break;
        case SPEAK_EDIT:
                put_text(w, 1, said->room);
                put_text(w, 2, said->id);
                put_number(w, 3, said->target);
                put_text(w, 4, said->content);
                break;
        case SPEAK_JOIN:
        case SPEAK_PING:
                break;
        }
}

size_t speak_proto(enum speak_frame frame, const struct said *said, char *buf, size_t cap)
{
        static const unsigned fields[] = {[SPEAK_HELLO] = 2, [SPEAK_SEND] = 5, [SPEAK_EDIT] = 6, [SPEAK_PING] = 8};
        char body[24000], whole[24100];
        struct writer b = {body, 0, sizeof(body)}, f = {whole, 0, sizeof(whole)}, w = {buf, 0, cap};

        if (frame == SPEAK_JOIN)
                return 0;
        put_body(&b, frame, said);
        if (b.n > b.cap)
                return 0;
        put_number(&f, 1, frame == SPEAK_HELLO ? 1 : said->ref);
        put_bytes(&f, fields[frame], body, b.n);
        put_varint(&w, f.n);
        put(&w, whole, f.n);
        return w.n <= cap ? w.n : 0;
}

/* --- reading --- */

struct reader {
        const uint8_t *p, *end;
};

static struct reader over(struct span s)
{
        return (struct reader){(const uint8_t *)s.p, (const uint8_t *)s.p + s.n};
}

static bool get_varint(struct reader *r, uint64_t *ret)
{
        uint64_t v = 0;

        for (unsigned shift = 0; r->p < r->end && shift < 64; shift += 7) {
                uint8_t b = *r->p++;

                v |= (uint64_t)(b & 0x7f) << shift;
                if (!(b & 0x80)) {
                        *ret = v;
                        return true;
                }
        }
        return false;
}

/* The next field: a number, or bytes. False at the end, and where it cannot be read (the schema has no fixed-width fields). */
static bool get(struct reader *r, unsigned *field, uint64_t *number, struct span *bytes)
{
        uint64_t tag, n;

        if (!get_varint(r, &tag))
                return false;
        *field = (unsigned)(tag >> 3);
        if ((tag & 7) == 0)
                return get_varint(r, number);
        if ((tag & 7) != 2 || !get_varint(r, &n) || n > (uint64_t)(r->end - r->p))
                return false;
        *bytes = (struct span){(const char *)r->p, (size_t)n};
        r->p += n;
        return true;
}

static void event(struct span data, heard_func func, void *arg)
{
        struct heard h = {.kind = HEARD_EVENT};
        struct reader r = over(data);
        struct span bytes = {0};
        unsigned field;
        uint64_t number = 0;

        while (get(&r, &field, &number, &bytes)) {
                if (field == 1)
                        h.room = bytes;
                else if (field == 2)
                        h.seq = number;
                else if (field == 3)
                        h.prev = number;
                else if (field >= 10)
                        h.text = bytes;
        }
        func(arg, &h);
}

static void replay(struct span data, heard_func func, void *arg)
{
        struct heard h = {.kind = HEARD_REPLAY};
        struct reader r = over(data);
        struct span bytes = {0};
        unsigned field;
        uint64_t number = 0;

        while (get(&r, &field, &number, &bytes)) {
                if (field == 1)
                        h.room = bytes;
                else if (field == 2)
                        h.epoch = number;
                else if (field == 3)
                        h.prev = number;
                else if (field == 4)
                        h.seq = number;
                else if (field == 5)
                        event(bytes, func, arg);
                else if (field == 6)
                        h.more = number != 0;
        }
        func(arg, &h);
}

static void state(struct span data, heard_func func, void *arg)
{
        struct heard h = {.kind = HEARD_STATE};
        struct reader r = over(data), channel = {0};
        struct span bytes = {0};
        unsigned field;
        uint64_t number = 0;

        while (get(&r, &field, &number, &bytes)) {
                if (field == 1)
                        channel = over(bytes);
                else if (field == 3)
                        h.epoch = number;
                else if (field == 4)
                        h.seq = number;
        }
        while (channel.p && get(&channel, &field, &number, &bytes))
                if (field == 1)
                        h.room = bytes;
        func(arg, &h);
}

static void ready(struct span data, heard_func func, void *arg)
{
        struct reader r = over(data);
        struct span bytes = {0};
        unsigned field;
        uint64_t number = 0;

        while (get(&r, &field, &number, &bytes))
                if (field == 4)
                        state(bytes, func, arg);
        func(arg, &(struct heard){.kind = HEARD_READY});
}

static void ack(uint32_t ref, struct span data, heard_func func, void *arg)
{
        struct heard h = {.kind = HEARD_ACK, .ref = ref};
        struct reader r = over(data);
        struct span bytes = {0};
        unsigned field;
        uint64_t number = 0;

        while (get(&r, &field, &number, &bytes))
                if (field == 3)
                        h.seq = number;
        func(arg, &h);
}

static void frame(struct span data, heard_func func, void *arg)
{
        struct reader r = over(data);
        struct span bytes = {0};
        unsigned field, body = 0;
        uint64_t number = 0;
        uint32_t ref = 0;

        while (get(&r, &field, &number, &bytes)) {
                if (field == 1)
                        ref = (uint32_t)number;
                else
                        body = field;
        }
        if (body == 5)
                event(bytes, func, arg);
        else if (body == 4)
                ack(ref, bytes, func, arg);
        else if (body == 6)
                replay(bytes, func, arg);
        else if (body == 2)
                ready(bytes, func, arg);
        else
                func(arg, &(struct heard){.kind = body == 7   ? HEARD_GAP
                                                  : body == 8 ? HEARD_ERROR
                                                              : HEARD_OTHER,
                                          .ref = ref,
                                          .text = bytes});
}

void speak_proto_hear(const char *data, size_t n, heard_func func, void *arg)
{
        struct reader r = {(const uint8_t *)data, (const uint8_t *)data + n};
        uint64_t len;

        while (get_varint(&r, &len) && len <= (uint64_t)(r.end - r.p)) {
                frame((struct span){(const char *)r.p, (size_t)len}, func, arg);
                r.p += len;
        }
}
