/* Is this the right one of several servers? A server that is cut off from the rest of its cluster goes on to take connections and to hand
 * core messages round among its own clients, but its JetStream has no leader: nothing can be stored or read there, and nothing that others
 * store is heard. nats.c notices none of it. So, where there is another server to go to, JetStream is asked now and then. */
#include <string.h>

#include "bus/bus_impl.h"
#include "bus/jsapi.h"

/* A cluster that elects a leader after a crash answers nobody for 2 to 5 s: going elsewhere would not help. */
#define PROBE_MS 2000
#define PROBES_FAILED_MAX 3

static void probe_end(struct bus *bus, int error)
{
        struct health *h = &bus->health;

        h->probe = NULL;
        if (error == 0)
                h->failed = 0;
        else if (++h->failed >= PROBES_FAILED_MAX)
                bus_leave(bus, "JetStream cannot be reached by way of this server: another is tried");
}

static void on_probe(struct pending *p, int error, const struct bus_msg *msg, const struct conn_extra *extra)
{
        struct jsapi_result result;

        if (error == BUS_E_DISCONNECTED)
                return; /* health_disconnected was here */
        if (error == 0)
                error = request_status(msg, extra);
        if (error == 0)
                error = jsapi_parse_done(msg->data, msg->len, &result);
        probe_end(p->bus, error);
}

static void on_timer(uv_timer_t *timer)
{
        struct bus *bus = timer->data;
        struct request r = {.subject = "$JS.API.INFO", .data = "", .timeout_ms = PROBE_MS};

        if (!bus->connected || bus->health.probe != NULL)
                return;
        if (request_send(bus, &r, on_probe, &bus->health.probe) != 0)
                bus->health.probe = NULL; /* too much waits to be sent: another time */
}

void health_init(struct bus *bus)
{
        uv_timer_init(bus->options.loop, &bus->health.timer);
        bus->health.timer.data = bus;
}

void health_connected(struct bus *bus)
{
        bus->health.failed = 0;
        if (strchr(bus->options.url, ',') != NULL)
                uv_timer_start(&bus->health.timer, on_timer, PROBE_MS, PROBE_MS);
}

void health_disconnected(struct bus *bus)
{
        uv_timer_stop(&bus->health.timer);
        if (bus->health.probe != NULL)
                pending_end(bus->health.probe);
        bus->health.probe = NULL;
}
