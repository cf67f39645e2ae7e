/* A run's directory, and who tidies up in the moment in which it is made: flock(2) here lets
 * another have the lock first. */
#include "lab/linux/rundir.h"
#include "tests/support/db.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static char path[4096];
static int tidier = -1; /* its descriptor, once it has the lock */
static bool tidies;     /* it goes on: removes the directory and gives the lock back */

int flock(int fd, int operation)
{
    if (tidier < 0) {
        tidier = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(syscall(SYS_flock, tidier, LOCK_EX | LOCK_NB), 0);
    } else if (tidies) {
        assert_int_equal(run_dir_remove(path, tidier), 0);
        close(tidier);
        tidies = false;
    }
    return (int)syscall(SYS_flock, fd, operation);
}

static int set_up(void **state)
{
    *state = scratch_new();
    snprintf(path, sizeof path, "%s", scratch_path(*state, "run"));
    tidier = -1;
    return 0;
}

static int tear_down(void **state)
{
    scratch_free(*state);
    return 0;
}

static void test_rundir__a_tidier_that_is_stopped_holds_up_nobody_for_ever(void **state)
{
    struct err e;

    (void)state;
    alarm(60);
    assert_int_equal(run_dir_make(path, "", 10, &e), -ETIMEDOUT);
    assert_non_null(strstr(e.msg, path));
    assert_int_not_equal(access(path, F_OK), 0);
    close(tidier);
}

static void test_rundir__one_that_goes_on_costs_no_run(void **state)
{
    struct err e;
    int dir;

    (void)state;
    tidies = true;
    dir = run_dir_make(path, "", 60000, &e);
    assert_true(dir >= 0);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(run_dir_remove(path, -1), -EBUSY);
    assert_int_equal(run_dir_remove(path, dir), 0);
    close(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_rundir__a_tidier_that_is_stopped_holds_up_nobody_for_ever, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rundir__one_that_goes_on_costs_no_run, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests_name("rundir", tests, NULL, NULL);
}
