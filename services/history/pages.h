/* Pages of events and messages out of Postgres, within what may be seen. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "history/env.h"
#include "history/event_rows.h"
#include "history/paging.h"
#include "history/visibility.h"

struct events_query {
        const char *channel_id;
        uint64_t after, through; /* through 0: as far as it goes */
        uint32_t limit;
        size_t max_bytes; /* of the events, roughly; at least one is given */
        const struct visibility *visibility;
};
struct events_page {
        Parley__V1__Event **events;
        size_t n;
        uint64_t through, epoch;
        bool more;
};
/* page is valid during the callback; NULL on error (PG_E_*, -ENOMEM, -EBADMSG) */
typedef void (*events_handler)(int error, const struct events_page *page, void *userdata);
int pages_events(struct env *env, const struct events_query *query, events_handler handler, void *userdata);

struct messages_page {
        Parley__V1__Message **messages;
        size_t n;
        uint64_t complete_through, epoch;
        bool has_before, has_after;
};
enum { PAGES_E_NO_CURSOR = 100 }; /* there is no message of that id */
typedef void (*messages_handler)(int error, const struct messages_page *page, void *userdata);
int pages_messages(struct env *env, const char *channel_id, const struct page_query *query,
                   const struct visibility *visibility, messages_handler handler, void *userdata);
/* The stream whose cursor says how far a channel is ingested; ret has SUBJECT_MAX bytes */
void pages_stream_of(const struct env *env, const char *channel_id, char *ret);
