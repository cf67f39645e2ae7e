/* Capabilities are tried for real; hiding one hides what cannot work without it. */
#include "probes/caps.h"
#include "probes/kernel/helper.h"
#include "probes/system.h"
#include "tests/support/skip.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void test_caps__what_is_missing_has_a_reason(void **state)
{
    struct caps c;

    (void)state;
    caps_probe(&c);
    for (int i = 0; i < CAP__COUNT; i++) {
        assert_int_equal(c.have[i], c.reason[i][0] == '\0');
        assert_false(c.have[i] && c.hidden[i]);
        if (!c.have[i])
            print_message("# %s: %s\n", cap_rows[i].name, c.reason[i]);
    }
    assert_int_equal(c.page_size, sysconf(_SC_PAGESIZE));
    assert_int_equal(strncmp(c.kernel, "Linux ", 6), 0);
    assert_true(c.have[CAP_PAGEMAP]);
    /* Without the page files nothing can be said of what only they show. */
    assert_int_equal(c.hidden[CAP_DEBT],
                     !c.have[CAP_FRAMES] || !c.have[CAP_KPAGECOUNT] || !c.have[CAP_KPAGEFLAGS]);
    assert_int_equal(c.hidden[CAP_PAGE_MAPCOUNT], c.hidden[CAP_DEBT]);
    if (geteuid() == 0)
        assert_false(c.via_helper);
}

/* A self-test that cannot begin says why: that says nothing of the files. */
static void test_caps__without_descriptors(void **state)
{
    const char *preload = getenv("LD_PRELOAD");
    struct rlimit old, low;
    struct caps c;
    struct err e = {""};

    (void)state;
    if (preload && strstr(preload, "vgpreload"))
        skip_needs("the kernel to see the limit, which valgrind hides");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = 4;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    caps_probe(&c);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_string_equal(c.reason[CAP_PAGEMAP], "Too many open files");
    assert_int_equal(caps_tried(&c, &e), -EMFILE);
    assert_non_null(strstr(e.msg, "Too many open files"));
    caps_probe(&c);
    assert_int_equal(caps_tried(&c, &e), 0);
}

/* Nothing of the self-test is left: no child, no descriptor, no cgroup. */
static void test_caps__leaves_nothing_behind(void **state)
{
    char parent[4096];
    struct caps c;
    struct err e = {""};
    struct stat before, after;
    int fds = 0, after_fds = 0;

    (void)state;
    for (int fd = 0; fd < 256; fd++)
        fds += fcntl(fd, F_GETFD) >= 0;
    if (system_cgroup_parent(parent, sizeof parent, &e))
        assert_int_equal(stat(parent, &before), 0);
    else
        parent[0] = '\0';
    caps_probe(&c);
    for (int fd = 0; fd < 256; fd++)
        after_fds += fcntl(fd, F_GETFD) >= 0;
    assert_int_equal(fds, after_fds);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    if (parent[0]) {
        assert_int_equal(stat(parent, &after), 0);
        assert_int_equal(before.st_nlink, after.st_nlink);
    }
}

static void test_caps__disabled_by_name(void **state)
{
    struct caps c;

    (void)state;
    setenv("COWLAB_DISABLE", "smaps,frames", 1);
    caps_probe(&c);
    unsetenv("COWLAB_DISABLE");
    assert_false(c.have[CAP_SMAPS]);
    assert_string_equal(c.reason[CAP_SMAPS], "switched off by COWLAB_DISABLE");
    assert_false(c.have[CAP_FRAMES]);
    assert_false(c.have[CAP_DEBT]);
    assert_true(c.have[CAP_SMAPS_ROLLUP]); /* a longer name that begins the same */
    if (geteuid() == 0)
        assert_string_equal(c.reason[CAP_KPAGECOUNT], "needs frames");
}

static void test_helper__absent_or_without_capabilities(void **state)
{
    struct helper *h = NULL;
    struct err e = {""};

    (void)state;
    setenv("COWLAB_COWPROBE", "/nonexistent/cowprobe", 1);
    assert_int_equal(helper_start(&h, &e), -ENOENT);
    setenv("COWLAB_COWPROBE", "/bin/true", 1);
    assert_int_equal(helper_start(&h, &e), -EPERM);
    assert_non_null(strstr(e.msg, "no file capabilities"));
    unsetenv("COWLAB_COWPROBE");
    assert_null(h);
}

static void test_system__meminfo_and_no_cgroup(void **state)
{
    struct value totals[TQ__COUNT];
    struct slurp buffer = {0};
    struct probe_cost cost = {0, 0, 0};

    (void)state;
    system_read_meminfo(totals, &buffer, &cost);
    assert_true(value_is_known(totals[TQ_MEM_FREE]) && totals[TQ_MEM_FREE].n > 0);
    assert_true(value_is_known(totals[TQ_COMMITTED_AS]));
    assert_null(system_read_cgroup(NULL, 4096, totals, &buffer, &cost));
    assert_int_equal(totals[TQ_SYSTEM].why, WHY_NO_CGROUP);
    slurp_release(&buffer);
}

/* v1 and v2 by their files, in a directory that looks like a cgroup. */
static void test_system__cgroup_files(void **state)
{
    char dir[] = "/tmp/cowlab-cgroup-XXXXXX", path[64];
    struct value totals[TQ__COUNT];
    struct slurp buffer = {0};
    struct probe_cost cost = {0, 0, 0};
    FILE *f;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/memory.current", dir);
    f = fopen(path, "w");
    fputs("1048576\n", f);
    fclose(f);
    assert_non_null(strstr(system_read_cgroup(dir, 4096, totals, &buffer, &cost), "v2"));
    assert_int_equal(totals[TQ_SYSTEM].n, 1024);
    assert_int_equal(totals[TQ_SYSTEM_TOLERANCE].n, 256 * sysconf(_SC_NPROCESSORS_ONLN));
    assert_false(value_is_known(totals[TQ_CGROUP_LIMIT]));
    snprintf(path, sizeof path, "%s/memory.max", dir);
    f = fopen(path, "w");
    fputs("max\n", f);
    fclose(f);
    system_read_cgroup(dir, 4096, totals, &buffer, &cost);
    assert_int_equal(totals[TQ_CGROUP_LIMIT].why, WHY_NOT_APPLICABLE);
    unlink(path);
    snprintf(path, sizeof path, "%s/memory.current", dir);
    unlink(path);
    rmdir(dir);
    slurp_release(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_caps__what_is_missing_has_a_reason),
        cmocka_unit_test(test_caps__without_descriptors),
        cmocka_unit_test(test_caps__leaves_nothing_behind),
        cmocka_unit_test(test_caps__disabled_by_name),
        cmocka_unit_test(test_helper__absent_or_without_capabilities),
        cmocka_unit_test(test_system__meminfo_and_no_cgroup),
        cmocka_unit_test(test_system__cgroup_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
