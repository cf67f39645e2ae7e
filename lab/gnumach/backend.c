/* The gnumach backend: actors are tasks of a GNU Mach that runs under QEMU.
 *
 * Batch, not dialogue: all plans of a command go in with the guest, which carries them out one
 * after the other; a step here reads the records of that step. So the steps that were read are
 * safe with the store, however the guest ends.
 *
 * Above: protocol.h, what goes in and what comes out. Below: host/, which starts the machine and
 * reads its records. Beside: guest/, which runs in it and of which nothing is included here. */
#include "lab/run/backend.h"
#include "lab/gnumach/ability.h"
#include "lab/gnumach/host/blob.h"
#include "lab/gnumach/host/machine.h"
#include "lab/gnumach/host/reading.h"
#include "lab/gnumach/protocol.h"
#include "lab/run/machine.h"
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define DEADLINE_MS 30000
#define SILENCE_MS 15000    /* the guest says every second that it still works on a step */
#define BASE_MIB 128u       /* kernel, programs, and room that the kernel keeps free */
#define SLOW_PAGES 262144u  /* 1 GiB: emulation takes long enough to say so */
#define PAGE_COPY_NS 15000u /* of an emulated page that is written or copied, roughly */

struct session {
    const struct plan *const *plans;
    size_t nplans;
    struct backend_options opt;
    struct machine *machine;
    struct record_stream records;
    struct machine_parts parts;
    uint64_t memory_mib;
    uint64_t memory_bytes; /* as the guest sees it */
    char *kernel;
    char emulator[208];   /* its version as a JSON value; "" not asked yet */
    uint64_t failed_runs; /* X records so far */
    char failed[1024];    /* the machine is of no more use, and why; "" while it is */
};

struct backend_run {
    struct session *session;
    const struct plan *plan;
    size_t index;
    struct reading *reading;
    struct snapshot snap;
};

static uint64_t gnumach_page_size(void)
{
    return GUEST_PAGE_SIZE;
}

/* --- can it run here? --- */

/* Pages, their page tables and the kernel's own books, and the tenth that it keeps free. */
static uint64_t memory_for(uint64_t peak_pages)
{
    return BASE_MIB + peak_pages * 5 / 4 / (1024 * 1024 / GUEST_PAGE_SIZE);
}

static int gnumach_check(const struct plan *plan, struct err *e)
{
    struct machine_parts parts;
    uint64_t need = memory_for(plan->peak_pages);
    struct value have = machine_memory_kb();
    int rc;

    if (plan->why_not)
        return err_set(e, ENOTSUP, "'%s' cannot run on gnumach: %s", plan->name, plan->why_not);
    rc = blob_check(plan, e);
    rc = rc ? rc : machine_find(&parts, e);
    if (rc == 0 && value_is_known(have) && need > (uint64_t)have.n / 1024)
        rc = err_set(e, ENOTSUP,
                     "'%s' on gnumach needs %" PRIu64 " MiB of free memory for the machine: "
                     "there are %" PRIu64,
                     plan->name, need, (uint64_t)have.n / 1024);
    return rc;
}

/* --- records in their order --- */

static int fail_session(struct session *s, struct err *e, int rc)
{
    const char *tail = s->machine ? machine_console(s->machine)->tail : "";

    if (rc != -EINTR && *tail) {
        char why[400];

        snprintf(why, sizeof why, "%.399s", e->msg);
        rc = err_set(e, -rc, "%s; the guest's console ended with:\n%s", why, tail);
    }
    snprintf(s->failed, sizeof s->failed, "%.1023s", e->msg);
    return rc;
}

