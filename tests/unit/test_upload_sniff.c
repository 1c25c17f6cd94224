/* What content is: the types, what hostile content costs, and the thread that looks at it. */
#include "unit.h"

#include <time.h>
#include <uv.h>

#include "base/cleanup.h"
#include "upload/sniff.h"
#include "upload/sniffer.h"
#include "upload/squeeze.h"

/* How much longer than ordinary content hostile one may take. Unshortened these take 70 to 130 times as long, else 3. */
enum { FACTOR = 20, MEASURED = 3 };

static uint8_t content[SNIFF_BYTES_MAX];

/* content, of `head` and then `period` over and over */
static void fill(const char *head, size_t n_head, const char *period, size_t n_period)
{
        memcpy(content, head, n_head);
        for (size_t i = n_head; i < sizeof(content); i++)
                content[i] = (uint8_t)period[(i - n_head) % n_period];
}

static void source_text(void)
{
        size_t at = 0;

        for (unsigned i = 0; at < sizeof(content) - 200; i++)
                at += (size_t)snprintf((char *)content + at, 200,
                                       "/* The number of things, %u */\nint things_%u(const struct thing *t)\n{\n"
                                       "        return t ? t->n + %u : 0;\n}\n\n",
                                       i, i, i);
        memset(content + at, 'x', sizeof(content) - at);
}

