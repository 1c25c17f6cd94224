/* The folder of the local store: what is there after each step, and after steps that were never finished. */
#include "unit.h"

#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "upload/local_files.h"

static const char name[] = "019b7c00-1111-7222-8333-444455556666";
static char path[] = "/tmp/parley-upload-files-XXXXXX";
static struct local_dir dir;

static struct store_object object(uint32_t n_parts)
{
        return (struct store_object){.name = name,
                                     .store_id = "",
                                     .content_type = "",
                                     .size = n_parts == 1 ? 4 : 4 * (n_parts - 1) + 2,
                                     .part_size = 4,
                                     .n_parts = n_parts};
}

static void body(uint32_t part, const char *text)
{
        uint8_t sha256[MAC_LEN];
        int fd;

        assert_int_equal(local_body_open(&dir, name, part, &fd), 0);
        assert_int_equal(local_body_write(fd, text, strlen(text), (part - 1) * 4), 0);
        assert_int_equal(mac_sha256(text, strlen(text), sha256), 0);
        assert_int_equal(local_body_end(&dir, name, part, fd, strlen(text), sha256), 0);
        close(fd);
}

static void expect_parts(const struct store_object *o, uint32_t n, uint32_t first)
{
        uint32_t *parts, n_parts;

        assert_int_equal(local_parts(&dir, o, &parts, &n_parts), 0);
        assert_int_equal(n_parts, n);
        assert_true(n == 0 || parts[0] == first);
        free(parts);
}

static void expect_content(const char *text)
{
        uint8_t data[100];
        size_t n = sizeof(data);

        assert_int_equal(local_read(&dir, name, data, &n), 0);
        assert_int_equal(n, strlen(text));
        assert_memory_equal(data, text, n);
}

static void test_parts(void **state)
{
        const struct store_object o = object(3);
        char sum[STORE_SUM_MAX + 1], again[STORE_SUM_MAX + 1];
        uint64_t size;
        int fd;

        (void)state;
        assert_int_equal(local_body_open(&dir, name, 1, &fd), -ENOENT); /* never begun */
        assert_int_equal(local_begin(&dir, name), 0);
        assert_int_equal(local_begin(&dir, name), 0);
        expect_parts(&o, 0, 0);
        body(3, "yz");
        body(2, "efgh");
        expect_parts(&o, 2, 2);
        assert_int_equal(local_seal(&dir, &o, sum), -ENOENT);
        body(1, "abcd");
        /* sent again: not there while it is being sent */
        assert_int_equal(local_body_open(&dir, name, 2, &fd), 0);
        assert_int_equal(local_body_write(fd, "XX", 2, 4), 0);
        close(fd);
        expect_parts(&o, 2, 1);
        assert_int_equal(local_seal(&dir, &o, sum), -ENOENT);
        body(2, "efgh");
        assert_int_equal(local_seal(&dir, &o, sum), 0);
        /* printf abcd | sha256sum | xxd -r -p and so on, together | sha256sum */
        assert_string_equal(sum + MAC_HEX_LEN, "-3");
        expect_content("abcdefghyz");
        assert_int_equal(local_body_open(&dir, name, 1, &fd), -EEXIST);
        assert_int_equal(local_file_open(&dir, name, &fd, &size), -ENOENT); /* not yet */
        assert_int_equal(local_seal(&dir, &o, again), 0);
        assert_string_equal(sum, again);
        assert_int_equal(local_publish(&dir, name), 0);
        assert_int_equal(local_seal(&dir, &o, again), 0);
        assert_string_equal(sum, again);
        assert_int_equal(local_publish(&dir, name), 0);
        assert_int_equal(local_body_open(&dir, name, 1, &fd), -EEXIST);
        assert_int_equal(local_forget(&dir, name), 0);
        assert_int_equal(local_forget(&dir, name), 0);
        assert_int_equal(local_seal(&dir, &o, again), -ENOENT);
        assert_int_equal(local_file_open(&dir, name, &fd, &size), 0);
        assert_int_equal(size, 10);
        close(fd);
        expect_content("abcdefghyz");
        assert_int_equal(local_remove(&dir, name), 0);
        assert_int_equal(local_file_open(&dir, name, &fd, &size), -ENOENT);
        assert_int_equal(local_remove(&dir, name), 0);
        assert_int_equal(local_publish(&dir, name), -ENOENT);
}

static void test_one_part(void **state)
{
        struct store_object o = object(1);
        char sum[STORE_SUM_MAX + 1];

        (void)state;
        assert_int_equal(local_begin(&dir, name), 0);
        body(1, "abcd");
        assert_int_equal(local_seal(&dir, &o, sum), 0);
        assert_string_equal(
                sum, "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589"); /* printf abcd | sha256sum */
        assert_int_equal(local_remove(&dir, name), 0);
        /* of another size than it is to have */
        assert_int_equal(local_begin(&dir, name), 0);
        body(1, "abc");
        assert_int_equal(local_seal(&dir, &o, sum), -ENOENT);
        assert_int_equal(local_remove(&dir, name), 0);
}

