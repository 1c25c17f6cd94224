/* Every subject, stream and bucket name of Parley; docs/subjects.md describes them. */
#pragma once

#include <stdint.h>

#define SUBJECT_MAX 256

/* hash(channel) mod n_shards (FNV-1a, 64 bits): fixed at installation, never change the function */
uint32_t subject_shard(const char *channel_id, uint32_t n_shards);

/* Each fills ret (SUBJECT_MAX bytes). Ids must be valid (ident_valid). */
void subject_chat(char *ret, uint32_t shard, const char *channel_id);   /* chat.<p>.<channel> */
void subject_live(char *ret, uint32_t shard, const char *channel_id);   /* live.<p>.<channel> */
void subject_chat_stream(char *ret, uint32_t shard);                    /* CHAT_<p> */
void subject_chat_all(char *ret, uint32_t shard);                       /* chat.<p>.> */
void subject_live_all(char *ret, uint32_t shard);                       /* live.<p>.> */
void subject_user(char *ret, const char *user_id);                      /* live.user.<user> */
void subject_digest(char *ret, uint32_t shard);                         /* digest.<p> */
void subject_dlq(char *ret, const char *service);                       /* dlq.<service> */
void subject_presence_gateway(char *ret, const char *gateway_id);       /* presence.gw.<gateway> */
void subject_presence_user(char *ret, const char *user_id);             /* presence.user.<user> */
void subject_typing(char *ret, uint32_t shard, const char *channel_id); /* typing.<p>.<channel> */
/* "chat.<p>.<channel>" or "live.<p>.<channel>" -> the channel, pointing into subject; NULL when it is not one */
const char *subject_channel(const char *subject);
/* The deduplication id of a mutation: "<channel>:<actor>:<id>" ; ret has SUBJECT_MAX bytes */
void subject_msg_id(char *ret, const char *channel_id, const char *actor_id, const char *id);

#define STREAM_SYSTEM "SYSTEM"
#define BUCKET_MEMBERS "MEMBERS"
#define BUCKET_CHANNELS "CHANNELS"
#define KEY_EVERYONE_PREFIX "everyone." /* CHANNELS: a copy of each channel that is open to everyone */
#define BUCKET_UPLOADS "UPLOADS"
#define BUCKET_FILES "FILES"
#define KEY_FILES_FILE "file."                    /* FILES: a file */
#define KEY_FILES_USER "user."                    /* FILES: what counts for a user's quota */
#define KEY_FILES_RECONCILIATION "reconciliation" /* FILES: who compares what is kept, and what was found */
#define SUBJECT_UPLOAD_COMPLETED "upload.completed"
#define RPC_HISTORY_EVENTS "rpc.history.events"
#define RPC_HISTORY_LOOKUP "rpc.history.lookup"
#define RPC_HISTORY_EVENT "rpc.history.event"
#define RPC_HISTORY_FILES "rpc.history.files"
#define RPC_UPLOAD_RELEASE "rpc.upload.release"
#define SUBJECT_GATEWAY_MEMBERSHIP "gateway.membership"
#define SUBJECT_GATEWAY_ALIVE "gateway.alive"
#define BUCKET_PRESENCE "PRESENCE"
#define SUBJECT_PRESENCE_GATEWAYS "presence.gw.*"
#define PRESENCE_HEARTBEAT_MS 10000 /* so often is something on presence.gw.<gateway>, also when nothing has changed */
#define SUBJECT_PRESENCE_SYNC "presence.sync"
#define SUBJECT_PRESENCE_CHANGES "presence.changes"
#define RPC_PRESENCE_QUERY "rpc.presence.query"
#define RPC_PRESENCE_STATUS "rpc.presence.status"
