#include "history/paging.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

int page_parse_cursor(const char *text, bool *ret_by_id, uint64_t *ret_seq, char ret_id[UUID_LEN + 1])
{
        uint64_t seq;

        if (uuid_valid(text)) {
                *ret_by_id = true;
                *ret_seq = 0;
                memcpy(ret_id, text, UUID_LEN + 1);
                return 0;
        }
        if (text_parse_u64(text, 0, PAGE_SEQ_MAX, &seq) < 0)
                return -EINVAL;
        *ret_by_id = false;
        *ret_seq = seq;
        ret_id[0] = '\0';
        return 0;
}

int page_parse_limit(const char *text, uint32_t def, uint32_t max, uint32_t *ret_limit, char *ret_error, size_t n_error)
{
        uint64_t limit = def;

        if (text && text_parse_u64(text, 1, max, &limit) < 0) {
                (void)snprintf(ret_error, n_error, "limit must be a number from 1 to %u", max);
                return -EINVAL;
        }
        *ret_limit = (uint32_t)limit;
        return 0;
}

int page_parse_seq(const char *name, const char *text, uint64_t *ret_seq, char *ret_error, size_t n_error)
{
        uint64_t seq = 0;

        if (text && text_parse_u64(text, 0, PAGE_SEQ_MAX, &seq) < 0) {
                (void)snprintf(ret_error, n_error, "%s must be a sequence: a number from 0 to %llu", name,
                               (unsigned long long)PAGE_SEQ_MAX);
                return -EINVAL;
        }
        *ret_seq = seq;
        return 0;
}

int page_parse(const char *before, const char *after, const char *around, const char *limit,
               struct page_query *ret_query, char *ret_error, size_t n_error)
{
        struct page_query q = {.mode = before ? PAGE_BEFORE : after ? PAGE_AFTER : around ? PAGE_AROUND : PAGE_LATEST};
        const char *cursor = before ? before : after ? after : around;

        if (!!before + !!after + !!around > 1) {
                (void)snprintf(ret_error, n_error, "give only one of before, after and around");
                return -EINVAL;
        }
        if (cursor && page_parse_cursor(cursor, &q.by_id, &q.seq, q.id) < 0) {
                (void)snprintf(ret_error, n_error, "%s must be the id (a UUID) or the sequence of a message",
                               before  ? "before"
                               : after ? "after"
                                       : "around");
                return -EINVAL;
        }
        if (page_parse_limit(limit, PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX, &q.limit, ret_error, n_error) < 0)
                return -EINVAL;
        *ret_query = q;
        return 0;
}

void page_plan(const struct page_query *query, uint64_t seq, struct page_plan *ret_plan)
{
        struct page_plan p = {.mode = query->mode, .limit = query->limit};

        switch (query->mode) {
        case PAGE_LATEST:
                p.down_from = PAGE_SEQ_MAX;
                p.down_n = query->limit + 1;
                break;
        case PAGE_BEFORE:
                p.down_from = seq ? seq - 1 : 0;
                p.down_n = query->limit + 1;
                p.up_from = seq;
                p.up_n = 1;
                break;
        case PAGE_AFTER:
                p.down_from = seq;
                p.down_n = 1;
                p.up_from = seq < PAGE_SEQ_MAX ? seq + 1 : PAGE_SEQ_MAX;
                p.up_n = query->limit + 1;
                break;
        case PAGE_AROUND:
                p.down_from = seq;
                p.down_n = query->limit + 1;
                p.up_from = seq < PAGE_SEQ_MAX ? seq + 1 : PAGE_SEQ_MAX;
                p.up_n = query->limit + 1;
                break;
        }
        *ret_plan = p;
}

static uint32_t least(uint32_t a, uint32_t b)
{
        return a < b ? a : b;
}

void page_cut(const struct page_plan *plan, uint32_t n_down, uint32_t n_up, struct page_cut *ret_cut)
{
        uint32_t down = 0, up = 0; /* how many of each are on the page */

        switch (plan->mode) {
        case PAGE_LATEST:
        case PAGE_BEFORE:
                down = least(n_down, plan->limit);
                break;
        case PAGE_AFTER:
                up = least(n_up, plan->limit);
                break;
        case PAGE_AROUND:
                /* the half that holds the cursor itself is the larger one; what one side lacks the other gets */
                up = least(n_up, plan->limit / 2);
                down = least(n_down, plan->limit - up);
                up = least(n_up, plan->limit - down);
                break;
        }
        *ret_cut = (struct page_cut){
                .first = n_down - down, .n = down + up, .has_before = n_down > down, .has_after = n_up > up};
}

void page_fit(const struct page_plan *plan, const size_t *sizes, size_t max_bytes, uint32_t n_down,
              struct page_cut *cut)
{
        uint32_t lo = 0, hi = cut->n, middle = n_down - cut->first; /* rows from middle on are above the cursor */
        size_t bytes = 0;

        for (uint32_t i = 0; i < cut->n; i++)
                bytes += sizes[i];
        while (hi - lo > 1 && bytes > max_bytes) {
                bool above = plan->mode == PAGE_AFTER ||
                             (plan->mode == PAGE_AROUND && hi > middle && hi - middle >= middle - lo);

                bytes -= above ? sizes[--hi] : sizes[lo++];
        }
        cut->has_before = cut->has_before || lo > 0;
        cut->has_after = cut->has_after || hi < cut->n;
        cut->first += lo;
        cut->n = hi - lo;
}

uint64_t page_events_through(uint64_t after, uint32_t n, uint32_t limit, uint64_t last_seq, uint64_t cursor,
                             uint64_t through_wanted, bool *ret_more)
{
        uint64_t through = cursor;

        if (n >= limit) {
                *ret_more = last_seq < cursor && (!through_wanted || last_seq < through_wanted);
                return last_seq;
        }
        *ret_more = false;
        if (through_wanted && through_wanted < through)
                through = through_wanted;
        /* A cursor that is ahead of ingest: nothing is missing in an empty range. */
        return through > after ? through : after;
}
