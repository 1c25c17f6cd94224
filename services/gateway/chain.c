/* A channel's chain: every event once, in order, whatever the message system loses, repeats or reorders. */
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "bus/subjects.h"
#include "gateway/apply.h"
#include "gateway/channel.h"
#include "gateway/replay.h"
#include "gateway/shard.h"
#include "gateway/stats.h"
#include "gateway/wiretime.h"

#define HELD_MAX 1024
#define HELD_MAX_BYTES (1024 * 1024)
#define REPAIR_BATCH 500
#define REPAIR_BATCH_BYTES (1024 * 1024)
#define REPAIR_GETS 50
#define REPAIR_RETRY_MS 200
#define REPAIR_GIVE_UP_MS 10000

static void repair_start(struct channel *c);

static void held_pop(struct channel *c)
{
        struct held_event *h = c->held;

        c->held = h->next;
        c->n_held--;
        c->held_bytes -= sizeof(*h) + h->event.len;
        free(h);
}

void chain_done(struct channel *c)
{
        while (c->held)
                held_pop(c);
}

/* Keeps a copy until what lies before it is there. When too much is held the copy is dropped: known_head tells that it is missing. */
static void held_push(struct channel *c, const struct bus_msg *msg)
{
        struct held_event *h, **at = &c->held;

        while (*at && (*at)->event.seq < msg->seq)
                at = &(*at)->next;
        if (*at && (*at)->event.seq == msg->seq)
                return;
        if (c->n_held >= HELD_MAX || c->held_bytes + msg->len > HELD_MAX_BYTES ||
            !(h = malloc(sizeof(*h) + msg->len))) {
                metric_add(&stat_live_dropped, 1);
                return;
        }
        *h = (struct held_event){.next = *at,
                                 .prev = msg->prev,
                                 .event = {.seq = msg->seq,
                                           .time_ns = msg->time_ns,
                                           .len = (uint32_t)msg->len,
                                           .data = (const uint8_t *)(h + 1)}};
        memcpy(h + 1, msg->data, msg->len);
        *at = h;
        c->n_held++;
        c->held_bytes += sizeof(*h) + msg->len;
}

static void chain_heard(struct channel *c, uint64_t seq)
{
        if (seq > c->known_head)
                c->known_head = seq;
        if (seq > c->shard->heard)
                c->shard->heard = seq;
}

/* Clocks of two machines differ, and milliseconds are cut off: what seems to come from the future took no time */
static void observe_lag(const struct channel *c, const Parley__V1__Event *event)
{
        int64_t lag_ns = c->core->wall_ns - wiretime_ns(event->created_at);

        if (event->created_at && c->n_subs)
                metric_observe(&stat_delivery_lag_seconds, lag_ns > 0 ? (double)lag_ns / 1e9 : 0);
}

void chain_accept(struct channel *c, const struct raw_event *raw)
{
        struct foresight *foresight = &c->core->foresight;
        struct frame *frames[_ENCODING_N] = {NULL};
        Parley__V1__Event *event = foresight_take(foresight, raw, c->head, frames);

        if (!event)
                event = apply_decode(c, raw, c->head);
        if (!event) {
                log_error("no memory for an event", LOG_S("channel", c->id));
                return; /* as if it had been lost on the way: the next one finds the break */
        }
        apply_before(c, event, raw);
        c->head = raw->seq;
        chain_heard(c, raw->seq);
        observe_lag(c, event);
        deliver_event(c, event, frames);
        apply_after(c, event);
        foresight_spend(foresight, &event->base);
}

/* True when nothing can lie between what was delivered and this */
static bool chain_follows(const struct channel *c, uint64_t seq, uint64_t prev)
{
        if (prev == c->head && prev > 0)
                return true;
        /* the first one ever, as far as the log knows; unless it is of a log that was made anew, far above, or what lies below the
         * beginning of this one is still to be read (history may not have answered yet) */
        if (c->head == 0 && prev == 0 && channel_position(c) + 1 >= c->begins &&
            seq - c->shard->first_seq <= UINT32_MAX)
                return true;
        return seq == channel_position(c) + 1;
}

static void chain_tell_epoch(struct channel *c)
{
        if (!c->epoch_due || channel_position(c) + 1 < c->shard->first_seq)
                return;
        c->epoch_due = false;
        deliver_epoch(c);
}