/* The next record. A console that ends is a failure: the last record is waited for by nobody. */
static int next_record(struct session *s, struct record *r, struct err *e)
{
    char *line;
    size_t len;
    int rc = 0;

    if (s->failed[0])
        return err_set(e, EIO, "%s", s->failed);
    do {
        if (rc > 0 && s->opt.progress) /* W: once a second */
            s->opt.progress(s->opt.progress_arg, "the guest is at work", -1);
        rc = console_line(machine_console(s->machine), &line, &len, e);
        if (rc == 0)
            rc = err_set(e, EIO, "the guest ended before its work was done");
        if (rc > 0)
            rc = record_parse(&s->records, line, len, r, e);
        if (rc == 0 && len >= 6 && memmem(line, len, "panic ", 6))
            rc = err_set(e, EIO, "the guest's kernel panicked");
    } while (rc == 0 || (rc > 0 && r->letter == 'W')); /* chatter; still at work */
    if (rc < 0)
        return fail_session(s, e, rc);
    s->failed_runs += r->letter == 'X';
    return 0;
}

static const char *mach_error(int64_t rc)
{
    static const struct {
        int64_t rc;
        const char *name;
    } names[] = {{1, "KERN_INVALID_ADDRESS"},
                 {2, "KERN_PROTECTION_FAILURE"},
                 {3, "KERN_NO_SPACE"},
                 {4, "KERN_INVALID_ARGUMENT"},
                 {6, "KERN_RESOURCE_SHORTAGE"},
                 {15, "KERN_INVALID_NAME"},
                 {17, "KERN_INVALID_RIGHT"},
                 {0x10000003, "MACH_SEND_INVALID_DEST"},
                 {0x10000004, "MACH_SEND_TIMED_OUT"},
                 {0x1000000a, "MACH_SEND_INVALID_RIGHT"},
                 {0x1000000c, "MACH_SEND_INVALID_MEMORY"},
                 {0x1000000f, "MACH_SEND_INVALID_TYPE"},
                 {0x10000010, "MACH_SEND_INVALID_HEADER"},
                 {0x10004003, "MACH_RCV_TIMED_OUT"},
                 {0x10004004, "MACH_RCV_TOO_LARGE"}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].rc == rc)
            return names[i].name;
    return "error";
}

/* X: the guest gave this run up. */
static int failed_run(struct record *r, struct err *e)
{
    uint64_t n[2];
    int64_t code;
    char *what;
    size_t len;
    int rc = fields_u64(&r->fields, n, 2, e);

    rc = rc ? rc : field_i64(&r->fields, &code, e);
    rc = rc ? rc : field_text(&r->fields, &what, &len, e);
    if (rc < 0)
        return rc;
    if (code == 0)
        return err_set(e, EIO, "step %" PRIu64 " failed in the guest: %s", n[1], what);
    return err_set(e, EIO, "step %" PRIu64 " failed in the guest: %s: %s (0x%" PRIx64 ")", n[1],
                   what, mach_error(code), (uint64_t)code & 0xffffffffu);
}

/* Reads one observation, up to its Z, which must be that of (run, step). */
static int read_observation(struct session *s, uint64_t run, uint64_t step, struct snapshot *snap,
                            struct err *e)
{
    struct record r;
    uint64_t n[4];
    int rc;

    snapshot_release(snap);
    for (;;) {
        rc = next_record(s, &r, e);
        if (rc < 0)
            return rc;
        if (r.letter == 'X')
            return failed_run(&r, e);
        if (r.letter == 'Z')
            break;
        rc = snapshot_add(snap, &r, e);
        if (rc < 0)
            return fail_session(s, e, rc);
    }
    rc = fields_u64(&r.fields, n, 4, e);
    if (rc == 0 && (n[0] != run || n[1] != step))
        rc = err_set(e, EBADMSG, "the guest told of step %" PRIu64 " of run %" PRIu64, n[1], n[0]);
    if (rc < 0)
        return fail_session(s, e, rc);
    snap->t_ns = n[2];
    snap->look_ns = n[3];
    return 0;
}

static int read_start(struct session *s, struct err *e)
{
    struct record r;
    uint64_t n[5] = {0};
    char *text;
    size_t len;
    int rc = next_record(s, &r, e);

    if (rc == 0 && r.letter != 'H')
        rc = err_set(e, EBADMSG, "the guest's first record is a '%c'", r.letter);
    rc = rc ? rc : fields_u64(&r.fields, n, 5, e);
    rc = rc ? rc : field_text(&r.fields, &text, &len, e);
    if (rc == 0 && (n[0] != GUEST_VERSION || n[1] != GUEST_PAGE_SIZE))
        rc = err_set(e, EBADMSG, "the guest is of another version: run 'make' again");
    if (rc < 0)
        return rc;
    s->memory_bytes = n[2];
    s->kernel = strndup(text, len);
    return s->kernel ? 0 : err_no_memory(e);
}

