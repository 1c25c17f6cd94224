/* The settings of history; history_config.c has the table. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/open.h"
#include "base/config.h"
#include "bus/bus_config.h"
#include "policy/message.h"

#define PG_URL_SETTING "PARLEY_PG_URL"

struct history_config {
        struct bus_config nats;
        char *pg_url;
        uint64_t pg_pool, pg_queue;
        char *listen, *admin_listen;
        uint64_t max_connections, max_connections_per_ip, max_answer_bytes, max_answer_bytes_per_address;
        char *cors_origin, *trusted_proxies;
        struct auth_config auth;
        char *upload_secret; /* NULL: no files are taken */
        bool demo_signin;
        uint64_t demo_token_ttl_s;
        uint64_t shards;
        bool rate_limits;
        uint64_t rest_rate, rest_burst, signin_rate;
        uint64_t invite_rate, invite_burst, message_rate, message_burst;
        uint64_t dedupe_window_ms;
        uint64_t log_keep_hours, log_keep_s, log_max_bytes, log_trim_percent;
        uint64_t stream_replicas;
        bool provision; /* false: streams and buckets are only looked at */
        uint64_t setup_timeout_s;
        uint64_t system_max_bytes, system_keep_days;
        uint64_t ingest_batch, ingest_linger_ms;
        uint64_t lease_ms;
        uint64_t file_release_s;
        uint64_t max_event_bytes, max_content_bytes, max_mentions, max_attachments;
        uint64_t max_channels_per_user, max_members_per_request;
        uint64_t change_wait_ms;
        uint64_t drain_ms;
        char *log_level;
};

extern const struct config_item history_config_items[];
extern const size_t n_history_config_items;

struct message_limits history_config_message(const struct history_config *config);
/* 0, or -EINVAL with a line that names the settings that contradict each other */
int history_config_check(const struct history_config *config, char *ret_error, size_t n_error);
/* For how long the log is kept behind ingest, in nanoseconds; 0: for ever */
int64_t history_config_keep_ns(const struct history_config *config);
