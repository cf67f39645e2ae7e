#include "lab/linux/actor/writer.h"

#include "lab/linux/moment.h"
#include "probes/slurp.h"
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES (256 << 10)
#define SPIN_NS 100000       /* a sleep may end so late: the rest of a wait is spun */
#define LONGEST_NAP 10000000 /* until the next look at the command */

#define LOAD(at) __atomic_load_n(at, __ATOMIC_ACQUIRE)
#define STORE(at, n) __atomic_store_n(at, n, __ATOMIC_RELEASE)

/* The call itself: the library's could be ended by a pthread_cancel that nobody makes. */
static void sleep_until(uint64_t ns)
{
    struct timespec t = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

    syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* --- the thread --- */

/* Until the touch is due; when it begins, or 0: no more. */
static uint64_t await_due(struct writer *w, uint64_t due)
{
    for (;;) {
        uint32_t command = LOAD(&w->command);
        uint64_t now;

        if (command == WRITER_STOP)
            return 0;
        if (command == WRITER_PARK) {
            STORE(&w->parked, 1);
            sched_yield();
            continue;
        }
        now = probe_clock();
        if (now >= due)
            return now;
        if (due - now > SPIN_NS)
            sleep_until(due - now > LONGEST_NAP ? now + LONGEST_NAP : due - SPIN_NS);
    }
}

/* What a touch that ended tells of the snapshot: was it held up by its taking? */
static uint32_t note_phase(struct writer *w, uint32_t before, uint64_t waited)
{
    uint32_t phase = LOAD(&w->phase);

    if (before <= WRITER_TAKING && phase >= WRITER_TAKING && waited > w->still_ns)
        w->still_ns = waited;
    if (phase == WRITER_READING)
        STORE(&w->resumed, 1);
    return phase;
}

static int writer_main(void *arg)
{
    struct writer *w = arg;
    uint64_t start = probe_clock(), ended = start, last[2] = {0, 0};
    uint32_t phase = WRITER_BEFORE;

    for (uint64_t n = 1;; n++) {
        uint64_t due = w->rate ? start + n * 1000000000 / w->rate : ended;
        char *page = w->region + moment_page(w->seed, n, w->pages) * w->page_size;
        uint64_t began = await_due(w, due), before = ended > due ? ended : due;
        struct touch_times *part;

        if (!began)
            return 0;
        STORE((uint64_t *)(void *)(page + WRITER_SLOT), w->base + n);
        ended = probe_clock();
        STORE(&w->written, n);
        phase = note_phase(w, phase, ended - before);
        part = &w->times->of[phase == WRITER_BEFORE ? TIMES_TOUCH : TIMES_DURING_TOUCH];
        times_note(&part[TIMES_TOUCH], began, began, ended, &last[0]);
        times_note(&part[TIMES_DUE], due, began, ended, &last[1]);
    }
}

/* --- the actor's side --- */

struct writer *writer_new(struct actor *a)
{
    char *room = mmap(NULL, STACK_BYTES + sizeof(struct writer), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    if (room == MAP_FAILED) {
        actor_fail(a, errno, "no memory for the writer's stack");
        return NULL;
    }
    a->out.snapshot.notes += STACK_BYTES + sizeof(struct writer);
    return (struct writer *)(void *)(room + STACK_BYTES);
}

void writer_free(struct writer *w)
{
    munmap((char *)w - STACK_BYTES, STACK_BYTES + sizeof *w);
}

int writer_start(struct actor *a, struct writer *w, int cpu)
{
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
    int tid = clone(writer_main, w, flags, w, &w->tid, NULL, &w->tid);
    cpu_set_t set;

    if (tid < 0)
        return actor_fail(a, errno, "cannot start the writer's thread");
    a->out.snapshot.cpus = 1;
    if (cpu < 0)
        return 0;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    a->out.snapshot.cpus += sched_setaffinity(tid, sizeof set, &set) == 0;
    return 0;
}

void writer_enter(struct writer *w, enum writer_phase phase)
{
    STORE(&w->phase, phase);
}

/* Until *at is (or is not) zero. */
static int await(const uint32_t *at, int zero, uint64_t until)
{
    for (uint64_t now; (LOAD(at) == 0) != zero;) {
        now = probe_clock();
        if (now >= until)
            return -1;
        sleep_until(now + 20000);
    }
    return 0;
}

int writer_park(struct actor *a, struct writer *w, uint64_t until)
{
    STORE(&w->command, WRITER_PARK);
    return await(&w->parked, 0, until) < 0
               ? actor_fail(a, ETIMEDOUT, "the writer's thread does not stop")
               : 0;
}

void writer_go(struct writer *w)
{
    STORE(&w->command, WRITER_GO);
}

int writer_await_resumed(struct actor *a, struct writer *w, uint64_t until)
{
    return await(&w->resumed, 0, until) < 0
               ? actor_fail(a, ETIMEDOUT, "the writer's thread does not go on")
               : 0;
}

int writer_await_writes(struct writer *w, uint64_t more, uint64_t until)
{
    uint64_t wanted = writer_written(w) + more;

    while (writer_written(w) < wanted) {
        if (probe_clock() >= until)
            return -1;
        sleep_until(probe_clock() + 20000);
    }
    return 0;
}

int writer_stop(struct actor *a, struct writer *w, uint64_t until)
{
    STORE(&w->command, WRITER_STOP);
    return await((const uint32_t *)&w->tid, 1, until) < 0
               ? actor_fail(a, ETIMEDOUT, "the writer's thread does not end")
               : 0;
}

uint64_t writer_written(const struct writer *w)
{
    return LOAD(&w->written);
}
