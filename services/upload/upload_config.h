/* The settings of upload; upload_config.c has the table. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/open.h"
#include "base/config.h"
#include "bus/bus_config.h"
#include "upload/quota_core.h"

#define UPLOAD_PENDING_TTL_MAX_S 2592000 /* the most that PARLEY_UPLOAD_PENDING_TTL_S takes */

/* Of the S3 store; the settings PARLEY_S3_* */
struct s3_config {
        char *endpoint, *public_endpoint, *region, *bucket, *prefix, *ca;
        char *access_key_id, *secret_access_key, *session_token; /* session_token: or NULL */
        bool path_style;
        uint64_t connect_timeout_ms, timeout_ms, complete_timeout_ms, tries, max_requests, max_waiting;
};

struct upload_config {
        struct bus_config nats;
        char *listen, *admin_listen;
        uint64_t max_connections, max_connections_per_ip;
        char *cors_origin, *trusted_proxies;
        struct auth_config auth;
        char *secret;
        bool rate_limits;
        uint64_t rest_rate, rest_burst, guess_rate;
        char *store; /* "local" or "s3" */
        char *dir, *public_url;
        struct s3_config s3;
        uint64_t max_file_bytes;
        char *types;
        bool require_scan;
        uint64_t quota_bytes, quota_files, max_pending, max_ended;
        uint64_t pending_ttl_s, url_ttl_s, download_ttl_s, descriptor_ttl_s;
        uint64_t max_transfers, max_user_transfers, min_rate, min_rate_window_s, max_reads, max_user_reads;
        uint64_t max_checks, max_user_checks;
        uint64_t sweep_s, reconcile_s, unsent_ttl_s;
        uint64_t stream_replicas;
        bool provision; /* false: the buckets are only looked at */
        uint64_t drain_ms;
        char *log_level;
};

extern const struct config_item upload_config_items[];
extern const size_t n_upload_config_items;

/* 0, or -EINVAL with a line that names the settings that are wrong together, or in a way that the table cannot say */
int upload_config_check(const struct upload_config *config, char *ret_error, size_t n_error);
/* Whether bodies are in S3, else in a folder */
bool upload_config_s3(const struct upload_config *config);
struct quota_limits upload_config_quota(const struct upload_config *config);
