/* The small pure parts of upload: plans, names, types, headers, sizes of images, addresses, quotas. */
#include "unit.h"

#include <errno.h>

#include "base/cleanup.h"
#include "upload/disposition.h"
#include "upload/image.h"
#include "upload/local_url.h"
#include "upload/plan.h"
#include "upload/quota_core.h"
#include "upload/range.h"
#include "upload/upload_config.h"

#define MIB (UINT64_C(1) << 20)

static void test_plan(void **state)
{
        static const struct {
                uint64_t size, part;
                uint32_t n;
        } cases[] = {{1, 1, 1},
                     {16 * MIB, 16 * MIB, 1},
                     {16 * MIB + 1, 16 * MIB, 2},
                     {1024 * MIB, 16 * MIB, 64},
                     {160000 * MIB, 16 * MIB, 10000},
                     {160000 * MIB + 1, 32 * MIB, 5001},
                     {PLAN_SIZE_MAX, 1024 * MIB, 10000}};

        (void)state;
        for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
                uint64_t part, sum = 0;
                uint32_t n;

                plan_parts(cases[i].size, &n, &part);
                assert_true(n == cases[i].n && part == cases[i].part);
                for (uint32_t p = 1; p <= n; p++)
                        sum += plan_part_bytes(cases[i].size, part, p);
                assert_true(sum == cases[i].size);
        }
}

static void test_names(void **state)
{
        static const char *const good[] = {"a", "a b.txt", "...", ".profile", "план.txt", "🎉", "مرحبا.txt", "a\u00a0b"};
        static const char *const bad[] = {"",         ".",        "..",     "a/b",    "a\\b",   "\n",    "\x7f",
                                          "\xc2\x85", "a\u202eb", "\u2066", "\u200f", "\u061c", "\u2028"};
        char name[PLAN_NAME_MAX + 2];

        (void)state;
        for (unsigned i = 0; i < ARRAY_SIZE(good); i++)
                assert_null(plan_name_wrong(good[i]));
        for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
                assert_non_null(plan_name_wrong(bad[i]));
        memset(name, 'x', sizeof(name));
        name[PLAN_NAME_MAX] = '\0';
        assert_null(plan_name_wrong(name));
        name[PLAN_NAME_MAX] = 'x';
        name[PLAN_NAME_MAX + 1] = '\0';
        assert_non_null(plan_name_wrong(name));
}

static void test_types(void **state)
{
        (void)state;
        assert_true(plan_type_valid("application/vnd.ms-excel+x"));
        assert_false(plan_type_valid("text"));
        assert_false(plan_type_valid("text/"));
        assert_false(plan_type_valid("/plain"));
        assert_false(plan_type_valid("text/plain;a"));
        assert_false(plan_type_valid("text/plain\n"));
        assert_false(plan_type_valid("Text/plain"));
        assert_true(plan_type_allowed("*", "a/b"));
        assert_true(plan_type_allowed("text/plain, image/*", "image/png"));
        assert_false(plan_type_allowed("text/plain, image/*", "imagery/png"));
        assert_false(plan_type_allowed("text/plain", "text/plainer"));
        assert_false(plan_type_allowed("", "text/plain"));
        assert_true(plan_types_valid("*") && plan_types_valid("image/*,text/plain") && plan_types_valid(" a/b "));
        assert_false(plan_types_valid("") || plan_types_valid(" , ") || plan_types_valid("image") ||
                     plan_types_valid("image/") || plan_types_valid("image/p*") || plan_types_valid("*/*"));
        assert_true(plan_type_inline("image/png"));
        assert_false(plan_type_inline("image/svg+xml") || plan_type_inline("text/html") ||
                     plan_type_inline("application/pdf"));
        assert_true(plan_type_fits("image/png", "image/png") && plan_type_fits("audio/mp4", "video/mp4") &&
                    plan_type_fits("text/plain", "text/html"));
        assert_true(plan_type_fits("audio/x-m4a", "video/mp4") && plan_type_fits("audio/x-wav", "audio/x-wav") &&
                    plan_type_fits("audio/aac", "audio/x-hx-aac-adts"));
        assert_string_equal(plan_type_named("audio/aac", "audio/x-hx-aac-adts"), "audio/aac");
        assert_string_equal(plan_type_named("application/octet-stream", "audio/x-hx-aac-adts"), "audio/aac");
        assert_string_equal(plan_type_named("audio/ogg", "application/ogg"), "audio/ogg");
        assert_string_equal(plan_type_named("text/html", "application/ogg"), "application/ogg");
        assert_string_equal(plan_type_named("audio/webm", "video/webm"), "audio/webm");
        assert_string_equal(plan_type_named("video/webm", "video/webm"), "video/webm");
        assert_string_equal(plan_type_named("audio/webm", "text/html"), "text/html");
        assert_false(plan_type_fits("audio/webm", "video/mp4") || plan_type_fits("audio/ogg", "text/html") ||
                     plan_type_fits("audio/aac", "audio/mpeg"));
        assert_false(plan_type_fits("image/png", "text/html") || plan_type_fits("image/png", "image/jpeg") ||
                     plan_type_fits("video/mp4", "image/png"));
}

