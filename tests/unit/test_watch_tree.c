/* The tree of a watch: whoever is named, in whatever order, stands behind its parent; and one more
 * costs no more than the one before. open(2) here counts. */
#include "lab/watch/tree.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MANY 32

static int opened;

int open(const char *path, int flags, ...)
{
    va_list ap;
    int mode;

    va_start(ap, flags);
    mode = flags & O_CREAT ? va_arg(ap, int) : 0;
    va_end(ap);
    opened++;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* A process, its child, and so on. */
static pid_t generations(pid_t *pids, int n, int told)
{
    pid_t pid = fork();

    if (pid)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pids[0] = getpid();
    if (write(told, pids, sizeof *pids) != sizeof *pids)
        _exit(1);
    if (n > 1)
        generations(pids + 1, n - 1, told);
    for (;;)
        pause();
}

static void test_watch_tree__parents_stand_first_in_whatever_order_they_come(void **state)
{
    static const int orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {3, 0, 2, 1},
                                    {1, 3, 0, 2}, {2, 0, 1, 3}, {2, 3, 1, 0}};
    pid_t pids[4];
    int told[2];

    (void)state;
    assert_int_equal(pipe(told), 0);
    generations(pids, 4, told[1]);
    for (int i = 0; i < 4; i++)
        assert_int_equal(read(told[0], &pids[i], sizeof *pids), sizeof *pids);
    for (size_t o = 0; o < sizeof orders / sizeof *orders; o++) {
        struct tree tree;
        struct err e;

        tree_init(&tree, false);
        for (int i = 0; i < 4; i++)
            assert_int_equal(tree_add(&tree, pids[orders[o][i]], &e), 0);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(tree.list[i].pid, pids[i]);
            assert_int_equal(tree.list[i].parent, i - 1);
        }
        tree_release(&tree);
    }
    kill(pids[0], SIGKILL);
    waitpid(pids[0], NULL, 0);
    close(told[0]);
    close(told[1]);
}

static void test_watch_tree__of_many_the_last_costs_what_the_first_did(void **state)
{
    pid_t pids[MANY];
    struct tree tree;
    struct err e;
    int first = 0;

    (void)state;
    tree_init(&tree, false);
    for (int i = 0; i < MANY; i++)
        if ((pids[i] = fork()) == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            pause();
            _exit(0);
        }
    for (int i = 0; i < MANY; i++) {
        opened = 0;
        assert_int_equal(tree_add(&tree, pids[i], &e), 0);
        first = first ? first : opened;
        assert_true(opened > 0);
    }
    assert_int_equal(opened, first);
    tree_release(&tree);
    for (int i = 0; i < MANY; i++)
        kill(pids[i], SIGKILL);
    for (int i = 0; i < MANY; i++)
        waitpid(pids[i], NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_watch_tree__parents_stand_first_in_whatever_order_they_come),
        cmocka_unit_test(test_watch_tree__of_many_the_last_costs_what_the_first_did),
    };

    return cmocka_run_group_tests_name("watch_tree", tests, NULL, NULL);
}
