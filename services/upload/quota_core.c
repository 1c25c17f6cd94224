#include "upload/quota_core.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void drop(Parley__V1__UserFiles *u, size_t i)
{
        protobuf_c_message_free_unpacked(&u->reservations[i]->base, NULL);
        u->reservations[i] = u->reservations[--u->n_reservations];
}

static void drop_overdue(Parley__V1__UserFiles *u, uint64_t now_ms)
{
        for (size_t i = u->n_reservations; i-- > 0;)
                if (u->reservations[i]->expires_at_ms <= now_ms)
                        drop(u, i);
}

/* The index, or n_reservations */
static size_t find(const Parley__V1__UserFiles *u, const char *id)
{
        size_t i = 0;

        while (i < u->n_reservations && strcmp(u->reservations[i]->id, id) != 0)
                i++;
        return i;
}

static int within(const Parley__V1__UserFiles *u, uint64_t size, const struct quota_limits *limits)
{
        uint64_t bytes = u->bytes;

        for (size_t i = 0; i < u->n_reservations; i++)
                bytes += u->reservations[i]->size;
        if (u->n_reservations >= limits->max_pending)
                return QUOTA_E_PENDING;
        if (limits->max_files && u->files + u->n_reservations >= limits->max_files)
                return QUOTA_E_FILES;
        if (limits->max_bytes && (size > limits->max_bytes || bytes > limits->max_bytes - size))
                return QUOTA_E_BYTES;
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
        one->size = change->size;
        one->expires_at_ms = change->expires_at_ms;
        if (!one->id) {
                free(one);
                return -ENOMEM;
        }
        all[u->n_reservations++] = one;
        return 0;
}

int quota_apply(Parley__V1__UserFiles *u, const struct quota_change *change, const struct quota_limits *limits,
                uint64_t now_ms)
{
        size_t i;
        int r;

        drop_overdue(u, now_ms);
        i = find(u, change->id);
        switch (change->kind) {
        case QUOTA_RESERVE:
                r = within(u, change->size, limits);
                return r ? r : reserve(u, change);
        case QUOTA_COMMIT:
                if (i == u->n_reservations)
                        return 0;
                drop(u, i);
                u->bytes += change->size;
                u->files++;
                return 0;
        case QUOTA_RELEASE:
                if (i < u->n_reservations)
                        drop(u, i);
                return 0;
        case QUOTA_FREE:
                if (i <
                    u->n_reservations) { /* not counted yet; then a commit that comes later finds nothing to count */
                        drop(u, i);
                        return 0;
                }
                u->bytes -= change->size < u->bytes ? change->size : u->bytes;
                u->files -= u->files > 0;
                return 0;
        }
        return -EINVAL;
}
