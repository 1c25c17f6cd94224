#include "speak.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- templates --- */

static size_t value_of(const char *name, size_t n, const struct said *said, char *number, size_t cap, const char **ret)
{
        const struct {
                const char *name, *text;
                uint64_t value;
        } values[] = {
                {"user", said->user, 0},       {"token", said->token, 0}, {"room", said->room, 0},
                {"content", said->content, 0}, {"id", said->id, 0},       {"n", NULL, said->n},
                {"ref", NULL, said->ref},
        };

        for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
                if (strlen(values[i].name) != n || memcmp(values[i].name, name, n) != 0)
                        continue;
                *ret = values[i].text;
                if (!*ret) {
                        snprintf(number, cap, "%" PRIu64, values[i].value);
                        *ret = number;
                }
                return n + 2;
        }
        return 0; /* a brace of the text's own */
}

size_t speak_template(const char *text, const struct said *said, char *buf, size_t cap)
{
        size_t at = 0;

        while (*text) {
                const char *end = *text == '{' ? strchr(text, '}') : NULL, *value = NULL;
                char number[24];
                size_t n = 1,
                       used = end ? value_of(text + 1, (size_t)(end - text - 1), said, number, sizeof(number), &value)
                                  : 0;

                if (used)
                        n = strlen(value);
                else
                        value = text;
                if (at + n >= cap)
                        return 0;
                memcpy(buf + at, value, n);
                at += n;
                text += used ? used : 1;
        }
        buf[at] = 0;
        return at;
}

/* --- JSON, as docs/protocol.md has it --- */

static size_t json_hello(const struct said *said, char *buf, size_t cap)
{
        size_t n = (size_t)snprintf(buf, cap,
                                    "{\"type\":\"hello\",\"ref\":1,\"token\":\"%s\",\"client\":\"bench\",\"cursors\":[",
                                    said->token);

        for (unsigned i = 0; i < said->n_cursors && n < cap; i++)
                n += (size_t)snprintf(
                        buf + n, cap - n, "%s{\"channelId\":\"%s\",\"epoch\":%" PRIu64 ",\"seq\":%" PRIu64 "}",
                        i ? "," : "", said->cursors[i].room, said->cursors[i].epoch, said->cursors[i].seq);
        if (n < cap)
                n += (size_t)snprintf(buf + n, cap - n, "]}\n");
        return n < cap ? n : 0;
}

