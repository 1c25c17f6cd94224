/* What was deleted leaves holes in the log, and belongs into replays all the same. */
#include "gateway_fake.h"

#define ROOM "room"

static void messages(struct fake *f, unsigned n)
{
        while (n--)
                fake_message(f, ROOM, "bob", "x");
        fake_run(f);
}

/* The log has a deletion, and what it deleted no more: history's placeholder belongs into the replay. Without history it goes without.
 * The deletion was read with the log, or the gateway still has it, and only what is before it was read. */
static void test_deleted_from_the_log(void **state)
{
        (void)state;
        for (unsigned round = 0; round < 4; round++) {
                struct fake *f = fake_new();
                struct fake_client *here, *late;
                Parley__V1__Event event = PARLEY__V1__EVENT__INIT;
                Parley__V1__MessageDeleted deleted = PARLEY__V1__MESSAGE_DELETED__INIT;
                char id[37];
                bool away = round % 2;
                unsigned behind = round < 2 ? 10 : 2;

                f->config.tail_events = 5;
                fake_start(f);
                fake_put_channel(f, ROOM, true, false);
                here = fake_connect(f, "ada", ENCODING_PROTO);
                messages(f, 10);
                deleted.target_seq = fake_message(f, ROOM, "bob", "x");
                messages(f, 3);
                fake_uuid(f, id);
                event.channel_id = (char *)ROOM;
                event.id = id;
                event.actor_id = (char *)"bob";
                event.body_case = PARLEY__V1__EVENT__BODY_MESSAGE_DELETED;
                event.message_deleted = &deleted;
                fake_store(f, &event);
                fake_run(f);
                fake_remove(f, deleted.target_seq);
                messages(f, behind);
                assert_true(fake_saw(here, ROOM, deleted.target_seq));
                f->history_down = away;
                late = fake_connect(f, "eve", ENCODING_PROTO);
                fake_client_resume(late, ROOM, FAKE_EPOCH, 5);
                fake_run(f);
                assert_true(f->n_direct > 0);
                assert_true(f->n_history > 0 || f->history_down);
                assert_int_equal(fake_saw(late, ROOM, deleted.target_seq), !away);
                assert_int_equal(fake_view(late, ROOM)->gaps, 0);
                assert_int_equal(fake_view(late, ROOM)->n_seqs, 10 + behind - away);
                fake_free(f);
        }
}

static void store(struct fake *f, Parley__V1__Event *event)
{
        char id[37];

        fake_uuid(f, id);
        event->channel_id = (char *)ROOM;
        event->id = id;
        event->actor_id = (char *)"bob";
        fake_store(f, event);
        event->id = NULL; /* it ends here, and the log has its own */
        fake_run(f);
}

/* Who has the message, and missed its edit and its deletion: the edit went from the log with the message. */
static void test_edit_of_the_deleted(void **state)
{
        (void)state;
        for (unsigned tail = 5; tail <= 20; tail += 15) {
                struct fake *f = fake_new();
                struct fake_client *here, *late;
                Parley__V1__Event event = PARLEY__V1__EVENT__INIT;
                Parley__V1__MessageEdited edited = PARLEY__V1__MESSAGE_EDITED__INIT;
                Parley__V1__MessageDeleted deleted = PARLEY__V1__MESSAGE_DELETED__INIT;
                uint64_t target, edit;

                f->config.tail_events = tail - 3;
                fake_start(f);
                fake_put_channel(f, ROOM, true, false);
                here = fake_connect(f, "ada", ENCODING_PROTO);
                target = fake_message(f, ROOM, "bob", "x");
                messages(f, 3);
                edited.target_seq = deleted.target_seq = target;
                edited.content = (char *)"y";
                event.body_case = PARLEY__V1__EVENT__BODY_MESSAGE_EDITED;
                event.message_edited = &edited;
                store(f, &event);
                edit = target + 4;
                messages(f, 12);
                event.body_case = PARLEY__V1__EVENT__BODY_MESSAGE_DELETED;
                event.message_deleted = &deleted;
                store(f, &event);
                fake_remove(f, target);
                fake_remove(f, edit);
                messages(f, 1);
                assert_true(fake_saw(here, ROOM, edit));
                late = fake_connect(f, "eve", ENCODING_PROTO);
                fake_client_resume(late, ROOM, FAKE_EPOCH, target);
                fake_run(f);
                assert_true(fake_saw(late, ROOM, edit));
                assert_int_equal(fake_view(late, ROOM)->gaps, 0);
                assert_int_equal(fake_view(late, ROOM)->n_seqs, 3 + 1 + 12 + 1 + 1);
                fake_free(f);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_deleted_from_the_log),
                cmocka_unit_test(test_edit_of_the_deleted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
