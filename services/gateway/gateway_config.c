#include "gateway/gateway_config.h"

#include <errno.h>
#include <stdio.h>

#include "auth/attachment.h"

#define CONFIG_STRUCT struct gateway_config
#include "base/config_rows.h"

const struct config_item gateway_config_items[] = {
        STRING("PARLEY_LISTEN", listen, "127.0.0.1:8081", "Address and port for WebSocket connections."),
        STRING("PARLEY_ADMIN_LISTEN", admin_listen, "127.0.0.1:9081", "Address and port for health and metrics."),
        STRING("PARLEY_TLS_CERT_FILE", tls_cert_file, NULL,
               "File with a certificate and its chain (PEM): the gateway speaks TLS at PARLEY_TLS_LISTEN, too. It is read again when it changes."),
        STRING("PARLEY_TLS_KEY_FILE", tls_key_file, NULL, "File with its private key (PEM, without a passphrase)."),
        STRING("PARLEY_TLS_LISTEN", tls_listen, "127.0.0.1:8443",
               "Address and port for WebSocket connections over TLS 1.2 or later, where there is a certificate."),
        STRING("PARLEY_GATEWAY_ID", gateway_id, NULL,
               "Name of this gateway among all; random when unset. Of two of one name presence shows the users of one as offline."),
        STRING("PARLEY_LOG_LEVEL", log_level, "info", "The lowest level that is logged: debug, info, warn or error."),
        STRING("PARLEY_ALLOWED_ORIGINS", allowed_origins, "*",
               "Comma-separated origins whose pages may connect, or * for all (tokens, not cookies, say who somebody is)."),
        STRING("PARLEY_TRUSTED_PROXIES", trusted_proxies, NULL,
               "Addresses and CIDRs of proxies whose X-Forwarded-For counts, comma-separated; loopback's always does."),
        BUS_CONFIG_ITEMS(struct gateway_config, nats),
        AUTH_CONFIG_ITEMS(struct gateway_config, auth),
        SECRET("PARLEY_UPLOAD_SECRET", upload_secret,
               "What the upload service signs descriptors of files with, at least 32 bytes; unset: messages with files are refused."),
        NUMBER("PARLEY_SHARDS", shards, "1", 1, 256, NULL, "Number of shards; fixed at installation."),
        LIMIT("PARLEY_MAX_CONNECTIONS", max_connections, "100000", 1, 10000000, NULL, "Connections of this gateway."),
        LIMIT("PARLEY_MAX_CONNECTIONS_PER_USER", max_connections_per_user, "50", 1, 1000000, NULL,
              "Connections of one user to this gateway."),
        LIMIT("PARLEY_MAX_CONNECTIONS_PER_ADDRESS", max_connections_per_address, "5000", 1, 10000000, NULL,
              "Connections from one address (many users may share one)."),
        NUMBER("PARLEY_MAX_OPENING", max_opening, "2048", 1, 1000000, "connections",
               "Connections that have not finished their upgrade; more wait in the listen queue."),
        NUMBER("PARLEY_MAX_OPENING_PER_ADDRESS", max_opening_per_address, "512", 1, 1000000, "connections",
               "The same from one address that is no trusted proxy; more are answered 429."),
        NUMBER("PARLEY_MAX_ADDRESSES", max_addresses, "200000", 1, 10000000, "addresses",
               "Addresses that are remembered, for a minute after their last connection; others are answered 429 then."),
        NUMBER("PARLEY_HANDSHAKE_TIMEOUT_MS", handshake_timeout_ms, "5000", 100, 600000, "ms",
               "Time for the upgrade, and then for hello."),
        NUMBER("PARLEY_HEARTBEAT_MS", heartbeat_ms, "30000", 500, 3600000, "ms",
               "Clients ping at least this often; silent for two periods: closed."),
        NUMBER("PARLEY_LOADING_TIMEOUT_MS", loading_timeout_ms, "15000", 500, 600000, "ms",
               "Time from hello to ready, after which the client is asked to come again later."),
        NUMBER("PARLEY_MAX_FRAME_BYTES", max_frame_bytes, "131072", 1024, 16777216, "bytes",
               "Size of one WebSocket message from a client."),
        NUMBER("PARLEY_MAX_CONTENT_BYTES", max_content_bytes, "16384", 1, 524288, "bytes", "Content of one message."),
        NUMBER("PARLEY_MAX_MENTIONS", max_mentions, "50", 0, 1000, "users", "Mentions in one message."),
        NUMBER("PARLEY_MAX_ATTACHMENTS", max_attachments, "10", 0, 100, "files", "Files of one message."),
        NUMBER("PARLEY_MAX_EVENT_BYTES", max_event_bytes, "262144", 1024, 67108864, "bytes",
               "Size of one event of the log; the same for all services, and below max_payload of the NATS server."),
        NUMBER("PARLEY_MAX_RECEIVE_BYTES", max_receive_bytes, "67108864", 65536, 17179869184, "bytes",
               "Incomplete WebSocket messages of all clients together."),
        LIMIT("PARLEY_MAX_BAD_FRAMES", max_bad_frames, "20", 1, 65535, "frames",
              "Frames in a row that cannot be read or are of no known type; then the connection is closed as a violation of the protocol."),
        NUMBER("PARLEY_SESSION_MAX_QUEUE_BYTES", session_max_queue_bytes, "1048576", 16384, 1073741824, "bytes",
               "What may wait for one session; beyond it the session is closed and may resume."),
        LIMIT("PARLEY_MAX_QUEUE_BYTES", max_queue_bytes, "268435456", 1048576, 17179869184, "bytes",
              "What may wait for all sessions together; beyond it those that hold most of it for longest are closed and may resume."),
        NUMBER("PARLEY_SESSION_MAX_PENDING", session_max_pending, "256", 1, 65536, NULL,
               "Unanswered mutations of one session."),
        NUMBER("PARLEY_MAX_CURSORS", max_cursors, "5000", 1, 100000, NULL, "Resume cursors of one session."),
        NUMBER("PARLEY_MAX_PENDING", max_pending, "50000", 1, 262144, NULL, "Unanswered mutations of this gateway."),
        NUMBER("PARLEY_MAX_PENDING_BYTES", max_pending_bytes, "268435456", 1048576, 17179869184, "bytes",
               "Memory of all clients' unanswered mutations, and of cursors that wait for ready."),
        NUMBER("PARLEY_DEFLATE_BUDGET_BYTES", deflate_budget_bytes, "16777216", 0, 17179869184, "bytes",
               "Memory for connections that ask for permessage-deflate; beyond it they are not compressed."),
        NUMBER("PARLEY_LINGER_MS", linger_ms, "30000", 0, 3600000, "ms",
               "How long a user and a channel are kept after their last session."),
        NUMBER("PARLEY_DRAIN_MS", drain_ms, "5000", 0, 600000, "ms",
               "Over how long the clients are sent away when the gateway stops."),
        NUMBER("PARLEY_TAIL_EVENTS", tail_events, "128", 0, 10000, NULL,
               "Newest events of each channel kept for replays."),
        NUMBER("PARLEY_TAIL_BYTES", tail_bytes, "67108864", 0, 17179869184, "bytes",
               "The same for all channels together."),
        NUMBER("PARLEY_REPLAY_MAX", replay_max_events, "500", 1, 10000, NULL,
               "Events of one replay; a client that misses more reloads by REST."),
        NUMBER("PARLEY_REPLAY_DIRECT_GETS", replay_direct_gets, "50", 0, 1000, NULL,
               "Events of one replay that are read one by one from JetStream before history is asked."),
        NUMBER("PARLEY_DEDUPE_WINDOW_MS", dedupe_window_ms, "120000", 100, 86400000, "ms",
               "JetStream's window for equal ids; the same for all services, and longer than a route of a cluster holds back."),
        NUMBER("PARLEY_MAX_WATCH", max_watch, "500", 0, 500, "users", "Users whose presence one session is told."),
        NUMBER("PARLEY_MAX_FOCUS", max_focus, "16", 0, GATEWAY_MAX_FOCUS, "channels",
               "Channels that one session has in focus."),
        NUMBER("PARLEY_MAX_WATCH_BYTES", max_watch_bytes, "268435456", 0, 17179869184, "bytes",
               "Memory of all sessions' watched users and channels in focus; beyond it watch and focus are refused, and lists of channels counted. One user has a 128th of it, but at least what one session may name."),
        NUMBER("PARLEY_TYPING_MAX_MEMBERS", typing_max_members, "1000", 0, 100000, "members",
               "Members of a channel up to which it shows who is writing; 0: none does."),
        {.name = "PARLEY_RATE_LIMITS",
         .type = CONFIG_BOOL,
         .offset = offsetof(CONFIG_STRUCT, rate_limits),
         .def = "on",
         .help = "off: no limit of rate at all (benchmarks)."},
        LIMIT("PARLEY_RATE_MESSAGES_PER_USER", rate_messages_per_user, "20", 1, 100000, "1/s",
              "Messages, edits and deletions of one user."),
        NUMBER("PARLEY_BURST_MESSAGES_PER_USER", burst_messages_per_user, "60", 1, 100000, NULL, "The same, at once."),
        LIMIT("PARLEY_RATE_FRAMES_PER_CONNECTION", rate_frames_per_connection, "100", 1, 100000, "1/s",
              "Frames of one connection."),
        NUMBER("PARLEY_BURST_FRAMES_PER_CONNECTION", burst_frames_per_connection, "300", 1, 100000, NULL,
               "The same, at once."),
        LIMIT("PARLEY_RATE_FRAMES_PER_ADDRESS", rate_frames_per_address, "5000", 1, 1000000, "1/s",
              "Frames from one address."),
        NUMBER("PARLEY_BURST_FRAMES_PER_ADDRESS", burst_frames_per_address, "10000", 1, 1000000, NULL,
               "The same, at once."),
        LIMIT("PARLEY_RATE_CONNECTIONS_PER_ADDRESS", rate_connections_per_address, "200", 1, 100000, "1/s",
              "New connections from one address."),
        NUMBER("PARLEY_BURST_CONNECTIONS_PER_ADDRESS", burst_connections_per_address, "2000", 1, 1000000, NULL,
               "The same, at once."),
        LIMIT("PARLEY_RATE_SESSIONS_PER_USER", rate_sessions_per_user, "2", 1, 100000, "1/s",
              "New sessions of one user; each costs a `ready` with all channels."),
        NUMBER("PARLEY_BURST_SESSIONS_PER_USER", burst_sessions_per_user, "60", 1, 100000, NULL, "The same, at once."),
};
const size_t gateway_config_n_items = sizeof(gateway_config_items) / sizeof(gateway_config_items[0]);

