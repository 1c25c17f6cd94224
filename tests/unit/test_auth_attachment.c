/* Descriptors of files, and what they are signed with. */
#include "auth/attachment.h"
#include "auth/mac.h"
#include "unit.h"

#include <errno.h>

static const char secret[] = "0123456789abcdef0123456789abcdef";
static const struct attachment_terms terms = {.user_id = "ann", .channel_id = "general", .expires_at_s = 2000};

static void make(char token[ATTACHMENT_TOKEN_MAX + 1], const struct attachment_terms *t)
{
        Parley__V1__Attachment a = PARLEY__V1__ATTACHMENT__INIT;

        a.id = (char *)"019b7c00-1111-7222-8333-444455556666";
        a.name = (char *)"план 🎉.png";
        a.size = UINT64_C(1) << 40;
        a.content_type = (char *)"image/png";
        a.width = 640;
        assert_int_equal(attachment_sign(secret, &a, t, token), 0);
}

static int try_open(const char *token, const char *user, const char *channel, int64_t now_s)
{
        Parley__V1__Attachment *a = NULL;
        int r = attachment_open(secret, token, user, channel, now_s, &a);

        assert_true((r == 0) == (a != NULL));
        if (a)
                protobuf_c_message_free_unpacked(&a->base, NULL);
        return r;
}

static void test_whole(void **state)
{
        char token[ATTACHMENT_TOKEN_MAX + 1];
        Parley__V1__Attachment *a;

        (void)state;
        make(token, &terms);
        assert_int_equal(strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."),
                         strlen(token));
        assert_int_equal(attachment_open(secret, token, "ann", "general", 1999, &a), 0);
        assert_string_equal(a->id, "019b7c00-1111-7222-8333-444455556666");
        assert_string_equal(a->name, "план 🎉.png");
        assert_string_equal(a->content_type, "image/png");
        assert_true(a->size == UINT64_C(1) << 40 && a->width == 640 && a->height == 0);
        protobuf_c_message_free_unpacked(&a->base, NULL);
}

static void test_for_whom_and_when(void **state)
{
        char token[ATTACHMENT_TOKEN_MAX + 1];
        Parley__V1__Attachment *a;

        (void)state;
        make(token, &terms);
        assert_int_equal(try_open(token, "ann", "general", 2000), ATTACHMENT_E_EXPIRED);
        assert_int_equal(try_open(token, "ann", "general", -1), ATTACHMENT_E_EXPIRED);
        assert_int_equal(try_open(token, "bob", "general", 0), ATTACHMENT_E_USER);
        assert_int_equal(try_open(token, "", "general", 0), ATTACHMENT_E_USER);
        assert_int_equal(try_open(token, "ann", "other", 0), ATTACHMENT_E_CHANNEL);
        assert_int_equal(attachment_open(NULL, token, "ann", "general", 0, &a), ATTACHMENT_E_OFF);
        assert_int_equal(attachment_open("another secret of thirty-two byt", token, "ann", "general", 0, &a),
                         ATTACHMENT_E_SIGNATURE);
        for (int e = ATTACHMENT_E_MALFORMED; e <= ATTACHMENT_E_TWICE; e++)
                assert_null(strstr(attachment_error_text(e), "be checked"));
}

/* Every bit of it, every length of it */
static void test_changed(void **state)
{
        char token[ATTACHMENT_TOKEN_MAX + 1], changed[ATTACHMENT_TOKEN_MAX + 2];
        size_t n;

        (void)state;
        make(token, &terms);
        n = strlen(token);
        for (size_t i = 0; i < n * 8; i++) {
                memcpy(changed, token, n + 1);
                changed[i / 8] = (char)(changed[i / 8] ^ (1 << i % 8));
                assert_int_not_equal(try_open(changed, "ann", "general", 0), 0);
        }
        for (size_t i = 0; i < n; i++) {
                memcpy(changed, token, i);
                changed[i] = '\0';
                assert_int_not_equal(try_open(changed, "ann", "general", 0), 0);
        }
        (void)snprintf(changed, sizeof(changed), "%sA", token);
        assert_int_not_equal(try_open(changed, "ann", "general", 0), 0);
        memset(changed, 'a', sizeof(changed));
        changed[sizeof(changed) - 1] = '\0';
        assert_int_equal(try_open(changed, "ann", "general", 0), ATTACHMENT_E_MALFORMED);
        assert_int_equal(try_open("", "ann", "general", 0), ATTACHMENT_E_MALFORMED);
        assert_int_equal(try_open("a1..", "ann", "general", 0), ATTACHMENT_E_MALFORMED);
}

static void make_file(char token[ATTACHMENT_TOKEN_MAX + 1], const char *id)
{
        Parley__V1__Attachment a = PARLEY__V1__ATTACHMENT__INIT;

        a.id = (char *)id;
        assert_int_equal(attachment_sign(secret, &a, &terms, token), 0);
}