/* Goes on with what is held, as far as the chain reaches; what is still missing is fetched */
static void chain_advance(struct channel *c)
{
        bool moved = false;

        while (c->held && !c->repairing) {
                struct held_event *h = c->held;

                if (h->event.seq <= channel_position(c)) {
                        held_pop(c);
                        continue;
                }
                if (!chain_follows(c, h->event.seq, h->prev)) {
                        repair_start(c);
                        break;
                }
                chain_accept(c, &h->event);
                moved = true;
                held_pop(c);
        }
        if (!c->held && !c->repairing && c->known_head > channel_position(c))
                repair_start(c);
        chain_tell_epoch(c);
        if (moved)
                channel_check_links(c);
}

void chain_begin(struct channel *c)
{
        c->tail_base = channel_position(c);
        chain_heard(c, c->head);
        chain_advance(c);
}

void chain_offer(struct channel *c, const struct bus_msg *msg)
{
        metric_add(&stat_live, 1);
        if (FAILPOINT("gateway.before_live"))
                return; /* as if the message system had lost it */
        if (c->state == CHANNEL_ACTIVATING) {
                chain_heard(c, msg->seq);
                held_push(c, msg);
                return;
        }
        if (!channel_active(c) || msg->seq <= channel_position(c)) {
                metric_add(&stat_live_dropped, 1);
                return;
        }
        chain_heard(c, msg->seq);
        if (c->repairing || c->held || !chain_follows(c, msg->seq, msg->prev)) {
                held_push(c, msg);
                chain_advance(c);
                return;
        }
        chain_accept(c,
                     &(struct raw_event){
                             .seq = msg->seq, .time_ns = msg->time_ns, .len = (uint32_t)msg->len, .data = msg->data});
        channel_check_links(c);
}

/* --- repair --- */

static void repair_timer(struct wheel_timer *t, uint64_t now_ms)
{
        struct channel *c = (struct channel *)((char *)t - offsetof(struct channel, suspect));

        (void)now_ms;
        if (!channel_active(c) || c->repairing)
                return;
        if (c->verify_again)
                chain_verify(c);
        else
                chain_advance(c);
}

/* It cannot be had: the clients are told, and it goes on behind the break */
static void repair_give_up(struct channel *c)
{
        uint64_t from = c->head;

        log_error("a break cannot be mended", LOG_S("channel", c->id), LOG_U("from", from), LOG_U("to", c->known_head));
        metric_add(&stat_repairs_given_up, 1);
        c->repair_since_ms = 0;
        c->floor = c->held ? c->held->event.seq - 1 : c->known_head;
        if (c->head == 0 || !c->held)
                c->head = c->floor;
        tail_done(c);
        c->tail_base = c->floor;
        c->epoch_due = false; /* the gap names it, too */
        deliver_gap(c, from, PARLEY_GAP_UNAVAILABLE);
        channel_check_links(c);
}

static void repair_done(struct channel *c, enum fetch_result result, const struct raw_event *events, unsigned n,
                        uint64_t through, void *userdata)
{
        struct core *core = c->core;
        bool progress = through > channel_position(c);

        (void)userdata;
        c->repairing = false;
        for (; n; n--, events = events->next)
                if (events->seq > channel_position(c))
                        chain_accept(c, events);
        /* what was looked for and is not there was removed */
        if (through > c->floor)
                c->floor = through;
        channel_check_links(c);
        if (result == FETCH_OK && !c->held && c->known_head > channel_position(c))
                c->known_head = channel_position(c); /* it was looked for, and is not there */
        if (progress || result == FETCH_OK) {
                c->repair_since_ms = 0;
                metric_add(&stat_repairs, 1);
                chain_advance(c);
        } else if (c->repair_since_ms && core->now_ms - c->repair_since_ms >= REPAIR_GIVE_UP_MS) {
                repair_give_up(c);
                chain_advance(c);
        } else {
                if (!c->repair_since_ms || !core->up.connected(core->up.self))
                        c->repair_since_ms = core->now_ms;
                wheel_arm(core->wheel, &c->suspect, core->now_ms + REPAIR_RETRY_MS, repair_timer);
        }
        /* the head could not be read meanwhile, and the timer found the repair under way */
        if (c->verify_again && !wheel_armed(&c->suspect))
                chain_verify(c);
        channel_unref(c);
}

