/* Reading: pages of messages, one message, pages of events. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "history/pages.h"
#include "history/rest.h"

enum { EVENTS_LIMIT_DEFAULT = 200, EVENTS_MAX_BYTES = 1 << 20 };

/* --- a page --- */

static void answer_page(struct rest_call *c, const struct messages_page *page)
{
        Parley__V1__MessagePage answer = PARLEY__V1__MESSAGE_PAGE__INIT;

        answer.messages = page->messages;
        answer.n_messages = page->n;
        answer.complete_through_seq = page->complete_through;
        /* messages carry all that was applied, and the cursor is of the same moment */
        answer.state_seq = page->complete_through;
        answer.has_before = page->has_before;
        answer.has_after = page->has_after;
        answer.epoch = page->epoch;
        rest_json(c, 200, &answer.base);
}

static void on_page(int error, const struct messages_page *page, void *userdata)
{
        struct rest_call *c = userdata;

        if (error == PAGES_E_NO_CURSOR)
                rest_problem(c, PARLEY_NOT_FOUND, "there is no message with this id in the channel");
        else if (error)
                rest_unavailable(c, error);
        else
                answer_page(c, page);
}

static void read_page(struct rest_call *c)
{
        int r = pages_messages(c->rest->env, c->channel_id, c->own, &c->access->visibility, on_page, c);

        if (r != 0)
                rest_unavailable(c, r);
}

void rest_list_messages(struct http_request *rq, void *userdata)
{
        struct rest_call *c = rest_begin(rq, userdata);
        struct page_query *query;
        char error[128];

        if (!c)
                return;
        query = c->own = calloc(1, sizeof(*query));
        c->free_own = free;
        if (!query)
                rest_unavailable(c, -ENOMEM);
        else if (page_parse(http_query(rq, "before"), http_query(rq, "after"), http_query(rq, "around"),
                            http_query(rq, "limit"), query, error, sizeof(error)) < 0)
                rest_problem(c, PARLEY_BAD_REQUEST, "%s", error);
        else
                rest_access_for(c, POLICY_READ, read_page);
}

/* --- one message: the page around it that holds nothing else --- */

static void on_message(int error, const struct messages_page *page, void *userdata)
{
        struct rest_call *c = userdata;
        const struct page_query *query = c->own;

        if (error && error != PAGES_E_NO_CURSOR)
                rest_unavailable(c, error);
        else if (error || page->n != 1 || (!query->by_id && page->messages[0]->seq != query->seq))
                rest_problem(c, PARLEY_NOT_FOUND, "there is no such message in the channel");
        else
                rest_json(c, 200, &page->messages[0]->base);
}

static void read_message(struct rest_call *c)
{
        int r = pages_messages(c->rest->env, c->channel_id, c->own, &c->access->visibility, on_message, c);

        if (r != 0)
                rest_unavailable(c, r);
}

void rest_get_message(struct http_request *rq, void *userdata)
{
        struct rest_call *c = rest_begin(rq, userdata);
        struct page_query *query;

        if (!c)
                return;
        query = c->own = calloc(1, sizeof(*query));
        c->free_own = free;
        if (!query) {
                rest_unavailable(c, -ENOMEM);
                return;
        }
        query->mode = PAGE_AROUND;
        query->limit = 1;
        if (page_parse_cursor(http_param(rq, "message"), &query->by_id, &query->seq, query->id) < 0)
                rest_problem(c, PARLEY_BAD_REQUEST, "a message is named by its id (a UUID) or its sequence");
        else
                rest_access_for(c, POLICY_READ, read_message);
}

/* --- events --- */

struct events_asked {
        uint64_t after;
        uint32_t limit;
};

static void on_events(int error, const struct events_page *page, void *userdata)
{
        struct rest_call *c = userdata;
        Parley__V1__EventPage answer = PARLEY__V1__EVENT_PAGE__INIT;

        if (error) {
                rest_unavailable(c, error);
                return;
        }
        answer.events = page->events;
        answer.n_events = page->n;
        answer.from_seq = ((const struct events_asked *)c->own)->after;
        answer.through_seq = page->through;
        answer.more = page->more;
        answer.epoch = page->epoch;
        rest_json(c, 200, &answer.base);
}

static void read_events(struct rest_call *c)
{
        const struct events_asked *own = c->own;
        const struct events_query query = {.channel_id = c->channel_id,
                                           .after = own->after,
                                           .limit = own->limit,
                                           .max_bytes = EVENTS_MAX_BYTES,
                                           .visibility = &c->access->visibility};
        int r = pages_events(c->rest->env, &query, on_events, c);

        if (r != 0)
                rest_unavailable(c, r);
}

void rest_list_events(struct http_request *rq, void *userdata)
{
        struct rest_call *c = rest_begin(rq, userdata);
        struct events_asked *own;
        char error[128];

        if (!c)
                return;
        own = c->own = calloc(1, sizeof(*own));
        c->free_own = free;
        if (!own)
                rest_unavailable(c, -ENOMEM);
        else if (page_parse_seq("after", http_query(rq, "after"), &own->after, error, sizeof(error)) < 0 ||
                 page_parse_limit(http_query(rq, "limit"), EVENTS_LIMIT_DEFAULT, EVENTS_LIMIT_MAX, &own->limit, error,
                                  sizeof(error)) < 0)
                rest_problem(c, PARLEY_BAD_REQUEST, "%s", error);
        else
                rest_access_for(c, POLICY_READ, read_events);
}