static void test_one_service(void **state)
{
        struct local_dir other;

        (void)state;
        assert_int_equal(local_dir_open(&other, path), -EBUSY);
        assert_int_equal(local_dir_open(&other, "/proc/no/such"), -ENOENT);
        local_dir_close(&dir);
        assert_int_equal(local_dir_open(&dir, path), 0);
}

/* A mark that is cut off, as a broken disk may have it, is no part */
static void test_broken_mark(void **state)
{
        const struct store_object o = object(1);
        char file[200], sum[STORE_SUM_MAX + 1];

        (void)state;
        assert_int_equal(local_begin(&dir, name), 0);
        body(1, "abcd");
        (void)snprintf(file, sizeof(file), "%s/pending/%s/1", path, name);
        assert_int_equal(truncate(file, 10), 0);
        assert_int_equal(local_seal(&dir, &o, sum), -EBADMSG);
        assert_int_equal(local_remove(&dir, name), 0);
}

/* Nor are bytes what their parts say, of which a disk, or who restored the folder, has not kept all, or has made more */
static void test_broken_data(void **state)
{
        static const off_t lengths[] = {3, 5};
        const struct store_object o = object(1);
        char file[200], sum[STORE_SUM_MAX + 1];

        (void)state;
        for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(local_begin(&dir, name), 0);
                body(1, "abcd");
                (void)snprintf(file, sizeof(file), "%s/pending/%s/data", path, name);
                assert_int_equal(truncate(file, lengths[i]), 0);
                assert_int_equal(local_seal(&dir, &o, sum), -EIO);
                assert_int_equal(local_seal(&dir, &o, sum), -EIO); /* sealed as it is */
                (void)snprintf(file, sizeof(file), "%s/sealed/%s", path, name);
                assert_int_equal(truncate(file, 4), 0);
                assert_int_equal(local_seal(&dir, &o, sum), 0);
                assert_int_equal(local_remove(&dir, name), 0);
        }
}

/* Every page of one list; returns how many entries it has, and the one that was found */
static unsigned listed(bool published, struct store_entry *ret_found)
{
        char cursor[LOCAL_CURSOR_MAX + 1] = "";
        unsigned n_all = 0;

        do {
                struct store_entry *entries = NULL;
                size_t n = 0;

                assert_int_equal(local_list(&dir, published, cursor, &entries, &n, cursor), 0);
                if (n)
                        *ret_found = entries[0];
                n_all += (unsigned)n;
                free(entries);
        } while (*cursor);
        return n_all;
}

static void test_list(void **state)
{
        const struct store_object o = object(1);
        char sum[STORE_SUM_MAX + 1], next[LOCAL_CURSOR_MAX + 1];
        struct store_entry e = {0}, *entries;
        size_t n;

        (void)state;
        assert_int_equal(listed(true, &e) + listed(false, &e), 0);
        assert_int_equal(local_begin(&dir, name), 0);
        assert_int_equal(listed(false, &e), 1);
        assert_string_equal(e.name, name);
        assert_int_equal(e.size, 0);
        body(1, "abcd");
        assert_int_equal(local_seal(&dir, &o, sum), 0);
        assert_int_equal(local_publish(&dir, name), 0);
        assert_int_equal(local_forget(&dir, name), 0);
        assert_int_equal(listed(false, &e), 0);
        assert_int_equal(listed(true, &e), 1);
        assert_string_equal(e.name, name);
        assert_int_equal(e.size, 4);
        assert_true(e.modified_s > 1700000000);
        for (unsigned i = 0; i < 3; i++) {
                const char *const cursors[] = {"x", "100", "-1"};

                assert_int_equal(local_list(&dir, true, cursors[i], &entries, &n, next), -EINVAL);
        }
        assert_int_equal(local_remove(&dir, name), 0);
}

static int drop(const char *entry, const struct stat *st, int kind, struct FTW *at)
{
        (void)st;
        (void)kind;
        (void)at;
        return remove(entry);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parts),       cmocka_unit_test(test_one_part),
                cmocka_unit_test(test_one_service), cmocka_unit_test(test_broken_data),
                cmocka_unit_test(test_broken_mark), cmocka_unit_test(test_list),
        };
        int r;

        if (!mkdtemp(path) || local_dir_open(&dir, path) < 0)
                return 1;
        r = cmocka_run_group_tests(tests, NULL, NULL);
        local_dir_close(&dir);
        return nftw(path, drop, 8, FTW_DEPTH | FTW_PHYS) == 0 ? r : 1;
}
