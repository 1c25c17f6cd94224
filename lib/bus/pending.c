#include "bus/pending.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 256u
#define INDEX_BITS 18
#define TICK_MS 20
#define TICKS 512

static_assert(PENDING_MAX == 1 << INDEX_BITS, "the index of a slot is the low part of its number");

int pendings_init(struct pendings *t, uint64_t now_ms)
{
        memset(t, 0, sizeof(*t));
        t->in_use.prev = t->in_use.next = &t->in_use;
        return wheel_new(&t->wheel, now_ms, TICK_MS, TICKS);
}

void pendings_done(struct pendings *t)
{
        for (size_t i = 0; i < t->n_chunks; i++)
                free(t->chunks[i]);
        free(t->chunks);
        wheel_free(t->wheel);
        memset(t, 0, sizeof(*t));
}

/* Slots never move: their timers are linked */
static int grow(struct pendings *t)
{
        if (t->n_chunks * CHUNK >= PENDING_MAX)
                return BUS_E_FULL;
        struct pending **chunks = realloc(t->chunks, (t->n_chunks + 1) * sizeof(*chunks));
        if (chunks == NULL)
                return -ENOMEM;
        t->chunks = chunks;
        struct pending *chunk = calloc(CHUNK, sizeof(*chunk));
        if (chunk == NULL)
                return -ENOMEM;
        for (size_t i = CHUNK; i-- > 0;) {
                /* the number it had last; the next one is one generation later */
                chunk[i].id = t->n_chunks * CHUNK + i;
                chunk[i].next = t->free;
                t->free = &chunk[i];
        }
        t->chunks[t->n_chunks++] = chunk;
        return 0;
}

static void on_timer(struct wheel_timer *timer, uint64_t now_ms);

int pending_add(struct pendings *t, uint64_t now_ms, uint32_t timeout_ms, pending_func func, struct pending **ret)
{
        if (t->free == NULL) {
                int r = grow(t);
                if (r != 0)
                        return r;
        }
        struct pending *p = t->free;
        t->free = p->next;
        uint64_t id = p->id + (UINT64_C(1) << INDEX_BITS);
        *p = (struct pending){.table = t, .id = id, .func = func};
        p->next = &t->in_use;
        p->prev = t->in_use.prev;
        p->prev->next = p;
        t->in_use.prev = p;
        if (t->n++ == 0 && !t->advancing)
                wheel_advance(t->wheel, now_ms); /* it was not driven while nothing was armed */
        if (timeout_ms != PENDING_FOREVER)
                wheel_arm(t->wheel, &p->timer, now_ms + timeout_ms, on_timer);
        *ret = p;
        return 0;
}

/* Not findable any more; the memory stays as it is */
static void take_out(struct pending *p)
{
        wheel_disarm(&p->timer);
        p->prev->next = p->next;
        p->next->prev = p->prev;
        p->table->n--;
        p->ended = true;
}

static void give_back(struct pending *p)
{
        p->next = p->table->free;
        p->table->free = p;
}

void pending_end(struct pending *p)
{
        if (p->ended)
                return;
        take_out(p);
        if (!p->running)
                give_back(p);
}

struct pending *pending_find(struct pendings *t, uint64_t id)
{
        size_t index = id & (PENDING_MAX - 1);

        if (index / CHUNK >= t->n_chunks)
                return NULL;
        struct pending *p = &t->chunks[index / CHUNK][index % CHUNK];
        return p->id == id && p->func != NULL && !p->ended ? p : NULL;
}

void pending_fail(struct pending *p, int error)
{
        take_out(p);
        p->running = true;
        p->func(p, error, NULL, NULL);
        give_back(p);
}

static void on_timer(struct wheel_timer *timer, uint64_t now_ms)
{
        struct pending *p = (struct pending *)((char *)timer - offsetof(struct pending, timer));

        (void)now_ms;
        p->table->n_timeouts += !p->many; /* the time of those is not for an answer */
        pending_fail(p, BUS_E_TIMEOUT);
}

void pending_answer(struct pending *p, const struct bus_msg *msg, const struct conn_extra *extra)
{
        if (!p->many)
                take_out(p);
        p->running = true;
        p->func(p, 0, msg, extra);
        p->running = false;
        if (p->ended)
                give_back(p);
}

void pendings_fail(struct pendings *t, int error)
{
        /* Funcs may add new ones: only those that are here now are ended */
        for (size_t n = t->n; n > 0 && t->in_use.next != &t->in_use; n--) {
                struct pending *p = t->in_use.next;
                pending_fail(p, p->unknown ? BUS_E_TIMEOUT : error);
        }
}

unsigned pendings_advance(struct pendings *t, uint64_t now_ms)
{
        t->advancing = true;
        unsigned n = wheel_advance(t->wheel, now_ms);
        t->advancing = false;
        return n;
}

size_t pending_id_format(uint64_t id, char ret[PENDING_ID_LEN + 1])
{
        static const char digits[] = "0123456789abcdef";
        size_t n = 1;

        while (n < PENDING_ID_LEN && id >> (4 * n) != 0)
                n++;
        for (size_t i = 0; i < n; i++)
                ret[n - 1 - i] = digits[id >> (4 * i) & 15];
        ret[n] = '\0';
        return n;
}

uint64_t pending_id_parse(const char *s, size_t n)
{
        uint64_t id = 0;

        if (n == 0 || n > PENDING_ID_LEN)
                return 0;
        for (size_t i = 0; i < n; i++) {
                char c = s[i];

                if (c >= '0' && c <= '9')
                        id = id << 4 | (uint64_t)(c - '0');
                else if (c >= 'a' && c <= 'f')
                        id = id << 4 | (uint64_t)(c - 'a' + 10);
                else
                        return 0;
        }
        return id;
}
