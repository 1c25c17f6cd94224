#include "upload/quota_core.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ident.h"

static void drop(Parley__V1__UserFiles *u, size_t i)
{
        protobuf_c_message_free_unpacked(&u->reservations[i]->base, NULL);
        u->reservations[i] = u->reservations[--u->n_reservations];
}

/* Those that are over are kept for a while, the latest QUOTA_KEPT_MAX of them */
static void drop_old(Parley__V1__UserFiles *u, uint64_t now_ms)
{
        size_t oldest, n_over;

        do {
                oldest = n_over = 0;
                for (size_t i = 0; i < u->n_reservations; i++) {
                        if (u->reservations[i]->expires_at_ms > now_ms)
                                continue;
                        if (n_over++ == 0 || u->reservations[i]->expires_at_ms < u->reservations[oldest]->expires_at_ms)
                                oldest = i;
                }
                if (n_over == 0 ||
                    (n_over <= QUOTA_KEPT_MAX && u->reservations[oldest]->expires_at_ms + QUOTA_KEEP_MS > now_ms))
                        return;
                drop(u, oldest);
        } while (true);
}

static void forget_freed(Parley__V1__UserFiles *u, uint64_t now_ms)
{
        size_t n = 0;

        while (n < u->n_freed && (u->freed[n]->until_ms <= now_ms || u->n_freed - n >= QUOTA_FREED_MAX))
                protobuf_c_message_free_unpacked(&u->freed[n++]->base, NULL);
        u->n_freed -= n;
        if (n)
                memmove(u->freed, u->freed + n, u->n_freed * sizeof(*u->freed));
}

/* The index, or n_reservations */
static size_t find(const Parley__V1__UserFiles *u, const char *id)
{
        size_t i = 0;

        while (i < u->n_reservations && strcmp(u->reservations[i]->id, id) != 0)
                i++;
        return i;
}

static void forget_held(Parley__V1__UserFiles *u, uint64_t now_ms)
{
        size_t n = 0;

        while (n < u->n_held && u->held[n]->until_ms <= now_ms)
                protobuf_c_message_free_unpacked(&u->held[n++]->base, NULL);
        u->n_held -= n;
        if (n)
                memmove(u->held, u->held + n, u->n_held * sizeof(*u->held));
}

/* The one for this time, which is made where there is none; or NULL */
static Parley__V1__UserFiles__Held *held_at(Parley__V1__UserFiles *u, uint64_t until_ms)
{
        Parley__V1__UserFiles__Held *last = u->n_held ? u->held[u->n_held - 1] : NULL, *one, **all;

        for (size_t i = 0; i < u->n_held; i++)
                if (u->held[i]->until_ms >= until_ms)
                        return u->held[i];
        if (u->n_held == QUOTA_HELD_MAX) {
                last->until_ms = until_ms;
                return last;
        }
        one = malloc(sizeof(*one));
        all = realloc(u->held, (u->n_held + 1) * sizeof(*all));
        if (all)
                u->held = all;
        if (!one || !all) {
                free(one);
                return NULL;
        }
        parley__v1__user_files__held__init(one);
        one->until_ms = until_ms;
        all[u->n_held++] = one;
        return one;
}

static int hold(Parley__V1__UserFiles *u, const struct quota_change *change, uint64_t now_ms)
{
        Parley__V1__UserFiles__Held *one;

        if (change->held_bytes == 0 || change->held_until_ms <= now_ms)
                return 0;
        one = held_at(u, (change->held_until_ms + QUOTA_HELD_MS - 1) / QUOTA_HELD_MS * QUOTA_HELD_MS);
        if (!one)
                return -ENOMEM;
        one->bytes += change->held_bytes;
        return 0;
}

static int within(const Parley__V1__UserFiles *u, uint64_t size, const struct quota_limits *limits, uint64_t now_ms)
{
        uint64_t bytes = u->bytes, held = 0, n_pending = 0;

        for (size_t i = 0; i < u->n_reservations; i++) {
                if (u->reservations[i]->expires_at_ms <= now_ms)
                        continue;
                bytes += u->reservations[i]->size;
                n_pending++;
        }
        if (n_pending >= limits->max_pending)
                return QUOTA_E_PENDING;
        if (limits->max_files && u->files + n_pending >= limits->max_files)
                return QUOTA_E_FILES;
        if (limits->max_bytes && (size > limits->max_bytes || bytes > limits->max_bytes - size))
                return QUOTA_E_BYTES;
        if (limits->max_ended && u->ended_until_ms > now_ms + QUOTA_ENDED_MS)
                return QUOTA_E_ENDED;
        for (size_t i = 0; i < u->n_held; i++)
                held += u->held[i]->bytes;
        return limits->max_held && held >= limits->max_held ? QUOTA_E_HELD : 0;
}

