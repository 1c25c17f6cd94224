#include "base/metrics.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"

static struct metric *metrics;
static struct metric_histogram *histograms;

void metric_register(struct metric *m)
{
        struct metric **end = &metrics, **beside = NULL;

        for (; *end; end = &(*end)->next) {
                if (*end == m)
                        return;
                if (strcmp((*end)->name, m->name) == 0)
                        beside = &(*end)->next;
        }
        if (beside)
                end = beside;
        m->next = *end;
        *end = m;
}

void metric_histogram_register(struct metric_histogram *h)
{
        struct metric_histogram **end = &histograms;

        for (; *end; end = &(*end)->next)
                if (*end == h)
                        return;
        h->next = NULL;
        *end = h;
}

static unsigned histogram_bounds(const struct metric_histogram *h)
{
        unsigned n = 0;

        while (n < METRIC_BUCKETS && h->bounds[n] != 0)
                n++;
        return n;
}

void metric_observe(struct metric_histogram *h, double v)
{
        unsigned n = histogram_bounds(h), i = 0;

        while (i < n && v > h->bounds[i])
                i++;
        h->counts[i]++;
        h->count++;
        h->sum += v;
}

_printf_(2, 3) static int append(struct buf *out, const char *format, ...)
{
        char line[1024];
        va_list ap;
        int n;

        va_start(ap, format);
        n = vsnprintf(line, sizeof(line), format, ap);
        va_end(ap);
        if (n < 0 || (size_t)n >= sizeof(line))
                return BUF_E_FULL;
        return buf_append(out, line, (size_t)n);
}

/* The shortest of the usual texts that reads back as the same number */
static const char *number(double v, char text[32])
{
        if (isnan(v))
                return "NaN";
        if (isinf(v))
                return v > 0 ? "+Inf" : "-Inf";
        snprintf(text, 32, "%.15g", v);
        if (strtod(text, NULL) != v)
                snprintf(text, 32, "%.17g", v);
        return text;
}

static int write_head(struct buf *out, const char *name, const char *help, const char *type)
{
        int r;

        r = append(out, "# HELP %s ", name);
        for (const char *p = help; *p && r == 0; p++) {
                if (*p == '\\')
                        r = buf_append_str(out, "\\\\");
                else if (*p == '\n')
                        r = buf_append_str(out, "\\n");
                else
                        r = buf_append(out, p, 1);
        }
        if (r == 0)
                r = append(out, "\n# TYPE %s %s\n", name, type);
        return r;
}

static int write_metric(struct buf *out, const struct metric *m, const char *name_before)
{
        char text[32];
        int r = 0;

        if (!name_before || strcmp(name_before, m->name) != 0)
                r = write_head(out, m->name, m->help, m->type == METRIC_COUNTER ? "counter" : "gauge");
        if (r != 0)
                return r;
        if (m->labels)
                return append(out, "%s{%s} %s\n", m->name, m->labels, number(m->value, text));
        return append(out, "%s %s\n", m->name, number(m->value, text));
}

static int write_histogram(struct buf *out, const struct metric_histogram *h)
{
        unsigned n = histogram_bounds(h);
        uint64_t below = 0;
        char text[32];
        int r;

        r = write_head(out, h->name, h->help, "histogram");
        for (unsigned i = 0; i < n && r == 0; i++) {
                below += h->counts[i];
                r = append(out, "%s_bucket{le=\"%s\"} %llu\n", h->name, number(h->bounds[i], text),
                           (unsigned long long)below);
        }
        if (r == 0)
                r = append(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %s\n%s_count %llu\n", h->name,
                           (unsigned long long)h->count, h->name, number(h->sum, text), h->name,
                           (unsigned long long)h->count);
        return r;
}

int metrics_write(struct buf *out)
{
        const char *name_before = NULL;
        size_t len = out->len;
        int r = 0;

        for (const struct metric *m = metrics; m && r == 0; m = m->next) {
                r = write_metric(out, m, name_before);
                name_before = m->name;
        }
        for (const struct metric_histogram *h = histograms; h && r == 0; h = h->next)
                r = write_histogram(out, h);
        if (r != 0)
                out->len = len;
        return r;
}
