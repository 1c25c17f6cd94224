/* What a user says of himself: checked, kept, and what follows from it for others. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/wheel.h"
#include "parley/v1/presence.pb-c.h"

struct roster;
struct person;

/* Characters; as the protocol says. The emoji is one grapheme or a short name, whose longest sequences have about 30 bytes. */
#define STATUS_TEXT_MAX 140
#define STATUS_EMOJI_MAX 32

struct status {
        struct roster *roster;
        struct person *person;
        struct wheel_timer expiry; /* armed: mode_until or text_until lies ahead */
        int64_t mode_until_s;      /* 0: for good */
        int64_t text_until_s;
        uint8_t mode; /* Status.Mode */
        bool hide_last_seen;
        char *emoji; /* behind the text in its memory */
        char text[];
};

/* 0, or -EINVAL with what is wrong, naming the field. now_s: unix; ends that lie before it are refused. */
int status_check(const Parley__V1__Status *status, int64_t now_s, char *ret_error, size_t n_error);
/* NULL: no memory. Texts that are too long are cut off (they did not come through status_check). */
struct status *status_new(const Parley__V1__Status *status);
void status_free(struct status *s);
/* What has ended is cleared. True: something has. */
bool status_expire(struct status *s, int64_t now_s);
/* When the next thing ends; 0: nothing does */
int64_t status_next_end(const struct status *s);
/* Nothing in it differs from having none; NULL has nothing */
bool status_empty(const struct status *s);

/* What others see: UserPresence.Availability */
Parley__V1__UserPresence__Availability status_availability(const struct status *s, bool connected, bool active);
