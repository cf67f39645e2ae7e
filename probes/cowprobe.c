/* cowprobe: regions and pages of a live process as JSON, useful alone and, given file
 * capabilities, the helper that reads page files for an unprivileged cowlab (--serve).
 *
 * It never stops, traces or writes to the process: a snapshot of one that runs is not atomic.
 * Exit codes: 0 done, 2 bad usage, 3 not allowed here, 4 a failure (no such process). */
#include "probes/caps.h"
#include "probes/json.h"
#include "probes/kernel/helper.h"
#include "probes/mappings.h"
#include "probes/signals.h"
#include "probes/stream.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef COWLAB_VERSION
#define COWLAB_VERSION "1.0.0"
#endif

enum { EXIT_USAGE = 2, EXIT_CANNOT = 3, EXIT_FAILED = 4 };

struct request {
    pid_t pid;
    struct mappings_options opt;
    bool compact;
};

static const char usage_text[] =
    "usage: cowprobe [options] PID [START-END]\n"
    "Prints the regions and pages of a process as JSON. START and END are hexadecimal addresses.\n"
    "\n"
    "  -r, --runs=N     keep at most N page runs per region (default 4096; 0: none)\n"
    "  -c, --compact    one line instead of indented text\n"
    "  -t, --threads=N  1 or 2 threads for large reads (default: up to two)\n"
    "  -h, --help       this text\n"
    "  -V, --version    the version\n"
    "\n"
    "The process is not stopped: a snapshot of one that runs is not atomic. What this user or "
    "this\n"
    "kernel cannot know is null, with its reason under \"unknown\". Without root, page frames and "
    "map\n"
    "counts need: setcap cap_sys_admin,cap_dac_read_search=ep cowprobe\n"
    "That lets every user who may execute it see states, map counts and flags of pages of their "
    "own\n"
    "processes, and which share frames; no frame numbers, and nothing of others.\n"
    "Exit codes: 0 done, 2 bad usage, 3 not allowed here, 4 failed.\n";

/* All numbers of a range in full, with or without 0x; both ends are rounded outward to pages. */
static bool parse_range(const char *text, uint64_t page_size, struct mappings_options *r)
{
    char *end;

    errno = 0;
    r->start = strtoull(text, &end, 16);
    if (errno || end == text || *end != '-' || text[0] == '-')
        return false;
    text = end + 1;
    r->end = strtoull(text, &end, 16);
    if (errno || end == text || *end || text[0] == '-' || r->end <= r->start)
        return false;
    r->start -= r->start % page_size;
    if (r->end % page_size)
        r->end += page_size - r->end % page_size;
    return r->end > r->start;
}

static bool parse_number(const char *text, long min, long max, long *out)
{
    char *end;

    errno = 0;
    *out = strtol(text, &end, 10);
    return !errno && end != text && !*end && *out >= min && *out <= max;
}

/* Values: a number or a word, null where unknown (with the reason under "unknown"). */
static cJSON *value_json(struct value v, enum quantity_type type)
{
    const struct word *words = quantity_words(type);
    char text[4];

    if (!value_is_known(v))
        return cJSON_CreateNull();
    if (type == QT_PROTECTION)
        return cJSON_CreateString(protection_text((int)v.n, text));
    if (words)
        return cJSON_CreateString(word_text(words, (int)v.n));
    return cJSON_CreateNumber((double)v.n);
}

static void add_if_any(cJSON *to, const char *key, cJSON *list)
{
    if (cJSON_GetArraySize(list))
        cJSON_AddItemToObject(to, key, list);
    else
        cJSON_Delete(list);
}

