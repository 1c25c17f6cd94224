/* What an event changes at the gateway itself. */
#pragma once

#include "gateway/channel.h"

/* An event with seq and this prev; what cannot be read becomes an EventRemoved{rejected}, so that the chain stays whole. NULL: no memory */
Parley__V1__Event *apply_decode(struct channel *c, const struct raw_event *raw, uint64_t prev);
/* Before it is delivered: kept in the tail, deleted content forgotten, the channel's description changed */
void apply_before(struct channel *c, Parley__V1__Event *event, const struct raw_event *raw);
/* A message or an edit becomes the placeholder of a deleted one */
void apply_blank(Parley__V1__Event *event);
/* After it was delivered and before any later one is: memberships */
void apply_after(struct channel *c, const Parley__V1__Event *event);
