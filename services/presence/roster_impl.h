/* Inside of the roster: who is connected (roster.c), what users say of themselves (roster_status.c). */
#pragma once

#include "presence/roster.h"

struct status;

#define OFFLINE PARLEY__V1__USER_PRESENCE__AVAILABILITY__offline

/* Who is not known is hidden from whoever asks, also from those who share a channel that is open to everyone: they ask again when he is known.
 * NULL: no memory */
struct person *person_get(struct roster *r, const char *user_id);
/* He is to be told */
void person_dirty(struct roster *r, struct person *who);
/* Looks whether others see something else now. told: they do, whatever it is. */
void person_refresh(struct roster *r, struct person *who, bool told);
/* What he had a moment ago ends now */
void person_shed(struct roster *r, struct person *who);
/* By the wall clock, which is looked at again when the time has come, and when it was set (roster_time) */
void status_arm(struct roster *r, struct status *s);
