#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "base/inbox.h"

struct letter {
        struct inbox_item item; /* first: an item is its letter */
        unsigned from, number;
};

struct actor {
        uv_loop_t loop;
        struct inbox *inbox;
        unsigned n_handled, n_dropped, n_turns, last[8];
        unsigned close_at; /* closes the inbox while it handles this letter; 0: never */
        bool post_back;
};

static struct letter *letter_new(unsigned from, unsigned number, size_t bytes)
{
        struct letter *l = calloc(1, sizeof(*l));

        assert_non_null(l);
        l->item.bytes = bytes;
        l->from = from;
        l->number = number;
        return l;
}

static void on_drop(struct inbox_item *item, void *userdata)
{
        struct actor *a = userdata;

        a->n_dropped++;
        free(item);
}

static void on_letter(struct inbox_item *item, void *userdata)
{
        struct actor *a = userdata;
        struct letter *l = (struct letter *)item;

        assert_null(item->next);
        assert_true(l->number > a->last[l->from]); /* each sender's in their order */
        a->last[l->from] = l->number;
        a->n_handled++;
        if (a->post_back && l->number < 100) {
                struct letter *reply = letter_new(l->from, l->number + 1, 1);
                assert_int_equal(inbox_post(a->inbox, &reply->item), 0);
        }
        if (a->close_at && a->n_handled == a->close_at)
                inbox_close(a->inbox, on_drop);
        free(l);
}

static void on_turn_end(void *userdata)
{
        struct actor *a = userdata;

        a->n_turns++;
}

static void actor_init(struct actor *a, size_t max_bytes)
{
        memset(a, 0, sizeof(*a));
        assert_int_equal(uv_loop_init(&a->loop), 0);
        assert_int_equal(inbox_new(&a->inbox, &a->loop, max_bytes, on_letter, on_turn_end, a), 0);
}

static void actor_done(struct actor *a)
{
        uv_run(&a->loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&a->loop), 0);
}

static int post(struct actor *a, unsigned number, size_t bytes)
{
        struct letter *l = letter_new(0, number, bytes);
        int r = inbox_post(a->inbox, &l->item);

        if (r != 0)
                free(l);
        return r;
}

static void test_batch(void **state)
{
        struct actor a;

        (void)state;
        actor_init(&a, 1000);
        for (unsigned i = 1; i <= 10; i++)
                assert_int_equal(post(&a, i, 1), 0);
        assert_int_equal(a.n_handled, 0);
        uv_run(&a.loop, UV_RUN_ONCE);
        assert_int_equal(a.n_handled, 10);
        assert_int_equal(a.n_turns, 1);
        assert_int_equal(post(&a, 11, 1), 0);
        uv_run(&a.loop, UV_RUN_ONCE);
        assert_int_equal(a.n_handled, 11);
        assert_int_equal(a.n_turns, 2);
        inbox_close(a.inbox, on_drop);
        actor_done(&a);
        assert_int_equal(a.n_dropped, 0);
}

static void test_limit(void **state)
{
        struct actor a;

        (void)state;
        actor_init(&a, 100);
        assert_int_equal(post(&a, 1, 101), INBOX_E_FULL);
        assert_int_equal(post(&a, 1, SIZE_MAX), INBOX_E_FULL);
        assert_int_equal(post(&a, 1, 60), 0);
        assert_int_equal(post(&a, 2, 41), INBOX_E_FULL);
        assert_int_equal(post(&a, 2, 40), 0);
        assert_int_equal(post(&a, 3, 1), INBOX_E_FULL);
        uv_run(&a.loop, UV_RUN_ONCE);
        assert_int_equal(a.n_handled, 2);
        assert_int_equal(post(&a, 3, 100), 0);
        uv_run(&a.loop, UV_RUN_ONCE);
        assert_int_equal(a.n_handled, 3);
        inbox_close(a.inbox, on_drop);
        actor_done(&a);
}

/* What a handler posts to its own inbox comes in a later turn: the loop is not held */
static void test_post_from_handler(void **state)
{
        struct actor a;

        (void)state;
        actor_init(&a, 1000);
        a.post_back = true;
        assert_int_equal(post(&a, 1, 1), 0);
        for (unsigned i = 1; i <= 100; i++) {
                uv_run(&a.loop, UV_RUN_ONCE);
                assert_int_equal(a.n_handled, i);
                assert_int_equal(a.n_turns, i);
        }
        inbox_close(a.inbox, on_drop);
        actor_done(&a);
}

