#include "presence/presence_config.h"

#include "bus/subjects.h"
#include "presence/leader.h"

/* A gateway that has nothing to say is heard so often: late by a tick of its own, and by what a busy machine takes */
#define SILENT_MIN_MS (PRESENCE_HEARTBEAT_MS + 2000)

#define CONFIG_STRUCT struct presence_config
#include "base/config_rows.h"

const struct config_item presence_config_items[] = {
        STRING("PARLEY_LISTEN", listen, "127.0.0.1:8083", "Address and port for clients."),
        STRING("PARLEY_ADMIN_LISTEN", admin_listen, "127.0.0.1:9083",
               "Address and port for /healthz, /readyz and /metrics."),
        BUS_CONFIG_ITEMS(struct presence_config, nats),
        NUMBER("PARLEY_REST_MAX_CONNECTIONS", max_connections, "1000", 1, 100000, "connections",
               "Connections of clients; further ones wait in the listen queue."),
        LIMIT("PARLEY_REST_MAX_CONNECTIONS_PER_IP", max_connections_per_ip, "0", 0, 100000, "connections",
              "Connections of one TCP peer; behind an edge that is the edge."),
        STRING("PARLEY_CORS_ORIGIN", cors_origin, NULL,
               "Origins whose pages may use the REST interface, separated by commas, or *; unset: only the same origin."),
        STRING("PARLEY_TRUSTED_PROXIES", trusted_proxies, NULL,
               "Addresses and networks whose X-Forwarded-For counts; loopback always does."),
        AUTH_CONFIG_ITEMS(struct presence_config, auth),
        SWITCH("PARLEY_RATE_LIMITS", rate_limits, "on", "Off: no limits of rate at all."),
        LIMIT("PARLEY_REST_RATE", rest_rate, "50", 0, 1000000, "requests/s", "Requests of one user."),
        NUMBER("PARLEY_REST_BURST", rest_burst, "200", 1, 1000000, "requests", "Requests of one user at once."),
        LIMIT("PARLEY_REFUSED_RATE", refused_rate, "10", 0, 1000000, "requests/s",
              "Requests without a valid token, of one address; ten times as many at once."),
        LIMIT("PARLEY_STATUS_PER_HOUR", status_per_hour, "60", 1, 3600, "1/hour",
              "Changes of his status that one user makes; each is a write to JetStream."),
        NUMBER("PARLEY_STATUS_BURST", status_burst, "10", 1, 1000, NULL, "The same, at once."),
        NUMBER("PARLEY_PRESENCE_GRACE_MS", grace_ms, "10000", 0, 600000, "ms",
               "How long each kind of device is shown after its last connection closed, and its user is not offline yet, so that a reconnect shows nothing."),
        NUMBER("PARLEY_PRESENCE_SILENT_MS", silent_ms, "30000", SILENT_MIN_MS, 600000, "ms",
               "How long a gateway may be silent before its users are offline; it speaks every 10 s."),
        NUMBER("PARLEY_PRESENCE_TELL_MS", tell_ms, "500", 50, LEADER_SPEAK_MS, "ms",
               "How long changes are collected before they are told."),
        NUMBER("PARLEY_PRESENCE_COUNT_MS", count_ms, "5000", 100, 600000, "ms",
               "How often the count of a large channel is told, at most."),
        NUMBER("PARLEY_PRESENCE_LIST_MAX", list_max, "200", 1, 450, "members",
               "Members of a channel whose presence is a list; larger ones have a count."),
        SWITCH("PARLEY_LAST_SEEN", last_seen, "on", "Whether it is kept and told when users were here last."),
        NUMBER("PARLEY_DRAIN_MS", drain_ms, "5000", 0, 600000, "ms",
               "How long running requests may take when the service stops."),
        STRING("PARLEY_LOG_LEVEL", log_level, "info", "The lowest level that is logged: debug, info, warn or error."),
};
const size_t n_presence_config_items = sizeof(presence_config_items) / sizeof(*presence_config_items);