/* Whether this is the request that has reserved before: 0, QUOTA_E_KNOWN, QUOTA_E_OTHER */
static int known(const Parley__V1__UserFiles *u, const struct quota_change *change, uint64_t now_ms)
{
        for (size_t i = 0; change->client_id && *change->client_id && i < u->n_reservations; i++) {
                const Parley__V1__UserFiles__Reservation *one = u->reservations[i];

                if (one->expires_at_ms <= now_ms || strcmp(one->client_id, change->client_id) != 0)
                        continue;
                if (one->size != change->size)
                        return QUOTA_E_OTHER;
                (void)snprintf(change->ret_id, UUID_LEN + 1, "%s", one->id);
                return QUOTA_E_KNOWN;
        }
        return 0;
}

static int reserve(Parley__V1__UserFiles *u, const struct quota_change *change)
{
        Parley__V1__UserFiles__Reservation **all = realloc(u->reservations,
                                                           (u->n_reservations + 1) * sizeof(*u->reservations));
        Parley__V1__UserFiles__Reservation *one = malloc(sizeof(*one));

        if (all)
                u->reservations = all;
        if (!all || !one) {
                free(one);
                return -ENOMEM;
        }
        parley__v1__user_files__reservation__init(one);
        one->id = strdup(change->id);
        one->client_id = strdup(change->client_id ? change->client_id : "");
        one->size = change->size;
        one->expires_at_ms = change->expires_at_ms;
        if (!one->id || !one->client_id) {
                free(one->id);
                free(one->client_id);
                free(one);
                return -ENOMEM;
        }
        all[u->n_reservations++] = one;
        return 0;
}

static bool was_freed(const Parley__V1__UserFiles *u, const char *id)
{
        for (size_t i = 0; i < u->n_freed; i++)
                if (strcmp(u->freed[i]->id, id) == 0)
                        return true;
        return false;
}

static int note_freed(Parley__V1__UserFiles *u, const char *id, uint64_t now_ms)
{
        Parley__V1__UserFiles__Freed *one = malloc(sizeof(*one)),
                                     **all = realloc(u->freed, (u->n_freed + 1) * sizeof(*all));
        char *copy = strdup(id);

        if (all)
                u->freed = all;
        if (!one || !all || !copy) {
                free(one);
                free(copy);
                return -ENOMEM;
        }
        parley__v1__user_files__freed__init(one);
        one->id = copy;
        one->until_ms = now_ms + QUOTA_FREED_MS;
        all[u->n_freed++] = one;
        return 0;
}

static void note_end(Parley__V1__UserFiles *u, const struct quota_change *change, const struct quota_limits *limits,
                     uint64_t now_ms)
{
        if (!change->leaves_mark || !limits->max_ended)
                return;
        if (u->ended_until_ms < now_ms)
                u->ended_until_ms = now_ms;
        u->ended_until_ms += QUOTA_ENDED_MS / limits->max_ended;
}

/* i: its reservation. Where there is one it is not counted yet, and a commit that comes later finds nothing to count. */
static int take_off(Parley__V1__UserFiles *u, const struct quota_change *change, size_t i,
                    const struct quota_limits *limits, uint64_t now_ms)
{
        int r;

        if (was_freed(u, change->id))
                return 0;
        r = note_freed(u, change->id, now_ms);
        if (r < 0)
                return r;
        note_end(u, change, limits, now_ms);
        if (i < u->n_reservations) {
                drop(u, i);
                return 0;
        }
        u->bytes -= change->size < u->bytes ? change->size : u->bytes;
        u->files -= u->files > 0;
        return 0;
}

int quota_apply(Parley__V1__UserFiles *u, const struct quota_change *change, const struct quota_limits *limits,
                uint64_t now_ms)
{
        size_t i;
        int r;

        drop_old(u, now_ms);
        forget_freed(u, now_ms);
        forget_held(u, now_ms);
        i = find(u, change->id);
        switch (change->kind) {
        case QUOTA_RESERVE:
                r = known(u, change, now_ms);
                if (r)
                        return r;
                r = within(u, change->size, limits, now_ms);
                return r ? r : reserve(u, change);
        case QUOTA_COMMIT:
                r = i < u->n_reservations ? hold(u, change, now_ms) : 0;
                if (r < 0 || i == u->n_reservations)
                        return r;
                drop(u, i);
                u->bytes += change->size;
                u->files++;
                return 0;
        case QUOTA_RELEASE:
                r = i < u->n_reservations ? hold(u, change, now_ms) : 0;
                if (r == 0 && i < u->n_reservations) {
                        note_end(u, change, limits, now_ms);
                        drop(u, i);
                }
                return r;
        case QUOTA_FREE:
                return take_off(u, change, i, limits, now_ms);
        }
        return -EINVAL;
}
