#include "plan.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

struct id {
        char *name;
        uint32_t index;
};

static int compare_ids(const void *a, const void *b)
{
        return strcmp(((const struct id *)a)->name, ((const struct id *)b)->name);
}

static void *must(void *p)
{
        if (!p)
                die("memory");
        return p;
}

static uint32_t room_index(struct plan *p, const char *name)
{
        struct id *id = must(malloc(sizeof(*id))), **found;

        *id = (struct id){.name = must(strdup(name)), .index = p->n_rooms};
        found = must(tsearch(id, &p->ids, compare_ids));
        if (*found != id) {
                free(id->name);
                free(id);
                return (*found)->index;
        }
        if ((p->n_rooms & (p->n_rooms - 1)) == 0)
                p->rooms = must(reallocarray(p->rooms, p->n_rooms ? 2 * (size_t)p->n_rooms : 1, sizeof(*p->rooms)));
        p->rooms[p->n_rooms] = id->name;
        return p->n_rooms++;
}

static void read_rooms(struct plan *p, struct plan_client *c, char *names)
{
        char *save = NULL;

        if (strcmp(names, "-") == 0)
                return;
        for (char *name = strtok_r(names, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
                if (c->n_rooms == PLAN_MAX_ROOMS) {
                        fprintf(stderr, "parley-bench: %s is in more than %d rooms\n", c->user, PLAN_MAX_ROOMS);
                        exit(2);
                }
                if ((c->n_rooms & (c->n_rooms - 1)) == 0)
                        c->rooms = must(
                                reallocarray(c->rooms, c->n_rooms ? 2 * (size_t)c->n_rooms : 1, sizeof(*c->rooms)));
                c->rooms[c->n_rooms++] = room_index(p, name);
        }
}

static void read_line(struct plan *p, char *line, const char *path)
{
        char *save = NULL, *user = strtok_r(line, " \n", &save), *token = strtok_r(NULL, " \n", &save),
             *rooms = strtok_r(NULL, " \n", &save);
        struct plan_client *c;

        if (!rooms) {
                fprintf(stderr, "parley-bench: %s: line %u is not \"USER TOKEN ROOM,ROOM,…\"\n", path,
                        p->n_clients + 1);
                exit(2);
        }
        if ((p->n_clients & (p->n_clients - 1)) == 0)
                p->clients = must(
                        reallocarray(p->clients, p->n_clients ? 2 * (size_t)p->n_clients : 1, sizeof(*p->clients)));
        c = &p->clients[p->n_clients++];
        *c = (struct plan_client){.user = must(strdup(user)), .token = must(strdup(token))};
        read_rooms(p, c, rooms);
}

void plan_read(struct plan *p, const char *path)
{
        FILE *f = path ? fopen(path, "re") : NULL;
        char *line = NULL;
        size_t cap = 0;

        if (!f)
                die(path ? path : "--plan is needed");
        *p = (struct plan){0};
        while (getline(&line, &cap, f) > 0)
                read_line(p, line, path);
        free(line);
        fclose(f);
}

static void free_id(void *id)
{
        free(((struct id *)id)->name);
        free(id);
}

void plan_done(struct plan *p)
{
        for (unsigned i = 0; i < p->n_clients; i++) {
                free(p->clients[i].user);
                free(p->clients[i].token);
                free(p->clients[i].rooms);
        }
        free(p->clients);
        free(p->rooms);
        tdestroy(p->ids, free_id);
        *p = (struct plan){0};
}

uint32_t *plan_audience(const struct plan *p, unsigned n)
{
        uint32_t *audience = must(calloc(p->n_rooms ? p->n_rooms : 1, sizeof(*audience)));

        for (unsigned i = 0; i < n; i++)
                for (unsigned k = 0; k < p->clients[i].n_rooms; k++)
                        audience[p->clients[i].rooms[k]]++;
        return audience;
}