static void test_close_drops(void **state)
{
        struct actor a;

        (void)state;
        actor_init(&a, 1000);
        for (unsigned i = 1; i <= 5; i++)
                assert_int_equal(post(&a, i, 1), 0);
        inbox_close(a.inbox, on_drop);
        assert_int_equal(a.n_dropped, 5);
        assert_int_equal(post(&a, 6, 1), INBOX_E_CLOSED);
        actor_done(&a);
        assert_int_equal(a.n_handled, 0);
        assert_int_equal(a.n_turns, 0);
        inbox_close(NULL, on_drop);
}

static void test_close_in_handler(void **state)
{
        struct actor a;

        (void)state;
        actor_init(&a, 1000);
        a.close_at = 3;
        for (unsigned i = 1; i <= 10; i++)
                assert_int_equal(post(&a, i, 1), 0);
        uv_run(&a.loop, UV_RUN_ONCE);
        actor_done(&a);
        assert_int_equal(a.n_handled, 3);
        assert_int_equal(a.n_dropped, 7);
        assert_int_equal(a.n_turns, 0);
}

#define SENDERS 6
#define LETTERS 20000

struct sender {
        struct actor *actor;
        unsigned from;
        atomic_uint *n_refused;
};

/* Tries again when the inbox is full: the loop empties it all the time */
static void *run_sender(void *userdata)
{
        struct sender *s = userdata;

        for (unsigned i = 1; i <= LETTERS; i++) {
                struct letter *l = letter_new(s->from, i, 1);

                while (inbox_post(s->actor->inbox, &l->item) == INBOX_E_FULL) {
                        atomic_fetch_add(s->n_refused, 1);
                        sched_yield();
                }
        }
        return NULL;
}

/* Many threads, a small inbox: every letter arrives once, each sender's in order, and the loop never misses a wake-up */
static void test_threads(void **state)
{
        struct actor a;
        struct sender senders[SENDERS];
        pthread_t threads[SENDERS];
        atomic_uint n_refused = 0;

        (void)state;
        actor_init(&a, 64);
        for (unsigned i = 0; i < SENDERS; i++) {
                senders[i] = (struct sender){.actor = &a, .from = i, .n_refused = &n_refused};
                assert_int_equal(pthread_create(&threads[i], NULL, run_sender, &senders[i]), 0);
        }
        while (a.n_handled < SENDERS * LETTERS)
                uv_run(&a.loop, UV_RUN_ONCE);
        for (unsigned i = 0; i < SENDERS; i++) {
                assert_int_equal(pthread_join(threads[i], NULL), 0);
                assert_int_equal(a.last[i], LETTERS);
        }
        assert_int_equal(a.n_handled, SENDERS * LETTERS);
        assert_true(a.n_turns <= a.n_handled);
        inbox_close(a.inbox, on_drop);
        actor_done(&a);
}

static void *run_until_closed(void *userdata)
{
        struct sender *s = userdata;
        unsigned i = 0;

        for (;;) {
                struct letter *l = letter_new(s->from, ++i, 1);
                int r = inbox_post(s->actor->inbox, &l->item);

                if (r == 0)
                        continue;
                free(l);
                if (r == INBOX_E_CLOSED)
                        return NULL;
                i--;
                sched_yield();
        }
}

/* Closed while everybody posts: nothing leaks, nobody touches what is gone */
static void test_close_under_fire(void **state)
{
        struct actor a;
        struct sender senders[SENDERS];
        pthread_t threads[SENDERS];

        (void)state;
        actor_init(&a, 64);
        for (unsigned i = 0; i < SENDERS; i++) {
                senders[i] = (struct sender){.actor = &a, .from = i};
                assert_int_equal(pthread_create(&threads[i], NULL, run_until_closed, &senders[i]), 0);
        }
        while (a.n_handled < 5000)
                uv_run(&a.loop, UV_RUN_ONCE);
        inbox_close(a.inbox, on_drop);
        for (unsigned i = 0; i < SENDERS; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        actor_done(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_batch),
                cmocka_unit_test(test_limit),
                cmocka_unit_test(test_post_from_handler),
                cmocka_unit_test(test_close_drops),
                cmocka_unit_test(test_close_in_handler),
                cmocka_unit_test(test_threads),
                cmocka_unit_test(test_close_under_fire),
        };
        return cmocka_run_group_tests_name("base/inbox", tests, NULL, NULL);
}
