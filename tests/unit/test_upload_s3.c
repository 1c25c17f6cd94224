/* Where objects of S3 are, and what is taken of its answers */
#include "unit.h"

#include <errno.h>

#include "upload/s3_answer.h"
#include "upload/s3_site.h"

static struct s3_config config(bool path_style)
{
        return (struct s3_config){.endpoint = (char *)"https://s3.example.com:443",
                                  .public_endpoint = (char *)"http://files.example.com:8333",
                                  .region = (char *)"us-east-1",
                                  .bucket = (char *)"parley",
                                  .prefix = (char *)"chat/",
                                  .access_key_id = (char *)"AKIDEXAMPLE",
                                  .secret_access_key = (char *)"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                                  .session_token = (char *)"a/token",
                                  .path_style = path_style};
}

static void expect_begin(const struct buf *b, const char *text)
{
        assert_true(b->len > strlen(text));
        assert_memory_equal(b->data, text, strlen(text));
}

static bool has(const struct buf *b, const char *text)
{
        return memmem(b->data, b->len, text, strlen(text)) != NULL;
}

static void check_site(bool path_style, const char *inside, const char *outside, const char *host)
{
        const struct s3_config c = config(path_style);
        struct s3_request rq = {.method = "GET", .query = {{"uploads", ""}}, .n_query = 1};
        struct buf url = BUF_INIT(S3_URL_MAX), headers = BUF_INIT(S3_URL_MAX);
        char key[S3_KEY_MAX + 1];
        struct s3_site s;

        s3_site_init(&s, &c);
        s3_key(&s, S3_PENDING, "a b", key);
        assert_string_equal(key, "chat/pending/a b");
        rq.key = key;
        assert_int_equal(s3_sign(&s, &rq, NULL, 0, 1369353600, &url, &headers), 0);
        assert_string_equal((const char *)url.data, inside);
        assert_true(has(&headers, host));
        assert_true(has(&headers, "x-amz-security-token: a/token"));
        assert_true(has(&headers, "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token"));
        url.len = 0;
        assert_int_equal(s3_presign(&s, &rq, 1369353600, 60, &url), 0);
        expect_begin(&url, outside);
        assert_true(has(&url, "X-Amz-Security-Token=a%2Ftoken"));
        assert_true(has(&url, "&X-Amz-SignedHeaders=host&"));
        buf_done(&url);
        buf_done(&headers);
}

static void test_site(void **state)
{
        (void)state;
        check_site(true, "https://s3.example.com/parley/chat/pending/a%20b?uploads=",
                   "http://files.example.com:8333/parley/chat/pending/a%20b?X-Amz-Algorithm", "host: s3.example.com");
        check_site(false, "https://parley.s3.example.com/chat/pending/a%20b?uploads=",
                   "http://parley.files.example.com:8333/chat/pending/a%20b?X-Amz-Algorithm",
                   "host: parley.s3.example.com");
}

static void test_settings(void **state)
{
        (void)state;
        assert_null(s3_endpoint_wrong("http://127.0.0.1:9000"));
        assert_null(s3_endpoint_wrong("https://[::1]:9000"));
        assert_non_null(s3_endpoint_wrong(""));
        assert_non_null(s3_endpoint_wrong("ftp://host"));
        assert_non_null(s3_endpoint_wrong("https://"));
        assert_non_null(s3_endpoint_wrong("https://host/path"));
        assert_non_null(s3_endpoint_wrong("https://user@host"));
        assert_null(s3_bucket_wrong("my.bucket-1", true));
        assert_non_null(s3_bucket_wrong("my.bucket-1", false));
        assert_non_null(s3_bucket_wrong("", true));
        assert_non_null(s3_bucket_wrong("My", true));
        assert_non_null(s3_bucket_wrong("../etc", true));
}

/* --- answers --- */

static int answer(struct s3_answer *a, const char *text)
{
        return s3_answer_read(a, text, strlen(text));
}

#define SUM "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
#define PART(n, size)                                                                                                  \
        "<Part><PartNumber>" n "</PartNumber><ETag>&quot;e" n "&quot;</ETag><Size>" size "</Size><ChecksumSHA256>" SUM \
        "</ChecksumSHA256></Part>"

