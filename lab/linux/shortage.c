#include "lab/linux/shortage.h"

#include "lab/run/machine.h"
#include "probes/slurp.h"
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static void append(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void append(struct err *e, const char *fmt, ...)
{
    size_t used = strlen(e->msg);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(e->msg + used, sizeof e->msg - used, fmt, ap);
    va_end(ap);
}

/* The number behind a key ("": the first) of a file below /proc; unknown if it cannot be read. */
static struct value proc_number(const char *path, const char *key)
{
    struct slurp s = {0};
    unsigned long long n;
    bool known = slurp_path(&s, path) == 0 && slurp_number(&s, key, &n) == 0;

    slurp_release(&s);
    return known ? value_known((int64_t)n) : value_unknown(WHY_NO_INTERFACE);
}

static struct value process_number(pid_t pid, const char *key)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/status", pid);
    return proc_number(path, key);
}

struct value shortage_commit_left(void)
{
    struct value limit = proc_number("/proc/meminfo", "CommitLimit:");
    struct value used = proc_number("/proc/meminfo", "Committed_AS:");
    struct value mode = proc_number("/proc/sys/vm/overcommit_memory", "");

    if (!value_is_known(mode) || mode.n != 2 || !value_is_known(limit) || !value_is_known(used))
        return value_unknown(WHY_NO_INTERFACE);
    return value_known((limit.n > used.n ? limit.n - used.n : 0) * 1024);
}

/* The resource limit of the actor that bytes more would exceed. */
static bool explain_limit(struct err *e, pid_t pid, const struct actor_request *rq)
{
    static const struct {
        enum __rlimit_resource resource;
        const char *name, *used;
        bool locks;
    } limits[] = {{RLIMIT_AS, "RLIMIT_AS", "VmSize:", false},
                  {RLIMIT_DATA, "RLIMIT_DATA", "VmData:", false},
                  {RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK", "VmLck:", true}};

    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct value used = process_number(pid, limits[i].used);
        struct rlimit limit;

        if (limits[i].locks != (rq->op == ACT_LOCK) || !value_is_known(used) ||
            prlimit(pid, limits[i].resource, NULL, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY ||
            (uint64_t)used.n * 1024 + rq->len <= limit.rlim_cur)
            continue;
        append(e, " (%s of the actor is %llu bytes, and %" PRId64 " are taken)", limits[i].name,
               (unsigned long long)limit.rlim_cur, used.n * 1024);
        return true;
    }
    return false;
}

/* Mappings: a change of a part of one splits it, into two more. */
static bool explain_mappings(struct err *e, pid_t pid)
{
    struct value most = proc_number("/proc/sys/vm/max_map_count", "");
    struct slurp s = {0};
    int64_t n = 0;
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    if (slurp_path(&s, path) == 0)
        for (const char *p = s.text; (p = strchr(p, '\n')); p++)
            n++;
    slurp_release(&s);
    if (!value_is_known(most) || n + 2 < most.n)
        return false;
    append(e, " (vm.max_map_count is %" PRId64 ", and the actor has %" PRId64 " mappings)", most.n,
           n);
    return true;
}

/* Who may reach into another process's memory. */
static void explain_yama(struct err *e)
{
    struct value scope = proc_number("/proc/sys/kernel/yama/ptrace_scope", "");

    if (value_is_known(scope) && scope.n > 0)
        append(e, " (kernel.yama.ptrace_scope is %" PRId64 ")", scope.n);
}

int shortage_explain_fork(struct err *e, int rc)
{
    if (rc == -EAGAIN)
        append(e, " (a limit on the number of processes: RLIMIT_NPROC, or the cgroup's pids.max)");
    return rc;
}

void shortage_explain(struct err *e, pid_t pid, const struct actor_request *rq, int error)
{
    struct value left;

    if (rq->op == ACT_FORK)
        shortage_explain_fork(e, -error);
    if (error == EPERM && rq->way && rq->pid)
        explain_yama(e);
    if (error != ENOMEM && !(rq->op == ACT_LOCK && (error == EAGAIN || error == EPERM)))
        return;
    if (rq->len)
        append(e, ": %" PRIu64 " bytes", rq->len);
    if (explain_limit(e, pid, rq) || explain_mappings(e, pid))
        return;
    left = shortage_commit_left();
    if (value_is_known(left)) /* some of them are kept for root and for each process */
        append(e, " (vm.overcommit_memory=2: %" PRId64 " bytes are left of CommitLimit)", left.n);
}

struct value shortage_oom_kills(void)
{
    return proc_number("/proc/vmstat", "oom_kill ");
}

void shortage_explain_death(struct err *e, int signal, struct value oom_kills)
{
    struct value now = shortage_oom_kills();

    if (signal == SIGBUS)
        append(e,
               ": a page behind a mapping could not be had (its file system is full, no huge page "
               "is free, or memory is out)");
    else if (signal == SIGKILL && value_is_known(oom_kills) && value_is_known(now) &&
             now.n > oom_kills.n)
        append(e,
               ": the kernel has killed %" PRId64 " process%s for want of memory since the run "
               "began",
               now.n - oom_kills.n, now.n - oom_kills.n == 1 ? "" : "es");
}
