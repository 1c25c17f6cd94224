/* Text from outside: UTF-8, numbers, base64url, times. None of these allocate. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Well-formed UTF-8 (no surrogates, no overlong forms), and no NUL byte */
bool utf8_valid(const char *s, size_t n);
/* Bytes of the well-formed character at s, 1 to 4; 0 when there is none (n is 0, a NUL, or malformed or cut short) */
size_t utf8_char_len(const char *s, size_t n);
/* What has no place in a line of text that others see. s: a whole character.
 * A control character (C0, DEL, C1) */
bool utf8_is_control(const char *s);
/* One that changes the direction of text (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069), or ends a line or paragraph (U+2028, U+2029) */
bool utf8_is_layout(const char *s);
/* Decimal digits only, no sign, no space, within [min, max]. 0, or -EINVAL, -ERANGE. */
int text_parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret_value);
/* RFC 4648 section 5 without padding, and strict: bits behind the last byte must be 0, so that each value has one text.
 * Returns the length, or -EINVAL, -ENOBUFS; on errors nothing is written. */
int base64url_decode(const char *s, size_t n, uint8_t *ret, size_t n_ret);
/* Both alphabets, with padding or without, as proto3's JSON mapping takes it; else as above */
int base64_decode(const char *s, size_t n, uint8_t *ret, size_t n_ret);
/* ret needs BASE64_SIZE(n) bytes; NUL-terminated; returns the length */
#define BASE64_SIZE(n) (((n) + 2) / 3 * 4 + 1)
size_t base64url_encode(const uint8_t *p, size_t n, char *ret);
/* The standard alphabet, padded */
size_t base64_encode(const uint8_t *p, size_t n, char *ret);
#define RFC3339_LEN 30 /* "2026-01-02T03:04:05.123456789Z" and less; plus a NUL */
/* Years 1-9999, and nanos from 0 to 999,999,999: what google.protobuf.Timestamp may hold */
bool rfc3339_range(int64_t seconds, int32_t nanos);
/* "…T…Z" with 0, 3, 6 or 9 digits of a second, as the proto3 JSON mapping wants. ret needs RFC3339_LEN + 1.
 * -ERANGE outside rfc3339_range. */
int rfc3339_format(int64_t seconds, int32_t nanos, char *ret);
/* Any offset, up to 9 digits of a second; no leap second, years 1-9999 (in UTC), "T" and "Z" upper case.
 * 0 or -EINVAL. */
int rfc3339_parse(const char *s, int64_t *ret_seconds, int32_t *ret_nanos);