/* --- the session --- */

static void announce(const struct backend_options *opt, uint64_t peak_pages)
{
    char what[96];

    if (!opt->progress || peak_pages < SLOW_PAGES)
        return;
    snprintf(what, sizeof what, "emulation is slow: this may take %" PRIu64 " s or more",
             peak_pages * PAGE_COPY_NS / 1000000000u + 1);
    opt->progress(opt->progress_arg, what, -1);
}

static int start_machine(struct session *s, const struct backend_options *opt, uint64_t peak_pages,
                         struct err *e)
{
    uint32_t deadline = opt->deadline_ms > 0 ? (uint32_t)opt->deadline_ms
                                             : DEADLINE_MS + (uint32_t)(peak_pages / 8);
    struct machine_options m = {.memory_mib = s->memory_mib,
                                .silence_ms = opt->deadline_ms > 0 ? opt->deadline_ms : SILENCE_MS,
                                .stop = opt->stop};
    void *plan;
    size_t len;
    int rc = blob_build(s->plans, s->nplans, s->records.nonce, deadline, &plan, &len, e);

    if (rc < 0)
        return rc;
    rc = machine_start(&s->machine, &s->parts, plan, len, &m, e);
    free(plan);
    return rc < 0 ? rc : read_start(s, e);
}

static void gnumach_session_close(struct session *s)
{
    if (!s)
        return;
    machine_stop(s->machine);
    free(s->kernel);
    free(s);
}

