/* How long a file is kept because descriptors of it may still be sent. Times in ms, unix; until: descriptor_until_ms of its record. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The end of a descriptor that is signed now: ttl_s from now, or up to a 24th less where that saves writing the record. 0: not before the record is
 * written with hold_extended, which lasts for another ttl_s: a record is written once in that time, however many descriptors are given. */
uint64_t hold_descriptor_end(uint64_t until_ms, uint64_t now_ms, uint64_t ttl_s);
uint64_t hold_extended(uint64_t now_ms, uint64_t ttl_s);
/* Of a new record, whose descriptor is signed at once */
uint64_t hold_first(uint64_t now_ms, uint64_t ttl_s);
/* Of a record that does not say it, as older versions wrote them (0): descriptors may have been given until now. True: it says so now, and is to be written */
bool hold_known(uint64_t *until_ms, uint64_t now_ms, uint64_t ttl_s);
/* The end of the last descriptor of a file, as far as that is known: one may have been given as late as given_ms */
uint64_t hold_latest(uint64_t until_ms, uint64_t given_ms, uint64_t ttl_s);
/* When the bytes may go: a message with the last descriptor is in its log by then, also where clocks differ by a 24th of ttl_s */
uint64_t hold_end(uint64_t until_ms, uint64_t ttl_s);
