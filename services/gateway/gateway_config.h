/* What can be set from outside. The table is in gateway_config.c; docs/configuration.md is made from it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/open.h"
#include "base/config.h"
#include "bus/bus_config.h"
#include "policy/message.h"

/* Channels of one `focus`, at most */
#define GATEWAY_MAX_FOCUS 256

struct gateway_config {
        char *listen, *admin_listen;
        char *tls_cert_file, *tls_key_file, *tls_listen; /* the first two are NULL: no TLS */
        char *gateway_id;                                /* NULL: random */
        char *log_level;
        char *allowed_origins; /* comma separated, or "*" */
        char *trusted_proxies;
        struct bus_config nats;
        struct auth_config auth;
        char *upload_secret; /* NULL: no files are taken */
        uint64_t shards;

        /* sessions */
        uint64_t max_connections, max_connections_per_user, max_connections_per_address;
        uint64_t max_opening, max_opening_per_address, max_addresses;
        uint64_t handshake_timeout_ms, heartbeat_ms, loading_timeout_ms;
        uint64_t max_frame_bytes, max_content_bytes, max_mentions, max_attachments, max_event_bytes, max_receive_bytes,
                max_bad_frames;
        uint64_t session_max_queue_bytes, max_queue_bytes, session_max_pending, max_cursors;
        uint64_t max_pending, max_pending_bytes;
        uint64_t deflate_budget_bytes;
        uint64_t linger_ms, drain_ms;

        /* channels */
        uint64_t tail_events, tail_bytes;
        uint64_t replay_max_events, replay_direct_gets;
        uint64_t dedupe_window_ms;

        /* whom sessions look at */
        uint64_t max_watch, max_focus, max_watch_bytes, typing_max_members;

        /* rates; all off with rate_limits off */
        bool rate_limits;
        uint64_t rate_messages_per_user, burst_messages_per_user;
        uint64_t rate_frames_per_connection, burst_frames_per_connection;
        uint64_t rate_frames_per_address, burst_frames_per_address;
        uint64_t rate_connections_per_address, burst_connections_per_address;
        uint64_t rate_sessions_per_user, burst_sessions_per_user;
};

extern const struct config_item gateway_config_items[];
extern const size_t gateway_config_n_items;

struct message_limits gateway_config_message(const struct gateway_config *config);
/* 0, or -EINVAL with a line that names the settings that contradict each other */
int gateway_config_check(const struct gateway_config *config, char *ret_error, size_t n_error);
