/* Server frames, read as far as measuring needs: type, seq, prev, ref, and the time at the beginning of content. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static uint64_t number_after(const char *p, size_t n, const char *key)
{
        const char *at = memmem(p, n, key, strlen(key));

        return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static void measure_event(struct load_connection *c, uint64_t seq, uint64_t prev, uint64_t due_ns)
{
        struct load *load = c->load;
        uint64_t now = load_now_ns();

        if (c->known && seq <= c->last_seq) {
                load->n_duplicates++;
                return;
        }
        if (c->known && prev > c->last_seq)
                load->n_breaks++;
        c->last_seq = seq;
        c->known = true;
        load->n_events++;
        if (!due_ns || due_ns < load->measure_ns)
                return;
        load->n_measured++;
        if (!load->first_event_ns)
                load->first_event_ns = now;
        load->last_event_ns = now;
        histogram_add(&load->deliveries, now > due_ns ? (now - due_ns) / 1000 : 0);
}

static void measure_ack(struct load_connection *c, uint64_t ref)
{
        struct load *load = c->load;
        uint64_t due = load->due[ref % LOAD_REFS];

        load->n_acked++;
        if (due >= load->measure_ns)
                histogram_add(&load->acks, (load_now_ns() - due) / 1000);
}

static void measure_ready(struct load_connection *c)
{
        struct load *load = c->load;

        if (c->state != LOAD_OPENING)
                return;
        c->state = LOAD_READY;
        load->n_ready++;
        load->n_opening--;
        histogram_add(&load->opens, (load_now_ns() - c->asked_ns) / 1000);
}

static void take_line(struct load_connection *c, const char *p, size_t n)
{
        struct load *load = c->load;

        if (n > 16 && memcmp(p, "{\"type\":\"event\"", 15) == 0) {
                const char *content = memmem(p, n, "\"content\":\"", 11);
                size_t head = n < 160 ? n : 160;

                measure_event(c, number_after(p, head, "\"seq\":"), number_after(p, head, "\"prev\":"),
                              content ? strtoull(content + 11, NULL, 10) : 0);
        } else if (n > 13 && memcmp(p, "{\"type\":\"ack\"", 13) == 0) {
                measure_ack(c, number_after(p, n, "\"ref\":"));
        } else if (n > 15 && memcmp(p, "{\"type\":\"ready\"", 15) == 0) {
                measure_ready(c);
        } else if (n > 15 && memcmp(p, "{\"type\":\"error\"", 15) == 0) {
                load->n_errors++;
                snprintf(load->last_error, sizeof(load->last_error), "%.*s", (int)n, p);
        }
}

/* --- protobuf --- */

static uint64_t varint(const uint8_t **p, const uint8_t *end)
{
        uint64_t v = 0;

        for (unsigned shift = 0; *p < end && shift < 64; shift += 7) {
                uint8_t b = *(*p)++;

                v |= (uint64_t)(b & 0x7f) << shift;
                if (!(b & 0x80))
                        break;
        }
        return v;
}

struct fields {
        uint64_t numbers[16];     /* varints by field number */
        const uint8_t *bytes[16]; /* length-delimited ones */
        size_t n_bytes[16];
};

static void fields_read(struct fields *f, const uint8_t *p, size_t n)
{
        const uint8_t *end = p + n;

        memset(f, 0, sizeof(*f));
        while (p < end) {
                uint64_t key = varint(&p, end), number = key >> 3, v = varint(&p, end);

                if ((key & 7) == 2 && v > (uint64_t)(end - p))
                        return;
                if (number < 16 && (key & 7) == 0)
                        f->numbers[number] = v;
                if (number < 16 && (key & 7) == 2) {
                        f->bytes[number] = p;
                        f->n_bytes[number] = v;
                }
                if ((key & 7) == 2)
                        p += v;
        }
}

/* ServerFrame: ref 1, ready 2, ack 4, event 5, error 8. Event: seq 2, prev 3, message 10. Message: content 5. */
static void take_frame(struct load_connection *c, const uint8_t *p, size_t n)
{
        struct fields frame, event, message;

        fields_read(&frame, p, n);
        if (frame.bytes[5]) {
                uint64_t due = 0;

                fields_read(&event, frame.bytes[5], frame.n_bytes[5]);
                if (event.bytes[10]) {
                        fields_read(&message, event.bytes[10], event.n_bytes[10]);
                        due = message.bytes[5] ? strtoull((const char *)message.bytes[5], NULL, 10) : 0;
                }
                measure_event(c, event.numbers[2], event.numbers[3], due);
        } else if (frame.bytes[4]) {
                measure_ack(c, frame.numbers[1]);
        } else if (frame.bytes[2]) {
                measure_ready(c);
        } else if (frame.bytes[8]) {
                c->load->n_errors++;
                snprintf(c->load->last_error, sizeof(c->load->last_error), "%.*s", (int)frame.n_bytes[8],
                         (const char *)frame.bytes[8]);
        }
}

void load_take(struct load_connection *c, const uint8_t *data, size_t n)
{
        const uint8_t *p = data, *end = data + n;

        c->load->n_messages++;
        c->load->n_bytes += n;
        while (p < end && c->load->options.proto) {
                uint64_t len = varint(&p, end);

                if (len > (uint64_t)(end - p))
                        return;
                take_frame(c, p, len);
                p += len;
        }
        while (p < end && !c->load->options.proto) {
                const uint8_t *nl = memchr(p, '\n', (size_t)(end - p)), *stop = nl ? nl : end;

                take_line(c, (const char *)p, (size_t)(stop - p));
                p = stop + 1;
        }
}