struct message_limits gateway_config_message(const struct gateway_config *config)
{
        return (struct message_limits){.max_content_bytes = config->max_content_bytes,
                                       .max_mentions = config->max_mentions,
                                       .max_attachments = config->max_attachments};
}

int gateway_config_check(const struct gateway_config *config, char *ret_error, size_t n_error)
{
        const struct message_limits limits = gateway_config_message(config);
        int r = message_limits_check(&limits, config->max_event_bytes, ret_error, n_error);

        if (r == 0 && !config->tls_cert_file != !config->tls_key_file) {
                (void)snprintf(ret_error, n_error, "%s is set and %s is not: TLS needs both",
                               config->tls_cert_file ? "PARLEY_TLS_CERT_FILE" : "PARLEY_TLS_KEY_FILE",
                               config->tls_cert_file ? "PARLEY_TLS_KEY_FILE" : "PARLEY_TLS_CERT_FILE");
                r = -EINVAL;
        }
        if (r == 0)
                r = attachment_secret_check(config->upload_secret, ret_error, n_error);
        if (r == 0 && config->max_frame_bytes < message_event_max(&limits)) {
                (void)snprintf(ret_error, n_error,
                               "PARLEY_MAX_FRAME_BYTES=%llu must be at least %llu for messages of "
                               "PARLEY_MAX_CONTENT_BYTES=%llu with PARLEY_MAX_MENTIONS=%llu",
                               (unsigned long long)config->max_frame_bytes,
                               (unsigned long long)message_event_max(&limits),
                               (unsigned long long)config->max_content_bytes, (unsigned long long)config->max_mentions);
                r = -EINVAL;
        }
        if (r == 0 && config->max_queue_bytes && config->max_queue_bytes < config->session_max_queue_bytes) {
                (void)snprintf(ret_error, n_error,
                               "PARLEY_MAX_QUEUE_BYTES=%llu must be at least PARLEY_SESSION_MAX_QUEUE_BYTES=%llu, or 0",
                               (unsigned long long)config->max_queue_bytes,
                               (unsigned long long)config->session_max_queue_bytes);
                r = -EINVAL;
        }
        return r;
}
