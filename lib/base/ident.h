/* Identifiers that clients name: channel and user ids, and message ids. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IDENT_MAX 64 /* channel ids and user ids: [A-Za-z0-9_-]{1,64}, one NATS token (design of the subjects) */
#define UUID_LEN 36

bool ident_valid(const char *s);
bool ident_valid_n(const char *s, size_t n);
/* Any version, canonical 8-4-4-4-12 form, upper or lower case hex */
bool uuid_valid(const char *s);
/* A version 7 UUID: unix_ms and 10 random bytes; ret_text has UUID_LEN + 1 bytes. */
void uuid_v7(uint64_t unix_ms, const uint8_t random[10], char *ret_text);
/* When one was made, as it says; false: it is none */
bool uuid_v7_time(const char *s, uint64_t *ret_unix_ms);
/* Random bytes from the kernel; aborts the process when it has none */
void random_bytes(void *p, size_t n);
