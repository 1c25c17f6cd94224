/* The gateway's metrics. */
#pragma once

#include <stddef.h>

#include "base/codes.h"
#include "base/metrics.h"

/* X(variable, type, name, labels, help) */
#define STATS_MAP(X)                                                                                                   \
        X(sessions, GAUGE, "parley_gateway_sessions", NULL, "Sessions that are ready")                                 \
        X(connections, GAUGE, "parley_gateway_connections", NULL, "WebSocket connections")                             \
        X(users, GAUGE, "parley_gateway_users", NULL, "Users that are kept, with or without a session")                \
        X(channels, GAUGE, "parley_gateway_channels", NULL, "Channels that are kept, with or without a session")       \
        X(queue_bytes, GAUGE, "parley_gateway_queue_bytes", NULL,                                                      \
          "Bytes that wait for sessions; what several wait for counts once")                                           \
        X(kept_bytes, GAUGE, "parley_gateway_kept_bytes", NULL,                                                        \
          "Bytes of written messages that sockets have not taken yet, at most")                                        \
        X(send_backlog, GAUGE, "parley_gateway_bus_send_backlog_bytes", NULL,                                          \
          "Bytes that wait to be sent to the message system")                                                          \
        X(receive_bytes, GAUGE, "parley_gateway_receive_bytes", NULL, "Incomplete messages of clients")                \
        X(tail_bytes, GAUGE, "parley_gateway_tail_bytes", NULL, "Events kept for replays")                             \
        X(pending, GAUGE, "parley_gateway_pending", NULL, "Mutations that wait for their answer")                      \
        X(deliveries, COUNTER, "parley_gateway_deliveries_total", NULL, "Events queued for sessions")                  \
        X(frames_in, COUNTER, "parley_gateway_frames_received_total", NULL, "Client frames")                           \
        X(writes, COUNTER, "parley_gateway_writes_total", NULL, "WebSocket messages written")                          \
        X(written_bytes, COUNTER, "parley_gateway_written_bytes_total", NULL, "Bytes of WebSocket messages written")   \
        X(packs, COUNTER, "parley_gateway_packs_total", NULL, "Batches put together")                                  \
        X(deflated_in, COUNTER, "parley_gateway_deflate_in_bytes_total", NULL, "Bytes given to the compressor")        \
        X(deflated_out, COUNTER, "parley_gateway_deflate_out_bytes_total", NULL, "Bytes that came out of it")          \
        X(deflated_saved, COUNTER, "parley_gateway_deflate_saved_bytes_total", NULL,                                   \
          "Bytes not sent because they were compressed")                                                               \
        X(acks, COUNTER, "parley_gateway_acks_total", NULL, "Mutations acknowledged")                                  \
        X(acks_duplicate, COUNTER, "parley_gateway_acks_duplicate_total", NULL, "of these: stored before")             \
        X(mutations_refused, COUNTER, "parley_gateway_mutations_unavailable_total", NULL,                              \
          "Mutations answered `unavailable` or `internal`: not the client's fault")                                    \
        X(live, COUNTER, "parley_gateway_live_total", NULL, "Live copies received")                                    \
        X(live_dropped, COUNTER, "parley_gateway_live_dropped_total", NULL, "Live copies known already or not held")   \
        X(repairs, COUNTER, "parley_gateway_repairs_total", NULL, "Breaks of a channel's chain mended")                \
        X(repairs_given_up, COUNTER, "parley_gateway_repairs_given_up_total", NULL, "Breaks told to clients as a gap") \
        X(replays_tail, COUNTER, "parley_gateway_replays_total", "source=\"tail\"", "Replays by source")               \
        X(replays_stream, COUNTER, "parley_gateway_replays_total", "source=\"stream\"", "Replays by source")           \
        X(replays_history, COUNTER, "parley_gateway_replays_total", "source=\"history\"", "Replays by source")         \
        X(gaps, COUNTER, "parley_gateway_gaps_total", NULL, "Gap frames sent")                                         \
        X(closed_slow, COUNTER, "parley_gateway_closed_total", "reason=\"slow\"", "Sessions closed by the gateway")    \
        X(closed_idle, COUNTER, "parley_gateway_closed_total", "reason=\"idle\"", "Sessions closed by the gateway")    \
        X(closed_protocol, COUNTER, "parley_gateway_closed_total", "reason=\"protocol\"",                              \
          "Sessions closed by the gateway")                                                                            \
        X(closed_auth, COUNTER, "parley_gateway_closed_total", "reason=\"auth\"", "Sessions closed by the gateway")    \
        X(closed_limit, COUNTER, "parley_gateway_closed_total", "reason=\"limit\"", "Sessions closed by the gateway")  \
        X(closed_other, COUNTER, "parley_gateway_closed_total", "reason=\"other\"", "Sessions closed by the gateway")  \
        X(shed, COUNTER, "parley_gateway_shed_total", NULL,                                                            \
          "Sessions closed as slow because too much waited for all together")                                          \
        X(refused, COUNTER, "parley_gateway_refused_total", NULL, "Connections refused before the upgrade")            \
        X(tls_not_after, GAUGE, "parley_gateway_tls_not_after_seconds", NULL,                                          \
          "When the certificate of PARLEY_TLS_CERT_FILE ends, in seconds since 1970; 0: no TLS here")                  \
        X(tls_failed, COUNTER, "parley_gateway_tls_failed_total", NULL, "TLS handshakes that failed")                  \
        X(tls_reload_failed, COUNTER, "parley_gateway_tls_reloads_failed_total", NULL,                                 \
          "Changes of the certificate or its key that could not be used")                                              \
        X(watch_edges, GAUGE, "parley_gateway_watched", NULL, "Users that sessions watch, counted for each session")   \
        X(seen, GAUGE, "parley_gateway_seen_users", NULL,                                                              \
          "Users whose presence is kept: watched, or members of a channel in focus")                                   \
        X(places, GAUGE, "parley_gateway_focused_channels", NULL, "Channels that somebody has in focus")               \
        X(look_bytes, GAUGE, "parley_gateway_watch_bytes", NULL,                                                       \
          "What counts to PARLEY_MAX_WATCH_BYTES: watched users and channels in focus")                                \
        X(presence_changes, COUNTER, "parley_gateway_presence_changes_total", NULL, "Changes that presence told")      \
        X(presence_queries, COUNTER, "parley_gateway_presence_queries_total", NULL, "Questions to presence")           \
        X(presence_resyncs, COUNTER, "parley_gateway_presence_resyncs_total", NULL,                                    \
          "Times that everything was asked again, for something was missed")                                           \
        X(presence_frames, COUNTER, "parley_gateway_presence_frames_total", NULL,                                      \
          "Frames presence and channelPresence")                                                                       \
        X(presence_unheard, COUNTER, "parley_gateway_presence_unheard_total", NULL,                                    \
          "Removals from channels that presence had not heard of after a minute, and is believed of all the same")     \
        X(presence_doubted, COUNTER, "parley_gateway_presence_doubted_total", NULL,                                    \
          "Users told as hidden in a snapshot, for it was not known in time whether they may be seen")                 \
        X(typing_received, COUNTER, "parley_gateway_typing_received_total", NULL, "Frames typing of clients")          \
        X(typing_said, COUNTER, "parley_gateway_typing_published_total", NULL, "of these: told to all gateways")       \
        X(typing_hidden, COUNTER, "parley_gateway_typing_hidden_total", NULL,                                          \
          "of those received: of somebody who is invisible, or of whom that cannot be known")                          \
        X(typing_updates, COUNTER, "parley_gateway_typing_updates_total", NULL, "Frames typing to clients")            \
        X(typing_dropped, COUNTER, "parley_gateway_typing_dropped_total", NULL,                                        \
          "Frames typing that were left out, for too much waited for the session")

#define X(var, type, name, labels, help) extern struct metric stat_##var;
STATS_MAP(X)
#undef X
extern struct metric stat_errors[_PARLEY_CODE_N]; /* by enum parley_code */
extern struct metric_histogram stat_publish_seconds, stat_delivery_lag_seconds;

void stats_register(void);