static void repair_start(struct channel *c)
{
        struct fetch_options options = {
                .after = channel_position(c),
                .until = c->held ? c->held->event.seq - 1 : c->known_head,
                .max_events = REPAIR_BATCH,
                .max_bytes = REPAIR_BATCH_BYTES,
                .max_gets = REPAIR_GETS,
                .done = repair_done,
        };

        if (wheel_armed(&c->suspect) && c->repair_since_ms)
                return; /* a try has just failed; the next one is due soon */
        c->repairing = true;
        channel_ref(c);
        if (fetch_start(c, &options, NULL)) {
                c->repairing = false;
                c->refs--;
                wheel_arm(c->core->wheel, &c->suspect, c->core->now_ms + REPAIR_RETRY_MS, repair_timer);
        }
}

void chain_expect(struct channel *c, uint64_t seq, uint32_t within_ms)
{
        if (c->state != CHANNEL_ACTIVATING && !channel_active(c))
                return;
        chain_heard(c, seq);
        if (!channel_active(c) || seq <= channel_position(c) || c->repairing || wheel_armed(&c->suspect))
                return;
        wheel_arm(c->core->wheel, &c->suspect, c->core->now_ms + within_ms, repair_timer);
}

/* --- verifying --- */

static void verify_end(struct channel *c, bool failed)
{
        struct core *core = c->core;

        c->verifying = false;
        if (failed && channel_active(c)) {
                c->verify_again = true;
                wheel_arm(core->wheel, &c->suspect, core->now_ms + REPAIR_RETRY_MS, repair_timer);
        } else if (c->verify_again) {
                chain_verify(c);
        }
        channel_unref(c);
        gate_leave(&core->gate_channels);
}

/* The log has lost its end (every replica went down at once before it was on disk): sequences that were seen will stand for other
 * events. Everybody must forget what is above its end. */
static void chain_rewind(struct channel *c, uint64_t last_seq)
{
        uint64_t from = c->head;

        log_error("the log has lost its end", LOG_S("channel", c->id), LOG_U("head", from), LOG_U("log", last_seq));
        chain_done(c);
        tail_done(c);
        replay_cache_drop(c);
        c->head = c->verified_head;
        c->floor = c->tail_base = last_seq;
        c->known_head = last_seq;
        deliver_gap(c, from, PARLEY_GAP_CURSOR_AHEAD);
}

static void verify_on_end(struct shard *shard, int error, uint64_t last_seq, void *userdata)
{
        struct channel *c = userdata;

        (void)shard;
        /* what has come while it was asked lies above its answer, and is in the log all the same */
        if (!error && channel_active(c) && !c->repairing && last_seq < c->doubted_head)
                chain_rewind(c, last_seq);
        verify_end(c, error != 0);
}

static void verify_on_head(int error, const struct bus_msg *msg, void *userdata)
{
        struct channel *c = userdata;
        bool answered = !error || error == BUS_E_NOT_FOUND;

        c->verified_head = error ? 0 : msg->seq;
        if (answered && channel_active(c) && c->verified_head < c->head) {
                /* the newest event was removed, or has come since; or there is less than was seen */
                c->doubted_head = c->head;
                shard_ask(c->shard, verify_on_end, c);
                return;
        }
        if (answered && channel_active(c)) {
                if (c->verified_head > c->known_head)
                        c->known_head = c->verified_head;
                if (!c->repairing)
                        chain_advance(c);
        }
        verify_end(c, !answered);
}

static void verify_start(struct gate_item *item)
{
        struct channel *c = (struct channel *)((char *)item - offsetof(struct channel, verify_gate));
        char stream[SUBJECT_MAX], subject[SUBJECT_MAX];

        c->verify_again = false;
        subject_chat(subject, c->shard->number, c->id);
        subject_chat_stream(stream, c->shard->number);
        up_stream_last(&c->core->up, stream, subject, verify_on_head, c);
}

void chain_begins(struct channel *c, bool new_epoch)
{
        if (!channel_active(c))
                return;
        c->epoch_due |= new_epoch;
        c->begins = c->shard->first_seq;
        chain_heard(c, c->shard->first_seq - 1);
        if (!c->repairing)
                chain_advance(c);
}

void chain_verify(struct channel *c)
{
        c->verify_again = true;
        if (!channel_active(c) || c->verifying)
                return;
        c->verifying = true;
        channel_ref(c);
        gate_enter(&c->core->gate_channels, &c->verify_gate, verify_start);
}