static void expect_disposition(const char *name, bool shown, const char *want)
{
        char text[DISPOSITION_MAX];

        disposition_write(text, name, shown);
        assert_string_equal(text, want);
}

static void test_disposition(void **state)
{
        char name[PLAN_NAME_MAX + 1], text[DISPOSITION_MAX];

        (void)state;
        expect_disposition("a b.txt", true, "inline; filename=\"a b.txt\"");
        expect_disposition("€.txt", false, "attachment; filename=\"_.txt\"; filename*=UTF-8''%E2%82%AC.txt");
        expect_disposition("a\"\\%;", false, "attachment; filename=\"a___;\"; filename*=UTF-8''a%22%5C%25%3B");
        memset(name, 0xc3, sizeof(name));
        name[PLAN_NAME_MAX] = '\0';
        disposition_write(text, name, false); /* the longest */
        assert_true(strlen(text) < DISPOSITION_MAX);
}

static void test_range(void **state)
{
        static const struct {
                const char *header;
                uint64_t size;
                enum range_result result;
                uint64_t first, n;
        } cases[] = {{NULL, 10, RANGE_ALL, 0, 0},
                     {"bytes=0-0", 10, RANGE_PART, 0, 1},
                     {"Bytes=2-5", 10, RANGE_PART, 2, 4},
                     {"bytes=5-", 10, RANGE_PART, 5, 5},
                     {"bytes=5-99", 10, RANGE_PART, 5, 5},
                     {"bytes=-3", 10, RANGE_PART, 7, 3},
                     {"bytes=-99", 10, RANGE_PART, 0, 10},
                     {"bytes=-0", 10, RANGE_OUTSIDE, 0, 0},
                     {"bytes=10-", 10, RANGE_OUTSIDE, 0, 0},
                     {"bytes=999999999999999999-", 10, RANGE_OUTSIDE, 0, 0},
                     {"bytes=5-4", 10, RANGE_ALL, 0, 0},
                     {"bytes=0-1,3-4", 10, RANGE_ALL, 0, 0},
                     {"bytes=", 10, RANGE_ALL, 0, 0},
                     {"bytes=-", 10, RANGE_ALL, 0, 0},
                     {"bytes=a-b", 10, RANGE_ALL, 0, 0},
                     {"bytes=1-2x", 10, RANGE_ALL, 0, 0},
                     {"bytes=18446744073709551616-", 10, RANGE_ALL, 0, 0},
                     {"items=0-1", 10, RANGE_ALL, 0, 0}};

        (void)state;
        for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
                uint64_t first = 0, n = 0;

                assert_int_equal(range_parse(cases[i].header, cases[i].size, &first, &n), cases[i].result);
                assert_true(first == cases[i].first && n == cases[i].n);
        }
}

static void expect_size(const void *data, size_t n, uint32_t width, uint32_t height)
{
        uint32_t w = 0, h = 0;

        assert_int_equal(image_size(data, n, &w, &h), 0);
        assert_true(w == width && h == height);
        for (size_t i = 0; i < 9 && i < n; i++)
                assert_int_not_equal(image_size(data, i, &w, &h), 0);
}

