#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z: what google.protobuf.Timestamp may hold */
#define SECONDS_MIN INT64_C(-62135596800)
#define SECONDS_MAX INT64_C(253402300799)
#define DAY_SECONDS 86400

/* Days since 1970-01-01 in the proleptic Gregorian calendar, and back. The year begins in March here, so that the leap
 * day is its last; an era is 400 years or 146097 days. */
static int64_t days_from_civil(int64_t y, unsigned m, unsigned d)
{
        int64_t era, yoe, doy;

        y -= m <= 2;
        era = y / 400; /* y >= 0 here: years begin at 1, or 0 in January and February of it */
        yoe = y - era * 400;
        doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
        return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void civil_from_days(int64_t days, unsigned *ret_y, unsigned *ret_m, unsigned *ret_d)
{
        int64_t z = days + 719468; /* >= 0 from year 0 on */
        int64_t era = z / 146097;
        int64_t doe = z - era * 146097;
        int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
        int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        int64_t mp = (5 * doy + 2) / 153;

        *ret_d = (unsigned)(doy - (153 * mp + 2) / 5 + 1);
        *ret_m = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
        *ret_y = (unsigned)(yoe + era * 400 + (*ret_m <= 2));
}

/* Writes n digits; by hand, because events are written by the ten thousand a second and snprintf took a quarter of that. */
static char *put_digits(char *p, unsigned n, unsigned value, char after)
{
        for (unsigned i = n; i > 0; i--) {
                p[i - 1] = (char)('0' + value % 10);
                value /= 10;
        }
        p[n] = after;
        return p + n + 1;
}

bool rfc3339_range(int64_t seconds, int32_t nanos)
{
        return seconds >= SECONDS_MIN && seconds <= SECONDS_MAX && nanos >= 0 && nanos <= 999999999;
}

int rfc3339_format(int64_t seconds, int32_t nanos, char *ret)
{
        unsigned y, m, d;
        int64_t days, rest;
        char *p = ret;

        if (!rfc3339_range(seconds, nanos))
                return -ERANGE;
        days = seconds / DAY_SECONDS;
        rest = seconds % DAY_SECONDS;
        if (rest < 0) {
                days--;
                rest += DAY_SECONDS;
        }
        civil_from_days(days, &y, &m, &d);
        p = put_digits(p, 4, y, '-');
        p = put_digits(p, 2, m, '-');
        p = put_digits(p, 2, d, 'T');
        p = put_digits(p, 2, (unsigned)(rest / 3600), ':');
        p = put_digits(p, 2, (unsigned)(rest / 60 % 60), ':');
        p = put_digits(p, 2, (unsigned)(rest % 60), nanos == 0 ? 'Z' : '.');
        if (nanos == 0)
                ;
        else if (nanos % 1000000 == 0)
                p = put_digits(p, 3, (unsigned)nanos / 1000000, 'Z');
        else if (nanos % 1000 == 0)
                p = put_digits(p, 6, (unsigned)nanos / 1000, 'Z');
        else
                p = put_digits(p, 9, (unsigned)nanos, 'Z');
        *p = '\0';
        return 0;
}

/* Takes exactly n digits at *s */
static bool take_digits(const char **s, unsigned n, unsigned *ret)
{
        unsigned value = 0;

        for (unsigned i = 0; i < n; i++) {
                char c = (*s)[i];
                if (c < '0' || c > '9')
                        return false;
                value = value * 10 + (unsigned)(c - '0');
        }
        *s += n;
        *ret = value;
        return true;
}

static bool take_char(const char **s, char c)
{
        if (**s != c)
                return false;
        (*s)++;
        return true;
}

static bool take_date(const char **s, int64_t *ret_days)
{
        static const unsigned month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        unsigned y, m, d, last;

        if (!take_digits(s, 4, &y) || !take_char(s, '-') || !take_digits(s, 2, &m) || !take_char(s, '-') ||
            !take_digits(s, 2, &d))
                return false;
        if (y < 1 || m < 1 || m > 12)
                return false;
        last = month_days[m - 1] + (m == 2 && y % 4 == 0 && (y % 100 != 0 || y % 400 == 0));
        if (d < 1 || d > last)
                return false;
        *ret_days = days_from_civil(y, m, d);
        return true;
}

/* No leap second: proto3's timestamps have none */
static bool take_time(const char **s, int64_t *ret_seconds)
{
        unsigned h, m, sec;

        if (!take_digits(s, 2, &h) || !take_char(s, ':') || !take_digits(s, 2, &m) || !take_char(s, ':') ||
            !take_digits(s, 2, &sec))
                return false;
        if (h > 23 || m > 59 || sec > 59)
                return false;
        *ret_seconds = (int64_t)h * 3600 + m * 60 + sec;
        return true;
}

static bool take_fraction(const char **s, int32_t *ret_nanos)
{
        int32_t nanos = 0;
        unsigned n = 0;

        if (!take_char(s, '.')) {
                *ret_nanos = 0;
                return true;
        }
        for (; **s >= '0' && **s <= '9'; (*s)++, n++) {
                if (n == 9)
                        return false;
                nanos = nanos * 10 + (**s - '0');
        }
        if (n == 0)
                return false;
        for (; n < 9; n++)
                nanos *= 10;
        *ret_nanos = nanos;
        return true;
}

static bool take_offset(const char **s, int64_t *ret_seconds)
{
        unsigned h, m;
        int sign;

        if (take_char(s, 'Z')) {
                *ret_seconds = 0;
                return true;
        }
        if (take_char(s, '+'))
                sign = 1;
        else if (take_char(s, '-'))
                sign = -1;
        else
                return false;
        if (!take_digits(s, 2, &h) || !take_char(s, ':') || !take_digits(s, 2, &m) || h > 23 || m > 59)
                return false;
        *ret_seconds = sign * ((int64_t)h * 3600 + m * 60);
        return true;
}

int rfc3339_parse(const char *s, int64_t *ret_seconds, int32_t *ret_nanos)
{
        int64_t days, time, offset, seconds;
        int32_t nanos;

        if (!s || !take_date(&s, &days) || !take_char(&s, 'T') || !take_time(&s, &time) || !take_fraction(&s, &nanos) ||
            !take_offset(&s, &offset) || *s)
                return -EINVAL;
        seconds = days * DAY_SECONDS + time - offset;
        if (seconds < SECONDS_MIN || seconds > SECONDS_MAX)
                return -EINVAL;
        *ret_seconds = seconds;
        *ret_nanos = nanos;
        return 0;
}
