/* The begin of any content. The first byte odd: the rest over and over, up to all that is looked at, as only repetition is costly enough. A type
 * comes out, in a time that is bounded by that of ordinary content; what is shortened is within bounds and done. */
#include "fuzz.h"

#include <time.h>

#include "upload/plan.h"
#include "upload/sniff.h"
#include "upload/squeeze.h"

/* Found to take about 30 times as long as ordinary content: "(;" over and over. Long runs of blanks took over 100. */
enum { FACTOR = 80, TRIES = 5, ORDINARY = 40 };

static uint8_t text[SNIFF_BYTES_MAX], kept[SNIFF_BYTES_MAX];
static struct sniff *sniff;
static double bound_s;

static double cost(size_t n)
{
        struct timespec a, b;
        const char *type;

        REQUIRE(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a) == 0);
        type = sniff_type(sniff, text, n);
        REQUIRE(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b) == 0);
        REQUIRE(plan_type_valid(type));
        return (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
}

static void repeat(const uint8_t *data, size_t n)
{
        for (size_t i = 0; i < sizeof(text); i++)
                text[i] = data[i % n];
}

static void begin(void)
{
        static const char line[] = "        if (r < 0)\n                return r; /* as it was said above */\n";
        double least = 1;

        REQUIRE(sniff_new(&sniff) == 0);
        repeat((const uint8_t *)line, sizeof(line) - 1);
        for (unsigned i = 0; i < ORDINARY; i++) {
                double c = cost(sizeof(text));

                least = c < least ? c : least;
        }
        bound_s = FACTOR * least;
}

static void squeezed(size_t n)
{
        size_t m = squeeze_blanks(text, n, kept);

        REQUIRE(m <= n);
        REQUIRE(squeeze_blanks(kept, m, kept) == m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        size_t size = n ? n - 1 : 0;
        unsigned tries = 0;

        if (!sniff)
                begin();
        if (size == 0)
                return 0;
        if (size > sizeof(text))
                size = sizeof(text);
        if (data[0] & 1) {
                repeat(data + 1, size);
                size = sizeof(text);
        } else {
                memcpy(text, data + 1, size);
        }
        squeezed(size);
        /* once may be an interrupt */
        while (cost(size) > bound_s)
                REQUIRE(++tries < TRIES);
        return 0;
}
