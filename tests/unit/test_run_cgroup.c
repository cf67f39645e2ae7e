/* The run's own memory cgroup: a child is in it from its first instruction on, in either version.
 */
#include "lab/linux/cgroup.h"
#include "tests/support/db.h"
#include "tests/support/skip.h"
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
    pid_t pid = run_cgroup_fork(cgroup);
    int status;

    if (pid == 0) {
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
    run_cgroup_remove(cgroup);
    assert_int_equal(access(cgroup, F_OK), -1);
}

static void test_run_cgroup__a_child_is_in_the_runs_own(void **state)
{
    char path[4200];

    (void)state;
    if (run_cgroup_name(path, sizeof path) < 0 || run_cgroup_make(path) < 0) {
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

static void test_run_cgroup__without_one_it_is_a_fork(void **state)
{
    pid_t pid = run_cgroup_fork("");
    int status;

    (void)state;
    if (pid == 0)
        _exit(7);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 7);
}

/* It is gone, or nobody may join it: the child says so and does nothing outside of it. */
static void test_run_cgroup__a_child_that_cannot_be_in_it_exits(void **state)
{
    char *dir = scratch_new();
    pid_t pid = run_cgroup_fork(scratch_path(dir, "gone"));
    int status;

    (void)state;
    if (pid == 0)
        _exit(7);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 125);
    scratch_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_cgroup__a_child_is_in_the_runs_own),
        cmocka_unit_test(test_run_cgroup__a_child_is_in_one_of_version_2),
        cmocka_unit_test(test_run_cgroup__without_one_it_is_a_fork),
        cmocka_unit_test(test_run_cgroup__a_child_that_cannot_be_in_it_exits),
    };

    return cmocka_run_group_tests_name("run_cgroup", tests, NULL, NULL);
}
