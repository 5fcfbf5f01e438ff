/* What the process itself uses, under the names that every Prometheus client library gives it. */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/file.h"
#include "server/exposition.h"
#include "server/metrics.h"
#include "server/server.h"

enum { STATM_MAX = 256 };

static void write_memory(struct buf *out) {
    struct buf text CLEANUP(buf_free) = BUF_INIT(STATM_MAX);
    struct err unused;
    long long total, resident;
    long page = sysconf(_SC_PAGESIZE);
    if (!file_read("/proc/self/statm", &text, &unused) || sscanf(text.data, "%lld %lld", &total, &resident) != 2)
        return;
    exposition_gauge(out, "process_virtual_memory_bytes", "Virtual memory.", total * page);
    exposition_gauge(out, "process_resident_memory_bytes", "Resident memory.", resident * page);
}

static void write_files(struct buf *out) {
    struct rlimit limit;
    DIR *dir = opendir("/proc/self/fd");
    int64_t count = -3; /* ".", ".." and the folder itself */
    if (dir == NULL)
        return;
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    exposition_gauge(out, "process_open_fds", "Open files and sockets.", count);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        exposition_gauge(out, "process_max_fds", "Ceiling of them.", (int64_t)limit.rlim_cur);
}

void metrics_write_process(struct server *server, struct buf *out) {
    struct rusage usage;
    exposition_head(out, "pawl_build_info", "gauge", "1, and the version that runs.");
    exposition_sample(out, "pawl_build_info", 1, "version", PAWL_VERSION, (const char *)NULL);
    exposition_gauge(out, "process_start_time_seconds", "When the process started (Unix time).", server->started_at);
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        exposition_head(out, "process_cpu_seconds_total", "counter", "Time on a processor.");
        buf_printf(out, "process_cpu_seconds_total %lld.%06lld\n",
                   (long long)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000000),
                   (long long)((usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) % 1000000));
    }
    write_memory(out);
    write_files(out);
}
