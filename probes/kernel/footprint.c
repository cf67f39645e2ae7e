#include "probes/footprint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void footprint_init(struct footprint *f, enum why why)
{
    struct value unknown = value_unknown(why);

    *f = (struct footprint){.rss_kb = unknown,
                            .pss_kb = unknown,
                            .uss_kb = unknown,
                            .swap_kb = unknown,
                            .anon_huge_kb = unknown,
                            .peak_kb = unknown,
                            .pagetable_kb = unknown,
                            .virtual_kb = unknown,
                            .minflt = unknown,
                            .majflt = unknown};
}

void footprint_from_maps(struct footprint *f, const struct maps *m)
{
    struct smaps_counters sum = {0};

    for (size_t i = 0; i < m->n; i++)
        smaps_add(&sum, &m->entries[i].kb);
    f->rss_kb = value_known((int64_t)sum.rss);
    f->pss_kb = value_known((int64_t)sum.pss);
    f->uss_kb = value_known((int64_t)(sum.private_clean + sum.private_dirty));
    f->swap_kb = value_known((int64_t)sum.swap);
    f->anon_huge_kb = value_known((int64_t)sum.anon_huge);
}

static void take(struct value *v, const struct slurp *text, const char *key)
{
    unsigned long long n;

    if (slurp_number(text, key, &n) == 0)
        *v = value_known((int64_t)n);
}

void footprint_from_rollup(struct footprint *f, const struct slurp *text)
{
    struct value clean = value_unknown(WHY_READ_FAILED), dirty = clean;

    take(&f->rss_kb, text, "Rss:");
    take(&f->pss_kb, text, "Pss:");
    take(&f->swap_kb, text, "Swap:");
    take(&f->anon_huge_kb, text, "AnonHugePages:");
    take(&clean, text, "Private_Clean:");
    take(&dirty, text, "Private_Dirty:");
    f->uss_kb = value_add(clean, dirty);
}

void footprint_from_status(struct footprint *f, const struct slurp *text)
{
    take(&f->peak_kb, text, "VmHWM:");
    take(&f->pagetable_kb, text, "VmPTE:");
    take(&f->virtual_kb, text, "VmSize:");
    if (!value_is_known(f->rss_kb))
        take(&f->rss_kb, text, "VmRSS:");
    if (!value_is_known(f->swap_kb))
        take(&f->swap_kb, text, "VmSwap:");
}

int footprint_from_stat(struct footprint *f, const struct slurp *text)
{
    const char *open = strchr(text->text, '('), *close = strrchr(text->text, ')');
    unsigned long long minflt, majflt, stime, start;
    int ppid, threads;

    if (!open || !close || close < open)
        return -EPROTO;
    snprintf(f->comm, sizeof f->comm, "%.*s", (int)(close - open - 1), open + 1);
    /* state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime cutime
     * cstime priority nice num_threads itrealvalue starttime (proc(5)) */
    if (sscanf(close + 1,
               " %c %d %*d %*d %*d %*d %*u %llu %*u %llu %*u %*u %llu %*d %*d %*d %*d %d %*d %llu",
               &f->state, &ppid, &minflt, &majflt, &stime, &threads, &start) != 7)
        return -EPROTO;
    f->ppid = ppid;
    f->threads = threads;
    f->minflt = value_known((int64_t)minflt);
    f->majflt = value_known((int64_t)majflt);
    f->stime = stime;
    f->start_time = start;
    return 0;
}

static int slurp_of(struct slurp *text, pid_t pid, const char *file)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    return slurp_path(text, path);
}

int footprint_stat(pid_t pid, struct footprint *out)
{
    struct slurp text = {0};
    int rc = slurp_of(&text, pid, "stat");

    if (rc == 0)
        rc = footprint_from_stat(out, &text);
    slurp_release(&text);
    return rc;
}

static enum why why_of(int rc)
{
    return rc == -EACCES || rc == -EPERM ? WHY_PERMISSION
           : rc == -ENOENT               ? WHY_NO_INTERFACE
           : rc == -ESRCH                ? WHY_GONE
                                         : WHY_READ_FAILED;
}

int footprint_read(pid_t pid, struct footprint *out, struct err *e)
{
    struct slurp text = {0};
    int rc;

    footprint_init(out, WHY_READ_FAILED);
    rc = footprint_stat(pid, out);
    if (rc == -ENOENT || rc == -ESRCH)
        return err_set(e, ESRCH, "there is no process %d", (int)pid);
    if (rc < 0)
        return err_sys(e, rc, "cannot read '/proc/%d/stat'", pid);
    rc = slurp_of(&text, pid, "smaps_rollup");
    if (rc == 0)
        footprint_from_rollup(out, &text);
    else
        out->pss_kb = out->uss_kb = out->anon_huge_kb = value_unknown(why_of(rc));
    if (slurp_of(&text, pid, "status") == 0)
        footprint_from_status(out, &text);
    slurp_release(&text);
    return 0;
}
