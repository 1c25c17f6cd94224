#include "upload/hold_core.h"

/* UNDER_WAY_MS: a gateway waits for so long until a message is in its log */
enum { PART = 24, UNDER_WAY_MS = 5000 };

uint64_t hold_descriptor_end(uint64_t until_ms, uint64_t now_ms, uint64_t ttl_s)
{
        uint64_t end_ms = now_ms + ttl_s * 1000;

        if (until_ms >= end_ms)
                return end_ms;
        return until_ms + ttl_s * 1000 / PART >= end_ms ? until_ms : 0;
}

uint64_t hold_extended(uint64_t now_ms, uint64_t ttl_s)
{
        return now_ms + 2 * ttl_s * 1000;
}

uint64_t hold_first(uint64_t now_ms, uint64_t ttl_s)
{
        return now_ms + ttl_s * 1000;
}

bool hold_known(uint64_t *until_ms, uint64_t now_ms, uint64_t ttl_s)
{
        if (*until_ms)
                return false;
        *until_ms = hold_first(now_ms, ttl_s);
        return true;
}

uint64_t hold_latest(uint64_t until_ms, uint64_t given_ms, uint64_t ttl_s)
{
        uint64_t end_ms = given_ms + ttl_s * 1000;

        return until_ms > end_ms ? until_ms : end_ms;
}

uint64_t hold_end(uint64_t until_ms, uint64_t ttl_s)
{
        return until_ms + ttl_s * 1000 / PART + UNDER_WAY_MS;
}