static size_t json(enum speak_frame frame, const struct said *said, char *buf, size_t cap)
{
        int n = 0;

        switch (frame) {
        case SPEAK_HELLO:
                return json_hello(said, buf, cap);
        case SPEAK_SEND:
                n = snprintf(buf, cap,
                             "{\"type\":\"send\",\"ref\":%" PRIu32
                             ",\"channelId\":\"%s\",\"message\":{\"id\":\"%s\",\"content\":\"%s\"}}\n",
                             said->ref, said->room, said->id, said->content);
                break;
        case SPEAK_EDIT:
                n = snprintf(buf, cap,
                             "{\"type\":\"edit\",\"ref\":%" PRIu32
                             ",\"channelId\":\"%s\",\"id\":\"%s\",\"targetSeq\":%" PRIu64 ",\"content\":\"%s\"}\n",
                             said->ref, said->room, said->id, said->target, said->content);
                break;
        case SPEAK_PING:
                n = snprintf(buf, cap, "{\"type\":\"ping\"}\n");
                break;
        case SPEAK_JOIN:
                break;
        }
        return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

static const char *behind(const char *p, const char *end, const char *what)
{
        size_t n = strlen(what);

        p = p && p < end ? memmem(p, (size_t)(end - p), what, n) : NULL;
        return p ? p + n : NULL;
}

static uint64_t number(const char *p, const char *end)
{
        uint64_t v = 0;

        while (p && p < end && *p >= '0' && *p <= '9')
                v = v * 10 + (uint64_t)(*p++ - '0');
        return v;
}

/* Up to the closing quote; ids have none inside */
static struct span string(const char *p, const char *end)
{
        const char *quote = p ? memchr(p, '"', (size_t)(end - p)) : NULL;

        return quote ? (struct span){p, (size_t)(quote - p)} : (struct span){0};
}

/* An event's own fields stand before those of its body, and channelId before seq and prev */
static void json_event(const char *p, const char *end, heard_func func, void *arg)
{
        struct heard h = {.kind = HEARD_EVENT};
        const char *at = behind(p, end, "\"channelId\":\"");

        h.room = string(at, end);
        at = behind(at, end, "\"seq\":");
        h.seq = number(at, end);
        at = behind(at, end, "\"prev\":");
        h.prev = number(at, end);
        h.text = (struct span){at ? at : p, (size_t)(end - (at ? at : p))};
        func(arg, &h);
}

static void json_ready(const char *p, const char *end, heard_func func, void *arg)
{
        struct heard h = {.kind = HEARD_STATE};

        for (const char *at = p; (at = behind(at, end, "\"channel\":{\"id\":\""));) {
                h.room = string(at, end);
                at = behind(at, end, "\"epoch\":");
                h.epoch = number(at, end);
                at = behind(at, end, "\"headSeq\":");
                h.seq = number(at, end);
                func(arg, &h);
        }
        func(arg, &(struct heard){.kind = HEARD_READY});
}

static void json_replay(const char *p, const char *end, heard_func func, void *arg)
{
        static const char another[] = ",{\"channelId\":\"";
        struct heard h = {.kind = HEARD_REPLAY};
        const char *at = behind(p, end, "\"channelId\":\""), *events = behind(p, end, "\"events\":["), *next;

        h.room = string(at, end);
        h.epoch = number(behind(at, end, "\"epoch\":"), end);
        h.prev = number(behind(at, end, "\"fromSeq\":"), end);
        h.seq = number(behind(at, end, "\"throughSeq\":"), end);
        for (at = events; at && at < end && *at == '{'; at = next) {
                next = behind(at + 1, end, another);
                next = next ? next - sizeof(another) + 2 : NULL; /* its brace */
                json_event(at, next ? next : end, func, arg);
                if (!next)
                        break;
        }
        h.more = end - p > 12 && memmem(end - 12, 12, "\"more\":true", 11) != NULL;
        func(arg, &h);
}

static bool begins(const char *p, const char *end, const char *what)
{
        size_t n = strlen(what);

        return (size_t)(end - p) >= n && memcmp(p, what, n) == 0;
}

static void json_line(const char *p, const char *end, heard_func func, void *arg)
{
        if (begins(p, end, "{\"type\":\"event\"")) {
                json_event(p + 15, end, func, arg);
        } else if (begins(p, end, "{\"type\":\"ack\"")) {
                struct heard h = {.kind = HEARD_ACK};

                h.ref = (uint32_t)number(behind(p, end, "\"ref\":"), end);
                h.seq = number(behind(p, end, "\"seq\":"), end);
                func(arg, &h);
        } else if (begins(p, end, "{\"type\":\"ready\"")) {
                json_ready(p, end, func, arg);
        } else if (begins(p, end, "{\"type\":\"replay\"")) {
                json_replay(p, end, func, arg);
        } else if (begins(p, end, "{\"type\":\"gap\"")) {
                func(arg, &(struct heard){.kind = HEARD_GAP, .text = {p, (size_t)(end - p)}});
        } else if (begins(p, end, "{\"type\":\"error\"")) {
                struct heard h = {.kind = HEARD_ERROR, .text = {p, (size_t)(end - p)}};

                h.ref = (uint32_t)number(behind(p, end, "\"ref\":"), end);
                func(arg, &h);
        } else {
                func(arg, &(struct heard){.kind = HEARD_OTHER});
        }
}

/* --- any text --- */

static bool contains(const char *p, const char *end, const char *what)
{
        return *what && behind(p, end, what) != NULL;
}

static void text_line(const struct speaker *s, const char *p, const char *end, heard_func func, void *arg)
{
        struct heard h = {.kind = HEARD_OTHER, .text = {p, (size_t)(end - p)}};

        if (contains(p, end, s->ack)) {
                h.kind = HEARD_ACK;
                h.ref = (uint32_t)number(behind(p, end, s->ack), end);
                func(arg, &h);
        }
        h.kind = HEARD_EVENT;
        if (!*s->event || contains(p, end, s->event))
                func(arg, &h);
        h.kind = HEARD_READY;
        if (contains(p, end, s->ready))
                func(arg, &h);
}

/* --- all --- */

static void hear_lines(const struct speaker *s, const char *data, size_t n, heard_func func, void *arg)
{
        for (const char *end = data + n; data < end;) {
                const char *nl = memchr(data, '\n', (size_t)(end - data)), *stop = nl ? nl : end;

                if (stop > data && s->how == SPEAK_JSON)
                        json_line(data, stop, func, arg);
                else if (stop > data)
                        text_line(s, data, stop, func, arg);
                data = stop + 1;
        }
}

void speak_hear(const struct speaker *s, const char *data, size_t n, heard_func func, void *arg)
{
        if (s->how == SPEAK_PROTO)
                speak_proto_hear(data, n, func, arg);
        else
                hear_lines(s, data, n, func, arg);
}

bool speak_is_binary(const struct speaker *s)
{
        return s->how == SPEAK_PROTO;
}

size_t speak(const struct speaker *s, enum speak_frame frame, const struct said *said, char *buf, size_t cap)
{
        if (s->how == SPEAK_JSON)
                return json(frame, said, buf, cap);
        if (s->how == SPEAK_PROTO)
                return speak_proto(frame, said, buf, cap);
        if (frame == SPEAK_HELLO)
                return speak_template(s->hello, said, buf, cap);
        if (frame == SPEAK_JOIN)
                return speak_template(s->join, said, buf, cap);
        return frame == SPEAK_SEND ? speak_template(s->send, said, buf, cap) : 0;
}