static void test_answers(void **state)
{
        struct s3_answer a = {0};
        struct buf body = BUF_INIT(10000);

        (void)state;
        assert_int_equal(
                answer(&a, "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>wait</Message></Error>"), 0);
        assert_string_equal(a.root, "Error");
        assert_string_equal(a.code, "SlowDown");
        assert_int_equal(
                answer(&a,
                       "<InitiateMultipartUploadResult xmlns=\"x\"><UploadId>u/1+</UploadId></InitiateMultipartUploadResult>"),
                0);
        assert_string_equal(a.upload_id, "u/1+");
        assert_int_equal(
                answer(&a,
                       "<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>2</NextPartNumberMarker>" PART(
                               "1", "5") PART("2", "5") "</ListPartsResult>"),
                0);
        assert_true(a.truncated);
        assert_string_equal(a.next, "2");
        /* a page that breaks off leaves nothing, and may come again */
        assert_int_equal(answer(&a, "<ListPartsResult>" PART("3", "1") "<Part>"), -EBADMSG);
        assert_int_equal(a.n_parts, 2);
        assert_int_equal(
                answer(&a, "<ListPartsResult><IsTruncated>false</IsTruncated>" PART("3", "1") "</ListPartsResult>"), 0);
        assert_false(a.truncated);
        assert_int_equal(a.n_parts, 3);
        assert_int_equal(a.parts[2].number, 3);
        assert_int_equal(a.parts[1].size, 5);
        assert_string_equal(a.parts[0].sha256, SUM);
        assert_int_equal(s3_complete_body(a.parts, 1, &body), 0);
        assert_int_equal(buf_append(&body, "", 1), 0);
        assert_string_equal(
                (const char *)body.data,
                "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Part><PartNumber>1</PartNumber><ETag>\"e1\"</ETag><ChecksumSHA256>" SUM
                "</ChecksumSHA256></Part></CompleteMultipartUpload>");
        buf_done(&body);
        s3_answer_done(&a);
}

static void test_list(void **state)
{
        struct s3_answer a = {0};

        (void)state;
        a.prefix = "chat/files/";
        assert_int_equal(
                answer(&a,
                       "<ListBucketResult><Contents><Key>chat/files/019b7c00-1111-7222-8333-444455556666</Key><Size>7</Size><LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>"
                       "<Contents><Key>chat/files/x/019b7c00-1111-7222-8333-444455556666</Key><Size>1</Size></Contents>"
                       "<Contents><Key>x/chat/files/019b7c00-1111-7222-8333-444455556666</Key><Size>1</Size></Contents>"
                       "<Contents><Key>chat/files/not-one-of-ours-but-much-longer-than-any-name-of-ours</Key><Size>1</Size></Contents></ListBucketResult>"),
                0);
        assert_int_equal(a.n_entries, 1);
        assert_string_equal(a.entries[0].name, "019b7c00-1111-7222-8333-444455556666");
        assert_int_equal(a.entries[0].size, 7);
        assert_int_equal(a.entries[0].modified_s, 1767323045);
        s3_answer_done(&a);
}

static const char *const bad[] = {
        "",
        "no XML",
        "<a>",
        "<a></b>",
        "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
        "<a>&nothing;</a>",
        "<a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a>",
        "<ListPartsResult>" PART("0", "1") "</ListPartsResult>",
        "<ListPartsResult>" PART("10001", "1") "</ListPartsResult>",
        "<ListPartsResult>" PART("2", "1") PART("1", "1") "</ListPartsResult>",
        "<ListPartsResult>" PART("1", "-1") "</ListPartsResult>",
        "<ListPartsResult><Part><PartNumber>1</PartNumber><ETag>&lt;&amp;</ETag></Part></ListPartsResult>",
        "<ListPartsResult><Part><PartNumber>1</PartNumber><ChecksumSHA256>AAAA</ChecksumSHA256></Part></ListPartsResult>",
        "<ListPartsResult><IsTruncated>true</IsTruncated></ListPartsResult>",
        "<ListBucketResult><Contents><Key>k</Key><LastModified>yesterday</LastModified></Contents></ListBucketResult>",
};

static void test_bad_answers(void **state)
{
        static char large[S3_ANSWER_MAX + 2], text[S3_TEXT_MAX + 100];

        (void)state;
        for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct s3_answer a = {0};

                print_message("%s\n", bad[i]);
                assert_int_equal(answer(&a, bad[i]), -EBADMSG);
                assert_int_equal(a.n_parts + a.n_entries, 0);
                s3_answer_done(&a);
        }
        memset(large, ' ', sizeof(large));
        (void)snprintf(text, sizeof(text), "<a>%0*d</a>", S3_TEXT_MAX + 1, 0);
        {
                struct s3_answer a = {0};

                assert_int_equal(s3_answer_read(&a, large, sizeof(large)), -EBADMSG);
                assert_int_equal(answer(&a, text), -EBADMSG);
                s3_answer_done(&a);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_site), cmocka_unit_test(test_settings),    cmocka_unit_test(test_answers),
                cmocka_unit_test(test_list), cmocka_unit_test(test_bad_answers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
