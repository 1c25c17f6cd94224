/* The texts that NATS and JetStream put around payloads: header blocks, acknowledgement subjects, names, times. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Header names, ours and those of nats-server */
#define HEADER_TRACE_ID "Parley-Trace-Id"
#define HEADER_MSG_ID "Nats-Msg-Id"
#define HEADER_SEQUENCE "Nats-Sequence"
#define HEADER_LAST_SEQUENCE "Nats-Last-Sequence"
#define HEADER_TIME_STAMP "Nats-Time-Stamp"
#define HEADER_SUBJECT "Nats-Subject"
#define HEADER_STATUS "Status"           /* nats.c's name for the first line's code */
#define HEADER_DESCRIPTION "Description" /* and for its text */
#define HEADER_EXPECTED_SUBJECT_SEQUENCE "Nats-Expected-Last-Subject-Sequence"
#define HEADER_KV_OPERATION "KV-Operation"
#define KV_OPERATION_DELETE "DEL"
#define KV_OPERATION_PURGE "PURGE"

/* Where a message of a consumer comes from, read from its reply subject
 * $JS.ACK[.<domain>.<account>].<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>[.<random>] */
struct delivery {
        const char *consumer; /* points into the subject; not terminated */
        size_t n_consumer;
        uint64_t seq;
        uint64_t consumer_seq;
        int64_t time_ns;
        uint64_t pending;
};
bool codec_is_delivery(const char *reply);
/* 0 or -EBADMSG */
int codec_delivery(const char *reply, struct delivery *ret);

/* A number of a header; 0 when it is NULL or not one */
uint64_t codec_header_u64(const char *value);
/* RFC 3339, as in Nats-Time-Stamp and in JSON answers; 0 when it is NULL or not one */
int64_t codec_time_ns(const char *value);

/* The value of a header in a raw block "NATS/1.0\r\nName: value\r\n…\r\n\r\n"; names are compared as they stand. The copy is terminated.
 * false when there is none, or it does not fit. */
bool codec_raw_header(const char *block, size_t n, const char *name, char *ret, size_t n_ret);

/* [A-Za-z0-9_-]+, at most 64: what may stand in $JS.API subjects and JSON without being quoted */
bool codec_name_valid(const char *s);
/* A key of a bucket: tokens of [-/_=A-Za-z0-9] joined by single dots, at most 128 bytes */
bool codec_key_valid(const char *s);
/* A subject to publish to (no wildcard), or to subscribe to */
bool codec_subject_valid(const char *s, bool wildcards);
/* Takes the next of a list separated by commas: 1 and the subject in ret (256 bytes), 0 at the end, -EINVAL. *cursor begins at the list. */
int codec_next_subject(const char **cursor, char *ret);