static void test_lists(void **state)
{
        const struct attachment_terms now = {.user_id = "ann", .channel_id = "general", .expires_at_s = 1000};
        char one[ATTACHMENT_TOKEN_MAX + 1], two[ATTACHMENT_TOKEN_MAX + 1];
        char *tokens[] = {one, two, one};
        struct attachments a;
        size_t bad = 9;

        (void)state;
        make_file(one, "1");
        make_file(two, "2");
        assert_int_equal(attachments_open(secret, NULL, 0, &now, &a, &bad), 0);
        assert_true(a.n == 0 && !a.all);
        assert_int_equal(attachments_open(NULL, NULL, 0, &now, &a, &bad), 0); /* without files nobody needs a secret */
        assert_int_equal(attachments_open(secret, tokens, 2, &now, &a, &bad), 0);
        assert_true(a.n == 2 && bad == 9);
        assert_string_equal(a.all[1]->id, "2");
        attachments_done(&a);
        assert_int_equal(attachments_open(secret, tokens, 3, &now, &a, &bad), ATTACHMENT_E_TWICE);
        assert_int_equal(bad, 2);
        two[10] ^= 1;
        assert_int_equal(attachments_open(secret, tokens, 2, &now, &a, &bad), ATTACHMENT_E_SIGNATURE);
        assert_int_equal(bad, 1);
        assert_int_equal(attachments_open(NULL, tokens, 1, &now, &a, &bad), ATTACHMENT_E_OFF);
}

/* A retry: what has expired is opened too, and said; all else is as ever */
static void test_retry(void **state)
{
        struct attachment_terms now = {.user_id = "ann", .channel_id = "general", .expires_at_s = 1999};
        const struct attachment_terms later = {.user_id = "ann", .channel_id = "general", .expires_at_s = 3000};
        Parley__V1__Attachment valid = PARLEY__V1__ATTACHMENT__INIT;
        char one[ATTACHMENT_TOKEN_MAX + 1], two[ATTACHMENT_TOKEN_MAX + 1];
        char *tokens[] = {one, two, one};
        size_t bad = 9, expired = 9;
        struct attachments a;

        (void)state;
        valid.id = (char *)"1";
        assert_int_equal(attachment_sign(secret, &valid, &later, one), 0);
        make_file(two, "2");
        assert_int_equal(attachments_open_retry(secret, tokens, 2, &now, &a, &bad, &expired), 0);
        assert_true(a.n == 2 && expired == 0 && bad == 9);
        attachments_done(&a);
        now.expires_at_s = 2000;
        assert_int_equal(attachments_open_retry(secret, tokens, 2, &now, &a, &bad, &expired), 0);
        assert_true(a.n == 2 && expired == 2 && bad == 9);
        attachments_done(&a);
        expired = 9;
        assert_int_equal(attachments_open_retry(secret, tokens, 3, &now, &a, &bad, &expired), ATTACHMENT_E_TWICE);
        assert_true(bad == 2 && expired == 9);
        now.user_id = "bob";
        assert_int_equal(attachments_open_retry(secret, tokens + 1, 1, &now, &a, &bad, &expired), ATTACHMENT_E_USER);
        now.user_id = "ann";
        now.channel_id = "other";
        assert_int_equal(attachments_open_retry(secret, tokens + 1, 1, &now, &a, &bad, &expired), ATTACHMENT_E_CHANNEL);
        now.channel_id = "general";
        two[10] ^= 1;
        assert_int_equal(attachments_open_retry(secret, tokens, 2, &now, &a, &bad, &expired), ATTACHMENT_E_SIGNATURE);
        assert_true(bad == 1 && expired == 9);
}

static void test_too_long(void **state)
{
        char name[2000], token[ATTACHMENT_TOKEN_MAX + 1] = "kept";
        Parley__V1__Attachment a = PARLEY__V1__ATTACHMENT__INIT;

        (void)state;
        memset(name, 'n', sizeof(name));
        name[sizeof(name) - 1] = '\0';
        a.name = name;
        assert_int_equal(attachment_sign(secret, &a, &terms, token), -EINVAL);
        assert_int_equal(attachment_sign(NULL, &a, &terms, token), -EINVAL);
        assert_string_equal(token, "kept");
}

/* RFC 4231 section 4.2 and 4.3, FIPS 180-2 appendix B.1 */
static void test_mac(void **state)
{
        uint8_t key[20], mac[MAC_LEN], other[MAC_LEN];
        struct mac_hash *h;
        char hex[MAC_HEX_LEN + 1];

        (void)state;
        memset(key, 0x0b, sizeof(key));
        assert_int_equal(mac_hmac(key, sizeof(key), "Hi There", 8, mac), 0);
        mac_hex(mac, hex);
        assert_string_equal(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        assert_int_equal(mac_hmac("Jefe", 4, "what do ya want for nothing?", 28, mac), 0);
        mac_hex(mac, hex);
        assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_int_equal(mac_sha256("abc", 3, mac), 0);
        mac_hex(mac, hex);
        assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_int_equal(mac_hash_new(&h), 0);
        assert_int_equal(mac_hash_update(h, "a", 1), 0);
        assert_int_equal(mac_hash_update(h, "bc", 2), 0);
        assert_int_equal(mac_hash_end(h, other), 0);
        mac_hash_free(h);
        assert_true(mac_equal(mac, other));
        other[31] ^= 1;
        assert_false(mac_equal(mac, other));
        assert_int_equal(mac_unhex(hex, other), 0);
        assert_true(mac_equal(mac, other));
        hex[0] = 'g';
        assert_int_equal(mac_unhex(hex, other), -EINVAL);
        assert_int_equal(mac_unhex("ab", other), -EINVAL);
        assert_int_equal(mac_unhex("", other), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_whole), cmocka_unit_test(test_for_whom_and_when), cmocka_unit_test(test_changed),
                cmocka_unit_test(test_lists), cmocka_unit_test(test_too_long),          cmocka_unit_test(test_mac),
                cmocka_unit_test(test_retry),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
