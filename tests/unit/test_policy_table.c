/* The whole table: each role, action and kind of channel, written out a second time as it is meant. */
#include "policy/policy.h"
#include "unit.h"

#define NONE PARLEY__V1__ROLE__none
#define OWNER PARLEY__V1__ROLE__owner

static const char *const action_names[_POLICY_ACTION_N] = {
        [POLICY_READ] = "read",
        [POLICY_SEND] = "send",
        [POLICY_EDIT_OWN] = "edit own",
        [POLICY_DELETE_OWN] = "delete own",
        [POLICY_DELETE_ANY] = "delete any",
        [POLICY_JOIN] = "join",
        [POLICY_LEAVE] = "leave",
        [POLICY_INVITE] = "invite",
        [POLICY_REMOVE_MEMBER] = "remove a member",
        [POLICY_CHANGE_ROLE] = "change a role",
        [POLICY_CHANGE_CHANNEL] = "change the channel",
        [POLICY_ARCHIVE] = "archive",
};

/* One letter each for none, guest, member, moderator, owner, then the same with the admin's claim:
 * "." OK, "n" not a member, "f" forbidden, "a" archived */
struct row {
        enum policy_action action;
        const char *expected;
};

static const struct row open_rows[] = {
        {POLICY_READ, "n.... ....."},           {POLICY_SEND, "n.... ....."},
        {POLICY_EDIT_OWN, "nf... ....."},       {POLICY_DELETE_OWN, "nf... ....."},
        {POLICY_DELETE_ANY, "nff.. ....."},     {POLICY_JOIN, "..... ....."},
        {POLICY_LEAVE, "n.... n...."},          {POLICY_INVITE, "nf... ....."},
        {POLICY_REMOVE_MEMBER, "nff.. ....."},  {POLICY_CHANGE_ROLE, "nfff. ....."},
        {POLICY_CHANGE_CHANNEL, "nff.. ....."}, {POLICY_ARCHIVE, "nfff. ....."},
};
static const struct row private_rows[] = {
        {POLICY_READ, "n.... n...."},
        {POLICY_SEND, "n.... n...."},
        {POLICY_EDIT_OWN, "nf... n...."},
        {POLICY_DELETE_OWN, "nf... ....."}, /* as administrators may delete any */
        {POLICY_DELETE_ANY, "nff.. ....."},
        {POLICY_JOIN, "n.... ....."},
        {POLICY_LEAVE, "n.... n...."},
        {POLICY_INVITE, "nf... ....."},
        {POLICY_REMOVE_MEMBER, "nff.. ....."},
        {POLICY_CHANGE_ROLE, "nfff. ....."},
        {POLICY_CHANGE_CHANNEL, "nff.. ....."},
        {POLICY_ARCHIVE, "nfff. ....."},
};
static const struct row direct_rows[] = {
        {POLICY_READ, "n.... n...."},           {POLICY_SEND, "n.... n...."},
        {POLICY_EDIT_OWN, "nf... n...."},       {POLICY_DELETE_OWN, "nf... ....."},
        {POLICY_DELETE_ANY, "nff.. ....."},     {POLICY_JOIN, "nffff fffff"},
        {POLICY_LEAVE, "n.... n...."},          {POLICY_INVITE, "nffff fffff"},
        {POLICY_REMOVE_MEMBER, "nffff fffff"},  {POLICY_CHANGE_ROLE, "nffff fffff"},
        {POLICY_CHANGE_CHANNEL, "nff.. ....."}, {POLICY_ARCHIVE, "nfff. ....."},
};
static const struct row archived_rows[] = {
        {POLICY_READ, "n.... ....."},           {POLICY_SEND, "naaaa aaaaa"},
        {POLICY_EDIT_OWN, "nfaaa aaaaa"},       {POLICY_DELETE_OWN, "nfa.. ....."},
        {POLICY_DELETE_ANY, "nff.. ....."},     {POLICY_JOIN, "aaaaa aaaaa"},
        {POLICY_LEAVE, "n.... n...."},          {POLICY_INVITE, "nfaaa aaaaa"},
        {POLICY_REMOVE_MEMBER, "nff.. ....."},  {POLICY_CHANGE_ROLE, "nfff. ....."},
        {POLICY_CHANGE_CHANNEL, "nffaa aaaaa"}, {POLICY_ARCHIVE, "nfff. ....."},
};

static char letter(enum parley_code code)
{
        return code == PARLEY_OK             ? '.'
               : code == PARLEY_NOT_A_MEMBER ? 'n'
               : code == PARLEY_FORBIDDEN    ? 'f'
               : code == PARLEY_ARCHIVED     ? 'a'
                                             : '?';
}