static double cpu_s(void)
{
        struct timespec t;

        assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Of content, the shortest time of a few */
static double cost(struct sniff *s)
{
        double best = 1e9;

        for (unsigned i = 0; i < MEASURED; i++) {
                double begin = cpu_s(), d;

                (void)sniff_type(s, content, sizeof(content));
                d = cpu_s() - begin;
                best = d < best ? d : best;
        }
        return best;
}

static void test_cost(void **state)
{
#define P(text)                                                                                                        \
        {                                                                                                              \
                "", 0, text, sizeof(text) - 1                                                                          \
        }
#define M(mark, text)                                                                                                  \
        {                                                                                                              \
                mark, sizeof(mark) - 1, text, sizeof(text) - 1                                                         \
        }
        static const struct {
                const char *head;
                size_t n_head;
                const char *period;
                size_t n_period;
        } hostile[] = {P("\n"),
                       P("\r\n"),
                       P(" \n"),
                       P(" "),
                       P("\t"),
                       P("\r"),
                       P("\v"),
                       P("\f"),
                       P("\n\t \r"),
                       M("a", "\n"),
                       M("\xef\xbb\xbf", "\n"),
                       M("\xff\xfe", "\n\0"),
                       M("\xfe\xff", "\0\n"),
                       M("\xff\xfe\0\0", "\n\0\0\0"),
                       M("\0\0\xfe\xff", "\0\0\0\n"),
                       P("                                                               a"),
                       P("\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\na")};
#undef P
#undef M
        struct sniff *s = NULL;
        double ordinary;

        (void)state;
        assert_int_equal(sniff_new(&s), 0);
        source_text();
        ordinary = cost(s);
        for (unsigned i = 0; i < ARRAY_SIZE(hostile); i++) {
                double c;

                fill(hostile[i].head, hostile[i].n_head, hostile[i].period, hostile[i].n_period);
                c = cost(s);
                if (c > FACTOR * ordinary)
                        print_error("pattern %u: %.2f ms, ordinary content %.2f ms\n", i, c * 1e3, ordinary * 1e3);
                assert_true(c <= FACTOR * ordinary);
        }
        sniff_free(s);
}

static void is(struct sniff *s, const char *type, const void *data, size_t n)
{
        assert_string_equal(sniff_type(s, data, n), type);
}

static void test_types(void **state)
{
        static const char png[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x10\x08\6\0\0\0",
                          gif[] = "GIF89a\1\0\1\0";
        struct sniff *s = NULL;

        (void)state;
        assert_int_equal(sniff_new(&s), 0);
        is(s, "image/png", png, sizeof(png) - 1);
        is(s, "image/gif", gif, sizeof(gif) - 1);
        is(s, "application/octet-stream", "", 0);
        fill("<!DOCTYPE html>", 15, "\n", 1);
        is(s, "text/html", content, sizeof(content));
        fill("", 0, " ", 1);
        is(s, "text/plain", content, sizeof(content));
        /* what stands behind all the blanks is seen; libmagic alone would not look so far */
        memcpy(content + sizeof(content) - 40, "<!DOCTYPE html><html><body></body></html", 40);
        is(s, "text/html", content, sizeof(content));
        /* a CD's image is one by what stands behind many zeros, which stay */
        memset(content, 0, sizeof(content));
        memcpy(content + 32769, "CD001", 5);
        is(s, "application/x-iso9660-image", content, sizeof(content));
        sniff_free(s);
}

static void squeezed(const void *data, size_t n, size_t expected)
{
        uint8_t *ret = malloc(n + 1);

        ret[n] = 0xee;
        assert_int_equal(squeeze_blanks(data, n, ret), expected);
        assert_int_equal(ret[n], 0xee);
        assert_int_equal(squeeze_blanks(ret, expected, ret), expected); /* nothing is left to shorten */
        free(ret);
}

static void test_squeeze(void **state)
{
        uint8_t ret[sizeof(content)];

        (void)state;
        squeezed("", 0, 0);
        squeezed("\xff", 1, 1);
        squeezed("\xff\xfe\n", 3, 3);
        fill("a", 1, " ", 1);
        squeezed(content, 1 + SQUEEZE_RUN_MAX, 1 + SQUEEZE_RUN_MAX);
        squeezed(content, 2 + SQUEEZE_RUN_MAX, 1 + SQUEEZE_RUN_MAX);
        content[100] = 'b';
        assert_int_equal(squeeze_blanks(content, 1000, ret), 2 + 2 * SQUEEZE_RUN_MAX);
        assert_int_equal(ret[1 + SQUEEZE_RUN_MAX], 'b');
        fill("\xff\xfe", 2, "\n\0", 2);
        squeezed(content, 2001, 2 + 2 * SQUEEZE_RUN_MAX + 1); /* half a character stays as it is */
        fill("\0\0\xfe\xff", 4, "\0\0\0\n", 4);
        squeezed(content, 4000, 4 + 4 * SQUEEZE_RUN_MAX);
        fill("", 0, "\0", 1);
        squeezed(content, sizeof(content), sizeof(content));
        fill("", 0, "\n\0", 2); /* no mark: no text for libmagic */
        squeezed(content, 4000, 4000);
}

/* --- the thread --- */

struct asked {
        char order[64]; /* a letter for each that was answered */
        struct sniffer *sniffer;
};

struct ask {
        struct asked *all;
        char letter;
        int error;
        char type[128];
        bool again; /* asks once more when it is answered */
};

static void on_answer(int error, const char *type, void *userdata)
{
        struct ask *a = userdata;
        size_t n = strlen(a->all->order);

        assert_true((error == 0) == (type != NULL));
        a->error = error;
        (void)snprintf(a->type, sizeof(a->type), "%s", type ? type : "");
        a->all->order[n] = a->letter;
        if (a->again) {
                a->again = false;
                assert_int_equal(sniffer_ask(a->all->sniffer, "ann", (const uint8_t *)"GIF89a", 6, on_answer, a), 0);
        }
}

static void sniffer_begin(uv_loop_t *loop, struct asked *all, unsigned max, unsigned max_owner)
{
        const struct sniffer_options options = {.loop = loop, .max = max, .max_owner = max_owner};

        *all = (struct asked){0};
        assert_int_equal(uv_loop_init(loop), 0);
        assert_int_equal(sniffer_new(&all->sniffer, &options), 0);
}

static void sniffer_end(uv_loop_t *loop, struct sniffer *s)
{
        sniffer_free(s);
        (void)uv_run(loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(loop), 0);
}

static int ask(struct asked *all, struct ask *a, char letter, const char *owner)
{
        *a = (struct ask){.all = all, .letter = letter, .error = -1};
        return sniffer_ask(all->sniffer, owner, (const uint8_t *)"just text\n", 10, on_answer, a);
}

static void run_until(uv_loop_t *loop, const struct asked *all, size_t n)
{
        while (strlen(all->order) < n)
                (void)uv_run(loop, UV_RUN_ONCE);
}

static void test_thread(void **state)
{
        struct ask asks[8];
        struct asked all;
        uv_loop_t loop;

        (void)state;
        sniffer_begin(&loop, &all, 8, 4);
        assert_int_equal(ask(&all, &asks[0], 'a', "mallory"), 0); /* is looked at, from now on */
        assert_int_equal(ask(&all, &asks[1], 'b', "mallory"), 0);
        assert_int_equal(ask(&all, &asks[2], 'c', "mallory"), 0);
        assert_int_equal(ask(&all, &asks[3], 'd', "ann"), 0);
        asks[3].again = true;
        assert_int_equal(sniffer_waiting(all.sniffer), 3);
        assert_string_equal(all.order, "");
        run_until(&loop, &all, 5);
        assert_string_equal(all.order, "abdcd"); /* its second question came when c was begun */
        assert_string_equal(asks[0].type, "text/plain");
        assert_string_equal(asks[3].type, "image/gif");
        assert_int_equal(sniffer_waiting(all.sniffer), 0);
        sniffer_end(&loop, all.sniffer);
}

static void test_too_many(void **state)
{
        struct ask asks[8];
        struct asked all;
        uv_loop_t loop;

        (void)state;
        sniffer_begin(&loop, &all, 3, 2);
        assert_int_equal(ask(&all, &asks[0], 'a', "mallory"), 0);
        assert_int_equal(ask(&all, &asks[1], 'b', "mallory"), 0);
        assert_int_equal(ask(&all, &asks[2], 'c', "mallory"), 0);
        assert_int_equal(ask(&all, &asks[3], 'x', "mallory"), SNIFFER_E_OWNER);
        assert_int_equal(ask(&all, &asks[4], 'd', "ann"), 0);
        assert_int_equal(ask(&all, &asks[5], 'e', "bob"), 0); /* for him mallory's last one goes */
        assert_string_equal(all.order, "c");
        assert_int_equal(asks[2].error, SNIFFER_E_FULL);
        assert_int_equal(ask(&all, &asks[6], 'x', "eve"), SNIFFER_E_FULL);
        run_until(&loop, &all, 5);
        assert_string_equal(all.order, "cabde");
        sniffer_end(&loop, all.sniffer);
}

static void test_end(void **state)
{
        struct ask asks[4];
        struct asked all;
        uv_loop_t loop;

        (void)state;
        sniffer_begin(&loop, &all, 8, 4);
        sniffer_end(&loop, all.sniffer); /* with nothing to do */
        sniffer_begin(&loop, &all, 8, 4);
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(ask(&all, &asks[i], (char)('a' + i), "ann"), 0);
        sniffer_stop(all.sniffer);
        assert_string_equal(all.order, "bc");
        assert_int_equal(asks[1].error, SNIFFER_E_STOPPED);
        assert_int_equal(ask(&all, &asks[3], 'x', "ann"), SNIFFER_E_STOPPED);
        run_until(&loop, &all, 3);
        assert_int_equal(asks[0].error, 0);
        sniffer_end(&loop, all.sniffer);
        assert_string_equal(all.order, "bca");

        sniffer_begin(&loop, &all, 8, 4); /* one is looked at, one waits */
        assert_int_equal(ask(&all, &asks[0], 'a', "ann"), 0);
        assert_int_equal(ask(&all, &asks[1], 'b', "ann"), 0);
        sniffer_end(&loop, all.sniffer);
        assert_string_equal(all.order, "ba");
        assert_int_equal(asks[0].error, SNIFFER_E_STOPPED);
        assert_int_equal(asks[1].error, SNIFFER_E_STOPPED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_types),  cmocka_unit_test(test_squeeze),  cmocka_unit_test(test_cost),
                cmocka_unit_test(test_thread), cmocka_unit_test(test_too_many), cmocka_unit_test(test_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
