/* What S3, or whoever sits before it, answers: whatever is taken is within its bounds and goes into a request as it came, and a page that is
 * refused leaves nothing. The input is two pages, with a NUL between them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "upload/plan.h"
#include "upload/s3_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(const struct s3_answer *a)
{
        struct s3_answer again = {0};
        struct buf body = BUF_INIT(8u << 20);

        for (size_t i = 0; i < a->n_parts; i++)
                if (a->parts[i].number < 1 || a->parts[i].number > PLAN_PARTS_MAX ||
                    (i && a->parts[i].number <= a->parts[i - 1].number))
                        abort();
        for (size_t i = 0; i < a->n_entries; i++)
                if (!*a->entries[i].name || strlen(a->entries[i].name) > STORE_NAME_MAX)
                        abort();
        /* what we send is well-formed whatever came, unless it is longer than any answer */
        if (s3_complete_body(a->parts, a->n_parts, &body) != 0 ||
            (body.len <= S3_ANSWER_MAX && s3_answer_read(&again, body.data, body.len) != 0))
                abort();
        s3_answer_done(&again);
        buf_done(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        const uint8_t *cut = n ? memchr(data, 0, n) : NULL;
        size_t first = cut ? (size_t)(cut - data) : n;
        struct s3_answer a = {.prefix = "files/"};
        size_t before;

        (void)s3_answer_read(&a, data, first);
        check(&a);
        before = a.n_parts + a.n_entries;
        if (cut && s3_answer_read(&a, cut + 1, n - first - 1) != 0 && a.n_parts + a.n_entries != before)
                abort();
        check(&a);
        s3_answer_done(&a);
        return 0;
}