static void check_rows(const char *name, const Parley__V1__Channel *channel, const struct row *rows, size_t n)
{
        assert_int_equal(n, _POLICY_ACTION_N);
        for (size_t i = 0; i < n; i++) {
                char got[12] = "           ";

                assert_int_equal(rows[i].action, i); /* no action twice, none left out */
                for (int role = NONE; role <= OWNER; role++) {
                        got[role] = letter(policy_check(channel, (Parley__V1__Role)role, false, rows[i].action));
                        got[6 + role] = letter(policy_check(channel, (Parley__V1__Role)role, true, rows[i].action));
                }
                got[11] = '\0';
                if (strcmp(got, rows[i].expected) != 0)
                        fail_msg("%s, %s: \"%s\", expected \"%s\"", name, action_names[rows[i].action], got,
                                 rows[i].expected);
        }
}

static void test_table(void **state)
{
        Parley__V1__Channel channel = PARLEY__V1__CHANNEL__INIT;

        (void)state;
        channel.kind = PARLEY__V1__CHANNEL__KIND__open;
        check_rows("open", &channel, open_rows, sizeof(open_rows) / sizeof(open_rows[0]));
        channel.everyone = 1; /* who is no member there has left or was removed: as in any open channel */
        check_rows("everyone", &channel, open_rows, sizeof(open_rows) / sizeof(open_rows[0]));
        channel.everyone = 0;
        channel.archived = 1;
        check_rows("archived", &channel, archived_rows, sizeof(archived_rows) / sizeof(archived_rows[0]));
        channel.archived = 0;
        channel.kind = PARLEY__V1__CHANNEL__KIND__private;
        check_rows("private", &channel, private_rows, sizeof(private_rows) / sizeof(private_rows[0]));
        /* A kind that this build does not know is treated as private */
        channel.kind = (Parley__V1__Channel__Kind)77;
        check_rows("unknown", &channel, private_rows, sizeof(private_rows) / sizeof(private_rows[0]));
        channel.kind = PARLEY__V1__CHANNEL__KIND__direct;
        check_rows("direct", &channel, direct_rows, sizeof(direct_rows) / sizeof(direct_rows[0]));
}

/* Archived private and direct channels: the stranger's answer does not change, nor does what is never possible */
static void test_archived_elsewhere(void **state)
{
        Parley__V1__Channel channel = PARLEY__V1__CHANNEL__INIT;

        (void)state;
        channel.archived = 1;
        channel.kind = PARLEY__V1__CHANNEL__KIND__private;
        assert_int_equal(policy_check(&channel, NONE, false, POLICY_SEND), PARLEY_NOT_A_MEMBER);
        assert_int_equal(policy_check(&channel, NONE, false, POLICY_JOIN), PARLEY_NOT_A_MEMBER);
        assert_int_equal(policy_check(&channel, OWNER, false, POLICY_SEND), PARLEY_ARCHIVED);
        channel.kind = PARLEY__V1__CHANNEL__KIND__direct;
        assert_int_equal(policy_check(&channel, OWNER, true, POLICY_INVITE), PARLEY_FORBIDDEN);
        assert_int_equal(policy_check(&channel, PARLEY__V1__ROLE__member, false, POLICY_SEND), PARLEY_ARCHIVED);
}

/* Values from a newer service give nothing */
static void test_unknown(void **state)
{
        Parley__V1__Channel channel = PARLEY__V1__CHANNEL__INIT;
        Parley__V1__Role role = (Parley__V1__Role)5;

        (void)state;
        assert_int_equal(policy_check(&channel, role, false, POLICY_SEND), PARLEY_NOT_A_MEMBER);
        assert_int_equal(policy_check(&channel, (Parley__V1__Role)-1, false, POLICY_READ), PARLEY_NOT_A_MEMBER);
        assert_int_equal(policy_check(&channel, OWNER, true, _POLICY_ACTION_N), PARLEY_FORBIDDEN);
        assert_int_equal(policy_check(&channel, OWNER, true, (enum policy_action) - 1), PARLEY_FORBIDDEN);
        assert_int_equal(policy_role(&channel, &role), NONE);
}

static void test_role(void **state)
{
        Parley__V1__Channel channel = PARLEY__V1__CHANNEL__INIT;
        Parley__V1__Role role = NONE;

        (void)state;
        assert_int_equal(policy_role(&channel, NULL), NONE);
        channel.everyone = 1;
        assert_int_equal(policy_role(&channel, NULL), PARLEY__V1__ROLE__member);
        assert_int_equal(policy_role(&channel, &role), NONE); /* left, or was removed */
        role = PARLEY__V1__ROLE__guest;
        assert_int_equal(policy_role(&channel, &role), PARLEY__V1__ROLE__guest);
        role = OWNER;
        assert_int_equal(policy_role(&channel, &role), OWNER);
        /* `everyone` implies an open channel: a private one is not opened by a wrong flag */
        channel.kind = PARLEY__V1__CHANNEL__KIND__private;
        assert_int_equal(policy_role(&channel, NULL), NONE);
        assert_int_equal(policy_role(&channel, &role), OWNER);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_table),
                cmocka_unit_test(test_archived_elsewhere),
                cmocka_unit_test(test_unknown),
                cmocka_unit_test(test_role),
        };
        return cmocka_run_group_tests_name("policy/table", tests, NULL, NULL);
}
