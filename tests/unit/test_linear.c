/* What a look costs grows with the mappings of the process, not with their square. The processor
 * time that sixteen looks at 1,250 mappings use, and one at 20,000: about the same, where the
 * square would be sixteen times as much. */
#include "probes/kernel/object.h"
#include "probes/mappings.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define FEW 1250
#define TIMES 16
#define MOST_TIMES 4 /* as far from the one as from the other: others may load the machine */

enum shape { ALTERNATING, OF_A_FILE, OBJECTS };

/* n mappings of a page, of one memory with alternating protections, or of an object each. */
static bool map_many(enum shape shape, size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    int fd = shape == OF_A_FILE ? memfd_create("linear", 0) : -1;
    char *at;

    if (shape == OBJECTS) {
        for (size_t i = 0; i < n; i++)
            if (mmap(NULL, page, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
                return false;
        return true;
    }
    if (shape == OF_A_FILE && ftruncate(fd, (off_t)(n * page)) < 0)
        return false;
    at = mmap(NULL, n * page, PROT_READ | PROT_WRITE,
              fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return false;
    for (size_t i = 0; i < n; i += 2) {
        at[i * page] = 1;
        if (mprotect(at + i * page, page, PROT_READ) < 0)
            return false;
    }
    return true;
}

static pid_t start(enum shape shape, size_t n)
{
    int ready[2];
    char byte = 0;
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        byte = map_many(shape, n);
        if (write(ready[1], &byte, 1) == 1)
            pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    assert_true(byte);
    return pid;
}

static double used(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double look_at(pid_t pid, const struct caps *caps, size_t n, int looks)
{
    double least = 0;

    for (int i = 0; i < 3; i++) {
        double began = used(), took;

        for (int k = 0; k < looks; k++) {
            struct mappings m;
            struct err e;

            assert_int_equal(mappings_look(pid, caps, &m, &e), 0);
            assert_true(m.n >= n);
            mappings_release(&m);
        }
        took = used() - began;
        least = i && least < took ? least : took;
    }
    return least;
}

static void compare(enum shape shape)
{
    double took[2];
    struct caps caps;

    caps_probe(&caps);
    for (int i = 0; i < 2; i++) {
        size_t n = i ? FEW * TIMES : FEW;
        pid_t pid = start(shape, n);

        took[i] = look_at(pid, &caps, n, i ? 1 : TIMES);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    print_message("# %d times %d mappings %.0f ms, %d %.0f ms\n", TIMES, FEW, took[0] * 1e3,
                  FEW * TIMES, took[1] * 1e3);
    assert_true(took[1] < took[0] * MOST_TIMES);
}

static void test_linear__alternating_protections(void **state)
{
    (void)state;
    compare(ALTERNATING);
}

static void test_linear__of_one_object(void **state)
{
    (void)state;
    compare(OF_A_FILE);
}

/* More than descriptors can be had, too. */
static void test_linear__an_object_each(void **state)
{
    struct rlimit was, few = {256, 256};

    (void)state;
    getrlimit(RLIMIT_NOFILE, &was);
    few.rlim_max = was.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    compare(OBJECTS);
    setrlimit(RLIMIT_NOFILE, &was);
}

/* How many files this process is listed to have open, after one was found among them. */
static size_t listed(int fd)
{
    struct open_files files = {0};
    struct map_entry entry = {.name = ""};
    struct object object;
    struct stat st;
    size_t n;

    assert_int_equal(fstat(fd, &st), 0);
    entry.dev = st.st_dev;
    entry.inode = st.st_ino;
    assert_int_equal(object_open(&object, getpid(), &entry, NULL, &files), 0);
    object_close(&object);
    n = files.n;
    open_files_release(&files);
    return n;
}

static void test_linear__a_file_that_is_open_often_is_listed_once(void **state)
{
    int fds[200], fd = memfd_create("often", MFD_CLOEXEC);
    size_t once = listed(fd);

    (void)state;
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        fds[i] = dup(fd);
    assert_int_equal(listed(fd), once);
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        close(fds[i]);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear__alternating_protections),
        cmocka_unit_test(test_linear__of_one_object),
        cmocka_unit_test(test_linear__an_object_each),
        cmocka_unit_test(test_linear__a_file_that_is_open_often_is_listed_once),
    };

    return cmocka_run_group_tests_name("linear", tests, NULL, NULL);
}
