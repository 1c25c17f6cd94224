/* SigV4 against published vectors: AWS's signing test suite (aws-signing-test-suite/v4 of awslabs/aws-c-auth; each case under its name there,
 * header-signed-request.txt and query-signed-request.txt), and the examples of the S3 API Reference, "Authenticating Requests: Using the
 * Authorization Header" and "… Using Query Parameters". */
#include "unit.h"

#include <errno.h>

#include "upload/sigv4.h"

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ALNUM "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define TOKEN "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"

static const struct sigv4_key suite = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", NULL, "us-east-1",
                                       "service"};
static const struct sigv4_key suite_token = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", TOKEN,
                                             "us-east-1", "service"};
static const struct sigv4_key docs = {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", NULL,
                                      "us-east-1", "s3"};

struct vector {
        const char *name, *path;
        struct sigv4_pair query[3];
        const char *in_header, *in_query; /* the signatures; NULL: not published */
        const struct sigv4_key *key;
};

static const struct vector vectors[] = {
        {"get-vanilla", "/", {{0}}, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", NULL, &suite},
        {"get-vanilla-query-order-key-case",
         "/",
         {{"Param2", "value2"}, {"Param1", "value1"}},
         "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
         NULL,
         &suite},
        {"get-utf8", "/ሴ", {{0}}, "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85", NULL, &suite},
        {"get-vanilla-query-unreserved",
         "/",
         {{"-._~" ALNUM, "-._~" ALNUM}},
         NULL,
         "8e76a88a7433637b12778d5592799b29ad21ecd6cf6325051c21d86f0acda2bf",
         &suite},
        {"get-vanilla-utf8-query",
         "/",
         {{"ሴ", "bar"}},
         NULL,
         "0bdd809b1519ac4f0c1dc3540e2cc46bd0c7f778eda408b2ebf3b913d21ff600",
         &suite},
        {"get-vanilla-with-session-token",
         "/",
         {{0}},
         "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
         "7ff2b50b376cb4d151970630573d6291dc128cc5c2a12ffb237f73cc53f67b6c",
         &suite_token},
};

static void expect_end(const struct buf *b, const char *before, const char *signature)
{
        char end[200];
        int n = snprintf(end, sizeof(end), "%s%s", before, signature);

        assert_true(b->len > (size_t)n);
        assert_memory_equal(b->data + b->len - n, end, n);
}

static void run(const struct vector *v)
{
        const struct sigv4_pair headers[] = {
                {"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}, {"x-amz-security-token", TOKEN}};
        struct buf path = BUF_INIT(1000), out = BUF_INIT(10000);
        struct sigv4_request rq = {
                .method = "GET", .query = v->query, .headers = headers, .n_headers = 2, .payload = EMPTY_SHA256};

        for (; rq.n_query < 3 && v->query[rq.n_query].name;)
                rq.n_query++;
        rq.n_headers += v->key->token != NULL;
        assert_int_equal(sigv4_escape(&path, v->path, 1), 0);
        assert_int_equal(buf_append(&path, "", 1), 0);
        rq.path = (const char *)path.data;
        if (v->in_header) {
                assert_int_equal(sigv4_authorize(v->key, &rq, "20150830T123600Z", &out), 0);
                expect_end(&out, ", Signature=", v->in_header);
                buf_reset(&out, 0);
        }
        rq.n_headers = 1;
        if (v->in_query) {
                assert_int_equal(sigv4_presign(v->key, &rq, "20150830T123600Z", 3600, &out), 0);
                expect_end(&out, "&X-Amz-Signature=", v->in_query);
        }
        buf_done(&path);
        buf_done(&out);
}

static void test_suite(void **state)
{
        (void)state;
        for (unsigned i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
                print_message("%s\n", vectors[i].name);
                run(&vectors[i]);
        }
}

static const char *docs_signature(const struct sigv4_request *rq)
{
        static char signature[MAC_HEX_LEN + 1];
        struct buf out = BUF_INIT(1000);

        assert_int_equal(sigv4_authorize(&docs, rq, "20130524T000000Z", &out), 0);
        (void)snprintf(signature, sizeof(signature), "%.64s", (const char *)out.data + out.len - MAC_HEX_LEN);
        buf_done(&out);
        return signature;
}

static void test_docs_headers(void **state)
{
        const struct sigv4_pair get[] = {{"host", "examplebucket.s3.amazonaws.com"},
                                         {"range", "bytes=0-9"},
                                         {"x-amz-content-sha256", EMPTY_SHA256},
                                         {"x-amz-date", "20130524T000000Z"}};
        const struct sigv4_pair lifecycle[] = {get[0], get[2], get[3]};
        const struct sigv4_pair key_only = {"lifecycle", ""}, list[] = {{"prefix", "J"}, {"max-keys", "2"}};
        struct sigv4_request rq = {
                .method = "GET", .path = "/test.txt", .headers = get, .n_headers = 4, .payload = EMPTY_SHA256};

        (void)state;
        assert_string_equal(docs_signature(&rq), "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
        rq.path = "/";
        rq.headers = lifecycle;
        rq.n_headers = 3;
        rq.query = &key_only;
        rq.n_query = 1;
        assert_string_equal(docs_signature(&rq), "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
        rq.query = list;
        rq.n_query = 2;
        assert_string_equal(docs_signature(&rq), "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void test_docs_presigned(void **state)
{
        const struct sigv4_pair host = {"host", "examplebucket.s3.amazonaws.com"};
        const struct sigv4_request rq = {
                .method = "GET", .path = "/test.txt", .headers = &host, .n_headers = 1, .payload = SIGV4_UNSIGNED};
        struct buf out = BUF_INIT(1000);

        (void)state;
        assert_int_equal(sigv4_presign(&docs, &rq, "20130524T000000Z", 86400, &out), 0);
        assert_int_equal(buf_append(&out, "", 1), 0);
        assert_string_equal(
                (const char *)out.data,
                "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2F"
                "s3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="
                "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
        buf_done(&out);
}

static void test_text(void **state)
{
        char date[SIGV4_DATE_LEN + 1];
        struct buf out = BUF_INIT(100), small = BUF_INIT(3);
        struct sigv4_pair many[SIGV4_PAIRS_MAX + 1];

        (void)state;
        assert_int_equal(sigv4_date(1369353600, date), 0);
        assert_string_equal(date, "20130524T000000Z");
        assert_int_equal(sigv4_date(INT64_MAX, date), -ERANGE);
        assert_int_equal(sigv4_escape(&out, "a/b c+\xff~", 0), 0);
        assert_int_equal(buf_append(&out, "", 1), 0);
        assert_string_equal((const char *)out.data, "a%2Fb%20c%2B%FF~");
        assert_int_equal(sigv4_escape(&small, "abcd", 1), BUF_E_FULL);
        for (unsigned i = 0; i <= SIGV4_PAIRS_MAX; i++)
                many[i] = (struct sigv4_pair){"a", "b"};
        assert_int_equal(sigv4_query(&out, many, SIGV4_PAIRS_MAX + 1), -EINVAL);
        buf_done(&out);
        buf_done(&small);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_suite),
                cmocka_unit_test(test_docs_headers),
                cmocka_unit_test(test_docs_presigned),
                cmocka_unit_test(test_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