/* Fields of one list of quantities; those that do not apply are left out. */
static void add_quantities(cJSON *to, const struct value *q, const struct quantity *list)
{
    cJSON *unknown = cJSON_CreateObject(), *inferred = cJSON_CreateArray();

    for (int i = 0; list[i].column; i++) {
        if (q[i].why == WHY_NOT_APPLICABLE)
            continue;
        cJSON_AddItemToObject(to, list[i].column, value_json(q[i], list[i].type));
        if (!value_is_known(q[i]))
            cJSON_AddStringToObject(unknown, list[i].column, word_text(unknown_reasons, q[i].why));
        else if (q[i].inferred)
            cJSON_AddItemToArray(inferred, cJSON_CreateString(list[i].column));
    }
    add_if_any(to, "unknown", unknown);
    add_if_any(to, "inferred", inferred);
}

static void add_value(cJSON *to, const char *key, struct value v)
{
    cJSON_AddItemToObject(to, key, value_json(v, QT_COUNT));
}

static void add_text(cJSON *to, const char *key, const char *format, unsigned long long n)
{
    char text[40];

    snprintf(text, sizeof text, format, n);
    cJSON_AddStringToObject(to, key, text);
}

/* One more object in a list. */
static cJSON *add_object(cJSON *list)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddItemToArray(list, object);
    return object;
}

static void add_runs(cJSON *region, const struct page_run *runs, size_t n)
{
    cJSON *list = cJSON_AddArrayToObject(region, "runs");

    for (size_t i = 0; i < n; i++) {
        cJSON *run = add_object(list);

        cJSON_AddNumberToObject(run, "first", (double)runs[i].first);
        cJSON_AddNumberToObject(run, "count", (double)runs[i].count);
        cJSON_AddStringToObject(run, "state", word_text(page_states, runs[i].state));
        if (runs[i].frame)
            add_text(run, "frame", "F%llu", (unsigned long long)runs[i].frame);
        if (runs[i].mapcount >= 0)
            cJSON_AddNumberToObject(run, "mapcount", runs[i].mapcount);
        else
            cJSON_AddNullToObject(run, "mapcount");
        if (runs[i].huge)
            cJSON_AddTrueToObject(run, "huge");
        if (runs[i].inferred)
            cJSON_AddTrueToObject(run, "inferred");
    }
}

static void add_objects(cJSON *region, const struct obs_region *r)
{
    cJSON *list = r->nobjects ? cJSON_AddArrayToObject(region, "objects") : NULL;

    for (size_t i = 0; i < r->nobjects; i++) {
        const struct obs_object *o = &r->objects[i];
        cJSON *object = add_object(list);

        add_text(object, "object", "O%llu", (unsigned long long)o->number);
        cJSON_AddStringToObject(object, "kind", o->kind);
        cJSON_AddNumberToObject(object, "depth", o->depth);
        add_value(object, "refs", o->refs);
        add_value(object, "size", o->size);
        add_value(object, "resident", o->resident);
        add_value(object, "offset", o->offset);
    }
}

static void add_region(cJSON *list, const struct mapping *m, size_t max_runs)
{
    const struct obs_region *r = m->region;
    cJSON *region = add_object(list);

    add_text(region, "start", "0x%llx", (unsigned long long)r->start);
    add_text(region, "end", "0x%llx", (unsigned long long)r->end);
    cJSON_AddStringToObject(region, "name", m->entry->name);
    cJSON_AddStringToObject(region, "mapping", m->entry->shared ? "shared" : "private");
    if (m->entry->inode)
        add_text(region, "file_offset", "0x%llx", (unsigned long long)m->entry->offset);
    add_quantities(region, r->q, region_quantities);
    add_objects(region, r);
    if (max_runs)
        add_runs(region, r->runs, r->nruns);
    if (max_runs && r->runs_cut)
        cJSON_AddTrueToObject(region, "runs_cut");
}

static void add_missing(cJSON *root, const struct caps *caps)
{
    cJSON *list = cJSON_AddArrayToObject(root, "missing_capabilities");

    for (int i = 0; i < CAP__COUNT; i++)
        if (!caps->have[i]) {
            cJSON *cap = add_object(list);

            cJSON_AddStringToObject(cap, "capability", cap_rows[i].name);
            cJSON_AddStringToObject(cap, "reason", caps->reason[i]);
            cJSON_AddStringToObject(cap, "unlock", cap_rows[i].how);
        }
}

