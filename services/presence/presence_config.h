/* The settings of presence; presence_config.c has the table. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/open.h"
#include "base/config.h"
#include "bus/bus_config.h"

struct presence_config {
        struct bus_config nats;
        char *listen, *admin_listen;
        uint64_t max_connections, max_connections_per_ip;
        char *cors_origin, *trusted_proxies;
        struct auth_config auth;
        bool rate_limits;
        uint64_t rest_rate, rest_burst, refused_rate;
        uint64_t status_per_hour, status_burst;
        uint64_t grace_ms, silent_ms, tell_ms, count_ms;
        uint64_t list_max;
        bool last_seen;
        uint64_t drain_ms;
        char *log_level;
};

extern const struct config_item presence_config_items[];
extern const size_t n_presence_config_items;
