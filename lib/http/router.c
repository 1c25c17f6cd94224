#include "http/router.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

struct segment {
        const char *text; /* of a parameter: its name */
        bool is_param;
};

struct pattern {
        struct http_route route;
        char *text; /* the path, cut into segments */
        struct segment segments[HTTP_SEGMENTS_MAX];
        unsigned n_segments;
        unsigned n_params;
};

struct http_router {
        unsigned n_patterns;
        struct pattern patterns[];
};

DEFINE_FREEP(struct http_router, http_router_free)

static int segment_parse(struct segment *seg, char *s)
{
        size_t n = strlen(s);

        if (n == 0 || s[0] != '{') {
                if (strpbrk(s, "{}"))
                        return -EINVAL;
                *seg = (struct segment){.text = s};
                return 0;
        }
        if (n < 3 || s[n - 1] != '}')
                return -EINVAL;
        s[n - 1] = 0;
        if (strpbrk(s + 1, "{}"))
                return -EINVAL;
        *seg = (struct segment){.text = s + 1, .is_param = true};
        return 0;
}

static int pattern_init(struct pattern *p, const struct http_route *route)
{
        char *s;
        int r;

        if (!route->method || !*route->method || !route->handler || !route->path || route->path[0] != '/')
                return -EINVAL;
        p->route = *route;
        p->text = strdup(route->path + 1);
        if (!p->text)
                return -ENOMEM;
        for (s = p->text;;) {
                char *slash = strchr(s, '/');

                if (p->n_segments == HTTP_SEGMENTS_MAX)
                        return -EINVAL;
                if (slash)
                        *slash = 0;
                r = segment_parse(&p->segments[p->n_segments], s);
                if (r < 0)
                        return r;
                p->n_params += p->segments[p->n_segments++].is_param;
                if (!slash)
                        break;
                s = slash + 1;
        }
        return p->n_params > HTTP_ROUTER_PARAMS_MAX ? -EINVAL : 0;
}

/* Whether the same requests lead to both */
static bool pattern_same(const struct pattern *a, const struct pattern *b)
{
        if (a->n_segments != b->n_segments || strcmp(a->route.method, b->route.method) != 0)
                return false;
        for (unsigned i = 0; i < a->n_segments; i++) {
                if (a->segments[i].is_param != b->segments[i].is_param)
                        return false;
                if (!a->segments[i].is_param && strcmp(a->segments[i].text, b->segments[i].text) != 0)
                        return false;
        }
        return true;
}

int http_router_new(struct http_router **ret_router, const struct http_route *routes, unsigned n_routes)
{
        _cleanup_(http_router_freep) struct http_router *router = NULL;
        int r;

        router = calloc(1, sizeof(*router) + n_routes * sizeof(router->patterns[0]));
        if (!router)
                return -ENOMEM;
        for (unsigned i = 0; i < n_routes; i++) {
                router->n_patterns = i + 1;
                r = pattern_init(&router->patterns[i], &routes[i]);
                if (r < 0)
                        return r;
                for (unsigned j = 0; j < i; j++)
                        if (pattern_same(&router->patterns[i], &router->patterns[j]))
                                return -EINVAL;
        }
        *ret_router = router;
        router = NULL;
        return 0;
}

void http_router_free(struct http_router *router)
{
        if (!router)
                return;
        for (unsigned i = 0; i < router->n_patterns; i++)
                free(router->patterns[i].text);
        free(router);
}

/* A parameter takes any segment but an empty one; also one that could not be decoded, so that the error can name it. */
static bool pattern_matches(const struct pattern *p, const struct http_target *t)
{
        if (p->n_segments != t->n_segments)
                return false;
        for (unsigned i = 0; i < p->n_segments; i++) {
                const char *given = t->segments[i];

                if (p->segments[i].is_param ? given && !*given : !given || strcmp(p->segments[i].text, given) != 0)
                        return false;
        }
        return true;
}

/* Both match the same path */
static bool pattern_more_specific(const struct pattern *a, const struct pattern *b)
{
        for (unsigned i = 0; i < a->n_segments; i++)
                if (a->segments[i].is_param != b->segments[i].is_param)
                        return b->segments[i].is_param;
        return false;
}

static bool allow_has(const char *allow, const char *method)
{
        size_t n = strlen(method);

        for (const char *s = allow; (s = strstr(s, method)); s += n)
                if ((s == allow || s[-1] == ' ') && (s[n] == 0 || s[n] == ','))
                        return true;
        return false;
}

static void allow_add(char allow[HTTP_ALLOW_MAX], const char *method)
{
        size_t n = strlen(allow);

        if (!allow_has(allow, method))
                snprintf(allow + n, HTTP_ALLOW_MAX - n, "%s%s", n ? ", " : "", method);
        if (strcmp(method, "GET") == 0)
                allow_add(allow, "HEAD");
}

static const struct pattern *find(const struct http_router *router, const char *method,
                                  const struct http_target *target, char allow[HTTP_ALLOW_MAX])
{
        const struct pattern *best = NULL;

        for (unsigned i = 0; i < router->n_patterns; i++) {
                const struct pattern *p = &router->patterns[i];

                if (!pattern_matches(p, target))
                        continue;
                allow_add(allow, p->route.method);
                if (strcmp(p->route.method, method) == 0 && (!best || pattern_more_specific(p, best)))
                        best = p;
        }
        return best;
}

static void fill(struct http_match *m, const struct pattern *p, const struct http_target *target)
{
        m->route = &p->route;
        for (unsigned i = 0; i < p->n_segments; i++) {
                if (!p->segments[i].is_param)
                        continue;
                m->names[m->n_params] = p->segments[i].text;
                m->values[m->n_params++] = target->segments[i];
        }
}

int http_router_match(const struct http_router *router, const char *method, const struct http_target *target,
                      struct http_match *ret_match)
{
        struct http_match m = {0};
        const struct pattern *p;

        if (target->too_deep)
                return HTTP_ROUTER_E_PATH;
        p = find(router, method, target, m.allow);
        if (!p && strcmp(method, "HEAD") == 0)
                p = find(router, "GET", target, m.allow);
        if (p)
                fill(&m, p, target);
        else if (!m.allow[0])
                return HTTP_ROUTER_E_PATH;
        *ret_match = m;
        return p ? 0 : HTTP_ROUTER_E_METHOD;
}