static void add_checks(cJSON *root, const struct observation *obs)
{
    static const char *const verdicts[] = {"", "held", "differs", "not checked"};
    cJSON *list = cJSON_AddArrayToObject(root, "checks");

    for (size_t i = 0; i < obs->nchecks; i++) {
        const struct obs_check *c = &obs->checks[i];
        cJSON *check;

        /* Of hundreds of regions only what somebody should look at. */
        if (c->region && c->verdict == CHECK_HELD)
            continue;
        check = add_object(list);
        cJSON_AddStringToObject(check, "check", c->check);
        if (c->region)
            cJSON_AddStringToObject(check, "region", c->region);
        add_value(check, "left", c->left);
        add_value(check, "right", c->right);
        cJSON_AddNumberToObject(check, "tolerance", (double)c->tolerance);
        cJSON_AddStringToObject(check, "verdict", verdicts[c->verdict]);
        if (c->detail)
            cJSON_AddStringToObject(check, "detail", c->detail);
    }
}

static void add_costs(cJSON *root, const struct observation *obs)
{
    cJSON *list = cJSON_AddArrayToObject(root, "probe_cost");

    for (size_t i = 0; i < obs->ncosts; i++) {
        cJSON *cost = add_object(list);

        cJSON_AddStringToObject(cost, "probe", obs->costs[i].probe);
        cJSON_AddNumberToObject(cost, "dur_ns", (double)obs->costs[i].dur_ns);
        cJSON_AddNumberToObject(cost, "calls", (double)obs->costs[i].calls);
        cJSON_AddNumberToObject(cost, "bytes", (double)obs->costs[i].bytes);
        if (obs->costs[i].faults_induced.why != WHY_NOT_APPLICABLE)
            add_value(cost, "faults_induced", obs->costs[i].faults_induced);
    }
}

static cJSON *report_json(const struct request *r, const struct caps *caps,
                          const struct mappings *m)
{
    const struct observation *obs = &m->obs;
    cJSON *root = cJSON_CreateObject(), *regions;

    cJSON_AddNumberToObject(root, "pid", r->pid);
    cJSON_AddStringToObject(root, "command", m->fp.comm);
    cJSON_AddStringToObject(root, "kernel", caps->kernel);
    cJSON_AddNumberToObject(root, "page_size", (double)caps->page_size);
    cJSON_AddFalseToObject(root, "atomic");
    add_missing(root, caps);
    add_quantities(cJSON_AddObjectToObject(root, "footprint"), obs->processes[0].q,
                   process_quantities);
    add_value(root, "distinct_kb", obs->totals[TQ_DISTINCT]);
    add_value(root, "distinct_file_kb", obs->totals[TQ_DISTINCT_FILE]);
    regions = cJSON_AddArrayToObject(root, "regions");
    for (size_t i = 0; i < m->n; i++)
        add_region(regions, &m->list[i], r->opt.max_runs);
    add_checks(root, obs);
    add_costs(root, obs);
    return root;
}

static int print_json(cJSON *root, bool compact, struct err *e)
{
    char *text = json_text(root, compact);

    if (!text)
        return err_no_memory(e);
    puts(text);
    free(text);
    return 0;
}

static int probe(const struct request *r, struct err *e)
{
    struct mappings m;
    struct caps caps;
    int rc;

    caps_probe(&caps);
    rc = mappings_observe(r->pid, &caps, &r->opt, &m, e);
    if (rc < 0)
        return rc;
    rc = print_json(report_json(r, &caps, &m), r->compact, e);
    mappings_release(&m);
    return rc;
}

static int complain(const char *what, const char *value)
{
    fprintf(stderr, "cowprobe: %s '%s'\ntry 'cowprobe --help'\n", what, value);
    return EXIT_USAGE;
}

