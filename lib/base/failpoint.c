#include "base/failpoint.h"

#ifdef PARLEY_FAILPOINTS

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

#define POINTS_MAX 32
#define NAME_MAX_LEN 64
#define SLEEP_MAX_MS 600000

enum action { ACTION_KILL, ACTION_ERROR, ACTION_SLEEP };

struct point {
        char name[NAME_MAX_LEN + 1];
        enum action action;
        uint64_t sleep_ms;
        uint64_t at; /* 0: every time */
        uint64_t hits;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct point points[POINTS_MAX];
static unsigned n_points;
static bool loaded;

/* A test that misspells its failpoint would test nothing: stop at once. */
static void spec_error(const char *spec)
{
        fprintf(stderr,
                "PARLEY_FAILPOINTS: \"%s\" is not name=kill, name=error or name=sleepMS, "
                "each with @n or @* or nothing\n",
                spec);
        abort();
}

static int parse_action(const char *text, struct point *p)
{
        if (strcmp(text, "kill") == 0)
                p->action = ACTION_KILL;
        else if (strcmp(text, "error") == 0)
                p->action = ACTION_ERROR;
        else if (strncmp(text, "sleep", 5) == 0 && text_parse_u64(text + 5, 1, SLEEP_MAX_MS, &p->sleep_ms) == 0)
                p->action = ACTION_SLEEP;
        else
                return -EINVAL;
        return 0;
}

static int parse_point(char *spec, struct point *p)
{
        char *action = strchr(spec, '='), *at;

        if (!action || action == spec || action - spec > NAME_MAX_LEN)
                return -EINVAL;
        *action++ = '\0';
        p->at = 1;
        at = strchr(action, '@');
        if (at) {
                *at++ = '\0';
                if (strcmp(at, "*") == 0)
                        p->at = 0;
                else if (text_parse_u64(at, 1, UINT64_MAX, &p->at) < 0)
                        return -EINVAL;
        }
        memcpy(p->name, spec, strlen(spec) + 1);
        return parse_action(action, p);
}

static void load(void)
{
        const char *env = getenv("PARLEY_FAILPOINTS");
        char *text, *rest, *spec;

        loaded = true;
        if (!env || !*env)
                return;
        text = strdup(env);
        if (!text)
                abort();
        rest = text;
        while ((spec = strsep(&rest, ","))) {
                if (n_points == POINTS_MAX || parse_point(spec, &points[n_points]) < 0)
                        spec_error(env);
                n_points++;
        }
        free(text);
}

/* Counts the hit on every entry of this name; the first whose turn it is says what to do */
static const struct point *match(const char *name)
{
        const struct point *found = NULL;

        for (unsigned i = 0; i < n_points; i++) {
                struct point *p = &points[i];

                if (strcmp(p->name, name) != 0)
                        continue;
                p->hits++;
                if (!found && (p->at == 0 || p->hits == p->at))
                        found = p;
        }
        return found;
}

static void block_ms(uint64_t ms)
{
        struct timespec left = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

        while (nanosleep(&left, &left) < 0 && errno == EINTR)
                ;
}

int failpoint_hit(const char *name)
{
        const struct point *p;

        pthread_mutex_lock(&lock);
        if (!loaded)
                load();
        p = match(name);
        pthread_mutex_unlock(&lock);

        if (!p)
                return 0;
        switch (p->action) {
        case ACTION_KILL:
                kill(getpid(), SIGKILL);
                pause(); /* the signal is on its way */
                return 0;
        case ACTION_ERROR:
                return -EIO;
        case ACTION_SLEEP:
                block_ms(p->sleep_ms);
                return 0;
        }
        return 0;
}

#endif
