#include "base/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/metrics.h"

static char build_labels[128];
static struct metric build_info = {.name = "parley_build_info",
                                   .help = "1; the labels say what this was built from.",
                                   .type = METRIC_GAUGE,
                                   .labels = build_labels,
                                   .value = 1};
static struct metric cpu_seconds = {.name = "process_cpu_seconds_total",
                                    .help = "Time that the processors spent on this process.",
                                    .type = METRIC_COUNTER};
static struct metric resident_bytes = {
        .name = "process_resident_memory_bytes", .help = "Memory that is in RAM.", .type = METRIC_GAUGE};
static struct metric virtual_bytes = {
        .name = "process_virtual_memory_bytes", .help = "Memory that is mapped.", .type = METRIC_GAUGE};
static struct metric open_fds = {.name = "process_open_fds", .help = "Open file descriptors.", .type = METRIC_GAUGE};
static struct metric max_fds = {
        .name = "process_max_fds", .help = "File descriptors that may be open.", .type = METRIC_GAUGE};
static struct metric start_time = {.name = "process_start_time_seconds",
                                   .help = "When this process began, in seconds since 1970.",
                                   .type = METRIC_GAUGE};

void process_metrics_register(const char *service)
{
        struct metric *const all[] = {&build_info, &cpu_seconds, &resident_bytes, &virtual_bytes,
                                      &open_fds,   &max_fds,     &start_time};
        struct timespec now;

        (void)snprintf(build_labels, sizeof(build_labels), "service=\"%s\",version=\"%s\",revision=\"%s\"", service,
                       PARLEY_VERSION, PARLEY_REVISION);
        if (clock_gettime(CLOCK_REALTIME, &now) == 0)
                metric_set(&start_time, (double)now.tv_sec);
        for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
                metric_register(all[i]);
}

static void update_memory(void)
{
        FILE *f = fopen("/proc/self/statm", "re");
        char line[128], *rest = line;

        if (!f)
                return;
        if (fgets(line, sizeof(line), f)) {
                double page = (double)sysconf(_SC_PAGESIZE);

                metric_set(&virtual_bytes, (double)strtoull(rest, &rest, 10) * page);
                metric_set(&resident_bytes, (double)strtoull(rest, &rest, 10) * page);
        }
        (void)fclose(f);
}

static unsigned descriptors_count(void)
{
        DIR *folder = opendir("/proc/self/fd");
        unsigned n = 0;

        if (!folder)
                return 0;
        while (readdir(folder))
                n++;
        (void)closedir(folder);
        return n > 3 ? n - 3 : 0; /* ".", "..", and the folder's own */
}

static void update_descriptors(void)
{
        struct rlimit limit;
        struct stat folder;

        if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
                metric_set(&max_fds, (double)limit.rlim_cur);
        /* Since Linux 6.2 the folder's size is their number; with 100,000 of them counting takes the loop too long */
        if (stat("/proc/self/fd", &folder) == 0 && folder.st_size > 0)
                metric_set(&open_fds, (double)folder.st_size);
        else
                metric_set(&open_fds, descriptors_count());
}

void process_metrics_update(void)
{
        struct timespec used;

        if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0)
                metric_set(&cpu_seconds, (double)used.tv_sec + (double)used.tv_nsec / 1e9);
        update_memory();
        update_descriptors();
}