/* The numbers of two descriptors: "SOCKET,MEMORY"; -1 if they are not. Nothing is written before
 * the helper has its capabilities in hand: standard error may be any file. */
static int serve(char *numbers)
{
    char *memory = strchr(numbers, ',');
    struct err e;
    long fd[2];

    if (memory)
        *memory++ = '\0';
    if (!memory || !parse_number(numbers, 0, 1 << 20, &fd[0]) ||
        !parse_number(memory, 0, 1 << 20, &fd[1]))
        return -1;
    if (helper_serve((int)fd[0], (int)fd[1], &e) < 0) {
        fprintf(stderr, "cowprobe: %s\n", e.msg);
        return EXIT_FAILED;
    }
    return 0;
}

/* -1: go on; else the exit code. */
static int parse_options(int argc, char **argv, struct request *r)
{
    static const struct option options[] = {
        {"runs", required_argument, NULL, 'r'},    {"compact", no_argument, NULL, 'c'},
        {"threads", required_argument, NULL, 't'}, {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},       {NULL, 0, NULL, 0}};
    long n;
    int c;

    while ((c = getopt_long(argc, argv, "r:ct:hV", options, NULL)) != -1) {
        switch (c) {
        case 'r':
            if (!parse_number(optarg, 0, 1L << 30, &n))
                return complain("bad number of runs", optarg);
            r->opt.max_runs = (size_t)n;
            break;
        case 't':
            if (!parse_number(optarg, 1, 2, &n))
                return complain("threads are 1 or 2, not", optarg);
            r->opt.threads = (int)n;
            break;
        case 'c':
            r->compact = true;
            break;
        case 'h':
            fputs(usage_text, stdout);
            return 0;
        case 'V':
            puts("cowprobe " COWLAB_VERSION);
            return 0;
        default:
            fputs("try 'cowprobe --help'\n", stderr);
            return EXIT_USAGE;
        }
    }
    return -1;
}

static int parse_arguments(int argc, char **argv, struct request *r)
{
    long n;

    if (argc - optind < 1 || argc - optind > 2) {
        fputs(usage_text, stderr);
        return EXIT_USAGE;
    }
    if (!parse_number(argv[optind], 1, 1L << 30, &n))
        return complain("bad process number", argv[optind]);
    r->pid = (pid_t)n;
    if (argc - optind == 2 &&
        !parse_range(argv[optind + 1], (uint64_t)sysconf(_SC_PAGESIZE), &r->opt))
        return complain("bad range", argv[optind + 1]);
    return -1;
}

static int command(int argc, char **argv)
{
    struct request r = {.opt.max_runs = 4096};
    struct err e = {""};
    int rc, code;

    signals_begin();
    code = argc == 3 && strcmp(argv[1], "--serve") == 0 ? serve(argv[2]) : -1;
    if (code >= 0)
        return code;
    rc = helper_drop_privileges();
    if (rc < 0) { /* never go on with more than the user has */
        err_sys(&e, rc, "cannot give up the capabilities of the file");
    } else {
        code = parse_options(argc, argv, &r);
        if (code < 0)
            code = parse_arguments(argc, argv, &r);
        if (code >= 0)
            return code;
        rc = probe(&r, &e);
    }
    if (rc == 0)
        return 0;
    fprintf(stderr, "cowprobe: %s\n", e.msg);
    return rc == -EACCES || rc == -EPERM ? EXIT_CANNOT : rc == -ERANGE ? EXIT_USAGE : EXIT_FAILED;
}

int main(int argc, char **argv)
{
    int code, rc;

    code = command(argc, argv);
    rc = stream_end(stdout);
    if (rc == 0)
        return code;
    fprintf(stderr, "cowprobe: cannot write to standard output: %s\n", strerror(-rc));
    return code > EXIT_FAILED ? code : EXIT_FAILED;
}
