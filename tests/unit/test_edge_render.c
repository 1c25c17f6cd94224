/* What the entry of the image `web` makes of the edge's template */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "docker/render.h"

struct filled {
        int r;
        char *text, error[256];
};

static const char *value(const char *name)
{
        static const char *const values[][2] = {{"PARLEY_A", "0.0.0.0:8080"}, {"PARLEY_NONE", ""},
                                                {"PARLEY_ONE", "10.0.0.0/8"}, {"PARLEY_TWO", " 10.0.0.0/8,fd00::/8 ,"},
                                                {"PARLEY_BAD", "a;b"},        {"PARLEY_BAD_LIST", "10.0.0.0/8,a;b"}};

        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
                if (strcmp(values[i][0], name) == 0)
                        return values[i][1];
        return NULL;
}

static void fill(struct filled *f, const char *template)
{
        size_t n;
        FILE *out = open_memstream(&f->text, &n);

        assert_non_null(out);
        f->error[0] = 0;
        f->r = render(out, template, value, f->error, sizeof(f->error));
        assert_int_equal(fclose(out), 0);
}

static void expect(const char *template, const char *text)
{
        struct filled f;

        fill(&f, template);
        assert_int_equal(f.r, 0);
        assert_string_equal(f.text, text);
        free(f.text);
}

static void expect_error(const char *template, int error, const char *says)
{
        struct filled f;

        fill(&f, template);
        assert_int_equal(f.r, error);
        assert_string_equal(f.error, says);
        free(f.text);
}

static void test_names(void **state)
{
        (void)state;
        expect("", "");
        expect("listen ${PARLEY_A} backlog;\nroot;", "listen 0.0.0.0:8080 backlog;\nroot;");
        expect("'${PARLEY_A}${PARLEY_NONE}' ${PARLEY_A}\n", "'0.0.0.0:8080' 0.0.0.0:8080\n");
        expect("$uri ${uri}index.html ${PARLEY_\n}\n", "$uri ${uri}index.html ${PARLEY_\n}\n");
        expect_error("x ${PARLEY_WHAT};\n", -ENOENT, "PARLEY_WHAT is not set");
        expect_error("x ${PARLEY_BAD};\n", -EINVAL, "PARLEY_BAD has a character that is not allowed: ;");
}

static void test_lists(void **state)
{
        (void)state;
        expect("a;\n  from ${PARLEY_TWO,};\nb ${PARLEY_ONE};\n",
               "a;\n  from 10.0.0.0/8;\n  from fd00::/8;\nb 10.0.0.0/8;\n");
        expect("from ${PARLEY_ONE,};", "from 10.0.0.0/8;");
        expect("a;\n  from ${PARLEY_NONE,};\nb;\n", "a;\nb;\n");
        expect_error("from ${PARLEY_WHAT,};\n", -ENOENT, "PARLEY_WHAT is not set");
        expect_error("from ${PARLEY_BAD_LIST,};\n", -EINVAL, "PARLEY_BAD_LIST has a character that is not allowed: ;");
        /* elsewhere a comma would end a word */
        expect_error("from ${PARLEY_TWO};\n", -EINVAL, "PARLEY_TWO has a character that is not allowed:  ");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_lists),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