static int gnumach_session_open(struct session **out, const struct plan *const *plans,
                                size_t nplans, const struct backend_options *opt, struct err *e)
{
    struct session *s = calloc(1, sizeof *s);
    uint64_t peak = 0;
    int rc;

    if (!s)
        return err_no_memory(e);
    s->plans = plans;
    s->nplans = nplans;
    s->opt = *opt;
    for (size_t i = 0; i < nplans; i++)
        if (plans[i]->peak_pages > peak)
            peak = plans[i]->peak_pages;
    s->memory_mib = memory_for(peak);
    rc = machine_find(&s->parts, e);
    if (rc == 0 && getrandom(&s->records.nonce, sizeof s->records.nonce, 0) < 0)
        rc = err_sys(e, errno, "cannot get random numbers");
    if (rc == 0) {
        announce(opt, peak);
        rc = start_machine(s, opt, peak, e);
    }
    if (rc < 0) {
        gnumach_session_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

/* --- one run --- */

static bool read_versions(const char *path, char *text, size_t size)
{
    FILE *f = fopen(path, "re");
    bool got = f && fgets(text, (int)size, f);

    if (f)
        fclose(f);
    if (got)
        text[strcspn(text, "\n")] = '\0';
    return got && text[0] == '{';
}

/* Once per session, and only when a guest runs in it. */
static void ask_emulator(struct session *s)
{
    char version[200];

    if (s->emulator[0])
        return;
    if (machine_version(&s->parts, version, sizeof version) == 0)
        snprintf(s->emulator, sizeof s->emulator, "\"%s\"", version);
    else
        snprintf(s->emulator, sizeof s->emulator, "null");
}

static int describe(struct session *s, struct run_info *info, struct err *e)
{
    char versions[512];

    ask_emulator(s);
    if (!read_versions(s->parts.versions, versions, sizeof versions))
        snprintf(versions, sizeof versions, "{}");
    if (asprintf(&info->machine,
                 "{\"emulator\":\"qemu-system-x86_64\",\"emulator_version\":%s,"
                 "\"accelerator\":\"tcg\",\"cpus\":1,"
                 "\"memory_mib\":%" PRIu64 ",\"versions\":%s}",
                 s->emulator, s->memory_mib, versions) < 0)
        info->machine = NULL;
    info->kernel = strdup(s->kernel);
    info->capabilities = strdup(
        "[{\"name\":\"vm_objects\",\"state\":\"yes\",\"unlocks\":\"chains of memory objects, their "
        "references and resident pages\"},{\"name\":\"frames\",\"state\":\"yes\",\"unlocks\":"
        "\"which pages are really the same memory\"}]");
    if (!info->machine || !info->kernel || !info->capabilities)
        return err_no_memory(e);
    return 0;
}

/* Skips what is left of earlier runs. */
static int find_run(struct session *s, uint64_t index, struct err *e)
{
    for (;;) {
        struct record r;
        uint64_t run = 0;
        int rc = next_record(s, &r, e);

        if (rc < 0)
            return rc;
        if (r.letter == 'X' && strtoull(r.fields, NULL, 10) == index)
            return failed_run(&r, e);
        if (r.letter != 'B' && r.letter != 'Q')
            continue;
        rc = field_u64(&r.fields, &run, e);
        if (rc == 0 && (r.letter == 'Q' || run > index))
            rc = err_set(e, EBADMSG, "the guest did not begin run %" PRIu64, index);
        if (rc < 0)
            return fail_session(s, e, rc);
        if (run == index)
            return 0;
    }
}

static void gnumach_end(struct backend_run *r)
{
    if (!r)
        return;
    reading_free(r->reading);
    snapshot_release(&r->snap);
    free(r);
}

static int gnumach_begin(struct session *s, size_t plan_index, struct backend_run **out,
                         struct run_info *info, struct err *e)
{
    struct backend_run *r = calloc(1, sizeof *r);
    int rc;

    if (!r)
        return err_no_memory(e);
    r->session = s;
    r->plan = s->plans[plan_index];
    r->index = plan_index;
    rc = find_run(s, plan_index, e);
    rc = rc ? rc : read_observation(s, plan_index, 0, &r->snap, e);
    rc = rc ? rc : reading_new(&r->reading, r->plan, s->memory_bytes, &r->snap, e);
    rc = rc ? rc : describe(s, info, e);
    if (rc < 0) {
        gnumach_end(r);
        return rc;
    }
    *out = r;
    return 0;
}

static int expect_number(struct session *s, char letter, uint64_t number, struct err *e)
{
    struct record r;
    uint64_t n = 0;
    int rc = next_record(s, &r, e);

    if (rc == 0 && r.letter == letter)
        rc = field_u64(&r.fields, &n, e);
    if (rc == 0 && (r.letter != letter || n != number))
        rc = fail_session(s, e,
                          err_set(e, EBADMSG,
                                  "the guest closed with '%c %" PRIu64 "' where "
                                  "'%c %" PRIu64 "' was due",
                                  r.letter, n, letter, number));
    return rc;
}

/* After the last step: the guest says that the run is over, and at the very end, how many runs it
 * gave up. A run is complete only then. */
static int read_end(struct backend_run *r, struct err *e)
{
    struct session *s = r->session;
    int rc = expect_number(s, 'D', r->index, e);

    if (rc == 0 && r->index + 1 == s->nplans)
        rc = expect_number(s, 'Q', s->failed_runs, e);
    return rc;
}

static int gnumach_step(struct backend_run *r, const struct step *step, struct step_result *out,
                        struct err *e)
{
    int rc = read_observation(r->session, r->index, (uint64_t)step->number, &r->snap, e);

    rc = rc ? rc : reading_step(r->reading, step, &r->snap, out, e);
    if (rc == 0 && step == &r->plan->steps[r->plan->nsteps - 1])
        rc = read_end(r, e);
    return rc;
}

extern const struct backend backend_gnumach; /* for lab/backends.c */
const struct backend backend_gnumach = {
    .ability = &ability_gnumach,
    .page_size = gnumach_page_size,
    .check = gnumach_check,
    .session_open = gnumach_session_open,
    .begin = gnumach_begin,
    .step = gnumach_step,
    .end = gnumach_end,
    .session_close = gnumach_session_close,
};
