/* What a watch keeps in memory: of who is there, not of who has been. The whole loop runs, on real
 * children of a process that ends and renews them between two samples; what the watch has in use is
 * asked of the allocator each time it shows a sample. */
#include "lab/backends.h"
#include "lab/watch/view.h"
#include "lab/watch/watch.h"
#include "tests/support/db.h"
#include "tests/support/skip.h"

#include <features.h>
#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define CHILDREN 40
#define SAMPLES 60
/* Until tables have the size that so many living processes need. */
#define WARM 20

struct fixture {
    struct stored in;
    struct tree tree;
    pid_t parent;
    int order, done;
    bool renew;
    volatile int stop;
    int samples;
    size_t most[2]; /* bytes in use: in the first half of the samples, and in the second */
    int descriptors[2];
};

static void spawn(pid_t *children)
{
    for (int i = 0; i < CHILDREN; i++)
        if ((children[i] = fork()) == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            pause();
            _exit(0);
        }
}

static void end(const pid_t *children)
{
    for (int i = 0; i < CHILDREN; i++)
        kill(children[i], SIGKILL);
    for (int i = 0; i < CHILDREN; i++)
        waitpid(children[i], NULL, 0);
}

/* For each byte other children. */
static void parent_main(int order, int done)
{
    pid_t children[CHILDREN];
    char byte;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    spawn(children);
    while (write(done, "r", 1) == 1 && read(order, &byte, 1) == 1) {
        end(children);
        spawn(children);
    }
    end(children);
    _exit(0);
}

static size_t in_use(void)
{
#if __GLIBC_PREREQ(2, 33)
    struct mallinfo2 m = mallinfo2();
    size_t all = m.uordblks + m.hblkhd; /* 0: another allocator, a sanitizer's */

    /* The store's cache of pages has a bound of its own, which it takes its time to reach. */
    return all ? all - (size_t)sqlite3_memory_used() : 0;
#else
    return 0;
#endif
}

/* Called with each line that the watch shows: the heading, then one per sample. */
static ssize_t on_line(void *arg, const char *text, size_t n)
{
    struct fixture *f = arg;
    int half = f->samples > SAMPLES / 2;
    size_t used = in_use();
    char byte = 'n';

    if (memmem(text, n, "procs", 5))
        return (ssize_t)n;
    f->samples++;
    /* The last sample of a watch holds the rows of all mappings: it is another matter. */
    if (f->samples > WARM && f->samples < SAMPLES && used > f->most[half])
        f->most[half] = used;
    if (f->samples > WARM)
        f->descriptors[half] = count_descriptors();
    if (f->renew && (write(f->order, &byte, 1) != 1 || read(f->done, &byte, 1) != 1))
        f->stop = 1;
    f->stop |= f->samples == SAMPLES - 1;
    return (ssize_t)n;
}

static int set_up(void **state)
{
    struct fixture *f = stored_new(sizeof *f);
    int order[2], done[2];
    struct err e;
    char byte;

    assert_true(pipe(order) == 0 && pipe(done) == 0);
    f->parent = fork();
    if (f->parent == 0) {
        close(order[1]);
        close(done[0]);
        parent_main(order[0], done[1]);
    }
    close(order[0]);
    close(done[1]);
    f->order = order[1];
    f->done = done[0];
    assert_int_equal(read(f->done, &byte, 1), 1);
    tree_init(&f->tree, true);
    assert_int_equal(tree_add(&f->tree, f->parent, &e), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    close(f->order);
    close(f->done);
    waitpid(f->parent, NULL, 0);
    tree_release(&f->tree);
    return stored_tear_down(state);
}

/* How much more in the second half of the samples than in the first is no growth? */
static void watch(struct fixture *f, bool no_frames, size_t slack_kb)
{
    FILE *out = fopencookie(f, "w", (cookie_io_functions_t){.write = on_line});
    struct watch_view view;
    struct watch_options opt = {.every_ns = 1000000,
                                .no_frames = no_frames,
                                .ability = backends[0]->ability,
                                .stop = &f->stop,
                                .view = &view};
    struct watch_result result;
    struct err e;

    if (!in_use())
        skip_needs("an allocator that tells what is in use");
    assert_non_null(out);
    setvbuf(out, NULL, _IOLBF, 4096);
    view_init(&view, out, false, false);
    assert_int_equal(watch_run(&f->tree, f->in.store, &opt, &result, &e), 0);
    fclose(out);
    assert_true(f->samples >= SAMPLES - 1);
    print_message("# %zu processes, %d samples: at most %zu KiB in use, then %zu; %d descriptors\n",
                  f->tree.ever, f->samples, f->most[0] / 1024, f->most[1] / 1024,
                  f->descriptors[1]);
    assert_int_equal(f->descriptors[0], f->descriptors[1]);
    assert_true(f->most[1] < f->most[0] + slack_kb * 1024);
}

/* A watch kept 7 KiB of each: 8 MiB of the second half's. */
static void test_watch_bounded__who_has_ended_is_not_kept(void **state)
{
    struct fixture *f = *state;

    f->renew = true;
    watch(f, true, 256);
    assert_true(f->tree.ever > CHILDREN * (SAMPLES - 2));
}

/* Frames that nobody maps are kept for a while, up to a number. */
static void test_watch_bounded__nor_are_its_frames(void **state)
{
    struct fixture *f = *state;

    f->renew = true;
    watch(f, false, 4096);
}

static void test_watch_bounded__a_tree_that_stands_still(void **state)
{
    struct fixture *f = *state;

    watch(f, false, 256);
    assert_int_equal(f->tree.ever, CHILDREN + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_watch_bounded__who_has_ended_is_not_kept, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_watch_bounded__nor_are_its_frames, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_watch_bounded__a_tree_that_stands_still, set_up,
                                        tear_down),
    };

    mallopt(M_ARENA_MAX, 1); /* mallinfo2 tells of one only */
    sqlite3_initialize();    /* counts what it has in use, unless the store is first */
    return cmocka_run_group_tests_name("watch_bounded", tests, NULL, NULL);
}
