/* Watchers of the fake world: what they say, and what they are told. */
#pragma once

#include "gateway_fake.h"

#define ONLINE PARLEY__V1__USER_PRESENCE__AVAILABILITY__online
#define OFFLINE PARLEY__V1__USER_PRESENCE__AVAILABILITY__offline
#define AWAY PARLEY__V1__USER_PRESENCE__AVAILABILITY__away
#define PRESENCE PARLEY__V1__SERVER_FRAME__BODY_PRESENCE
#define TYPING PARLEY__V1__SERVER_FRAME__BODY_TYPING
#define CHANNEL_PRESENCE PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_PRESENCE

/* A world with presence, where ada, bob and carla are online, and members of `general` and `news` */
struct fake *fake_look_new(struct fake_presence **ret_presence);
void fake_look_free(struct fake *f);

void fake_watch_list(struct fake_client *c, const char *const *ids, size_t n);
#define fake_watch(c, ...)                                                                                             \
        fake_watch_list(c, (const char *[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *))
void fake_focus(struct fake_client *c, const char *channel);
void fake_ping(struct fake_client *c); /* who is silent for a minute is gone */

/* The last `presence` */
const Parley__V1__Presence *fake_told(const struct fake_client *c);
/* It names him as hidden, and does not show him */
bool fake_hides(const struct fake_client *c, const char *user);
/* How a client has to show him, by all `presence` that came: a value of availability */
enum { FAKE_UNTOLD = -1, FAKE_HIDDEN = -2 };
int fake_sees(const struct fake_client *c, const char *user);

/* He writes in a channel, or does so no more: the answer */
const Parley__V1__ServerFrame *fake_type(struct fake_client *c, const char *channel, const char *thread, bool stopped);
/* Another gateway tells of a writer */
void fake_signal(struct fake *f, const char *channel, const char *user, const char *thread, bool stopped);
/* The last `typing` that came */
const Parley__V1__TypingUsers *fake_typing(const struct fake_client *c);
