/* Can this machine carry a plan out? */
#include "lab/linux/run.h"
#include "lab/linux/shortage.h"
#include "lab/run/machine.h"
#include "lab/run/paths.h"

#include <errno.h>
#include <inttypes.h>

static int check_capability(const struct plan *plan, int cap, struct err *e)
{
    const struct caps *c = machine_caps();

    if (cap < 0 || c->have[cap])
        return 0;
    return err_set(e, ENOTSUP,
                   "cannot run '%s' here: capability '%s' is missing (%s); to get it: %s",
                   plan->name, cap_rows[cap].name, c->reason[cap], cap_rows[cap].how);
}

/* What the scenario says that it needs, and what its kinds of memory and ways need whether it says
 * so or not. */
static int check_capabilities(const struct plan *plan, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < plan->nneeds; i++)
        rc = check_capability(plan, cap_index(plan->needs[i]), e);
    for (size_t i = 0; rc == 0 && i < plan->nsteps; i++)
        if (plan->steps[i].action == ACT_SNAPSHOT &&
            plan->steps[i].snapshot_way == SNAP_USERFAULTFD)
            rc = check_capability(plan, CAP_USERFAULTFD, e);
        else if (plan->steps[i].action == ACT_MAP)
            rc = check_capability(plan,
                                  plan->steps[i].kind == MK_HUGETLB      ? CAP_HUGETLB
                                  : plan->steps[i].kind == MK_SHMEM_HUGE ? CAP_SHMEM_HUGE
                                                                         : -1,
                                  e);
    return rc;
}

/* The memory that the regions can take at once, and a sixteenth on top for page tables and us. */
static int check_memory(const struct plan *plan, struct err *e)
{
    uint64_t page_kb = machine_caps()->page_size / 1024;
    uint64_t needed_mib = (plan->peak_pages + plan->peak_pages / 16) / (1024 / page_kb);
    struct value available = machine_memory_kb();

    if (!value_is_known(available) || needed_mib <= (uint64_t)available.n / 1024)
        return 0;
    return err_set(e, ENOTSUP,
                   "cannot run '%s' here: memory is missing: it needs up to %" PRIu64
                   " MiB and %" PRId64 " MiB are available",
                   plan->name, needed_mib, available.n / 1024);
}

/* Would this map step's memory be counted when it is mapped (vm.overcommit_memory=2), written or
 * not? Objects are counted page by page. */
static bool is_committed(const struct step *s)
{
    return s->action == ACT_MAP && s->kind != MK_MEMFD_SHARED && s->kind != MK_SHMEM_HUGE &&
           s->kind != MK_ORDINARY && s->kind != MK_PURGEABLE && s->kind != MK_HUGETLB;
}

/* One region that is larger than all that can be mapped: certain before the run. */
static int check_commitment(const struct plan *plan, struct err *e)
{
    struct value left = shortage_commit_left();

    for (size_t i = 0; i < plan->nsteps && value_is_known(left); i++) {
        const struct step *s = &plan->steps[i];
        uint64_t bytes = s->bytes ? s->bytes : s->pages * linux_page_size();

        if (is_committed(s) && bytes > (uint64_t)left.n)
            return err_set(e, ENOTSUP,
                           "cannot run '%s' here: memory is missing: step %d maps %" PRIu64
                           " MiB, and with vm.overcommit_memory=2 %" PRId64
                           " MiB are left of CommitLimit",
                           plan->name, s->number, bytes >> 20, left.n >> 20);
    }
    return 0;
}

int linux_check(const struct plan *plan, struct err *e)
{
    char actor[4096];
    int rc = find_program("cowlab-actor", "COWLAB_ACTOR", actor, sizeof actor, e);

    if (rc == 0)
        rc = check_capabilities(plan, e);
    if (rc == 0)
        rc = check_memory(plan, e);
    return rc < 0 ? rc : check_commitment(plan, e);
}
