/* The run: open all, send when due, wait for the rest, report. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/ident.h"
#include "load.h"

uint64_t load_now_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int poll_once(struct load *load, int timeout_ms)
{
        struct epoll_event events[512];
        int n = epoll_wait(load->epoll, events, 512, timeout_ms);

        for (int i = 0; i < n; i++) {
                uint64_t ticks;

                if (events[i].data.ptr)
                        connection_event(events[i].data.ptr, events[i].events);
                else if (read(load->timer, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
                        return -errno;
        }
        return n < 0 && errno != EINTR ? -errno : 0;
}

static int open_all(struct load *load)
{
        const struct load_options *o = &load->options;
        uint64_t start = load_now_ns(), last_report = start;

        while (load->n_ready + load->n_closed < o->connections) {
                while (load->n_opened < o->connections && load->n_opening < o->parallel) {
                        struct load_connection *c = &load->connections[load->n_opened++];
                        int r;

                        c->number = load->n_opened;
                        load->n_opening++;
                        r = connection_open(load, c);
                        if (r) {
                                fprintf(stderr, "connection %u: %s\n", c->number, strerror(-r));
                                return r;
                        }
                }
                poll_once(load, 100);
                if (load_now_ns() - last_report > 5000000000u) {
                        last_report = load_now_ns();
                        fprintf(stderr, "%u of %u ready, %u closed %s\n", load->n_ready, o->connections, load->n_closed,
                                load->last_error);
                }
                if (load_now_ns() - start > 300000000000u)
                        return -ETIMEDOUT;
        }
        printf("opened: %u ready, %u closed, %.2f s, each p50 %.1f p99 %.1f max %.1f ms\n", load->n_ready,
               load->n_closed, (double)(load_now_ns() - start) / 1e9,
               (double)histogram_percentile(&load->opens, 50) / 1000,
               (double)histogram_percentile(&load->opens, 99) / 1000, (double)load->opens.max_us / 1000);
        return 0;
}

static size_t put_varint(uint8_t *p, uint64_t v)
{
        size_t n = 0;

        for (; v >= 0x80; v >>= 7)
                p[n++] = (uint8_t)(v | 0x80);
        p[n++] = (uint8_t)v;
        return n;
}

static size_t put_bytes(uint8_t *p, unsigned field, const void *data, size_t len)
{
        size_t n = put_varint(p, field << 3 | 2);

        n += put_varint(p + n, len);
        memcpy(p + n, data, len);
        return n + len;
}

/* The time it is due stands at the beginning of the content */
void connection_message(struct load_connection *c, uint64_t due_ns, uint64_t number)
{
        struct load *load = c->load;
        const struct load_options *o = &load->options;
        uint32_t ref = (uint32_t)(number % (LOAD_REFS - 2)) + 2;
        char content[17000], id[UUID_LEN + 1];
        uint8_t random[10], data[20000];
        int n = snprintf(content, sizeof(content), "%" PRIu64 " ", due_ns);

        for (; (unsigned)n < o->bytes && n < 16384; n++)
                content[n] = (char)('a' + n % 26);
        content[n] = 0;
        /* the first three bytes lose bits to version and variant */
        memcpy(random, &load->started_ns, 3);
        memcpy(random + 3, &number, 7);
        uuid_v7((uint64_t)time(NULL) * 1000, random, id);
        load->due[ref % LOAD_REFS] = due_ns;
        load->n_sent++;
        if (!o->proto) {
                int len = snprintf(
                        (char *)data, sizeof(data),
                        "{\"type\":\"send\",\"ref\":%u,\"channelId\":\"%s\",\"message\":{\"id\":\"%s\",\"content\":\"%s\"}}",
                        ref, o->channel, id, content);

                connection_send(c, data, (size_t)len, false);
                return;
        }
        /* Send {channel_id = 1; message = 2 {id = 1; content = 2}} in ClientFrame {ref = 1; send = 5} */
        uint8_t message[17100], send[17300], frame[17400];
        size_t n_message = put_bytes(message, 1, id, UUID_LEN), n_send, n_frame;

        n_message += put_bytes(message + n_message, 2, content, (size_t)n);
        n_send = put_bytes(send, 1, o->channel, strlen(o->channel));
        n_send += put_bytes(send + n_send, 2, message, n_message);
        n_frame = put_varint(frame, 1 << 3);
        n_frame += put_varint(frame + n_frame, ref);
        n_frame += put_bytes(frame + n_frame, 5, send, n_send);
        size_t n_data = put_varint(data, n_frame);

        memcpy(data + n_data, frame, n_frame);
        connection_send(c, data, n_data + n_frame, true);
}

