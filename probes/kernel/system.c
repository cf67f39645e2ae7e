#include "probes/system.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Pages that a CPU may hold charged in advance (MEMCG_CHARGE_BATCH, mm/memcontrol.c). */
#define CHARGE_BATCH 64

void system_read_meminfo(struct value *totals, struct slurp *buffer, struct probe_cost *cost)
{
    static const struct {
        enum total_quantity q;
        const char *key;
    } rows[] = {{TQ_MEM_FREE, "MemFree:"},         {TQ_MEM_AVAILABLE, "MemAvailable:"},
                {TQ_ANON_PAGES, "AnonPages:"},     {TQ_SHMEM, "Shmem:"},
                {TQ_PAGE_TABLES, "PageTables:"},   {TQ_COMMITTED_AS, "Committed_AS:"},
                {TQ_COMMIT_LIMIT, "CommitLimit:"}, {TQ_SWAP_FREE, "SwapFree:"}};
    uint64_t began = probe_clock();
    int rc = slurp_path(buffer, "/proc/meminfo");
    unsigned long long n;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        totals[rows[i].q] = rc == 0 && slurp_number(buffer, rows[i].key, &n) == 0
                                ? value_known((int64_t)n)
                                : value_unknown(WHY_READ_FAILED);
    if (rc == 0)
        cost_note(cost, began, buffer->calls, buffer->len);
}

static int read_file(const char *dir, const char *file, struct slurp *buffer)
{
    char path[4096];

    if (snprintf(path, sizeof path, "%s/%s", dir, file) >= (int)sizeof path)
        return -ENAMETOOLONG;
    return slurp_path(buffer, path);
}

/* A file of one number in bytes; "max" (v2) and numbers beyond any memory (v1) mean no limit. */
static int read_bytes(const char *dir, const char *file, struct slurp *buffer,
                      unsigned long long *n)
{
    int rc = read_file(dir, file, buffer);

    return rc < 0 ? rc : slurp_number(buffer, "", n) < 0 ? -ENODATA : 0;
}

static void read_limit(const char *dir, const char *file, struct value *limit, struct slurp *buffer)
{
    unsigned long long n;
    int rc = read_bytes(dir, file, buffer, &n);

    if (rc == -ENODATA || (rc == 0 && n > 1ULL << 60))
        *limit = value_na();
    else
        *limit = rc == 0 ? value_known((int64_t)(n / 1024)) : value_unknown(WHY_READ_FAILED);
}

const char *system_read_cgroup(const char *cgroup, uint64_t page_size, struct value *totals,
                               struct slurp *buffer, struct probe_cost *cost)
{
    static const struct {
        const char *usage, *limit, *words;
    } versions[] = {
        {"memory.current", "memory.max", "memory cgroup of the run (v2, memory.current)"},
        {"memory.usage_in_bytes", "memory.limit_in_bytes",
         "memory cgroup of the run (v1, memory.usage_in_bytes)"}};
    uint64_t began = probe_clock();
    unsigned long long n;

    totals[TQ_SYSTEM] = totals[TQ_SYSTEM_TOLERANCE] = value_unknown(WHY_NO_CGROUP);
    totals[TQ_CGROUP_LIMIT] = value_unknown(WHY_NO_CGROUP);
    for (size_t i = 0; cgroup && i < 2; i++) {
        if (read_bytes(cgroup, versions[i].usage, buffer, &n) < 0)
            continue;
        totals[TQ_SYSTEM] = value_known((int64_t)(n / 1024));
        totals[TQ_SYSTEM_TOLERANCE] = value_known(
            (int64_t)(CHARGE_BATCH * page_size / 1024 * (uint64_t)sysconf(_SC_NPROCESSORS_ONLN)));
        read_limit(cgroup, versions[i].limit, &totals[TQ_CGROUP_LIMIT], buffer);
        cost_note(cost, began, buffer->calls, buffer->len);
        return versions[i].words;
    }
    return NULL;
}

bool list_names(const char *list, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, word, len) == 0 && (at[len] == '\0' || at[len] == ','))
            return true;
    return false;
}

/* Where the memory controller (v1) or the unified hierarchy (v2) is mounted, and which part of
 * the hierarchy the mount shows (in a container not all of it). */
