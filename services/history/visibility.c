#include "history/visibility.h"

#include <stdlib.h>

static int by_from(const void *a, const void *b)
{
        const struct seq_span *x = a, *y = b;

        return (x->from > y->from) - (x->from < y->from);
}

static void everything(struct visibility *v)
{
        v->spans[0] = (struct seq_span){0, UINT64_MAX};
        v->n = 1;
}

/* The last one that is kept grows, or another begins; the oldest goes when there is no room. */
static void add(struct visibility *v, const struct seq_span *s)
{
        struct seq_span *last = v->n ? &v->spans[v->n - 1] : NULL;

        if (s->to < s->from)
                return;
        if (last && (last->to == UINT64_MAX || s->from <= last->to + 1)) {
                if (s->to > last->to)
                        last->to = s->to;
                return;
        }
        if (v->n == VISIBILITY_SPANS_MAX) {
                for (unsigned i = 1; i < v->n; i++)
                        v->spans[i - 1] = v->spans[i];
                v->n--;
        }
        v->spans[v->n++] = *s;
}

void visibility_compute(const Parley__V1__Channel *channel, const struct seq_span *spans, unsigned n_spans,
                        bool unlimited, struct visibility *ret_visibility)
{
        struct seq_span sorted[VISIBILITY_SPANS_MAX];
        struct visibility *v = ret_visibility;

        v->n = 0;
        /* Everybody is a member of such a channel from its beginning, until they leave: then there is a span. */
        if (unlimited || channel->history_visibility == PARLEY__V1__CHANNEL__HISTORY_VISIBILITY__all ||
            (channel->everyone && n_spans == 0)) {
                everything(v);
                return;
        }
        if (n_spans > VISIBILITY_SPANS_MAX)
                n_spans = VISIBILITY_SPANS_MAX;
        for (unsigned i = 0; i < n_spans; i++)
                sorted[i] = spans[i];
        qsort(sorted, n_spans, sizeof(*sorted), by_from);
        for (unsigned i = 0; i < n_spans; i++)
                add(v, &sorted[i]);
}

bool visibility_sees(const struct visibility *v, uint64_t seq)
{
        for (unsigned i = 0; i < v->n; i++)
                if (seq >= v->spans[i].from && seq <= v->spans[i].to)
                        return true;
        return false;
}
