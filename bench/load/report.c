#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void report_sum(struct report *r, struct shared *shared, unsigned procs)
{
        *r = (struct report){.sent_all = true, .shared = shared, .procs = procs};
        for (unsigned i = 0; i < procs; i++) {
                const volatile struct tally *t = &shared->tallies[i];
                struct {
                        uint64_t *sum;
                        uint64_t value;
                } fields[] = {
                        {&r->ready, t->ready},         {&r->closed, t->closed},     {&r->sent, t->sent},
                        {&r->to_ack, t->to_ack},       {&r->acked, t->acked},       {&r->expected, t->expected},
                        {&r->delivered, t->delivered}, {&r->measured, t->measured}, {&r->doubled, t->doubled},
                        {&r->breaks, t->breaks},       {&r->errors, t->errors},     {&r->gaps, t->gaps},
                        {&r->other, t->other},         {&r->retries, t->retries},   {&r->filled, t->filled},
                        {&r->frames, t->frames},       {&r->bytes, t->bytes},       {&r->segments, t->segments},
                };

                for (size_t k = 0; k < sizeof(fields) / sizeof(*fields); k++)
                        *fields[k].sum += fields[k].value;
                r->sent_all = r->sent_all && t->sent_all;
                r->late_ns = t->late_ns > r->late_ns ? t->late_ns : r->late_ns;
                r->last_ns = t->last_ns > r->last_ns ? t->last_ns : r->last_ns;
        }
}

static void merge(const struct report *r, struct hist *ret_delivery, struct hist *ret_ack)
{
        memset(ret_delivery, 0, sizeof(*ret_delivery));
        memset(ret_ack, 0, sizeof(*ret_ack));
        for (unsigned i = 0; i < r->procs; i++) {
                hist_merge(ret_delivery, &r->shared->tallies[i].delivery);
                hist_merge(ret_ack, &r->shared->tallies[i].ack);
        }
}

static void print_latency(const char *prefix, const struct hist *h)
{
        printf(",\"%sp50_ms\":%.4f,\"%sp99_ms\":%.4f,\"%sp999_ms\":%.4f,\"%smax_ms\":%.4f", prefix,
               (double)hist_at(h, 0.5) / 1e6, prefix, (double)hist_at(h, 0.99) / 1e6, prefix,
               (double)hist_at(h, 0.999) / 1e6, prefix, (double)h->max / 1e6);
}

/* What several loads are put together from */
static void print_counts(const struct hist *h)
{
        const char *comma = "";

        printf(",\"counts\":[");
        for (unsigned i = 0; i < HIST_N; i++) {
                if (!h->counts[i])
                        continue;
                printf("%s[%" PRIu64 ",%" PRIu64 "]", comma, hist_value(i), h->counts[i]);
                comma = ",";
        }
        printf("]");
}

static void print_closes(const struct report *r)
{
        const char *comma = "";

        printf(",\"closed\":%" PRIu64 ",\"closes\":{", r->closed);
        for (unsigned code = 0; code < MAX_CLOSE_CODE; code++) {
                uint32_t n = 0;

                for (unsigned i = 0; i < r->procs; i++)
                        n += r->shared->tallies[i].closes[code];
                if (n) {
                        printf("%s\"%u\":%" PRIu32, comma, code, n);
                        comma = ",";
                }
        }
        printf("}");
}

void report_load(const struct report *r, const struct command *c, unsigned conns, double rate)
{
        static struct hist delivery, ack;
        double seconds = r->last_ns > c->warm ? (double)(r->last_ns - (c->warm > c->start ? c->warm : c->start)) / 1e9
                                              : 0;

        merge(r, &delivery, &ack);
        printf("{\"conns\":%u,\"rate\":%.0f,\"meant\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"to_ack\":%" PRIu64
               ",\"acked\":%" PRIu64 ",\"expected\":%" PRIu64 ",\"delivered\":%" PRIu64 ",\"doubled\":%" PRIu64
               ",\"breaks\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"other\":%" PRIu64,
               conns, rate, c->total, r->sent, r->to_ack, r->acked, r->expected, r->delivered, r->doubled, r->breaks,
               r->errors + r->gaps, r->other);
        print_closes(r);
        print_latency("", &delivery);
        print_counts(&delivery);
        print_latency("ack_", &ack);
        printf(",\"measured\":%" PRIu64 ",\"per_s\":%.1f,\"seconds\":%.4f,\"late_ms\":%.3f,\"frames\":%" PRIu64
               ",\"bytes\":%" PRIu64 ",\"segments\":%" PRIu64 "}\n",
               r->measured, seconds > 0 ? (double)r->measured / seconds : 0,
               r->last_ns > c->start ? (double)(r->last_ns - c->start) / 1e9 : 0, (double)r->late_ns / 1e6, r->frames,
               r->bytes, r->segments);
}

void report_resume(const struct report *r, unsigned conns, uint64_t start)
{
        static struct hist filled, unused;

        merge(r, &filled, &unused);
        printf("{\"conns\":%u,\"filled\":%" PRIu64 ",\"delivered\":%" PRIu64 ",\"doubled\":%" PRIu64
               ",\"breaks\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"gaps\":%" PRIu64 ",\"retries\":%" PRIu64,
               conns, r->filled, r->delivered, r->doubled, r->breaks, r->errors, r->gaps, r->retries);
        print_closes(r);
        print_latency("", &filled);
        printf(",\"seconds\":%.4f,\"bytes\":%" PRIu64 "}\n",
               r->last_ns > start ? (double)(r->last_ns - start) / 1e9 : 0, r->bytes);
}