static bool find_mount(struct slurp *mountinfo, int version, char *root, char *point)
{
    for (char *rest = mountinfo->text, *line; (line = strsep(&rest, "\n"));) {
        /* 36 35 98:0 ROOT POINT options [optional fields] - TYPE source superoptions */
        char *dash = strstr(line, " - "), super[1024] = "", type[64] = "";

        if (!dash || sscanf(dash, " - %63s %*s %1023s", type, super) < 1)
            continue;
        if (version == 1 ? strcmp(type, "cgroup") || !list_names(super, "memory")
                         : strcmp(type, "cgroup2") != 0)
            continue;
        if (sscanf(line, "%*d %*d %*s %1023s %1023s", root, point) == 2)
            return true;
    }
    return false;
}

/* The own path in the hierarchy: "4:memory:/a/b" (v1) or "0::/a/b" (v2). */
static bool own_path(struct slurp *cgroups, int version, char *path, size_t size)
{
    for (char *rest = cgroups->text, *line; (line = strsep(&rest, "\n"));) {
        char *list = strchr(line, ':'), *at = list ? strchr(list + 1, ':') : NULL;

        if (!at)
            continue;
        *at = '\0';
        if (version == 1 ? !list_names(list + 1, "memory") : strcmp(line, "0:") != 0)
            continue;
        snprintf(path, size, "%s", at + 1);
        return true;
    }
    return false;
}

int system_cgroup_parent(char *path, size_t size, struct err *e)
{
    return system_cgroup_of(0, path, size, e);
}

int system_cgroup_of(pid_t pid, char *path, size_t size, struct err *e)
{
    struct slurp text = {0};
    char whose[64] = "/proc/self/cgroup";
    char root[1024] = "", point[1024] = "", own[2048] = "", test[4096];
    int found = 0;

    if (pid)
        snprintf(whose, sizeof whose, "/proc/%d/cgroup", (int)pid);
    for (int version = 1; version <= 2 && !found; version++) {
        const char *below = own;

        if (slurp_path(&text, "/proc/self/mountinfo") < 0 ||
            !find_mount(&text, version, root, point) || slurp_path(&text, whose) < 0 ||
            !own_path(&text, version, own, sizeof own))
            continue;
        if (strcmp(root, "/") != 0 && strncmp(own, root, strlen(root)) == 0)
            below = own + strlen(root);
        snprintf(path, size, "%s%s", point, strcmp(below, "/") == 0 ? "" : below);
        snprintf(test, sizeof test, "%s/%s", path,
                 version == 1 ? "memory.usage_in_bytes" : "cgroup.controllers");
        if (access(test, R_OK) != 0)
            continue;
        if (version == 2 &&
            (slurp_path(&text, test) < 0 || !text.text || !strstr(text.text, "memory")))
            continue;
        found = version;
    }
    slurp_release(&text);
    if (!found)
        err_set(e, ENOTSUP, "no memory controller is mounted where this process is");
    return found;
}

/* "oom_kill 3" at the start of a line; v1 keeps some of them in files of their own. */
static struct value count_in(const char *dir, const char *file, const char *key,
                             struct slurp *buffer)
{
    unsigned long long n;
    int rc = read_file(dir, file, buffer);

    if (rc == 0)
        rc = slurp_number(buffer, key, &n);
    return rc == 0 ? value_known((int64_t)n) : value_na();
}

void system_read_cgroup_events(const char *cgroup, struct cgroup_events *out, struct slurp *buffer)
{
    *out = (struct cgroup_events){value_na(), value_na(), value_na(), value_na()};
    if (!cgroup)
        return;
    if (read_file(cgroup, "memory.events", buffer) == 0) {
        out->high = count_in(cgroup, "memory.events", "high", buffer);
        out->max = count_in(cgroup, "memory.events", "max", buffer);
        out->oom = count_in(cgroup, "memory.events", "oom ", buffer);
        out->oom_kill = count_in(cgroup, "memory.events", "oom_kill ", buffer);
    } else {
        out->max = count_in(cgroup, "memory.failcnt", "", buffer);
        out->oom_kill = count_in(cgroup, "memory.oom_control", "oom_kill ", buffer);
    }
}