static void test_images(void **state)
{
        static const uint8_t none[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\0\0\0\0\1";
        uint32_t w, h;

        (void)state;
        expect_size("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xea\x60\0\0\xea\x60", 24, 60000, 60000);
        expect_size("GIF89a\x10\1\x20\0", 10, 272, 32);
        expect_size("\xff\xd8\xff\xe0\0\4ab\xff\xff\xc2\0\x11\x08\1\2\3\4", 18, 0x304, 0x102);
        expect_size("RIFF\0\0\0\0WEBPVP8X\n\0\0\0\0\0\0\0\xff\1\0\x0f\0\0", 30, 512, 16);
        expect_size("RIFF\0\0\0\0WEBPVP8L\n\0\0\0\x2f\xff\xc1\x3f\0\0\0\0\0\0", 30, 512, 256);
        expect_size("RIFF\0\0\0\0WEBPVP8 \n\0\0\0\0\0\0\x9d\x01\x2a\x40\1\xf0\0", 30, 320, 240);
        assert_int_not_equal(image_size(none, 24, &w, &h), 0); /* no width */
        assert_int_not_equal(image_size((const uint8_t *)"\xff\xd8\xff\xd9\0\4abcdefgh", 14, &w, &h), 0);
        assert_int_not_equal(image_size((const uint8_t *)"\xff\xd8\xff\xe0\xff\xff"
                                                         "abcdefgh",
                                        14, &w, &h),
                             0);
        assert_int_not_equal(image_size((const uint8_t *)"<html>", 6, &w, &h), 0);
}

static const char secret[] = "0123456789abcdef0123456789abcdef";
static const struct local_put put = {.name = "019b7c00-1111-7222-8333-444455556666",
                                     .part = 2,
                                     .size = 10,
                                     .offset = 20,
                                     .sha256 = "",
                                     .content_type = "image/png",
                                     .owner = "0123456789abcdef",
                                     .expires_at_s = 1000};

static void test_addresses(void **state)
{
        struct buf url = BUF_INIT(4096);
        struct local_put other = put;
        const char *signature;

        (void)state;
        assert_int_equal(local_url_put(secret, "https://files.example", &put, &url), 0);
        assert_non_null(strstr(
                (char *)url.data,
                "https://files.example/api/files/store/019b7c00-1111-7222-8333-444455556666/2?size=10&offset=20&sha256=&type=image%2Fpng&owner=0123456789abcdef&expires=1000&signature="));
        signature = strstr((char *)url.data, "signature=") + 10;
        assert_true(local_url_put_valid(secret, &put, signature, 999));
        assert_false(local_url_put_valid(secret, &put, signature, 1000));
        assert_false(local_url_put_valid(secret, &put, NULL, 0));
        assert_false(local_url_put_valid(secret, &put, "", 0));
        assert_false(local_url_put_valid("0123456789abcdef0123456789abcdeg", &put, signature, 0));
        other.part = 3;
        assert_false(local_url_put_valid(secret, &other, signature, 0));
        other = put;
        other.sha256 = "aa";
        assert_false(local_url_put_valid(secret, &other, signature, 0));
        other = put;
        other.content_type = "text/html";
        assert_false(local_url_put_valid(secret, &other, signature, 0));
        other = put;
        other.owner = "0123456789abcdee";
        assert_false(local_url_put_valid(secret, &other, signature, 0));
        buf_done(&url);
        assert_int_equal(local_url_get(secret, "",
                                       &(struct local_get){.name = put.name,
                                                           .content_type = "image/png",
                                                           .disposition = "inline; filename=\"a&b=c\"",
                                                           .owner = "0123456789abcdef",
                                                           .expires_at_s = 5},
                                       &url),
                         0);
        assert_non_null(strstr(
                (char *)url.data,
                "?type=image%2Fpng&disposition=inline%3B%20filename%3D%22a%26b%3Dc%22&owner=0123456789abcdef&expires=5&"));
        buf_done(&url);
}

/* The same of one user always, another one's of every other, and nothing to guess by without the secret */
static void test_owners(void **state)
{
        char ann[LOCAL_URL_OWNER_LEN + 1], again[LOCAL_URL_OWNER_LEN + 1];

        (void)state;
        assert_int_equal(local_url_owner(secret, "ann", ann), 0);
        assert_int_equal(strlen(ann), LOCAL_URL_OWNER_LEN);
        assert_int_equal(local_url_owner(secret, "ann", again), 0);
        assert_string_equal(ann, again);
        assert_int_equal(local_url_owner(secret, "anne", again), 0);
        assert_string_not_equal(ann, again);
        assert_int_equal(local_url_owner("0123456789abcdef0123456789abcdeg", "ann", again), 0);
        assert_string_not_equal(ann, again);
}

static Parley__V1__UserFiles *files_new(void)
{
        return parley__v1__user_files__unpack(NULL, 0, (const uint8_t *)"");
}

static int change(Parley__V1__UserFiles *u, enum quota_kind kind, const char *id, uint64_t size, uint64_t now_ms)
{
        const struct quota_limits limits = {.max_bytes = 100, .max_files = 4, .max_pending = 3};

        return quota_apply(u,
                           &(struct quota_change){.kind = kind, .id = id, .size = size, .expires_at_ms = now_ms + 50},
                           &limits, now_ms);
}

static void test_quota(void **state)
{
        Parley__V1__UserFiles *u = files_new();

        (void)state;
        assert_int_equal(change(u, QUOTA_RESERVE, "a", 101, 0), QUOTA_E_BYTES);
        assert_int_equal(change(u, QUOTA_RESERVE, "a", UINT64_MAX, 0), QUOTA_E_BYTES);
        assert_int_equal(change(u, QUOTA_RESERVE, "a", 60, 0), 0);
        assert_int_equal(change(u, QUOTA_RESERVE, "b", 41, 0), QUOTA_E_BYTES);
        assert_int_equal(change(u, QUOTA_RESERVE, "b", 40, 0), 0);
        assert_int_equal(change(u, QUOTA_COMMIT, "a", 60, 10), 0);
        assert_int_equal(change(u, QUOTA_COMMIT, "a", 60, 10), 0); /* again: not counted twice */
        assert_true(u->bytes == 60 && u->files == 1 && u->n_reservations == 1);
        assert_int_equal(change(u, QUOTA_RESERVE, "c", 1, 10), QUOTA_E_BYTES);
        assert_int_equal(change(u, QUOTA_RELEASE, "b", 40, 10), 0);
        assert_int_equal(change(u, QUOTA_RELEASE, "b", 40, 10), 0);
        for (const char *id = "cde"; *id; id++)
                assert_int_equal(change(u, QUOTA_RESERVE, (char[]){*id, 0}, 1, 20), 0);
        assert_int_equal(change(u, QUOTA_RESERVE, "f", 1, 20), QUOTA_E_PENDING);
        assert_int_equal(change(u, QUOTA_COMMIT, "c", 1, 20), 0);
        assert_int_equal(change(u, QUOTA_RESERVE, "f", 1, 20), QUOTA_E_FILES);
        assert_int_equal(change(u, QUOTA_RESERVE, "f", 38, 70), 0); /* the others are over */
        assert_int_equal(change(u, QUOTA_RESERVE, "g", 1, 70), 0);
        assert_int_equal(change(u, QUOTA_RESERVE, "h", 1, 70), QUOTA_E_FILES); /* two files, two that are pending */
        assert_int_equal(change(u, QUOTA_FREE, "a", 60, 70), 0);
        assert_true(u->bytes == 1 && u->files == 1);
        protobuf_c_message_free_unpacked(&u->base, NULL);
}

/* A completion that was ended when its reservation was over counts all the same, for a week */
static void test_quota_late(void **state)
{
        Parley__V1__UserFiles *u = files_new();

        (void)state;
        assert_int_equal(change(u, QUOTA_RESERVE, "a", 60, 0), 0);
        assert_int_equal(change(u, QUOTA_RESERVE, "b", 7, 0), 0);
        assert_int_equal(change(u, QUOTA_RESERVE, "c", 8, 0), 0);
        assert_int_equal(change(u, QUOTA_RELEASE, "c", 8, 60), 0);
        assert_int_equal(change(u, QUOTA_COMMIT, "c", 8, 60), 0); /* given up: never counts */
        assert_int_equal(change(u, QUOTA_COMMIT, "a", 60, 49 + QUOTA_KEEP_MS), 0);
        assert_true(u->bytes == 60 && u->files == 1 && u->n_reservations == 1);
        assert_int_equal(change(u, QUOTA_COMMIT, "b", 7, 50 + QUOTA_KEEP_MS), 0);
        assert_true(u->bytes == 60 && u->files == 1 && u->n_reservations == 0);
        protobuf_c_message_free_unpacked(&u->base, NULL);
}

/* Removals are repeated: only the first one takes off */
static void test_quota_freed(void **state)
{
        Parley__V1__UserFiles *u = files_new();
        char id[] = "000";

        (void)state;
        u->bytes = 1000;
        u->files = 1000;
        assert_int_equal(change(u, QUOTA_FREE, "a", 10, 0), 0);
        assert_int_equal(change(u, QUOTA_FREE, "b", 20, 0), 0);
        assert_int_equal(change(u, QUOTA_FREE, "a", 10, QUOTA_FREED_MS - 1), 0);
        assert_true(u->bytes == 970 && u->files == 998 && u->n_freed == 2);
        assert_int_equal(change(u, QUOTA_FREE, "c", UINT64_MAX, QUOTA_FREED_MS), 0); /* never below nothing */
        assert_true(u->bytes == 0 && u->files == 997 && u->n_freed == 1);
        /* before it was counted */
        assert_int_equal(change(u, QUOTA_RESERVE, "d", 5, QUOTA_FREED_MS), QUOTA_E_FILES);
        u->files = 1;
        assert_int_equal(change(u, QUOTA_RESERVE, "d", 5, QUOTA_FREED_MS), 0);
        assert_int_equal(change(u, QUOTA_FREE, "d", 5, QUOTA_FREED_MS), 0);
        assert_int_equal(change(u, QUOTA_COMMIT, "d", 5, QUOTA_FREED_MS), 0);
        assert_int_equal(change(u, QUOTA_FREE, "d", 5, QUOTA_FREED_MS), 0);
        assert_true(u->bytes == 0 && u->files == 1 && u->n_reservations == 0);
        for (unsigned i = 0; i < 2 * QUOTA_FREED_MAX; i++) {
                (void)snprintf(id, sizeof(id), "%03u", i);
                assert_int_equal(change(u, QUOTA_FREE, id, 1, QUOTA_FREED_MS), 0);
        }
        assert_int_equal(u->n_freed, QUOTA_FREED_MAX);
        assert_string_equal(u->freed[QUOTA_FREED_MAX - 1]->id, id);
        protobuf_c_message_free_unpacked(&u->base, NULL);
}

static int end_held(Parley__V1__UserFiles *u, enum quota_kind kind, uint64_t until_ms, uint64_t now_ms)
{
        const struct quota_limits limits = {.max_bytes = 100, .max_held = 100, .max_pending = 3};
        const struct quota_change begin = {.kind = QUOTA_RESERVE, .id = "a", .size = 30, .expires_at_ms = UINT64_MAX};
        const struct quota_change end = {
                .kind = kind, .id = "a", .size = 30, .held_bytes = 30, .held_until_ms = until_ms};
        int r = quota_apply(u, &begin, &limits, now_ms);

        if (r == 0)
                r = quota_apply(u, &end, &limits, now_ms);
        return r ? r : quota_apply(u, &end, &limits, now_ms); /* again: nothing */
}

/* What may come once more to addresses of uploads that ended is bounded like what is there */
static void test_quota_held(void **state)
{
        Parley__V1__UserFiles *u = files_new();

        (void)state;
        for (unsigned i = 0; i < 4; i++)
                assert_int_equal(end_held(u, QUOTA_RELEASE, 900000 + i * 20000, 1), 0);
        assert_true(u->bytes == 0 && u->n_reservations == 0 && u->n_held == 2);
        assert_int_equal(end_held(u, QUOTA_RELEASE, 900000, 1), QUOTA_E_HELD);
        assert_int_equal(end_held(u, QUOTA_COMMIT, 900000 + 900000, 900000), 0); /* the first one is over */
        assert_true(u->bytes == 30 && u->files == 1 && u->n_held == 2);
        u->bytes = 0;
        assert_int_equal(end_held(u, QUOTA_RELEASE, 900000, 900000), QUOTA_E_HELD);
        for (unsigned i = 0; i < 2 * QUOTA_HELD_MAX; i++)
                (void)end_held(u, QUOTA_RELEASE, 2000000 + i * QUOTA_HELD_MS, 1800000 + i * 1000);
        assert_true(u->n_held <= QUOTA_HELD_MAX);
        assert_int_equal(end_held(u, QUOTA_RELEASE, 0, UINT64_C(1) << 40), 0);
        assert_int_equal(u->n_held, 0);
        protobuf_c_message_free_unpacked(&u->base, NULL);
}

static void expect_s3_wrong(struct upload_config *c, const char *name)
{
        char error[200];

        assert_int_equal(upload_config_check(c, error, sizeof(error)), -EINVAL);
        assert_non_null(strstr(error, name));
}

/* What is missing is named, one after the other */
static void test_settings_of_s3(void **state)
{
        struct upload_config c = {
                .secret = (char *)secret, .types = (char *)"*", .public_url = (char *)"", .store = (char *)"s3"};
        static const char *const prefixes[] = {"/x", "x",    "x//",  "/",    "a/../",
                                               "./", ".../", "a b/", "a\n/", "\xc3\xa4/"};
        char error[200];

        (void)state;
        c.s3 = (struct s3_config){.endpoint = (char *)"",
                                  .public_endpoint = (char *)"http://x/y",
                                  .bucket = (char *)"",
                                  .region = (char *)"",
                                  .prefix = (char *)"/x",
                                  .path_style = true};
        expect_s3_wrong(&c, "PARLEY_S3_ENDPOINT ");
        c.s3.endpoint = (char *)"http://s3.example:9000";
        expect_s3_wrong(&c, "PARLEY_S3_PUBLIC_ENDPOINT ");
        c.s3.public_endpoint = (char *)"";
        expect_s3_wrong(&c, "PARLEY_S3_BUCKET ");
        c.s3.bucket = (char *)"files";
        expect_s3_wrong(&c, "PARLEY_S3_REGION ");
        c.s3.region = (char *)"us-east-1/x";
        expect_s3_wrong(&c, "PARLEY_S3_REGION ");
        c.s3.region = (char *)"us-east-1";
        for (unsigned i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
                c.s3.prefix = (char *)prefixes[i];
                expect_s3_wrong(&c, "PARLEY_S3_PREFIX ");
        }
        c.s3.prefix = (char *)"x/y.z_1-2/";
        expect_s3_wrong(&c, "PARLEY_S3_ACCESS_KEY_ID ");
        c.s3.access_key_id = (char *)"id";
        expect_s3_wrong(&c, "PARLEY_S3_SECRET_ACCESS_KEY ");
        c.s3.secret_access_key = (char *)"key";
        assert_int_equal(upload_config_check(&c, error, sizeof(error)), 0);
}

static void test_settings(void **state)
{
        struct upload_config c = {
                .secret = (char *)secret, .types = (char *)"*", .public_url = (char *)"", .store = (char *)"disk"};
        char error[200];

        (void)state;
        assert_int_not_equal(upload_config_check(&c, error, sizeof(error)), 0);
        assert_non_null(strstr(error, "PARLEY_UPLOAD_STORE"));
        c.store = (char *)"local";
        assert_int_equal(upload_config_check(&c, error, sizeof(error)), 0);
        c.public_url = (char *)"https://files.example/";
        assert_int_not_equal(upload_config_check(&c, error, sizeof(error)), 0);
        assert_non_null(strstr(error, "PARLEY_UPLOAD_PUBLIC_URL"));
        c.types = (char *)"png";
        assert_int_not_equal(upload_config_check(&c, error, sizeof(error)), 0);
        assert_non_null(strstr(error, "PARLEY_UPLOAD_TYPES"));
        c.public_url = (char *)"";
        c.types = (char *)"*";
        c.secret = NULL;
        assert_int_not_equal(upload_config_check(&c, error, sizeof(error)), 0);
        assert_non_null(strstr(error, "PARLEY_UPLOAD_SECRET"));
        c.secret = (char *)"short";
        assert_int_not_equal(upload_config_check(&c, error, sizeof(error)), 0);
        assert_non_null(strstr(error, "PARLEY_UPLOAD_SECRET"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_plan),        cmocka_unit_test(test_names),
                cmocka_unit_test(test_types),       cmocka_unit_test(test_disposition),
                cmocka_unit_test(test_range),       cmocka_unit_test(test_images),
                cmocka_unit_test(test_addresses),   cmocka_unit_test(test_owners),
                cmocka_unit_test(test_quota),       cmocka_unit_test(test_quota_late),
                cmocka_unit_test(test_quota_freed), cmocka_unit_test(test_quota_held),
                cmocka_unit_test(test_settings),    cmocka_unit_test(test_settings_of_s3),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
