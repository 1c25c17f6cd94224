#include "gateway/pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/core.h"
#include "gateway/stats.h"
#include "wire/wire.h"

struct pack {
        uint64_t hash;
        unsigned n;
        bool deflate_tried;
        struct frame **frames; /* which they are; alive while the turn lasts */
        struct frame *packed;
        struct frame *deflated; /* NULL: not tried, or not smaller */
};

/* What a turn needs of memory for packing is taken from here, from the beginning in each turn. Blocks of malloc
 * took 4 % of a gateway's time with glibc's, which for each of over a kilobyte puts together all small ones that are free;
 * what it saves with jemalloc was not measured. */
enum { PACK_BLOCK = 4 * PACK_MAX_BYTES, PACK_ALIGN = 16 };

struct pack_cache {
        uint8_t *block;
        size_t used;
        unsigned n;
        struct pack packs[PACK_CACHE];
        uint16_t slots[PACK_CACHE * 4]; /* index + 1 by hash */
        struct pack spare;              /* when all are taken: the last one that was made */
        struct buf scratch;
};

int packs_new(struct core *core)
{
        core->packs = calloc(1, sizeof(*core->packs));
        if (!core->packs)
                return -ENOMEM;
        core->packs->block = malloc(PACK_BLOCK);
        if (!core->packs->block) {
                free(core->packs);
                core->packs = NULL;
                return -ENOMEM;
        }
        buf_init(&core->packs->scratch, 1 << 26);
        return 0;
}

/* --- the block --- */

static bool is_in_block(const struct pack_cache *cache, const void *p)
{
        return (const uint8_t *)p >= cache->block && (const uint8_t *)p < cache->block + PACK_BLOCK;
}

static void *block_take(struct pack_cache *cache, size_t n)
{
        void *taken = cache->block + cache->used;

        if (n > PACK_BLOCK - cache->used)
                return malloc(n);
        cache->used += (n + PACK_ALIGN - 1) / PACK_ALIGN * PACK_ALIGN;
        return taken;
}

static void block_give(const struct pack_cache *cache, void *p)
{
        if (!is_in_block(cache, p))
                free(p);
}

/* --- packs --- */

static void pack_done(const struct pack_cache *cache, struct pack *p)
{
        block_give(cache, (void *)p->frames);
        if (!is_in_block(cache, p->packed))
                frame_unref(p->packed);
        frame_unref(p->deflated);
        *p = (struct pack){0};
}

void packs_clear(struct core *core)
{
        struct pack_cache *cache = core->packs;

        pack_done(cache, &cache->spare);
        cache->used = 0;
        if (!cache->n)
                return;
        for (unsigned i = 0; i < cache->n; i++)
                pack_done(cache, &cache->packs[i]);
        cache->n = 0;
        memset(cache->slots, 0, sizeof(cache->slots));
        buf_reset(&cache->scratch, PACK_MAX_BYTES);
}

void packs_free(struct core *core)
{
        if (!core->packs)
                return;
        packs_clear(core);
        buf_done(&core->packs->scratch);
        free(core->packs->block);
        free(core->packs);
        core->packs = NULL;
}

static uint64_t pack_hash(struct frame *const *frames, unsigned n)
{
        uint64_t h = 1469598103934665603u;

        for (unsigned i = 0; i < n; i++)
                h = (h ^ (uint64_t)(uintptr_t)frames[i] >> 4) * 0x9E3779B97F4A7C15u;
        return h ^ h >> 29;
}

static struct frame *pack_concat(struct pack_cache *cache, struct frame *const *frames, unsigned n)
{
        struct frame *packed;
        size_t total = 0, at = 0;

        for (unsigned i = 0; i < n; i++)
                total += frames[i]->len;
        packed = block_take(cache, sizeof(*packed) + total);
        if (!packed)
                return NULL;
        frame_init(packed, total);
        for (unsigned i = 0; i < n; i++) {
                memcpy(packed->data + at, frames[i]->data, frames[i]->len);
                at += frames[i]->len;
        }
        return packed;
}

static bool pack_fill(struct pack_cache *cache, struct pack *p, uint64_t hash, struct frame *const *frames, unsigned n)
{
        p->frames = (struct frame **)block_take(cache, n * sizeof(struct frame *));
        p->packed = n == 1 ? frame_ref(frames[0]) : pack_concat(cache, frames, n);
        if (!p->frames || !p->packed) {
                pack_done(cache, p);
                return false;
        }
        memcpy(p->frames, frames, n * sizeof(struct frame *));
        p->hash = hash;
        p->n = n;
        metric_add(&stat_packs, 1);
        return true;
}

static bool pack_is(const struct pack *p, uint64_t hash, struct frame *const *frames, unsigned n)
{
        return p->hash == hash && p->n == n && memcmp(p->frames, frames, n * sizeof(struct frame *)) == 0;
}

static struct pack *pack_find(struct pack_cache *cache, struct frame *const *frames, unsigned n)
{
        uint64_t hash = pack_hash(frames, n);
        unsigned slot = (unsigned)hash % (PACK_CACHE * 4);
        struct pack *p;

        for (; cache->slots[slot]; slot = (slot + 1) % (PACK_CACHE * 4)) {
                p = &cache->packs[cache->slots[slot] - 1];
                if (pack_is(p, hash, frames, n))
                        return p;
        }
        if (cache->n == PACK_CACHE) {
                p = &cache->spare;
                if (p->n && pack_is(p, hash, frames, n))
                        return p;
                pack_done(cache, p);
                return pack_fill(cache, p, hash, frames, n) ? p : NULL;
        }
        p = &cache->packs[cache->n];
        if (!pack_fill(cache, p, hash, frames, n))
                return NULL;
        cache->slots[slot] = (uint16_t)++cache->n;
        return p;
}

/* In the protobuf protocol a first byte 0, which no length-delimited frame begins with, tells that it is compressed */
static void pack_deflate(struct pack_cache *cache, struct pack *p, enum encoding encoding)
{
        size_t mark = encoding == ENCODING_PROTO;
        int r;

        p->deflate_tried = true;
        buf_reset(&cache->scratch, PACK_MAX_BYTES);
        r = wire_deflate(p->packed->data, p->packed->len, &cache->scratch);
        metric_add(&stat_deflated_in, p->packed->len);
        if (r || cache->scratch.len + mark >= p->packed->len)
                return;
        metric_add(&stat_deflated_out, (double)cache->scratch.len);
        p->deflated = frame_new(cache->scratch.len + mark);
        if (!p->deflated)
                return;
        p->deflated->data[0] = 0;
        memcpy(p->deflated->data + mark, cache->scratch.data, cache->scratch.len);
}

struct frame *pack_get(struct core *core, struct frame *const *frames, unsigned n, enum encoding encoding, bool deflate,
                       bool *ret_deflated)
{
        struct pack *p;

        *ret_deflated = false;
        if (n == 1 && (!deflate || frames[0]->len < DEFLATE_MIN_BYTES))
                return frames[0];
        p = pack_find(core->packs, frames, n);
        if (!p)
                return NULL;
        if (!deflate || p->packed->len < DEFLATE_MIN_BYTES)
                return p->packed;
        if (!p->deflate_tried)
                pack_deflate(core->packs, p, encoding);
        if (!p->deflated)
                return p->packed;
        *ret_deflated = true;
        metric_add(&stat_deflated_saved, p->packed->len - p->deflated->len);
        return p->deflated;
}
