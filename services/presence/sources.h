/* What the gateways say: each a chain of messages with a counter, mended by snapshots. Pure.
 *
 * Every message holds the whole state of each user that it names, so one that comes twice, or late, does no harm: it is older than
 * the counter and passed over. A jump of the counter means that something is lost; what came is applied all the same, and a snapshot is
 * asked for, which ends with those gone that it did not name.
 *
 * A higher epoch is a later process of that name, unless the clock was set back in between. So a lower one is late, or it is the one that
 * lives: a snapshot is asked for, and whoever answers it is the one, as long as the higher one is silent. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "base/ident.h"
#include "base/wheel.h"
#include "parley/v1/presence.pb-c.h"

struct person;
struct source;

/* What one gateway has of one user */
struct report {
        struct report *next;              /* of the same person */
        struct report *prev_in, *next_in; /* of the same gateway */
        struct source *source;
        struct person *person;
        uint32_t round; /* the snapshot that named it last */
        uint8_t devices;
        bool active;
};

enum source_state {
        SOURCE_UNKNOWN,  /* heard of; no snapshot yet */
        SOURCE_SNAPSHOT, /* one is coming in */
        SOURCE_LIVE,
        SOURCE_BROKEN, /* something is lost */
};

struct source {
        UT_hash_handle hh;
        struct sources *all;
        struct report *reports;
        struct wheel_timer timer; /* silent for too long; or a snapshot is to be asked for (again) */
        uint64_t epoch, counter;
        uint64_t rival;                        /* a lower epoch that was heard since this one spoke last; 0: none */
        uint64_t heard_ms, asked_ms, rival_ms; /* rival_ms: asked because of a rival */
        uint32_t round;
        uint8_t state; /* enum source_state */
        bool stopped;
        char id[IDENT_MAX + 1];
};

enum source_news {
        SOURCE_SAYS, /* what his gateway says of him is another */
        SOURCE_LEFT, /* likewise; and a connection that was in use was closed */
        SOURCE_GONE, /* his gateway has been silent for long */
};

struct sources_options {
        struct wheel *wheel;
        uint64_t silent_ms; /* then its users are gone */
        unsigned max;       /* gateways */
        /* A snapshot is wanted from this gateway */
        void (*ask)(const char *gateway_id, void *userdata);
        /* A user of whom something may have changed */
        struct person *(*find)(const char *user_id, void *userdata); /* NULL: no memory */
        void (*touched)(struct person *who, enum source_news news, void *userdata);
        void *userdata;
};

struct sources {
        struct sources_options options;
        struct source *by_id;
        uint64_t now_ms;
        uint64_t n_gaps, n_old, n_refused; /* since the start: for metrics */
};

void sources_init(struct sources *s, const struct sources_options *options);
void sources_clear(struct sources *s); /* without telling anybody */
/* A message of presence.gw.*; 0, -EINVAL (an id in it is not one), -ENOMEM: then a snapshot will be asked for */
int sources_message(struct sources *s, uint64_t now_ms, const Parley__V1__GatewayPresence *m);
/* A gateway of this name lives (gateway.alive): asked for a snapshot when it is not known */
void sources_alive(struct sources *s, uint64_t now_ms, const char *gateway_id);
/* Messages may have been lost: all are asked again */
void sources_doubt(struct sources *s, uint64_t now_ms);
/* All that are heard of have given a snapshot */
bool sources_settled(const struct sources *s);
