/* Targets of requests: path, query, the route; and what history reads of the query: cursors, limits, the plan of a page. */
#include "base/text.h"
#include "fuzz.h"
#include "history/paging.h"
#include "http/router.h"

enum { TARGET_MAX = 8192, ROWS_MAX = 2 * PAGE_LIMIT_MAX + 4 };

static struct http_router *router;

static void answer(struct http_request *rq, void *userdata)
{
        (void)rq;
        (void)userdata;
}

static void init(void)
{
        static const struct http_route routes[] = {
                {.method = "GET", .path = "/api/channels", .handler = answer},
                {.method = "POST", .path = "/api/channels", .handler = answer},
                {.method = "GET", .path = "/api/channels/{id}/messages/{message}", .handler = answer},
                {.method = "GET", .path = "/api/channels/{id}/messages", .handler = answer},
                {.method = "DELETE", .path = "/api/channels/{id}/members/{userId}", .handler = answer},
        };

        REQUIRE(http_router_new(&router, routes, sizeof(routes) / sizeof(routes[0])) == 0);
}

static void check_route(const struct http_target *t)
{
        static const char *const methods[] = {"GET", "HEAD", "PUT"};
        struct http_match match;

        for (unsigned i = 0; i < 3; i++) {
                int r = http_router_match(router, methods[i], t, &match);

                REQUIRE(r == 0 || r == HTTP_ROUTER_E_PATH || r == HTTP_ROUTER_E_METHOD);
                if (r == HTTP_ROUTER_E_METHOD)
                        REQUIRE(match.allow[0] && strlen(match.allow) < sizeof(match.allow));
                for (unsigned k = 0; r == 0 && k < match.n_params; k++)
                        REQUIRE(match.names[k] &&
                                (!match.values[k] || utf8_valid(match.values[k], strlen(match.values[k]))));
        }
}

/* The page keeps within its limit, is a part of the rows, and says what it leaves out */
static void check_page(const struct page_query *q, uint8_t down, uint8_t up)
{
        static size_t sizes[ROWS_MAX];
        struct page_plan plan;
        struct page_cut cut, fitted;
        uint32_t n_down, n_up;

        page_plan(q, q->seq, &plan);
        REQUIRE(plan.down_n <= q->limit + 1 && plan.up_n <= q->limit + 1);
        REQUIRE(plan.down_from <= PAGE_SEQ_MAX && plan.up_from <= PAGE_SEQ_MAX);
        n_down = plan.down_n ? down % (plan.down_n + 1) : 0;
        n_up = plan.up_n ? up % (plan.up_n + 1) : 0;
        page_cut(&plan, n_down, n_up, &cut);
        REQUIRE(cut.n <= q->limit && cut.first + cut.n <= n_down + n_up);
        REQUIRE(cut.has_before || cut.first == 0);
        for (unsigned i = 0; i < cut.n; i++)
                sizes[i] = (size_t)(i * 37 + down) % 900;
        fitted = cut;
        page_fit(&plan, sizes, 4000, n_down, &fitted);
        REQUIRE(fitted.n <= cut.n && fitted.first >= cut.first && (fitted.n > 0) == (cut.n > 0));
        REQUIRE(fitted.n == cut.n || fitted.has_before || fitted.has_after);
}

static void check_query(const struct http_target *t, uint8_t down, uint8_t up)
{
        struct page_query q;
        char error[128] = "";
        uint64_t seq = 0;
        uint32_t limit = 0;

        if (page_parse(http_target_query(t, "before"), http_target_query(t, "after"), http_target_query(t, "around"),
                       http_target_query(t, "limit"), &q, error, sizeof(error)) == 0) {
                REQUIRE(q.limit >= 1 && q.limit <= PAGE_LIMIT_MAX && q.seq <= PAGE_SEQ_MAX);
                REQUIRE(!q.by_id || uuid_valid(q.id));
                check_page(&q, down, up);
        } else {
                REQUIRE(error[0] && utf8_valid(error, strlen(error)));
        }
        if (page_parse_seq("after", http_target_query(t, "after"), &seq, error, sizeof(error)) == 0)
                REQUIRE(seq <= PAGE_SEQ_MAX);
        if (page_parse_limit(http_target_query(t, "limit"), 200, EVENTS_LIMIT_MAX, &limit, error, sizeof(error)) == 0)
                REQUIRE(limit >= 1 && limit <= EVENTS_LIMIT_MAX);
}

static void check_decoded(const struct http_target *t)
{
        for (unsigned i = 0; i < t->n_segments; i++)
                REQUIRE(!t->segments[i] || utf8_valid(t->segments[i], strlen(t->segments[i])));
        for (unsigned i = 0; i < t->n_query; i++) {
                REQUIRE(utf8_valid(t->query[i].name, strlen(t->query[i].name)));
                REQUIRE(utf8_valid(t->query[i].value, strlen(t->query[i].value)));
                for (unsigned k = 0; k < i; k++)
                        REQUIRE(strcmp(t->query[i].name, t->query[k].name) != 0);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        struct http_target t = {0};
        char *text, *work, *query = NULL;
        const char *name = NULL;
        int r;

        if (!router)
                init();
        if (n < 2 || n > TARGET_MAX)
                return 0;
        text = strndup((const char *)data + 2, n - 2);
        work = strdup(text);
        if (http_target_parse_path(&t, text, work, &query) == 0) {
                r = query ? http_target_parse_query(&t, query, &name) : 0;
                REQUIRE(r == 0 || (r <= HTTP_TARGET_E_MANY && name));
                check_decoded(&t);
                check_route(&t);
                if (r == 0)
                        check_query(&t, data[0], data[1]);
        }
        free(text);
        free(work);
        return 0;
}