static void arm(struct load *load)
{
        struct itimerspec t = {.it_value = {.tv_sec = (time_t)(load->next_due_ns / 1000000000u),
                                            .tv_nsec = (long)(load->next_due_ns % 1000000000u)}};

        timerfd_settime(load->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static void send_due(struct load *load)
{
        const struct load_options *o = &load->options;
        uint64_t now = load_now_ns();
        unsigned burst = 0;

        while (load->next_due_ns <= now && load->next_due_ns < load->stop_ns && burst++ < 64) {
                struct load_connection *c = &load->connections[load->n_sent % o->senders];

                if (c->state == LOAD_READY)
                        connection_message(c, load->next_due_ns, load->n_sent);
                else
                        load->n_sent++;
                load->next_due_ns += load->interval_ns;
        }
        arm(load);
}

static void report(struct load *load)
{
        const struct load_options *o = &load->options;
        double seconds = (double)(load->last_event_ns - load->first_event_ns) / 1e9;
        uint64_t expected = load->n_sent * o->connections;

        printf("sent %" PRIu64 " acked %" PRIu64 " errors %" PRIu64 " %s\n", load->n_sent, load->n_acked,
               load->n_errors, load->last_error);
        printf("delivered %" PRIu64 " of %" PRIu64 ", %.0f/s, %.2f events a message, %.0f bytes an event\n",
               load->n_events, expected, seconds > 0 ? (double)load->n_measured / seconds : 0,
               load->n_messages ? (double)load->n_events / (double)load->n_messages : 0,
               load->n_events ? (double)load->n_bytes / (double)load->n_events : 0);
        printf("breaks %" PRIu64 " duplicates %" PRIu64 " closed %u\n", load->n_breaks, load->n_duplicates,
               load->n_closed);
        for (unsigned i = 0; i < 5000; i++)
                if (load->closes[i])
                        printf("close code %u: %u\n", i, load->closes[i]);
        printf("delivery p50 %.2f p90 %.2f p99 %.2f p99.9 %.2f max %.2f ms\n",
               (double)histogram_percentile(&load->deliveries, 50) / 1000,
               (double)histogram_percentile(&load->deliveries, 90) / 1000,
               (double)histogram_percentile(&load->deliveries, 99) / 1000,
               (double)histogram_percentile(&load->deliveries, 99.9) / 1000, (double)load->deliveries.max_us / 1000);
        printf("ack p50 %.2f p99 %.2f max %.2f ms\n", (double)histogram_percentile(&load->acks, 50) / 1000,
               (double)histogram_percentile(&load->acks, 99) / 1000, (double)load->acks.max_us / 1000);
}

static int fanout(struct load *load)
{
        const struct load_options *o = &load->options;
        uint64_t expected, end;

        load->started_ns = load->next_due_ns = load_now_ns() + 100000000;
        load->interval_ns = (uint64_t)(1e9 / o->rate);
        load->stop_ns = load->started_ns + (uint64_t)(o->seconds * 1e9);
        load->measure_ns = load->started_ns + (uint64_t)(o->warmup * 1e9);
        arm(load);
        while (load_now_ns() < load->stop_ns) {
                poll_once(load, 10);
                send_due(load);
        }
        expected = load->n_sent * load->n_ready;
        end = load_now_ns() + 10000000000u;
        while ((load->n_events < expected || load->n_acked + load->n_errors < load->n_sent) && load_now_ns() < end)
                poll_once(load, 100);
        report(load);
        return load->n_events >= expected && load->n_breaks == 0 && load->n_closed == 0 ? 0 : 1;
}

static int idle(struct load *load)
{
        uint64_t end = load_now_ns() + (uint64_t)(load->options.seconds * 1e9);

        printf("idle\n");
        fflush(stdout);
        while (load_now_ns() < end)
                poll_once(load, 100);
        printf("ready %u closed %u\n", load->n_ready, load->n_closed);
        return load->n_closed ? 1 : 0;
}

int load_run(struct load *load)
{
        struct epoll_event e = {.events = EPOLLIN};
        int r;

        load->epoll = epoll_create1(0);
        load->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
        load->connections = calloc(load->options.connections, sizeof(*load->connections));
        load->due = calloc(LOAD_REFS, sizeof(*load->due));
        if (load->epoll < 0 || load->timer < 0 || !load->connections || !load->due)
                return -ENOMEM;
        epoll_ctl(load->epoll, EPOLL_CTL_ADD, load->timer, &e);
        r = open_all(load);
        if (r == 0)
                r = strcmp(load->options.mode, "idle") == 0 ? idle(load) : fanout(load);
        for (unsigned i = 0; i < load->n_opened; i++)
                if (load->connections[i].state != LOAD_CLOSED)
                        connection_close(&load->connections[i], 0);
        free(load->connections);
        free(load->due);
        close(load->epoll);
        close(load->timer);
        return r;
}
