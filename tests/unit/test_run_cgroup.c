/* The run's own memory cgroup: a child is in it from its first instruction on, in either version.
 */
#include "lab/linux/cgroup.h"
#include "tests/support/db.h"
#include "tests/support/skip.h"
#include <errno.h>
#include <mntent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

/* Is a process of this cgroup? */
static bool holds(const char *cgroup, pid_t pid)
{
    char path[4300];
    FILE *f;
    int listed = 0;

    snprintf(path, sizeof path, "%s/cgroup.procs", cgroup);
    f = fopen(path, "re");
    assert_non_null(f);
    while (listed != pid && fscanf(f, "%d", &listed) == 1)
        ;
    fclose(f);
    return listed == pid;
}

static void expect_child_in(const char *cgroup)
{
    bool inside;
    pid_t pid = run_cgroup_fork(cgroup, &inside);
    int status;

    if (pid == 0) {
        if (!inside && run_cgroup_join(cgroup) < 0)
            _exit(125);
        raise(SIGSTOP);
        _exit(0);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    assert_true(holds(cgroup, pid));
    assert_false(holds(cgroup, getpid()));
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    while (rmdir(cgroup) < 0)
        assert_int_equal(errno, EBUSY);
}

static void test_run_cgroup__a_child_is_in_the_runs_own(void **state)
{
    char path[4200], name[32];

    (void)state;
    snprintf(name, sizeof name, "/test-run-cgroup-%d", getpid());
    if (run_cgroup_name(name, path, sizeof path) < 0 || run_cgroup_make(path) < 0) {
        skip_needs("a memory cgroup in which one can be made");
    }
    expect_child_in(path);
}

static void test_run_cgroup__a_child_is_in_one_of_version_2(void **state)
{
    FILE *mounts = setmntent("/proc/self/mounts", "r");
    struct mntent *m;
    char path[4200] = "";

    (void)state;
    while (mounts && !*path && (m = getmntent(mounts)))
        if (strcmp(m->mnt_type, "cgroup2") == 0)
            snprintf(path, sizeof path, "%s/test-run-cgroup-%d", m->mnt_dir, getpid());
    if (mounts)
        endmntent(mounts);
    if (!*path || mkdir(path, 0755) < 0) {
        skip_needs("a cgroup of version 2 in which one can be made");
    }
    expect_child_in(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_cgroup__a_child_is_in_the_runs_own),
        cmocka_unit_test(test_run_cgroup__a_child_is_in_one_of_version_2),
    };

    return cmocka_run_group_tests_name("run_cgroup", tests, NULL, NULL);
}
