/* Pages of messages and events: from the query's text to a plan, from the rows that came to the page. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ident.h"

enum {
        PAGE_LIMIT_DEFAULT = 50,
        PAGE_LIMIT_MAX = 200,   /* messages */
        EVENTS_LIMIT_MAX = 500, /* events; also the limit of rpc.history.events */
        LIST_LIMIT_MAX = 500,   /* channels, members */
};

/* Sequences are bigint in the database. */
#define PAGE_SEQ_MAX ((uint64_t)INT64_MAX)

enum page_mode { PAGE_LATEST, PAGE_BEFORE, PAGE_AFTER, PAGE_AROUND };

struct page_query {
        enum page_mode mode;
        bool by_id; /* the cursor is id and must be looked up; else seq */
        uint64_t seq;
        char id[UUID_LEN + 1];
        uint32_t limit;
};

/* Any argument may be NULL: not given. 0, or -EINVAL with a sentence in ret_error that names the parameter and what it takes. */
int page_parse(const char *before, const char *after, const char *around, const char *limit,
               struct page_query *ret_query, char *ret_error, size_t n_error);
/* "42" or a UUID. 0 or -EINVAL. */
int page_parse_cursor(const char *text, bool *ret_by_id, uint64_t *ret_seq, char ret_id[UUID_LEN + 1]);
/* A limit alone. 0, or -EINVAL as above. */
int page_parse_limit(const char *text, uint32_t def, uint32_t max, uint32_t *ret_limit, char *ret_error,
                     size_t n_error);
/* A sequence alone ("after" of events): NULL is 0. 0, or -EINVAL as above. */
int page_parse_seq(const char *name, const char *text, uint64_t *ret_seq, char *ret_error, size_t n_error);

/* Two scans of the key: `down` from down_from (included) towards 0, `up` from up_from (included), so many rows of each at most. One
 * row more than the page holds tells whether there are more. */
struct page_plan {
        enum page_mode mode;
        uint32_t limit;
        uint64_t down_from, up_from;
        uint32_t down_n, up_n;
};
/* seq: the cursor's, looked up where it was an id */
void page_plan(const struct page_query *query, uint64_t seq, struct page_plan *ret_plan);

/* Which of the rows make the page, when the scans gave n_down and n_up of them and all are sorted ascending by sequence */
struct page_cut {
        uint32_t first, n;
        bool has_before, has_after;
};
void page_cut(const struct page_plan *plan, uint32_t n_down, uint32_t n_up, struct page_cut *ret_cut);
/* Takes away what does not fit into max_bytes, on the side that is farther from the cursor; one row at least stays. sizes: of the rows of
 * the page, the first one first. cut->first, n and has_… follow. n_down: as above. */
void page_fit(const struct page_plan *plan, const size_t *sizes, size_t max_bytes, uint32_t n_down,
              struct page_cut *cut);

/* Through where an answer with events is complete: asked above `after`, got n events (of at most limit; the last is at last_seq), while
 * ingest stood at cursor. ret_more: ask again from there. */
uint64_t page_events_through(uint64_t after, uint32_t n, uint32_t limit, uint64_t last_seq, uint64_t cursor,
                             uint64_t through_wanted, bool *ret_more);
