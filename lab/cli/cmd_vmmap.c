/* cowlab vmmap PID: the region table of a live process, in the manner of macOS's vmmap(1). */
#include "lab/cli/cli.h"
#include "lab/run/machine.h"
#include "probes/json.h"
#include "probes/mappings.h"
#include "probes/purgeable.h"
#include "probes/rules.h"
#include "reports/escape.h"
#include <argp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

struct vmmap_arguments {
    const char *pid, *kind, *mode;
    int share_mode;
    uint64_t min_kb;
    bool json, summary, writable, non_writable;
};

enum { OPT_WRITABLE = 256, OPT_NON_WRITABLE };

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "as one JSON document", 0},
    {"summary", 's', NULL, 0, "only the summary by type", 0},
    {"type", 't', "TYPE", 0, "only regions whose type contains this text (heap, library, stack)",
     0},
    {"share", 'S', "MODE", 0, "only regions of this share mode: COW, PRV, NUL, SHM, LPG", 0},
    {"min", 'm', "SIZE", 0, "only regions with at least this much resident: 64K, 2M, 1G", 0},
    {"writable", OPT_WRITABLE, NULL, 0, "only writable regions", 0},
    {"non-writable", OPT_NON_WRITABLE, NULL, 0, "only regions that are not writable", 0},
    {0},
};

/* "64K", "2M", "1G"; a bare number is bytes. Returns KiB, UINT64_MAX if it is no size. */
static uint64_t parse_size(const char *text)
{
    static const char units[] = "KMGT";
    char *end;
    double n = strtod(text, &end);
    const char *unit = *end ? strchr(units, *end >= 'a' ? *end - 32 : *end) : NULL;

    for (const char *u = units; unit && u < unit; u++)
        n *= 1024;
    if (end == text || !(n >= 0 && n < 1e18) || (*end && (!unit || end[1])))
        return UINT64_MAX;
    return (uint64_t)(*end ? n : n / 1024);
}

static int parse_mode(const char *text)
{
    for (const struct word *w = share_modes; w->text; w++)
        if (strcasecmp(text, w->label) == 0 || strcasecmp(text, w->text) == 0)
            return w->code;
    return -1;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct vmmap_arguments *a = state->input;

    switch (key) {
    case 'j':
        a->json = true;
        return 0;
    case 's':
        a->summary = true;
        return 0;
    case 't':
        a->kind = arg;
        return 0;
    case 'S':
        a->share_mode = parse_mode(arg);
        if (a->share_mode < 0)
            argp_error(state, "'%s' is no share mode: COW, PRV, NUL, SHM, LPG", arg);
        return 0;
    case 'm':
        a->min_kb = parse_size(arg);
        if (a->min_kb == UINT64_MAX)
            argp_error(state, "'%s' is no size: say 64K, 2M, 1G", arg);
        return 0;
    case OPT_WRITABLE:
        a->writable = true;
        return 0;
    case OPT_NON_WRITABLE:
        a->non_writable = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->pid)
            argp_error(state, "one process at a time");
        a->pid = arg;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "name a process by its number");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* -- numbers ---------------------------------------------------------------------------- */

/* As vmmap prints them: at most three digits and a unit, "16K", "1.4M", "213M"; "213M+": at least,
 * which is how sizes here are inferred. */
static const char *size_text(char *buf, size_t cap, struct value kb)
{
    static const char units[] = "KMGT";
    double n = (double)kb.n;
    int unit = 0;

    if (!value_is_known(kb))
        return kb.why == WHY_NOT_APPLICABLE ? "-" : "?";
    for (; n >= 1000 && unit < 3; unit++)
        n /= 1024;
    snprintf(buf, cap, unit && n < 100 ? "%.1f%c%s" : "%.0f%c%s", n, units[unit],
             kb.inferred ? "+" : "");
    return buf;
}

static struct value pages_kb(struct value pages)
{
    pages.n *= (int64_t)machine_caps()->page_size / 1024;
    return pages;
}

static bool kernel_names_memory(void)
{
    return prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, 0, 0, PURGEABLE_NAME) == 0;
}

/* The letter of vmmap's PURGE column. V: of some of it Linux was told that it may drop it
 * (MADV_FREE). N: purgeable memory of the Mach layer, which has no volatile memory: it says so by
 * its name; where the kernel keeps none, by its place. */
static struct value purge_of(const struct mappings *m, const struct mapping *r)
{
    const uint64_t place = (r->entry->start - PLACE_FIRST) / PLACE_SIZE;

    if (r->entry->kb.lazy_free)
        return value_known('V');
    if (strcmp(r->entry->name, "[anon:" PURGEABLE_NAME "]") == 0)
        return value_known('N');
    if (place == PLACE_PURGEABLE)
        return value_inferred('N');
    if (r->kind == RK_ANON && place >= PLACE__COUNT && !kernel_names_memory())
        return value_unknown(WHY_NO_NAMES);
    return m->maps.counted || r->entry->shared ? value_na() : value_unknown(WHY_NO_INTERFACE);
}

/* In KiB. Of pages: smaps's sums, and explicit huge pages, which it leaves out of its RSS. */
struct sizes {
    struct value virt, resident, rss, private, shared, dirty, swapped, hugetlb, lazy;
};

/* What the pages could not tell smaps may: the object's pages that are mapped here are in memory,
 * whatever else of it is. */
static struct sizes sizes_of(const struct mappings *m, const struct mapping *r)
{
    const struct smaps_counters *kb = &r->entry->kb;
    struct sizes s = {.virt = value_known((int64_t)(r->entry->end - r->entry->start) / 1024),
                      .resident = pages_kb(r->region->q[RQ_RESIDENT]),
                      .swapped = pages_kb(r->region->q[RQ_SWAPPED])};
    struct value unknown = value_unknown(WHY_NO_INTERFACE);

    s.rss = s.private = s.shared = s.dirty = s.hugetlb = s.lazy = unknown;
    if (!m->maps.counted)
        return s;
    s.lazy = value_known((int64_t)kb->lazy_free);
    s.rss = value_known((int64_t)kb->rss);
    s.hugetlb = value_known((int64_t)(kb->private_hugetlb + kb->shared_hugetlb));
    s.private = value_known((int64_t)(kb->private_clean + kb->private_dirty + kb->private_hugetlb));
    s.shared = value_known((int64_t)(kb->shared_clean + kb->shared_dirty + kb->shared_hugetlb));
    s.dirty = value_known((int64_t)(kb->private_dirty + kb->shared_dirty + s.hugetlb.n));
    if (!value_is_known(s.resident))
        s.resident = value_inferred(s.rss.n + s.hugetlb.n);
    if (!value_is_known(s.swapped))
        s.swapped = value_known((int64_t)kb->swap);
    return s;
}

static bool writable(const struct mapping *r)
{
    return (r->entry->prot & 2) != 0;
}

static bool wanted(const struct vmmap_arguments *a, const struct mappings *m,
                   const struct mapping *r)
{
    struct value mode = r->region->q[RQ_SHARE_MODE];

    if (a->kind && !strstr(word_text(region_kinds, (int)r->kind), a->kind))
        return false;
    if (a->share_mode && (!value_is_known(mode) || mode.n != a->share_mode))
        return false;
    if ((a->writable && !writable(r)) || (a->non_writable && writable(r)))
        return false;
    if (a->min_kb) {
        struct value resident = sizes_of(m, r).resident;

        return value_is_known(resident) && (uint64_t)resident.n >= a->min_kb;
    }
    return true;
}

/* -- text ------------------------------------------------------------------------------- */

/* "-": nobody's to count. Where it is unknown, what smaps says: a page mapped elsewhere, or one
 * mapped here. */
static const char *refs_text(char *buf, size_t cap, struct value refs, const struct sizes *s)
{
    if (value_is_known(refs))
        snprintf(buf, cap, "%s%lld", refs.inferred ? "~" : "", (long long)refs.n);
    else if (refs.why == WHY_NOT_APPLICABLE)
        snprintf(buf, cap, "-");
    else if (value_is_known(s->shared) && s->shared.n + s->private.n)
        snprintf(buf, cap, "%d+", s->shared.n ? 2 : 1);
    else
        snprintf(buf, cap, "?");
    return buf;
}

static void region_line(const struct mappings *m, const struct mapping *r)
{
    struct sizes s = sizes_of(m, r);
    struct value mode = r->region->q[RQ_SHARE_MODE], refs = r->region->q[RQ_REF_COUNT];
    struct value purge = purge_of(m, r);
    char b[5][24], prot[4], max[4], count[24];

    printf("%-15s %012llx-%012llx [%6s %6s %6s %6s %6s] %s/%s SM=%s %4s %s%c  ",
           word_text(region_kinds, (int)r->kind), (unsigned long long)r->entry->start,
           (unsigned long long)r->entry->end, size_text(b[0], sizeof b[0], s.virt),
           size_text(b[1], sizeof b[1], s.resident), size_text(b[2], sizeof b[2], s.rss),
           size_text(b[3], sizeof b[3], s.dirty), size_text(b[4], sizeof b[4], s.swapped),
           protection_text(r->entry->prot, prot),
           r->max_prot < 0 ? "???" : protection_text(r->max_prot, max),
           value_is_known(mode) ? word_label(share_modes, (int)mode.n) : "?  ",
           refs_text(count, sizeof count, refs, &s), purge.inferred ? "   ~" : "    ",
           value_is_known(purge)             ? (char)purge.n
           : purge.why == WHY_NOT_APPLICABLE ? '-'
                                             : '?');
    escape_terminal(stdout, r->entry->name);
    printf("\n");
}

static void section(const struct vmmap_arguments *a, const struct mappings *m, bool for_writable)
{
    printf("==== %s regions for process %s\n", for_writable ? "Writable" : "Non-writable", a->pid);
    printf("%-15s %25s [%6s %6s %6s %6s %6s] PRT/MAX SHRMOD REFS PURGE  REGION DETAIL\n",
           "REGION TYPE", "START - END         ", "VSIZE", "RSDNT", "RSS", "DIRTY", "SWAP");
    for (size_t i = 0; i < m->n; i++)
        if (writable(&m->list[i]) == for_writable && wanted(a, m, &m->list[i]))
            region_line(m, &m->list[i]);
    printf("\n");
}

struct total {
    struct sizes sizes;
    size_t count;
};

static void add_sizes(struct total *t, struct sizes s)
{
    t->count++;
    t->sizes.virt = value_add(t->sizes.virt, s.virt);
    t->sizes.resident = value_add(t->sizes.resident, s.resident);
    t->sizes.rss = value_add(t->sizes.rss, s.rss);
    t->sizes.private = value_add(t->sizes.private, s.private);
    t->sizes.shared = value_add(t->sizes.shared, s.shared);
    t->sizes.dirty = value_add(t->sizes.dirty, s.dirty);
    t->sizes.swapped = value_add(t->sizes.swapped, s.swapped);
    t->sizes.hugetlb = value_add(t->sizes.hugetlb, s.hugetlb);
    t->sizes.lazy = value_add(t->sizes.lazy, s.lazy);
}

static struct total total_of(const struct vmmap_arguments *a, const struct mappings *m, int kind)
{
    struct total t = {.count = 0};

    for (size_t i = 0; i < m->n; i++)
        if ((!kind || (int)m->list[i].kind == kind) && wanted(a, m, &m->list[i]))
            add_sizes(&t, sizes_of(m, &m->list[i]));
    return t;
}

static void total_line(const char *name, const struct total *t)
{
    const struct value of[] = {t->sizes.virt,    t->sizes.resident, t->sizes.rss,
                               t->sizes.private, t->sizes.shared,   t->sizes.dirty,
                               t->sizes.swapped, t->sizes.lazy};
    char b[24];

    printf("%-15s", name);
    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        printf(" %8s", size_text(b, sizeof b, of[i]));
    printf(" %7zu\n", t->count);
}

/* Why TOTAL RESIDENT is not RSS. */
static void explain_total(const struct sizes *all)
{
    struct value rest = value_sub(value_sub(all->resident, all->rss), all->hugetlb);
    char b[24];

    printf(
        "\nRESIDENT is in memory behind the regions; RSS is what of it this process maps: PRIVATE "
        "pages, which nobody\nelse maps, and SHARED ones.");
    if (value_is_known(all->hugetlb) && all->hugetlb.n)
        printf(" RSS leaves out %s of explicit huge pages; PRIVATE, SHARED and DIRTY count them.",
               size_text(b, sizeof b, all->hugetlb));
    if (all->resident.inferred)
        printf(" +: at least; what else of the objects is in memory cannot be seen.");
    else if (value_is_known(rest) && rest.n > 0)
        printf(
            " The other %s are pages of files and shared memory that\nare in memory and not mapped "
            "here.",
            size_text(b, sizeof b, rest));
    printf("\n");
}

static void summary(const struct vmmap_arguments *a, const struct mappings *m)
{
    struct total all = total_of(a, m, 0);

    printf("==== Summary for process %s\n", a->pid);
    printf("%-15s %8s %8s %8s %8s %8s %8s %8s %8s %7s\n", "REGION TYPE", "VIRTUAL", "RESIDENT",
           "RSS", "PRIVATE", "SHARED", "DIRTY", "SWAPPED", "VOLATILE", "REGIONS");
    for (const struct word *k = region_kinds; k->text; k++) {
        struct total t = total_of(a, m, k->code);

        if (t.count)
            total_line(k->text, &t);
    }
    if (!all.count)
        return;
    total_line("TOTAL", &all);
    explain_total(&all.sizes);
}

/* What of a mapping's memory is this process's alone. Of a file's that is what was written to a
 * private mapping: the file's own pages, dirty or not, are the page cache's. */
static int64_t own_kb(const struct mapping *r)
{
    const struct smaps_counters *kb = &r->entry->kb;
    struct value cow = pages_kb(r->region->q[RQ_COW]);
    int64_t anonymous = (int64_t)kb->anonymous, dirty = (int64_t)kb->private_dirty;

    if (!r->entry->inode || strcmp(mapping_object_kind(r->entry->name, true), "file") != 0)
        return (int64_t)kb->private_clean + dirty;
    if (value_is_known(cow))
        return anonymous > cow.n ? anonymous - cow.n : 0;
    return dirty < anonymous ? dirty : anonymous;
}

/* What the process is charged for by itself: memory of its own, what was swapped out, and its
 * explicit huge pages, which are in no other sum of smaps. */
static struct value physical_footprint(const struct mappings *m)
{
    struct value sum = value_known(0);

    if (!m->maps.counted)
        return value_unknown(WHY_NO_INTERFACE);
    for (size_t i = 0; i < m->n; i++) {
        const struct smaps_counters *kb = &m->list[i].entry->kb;

        sum.n += own_kb(&m->list[i]) + (int64_t)(kb->private_hugetlb + kb->swap);
    }
    return sum;
}

static void heading(const struct vmmap_arguments *a, const struct mappings *m)
{
    char b[5][24];

    printf("Process:                    ");
    escape_terminal(stdout, m->fp.comm);
    printf(" [%s], parent %d\nPath:                       ", a->pid, (int)m->fp.ppid);
    escape_terminal(stdout, *m->exe ? m->exe : "?");
    printf("\nPhysical footprint:         %s (memory of its own, huge pages, and what is swapped)\n"
           "Physical footprint (peak):  %s at most (peak RSS: Linux keeps no peak of the former)\n"
           "RSS, PSS, USS:              %s, %s, %s\n\n",
           size_text(b[0], sizeof b[0], physical_footprint(m)),
           size_text(b[1], sizeof b[1], m->fp.peak_kb), size_text(b[2], sizeof b[2], m->fp.rss_kb),
           size_text(b[3], sizeof b[3], m->fp.pss_kb), size_text(b[4], sizeof b[4], m->fp.uss_kb));
}

/* The reasons behind the question marks, each once. */
static void reasons(const struct mappings *m)
{
    bool seen[WHY__COUNT] = {false};

    for (size_t i = 0; i < m->n; i++) {
        const struct value *q = m->list[i].region->q;

        seen[q[RQ_SHARE_MODE].why] = seen[q[RQ_REF_COUNT].why] = seen[q[RQ_RESIDENT].why] =
            seen[purge_of(m, &m->list[i]).why] = true;
    }
    for (int why = WHY_NO_FRAMES; why < WHY__COUNT; why++)
        if (seen[why])
            printf("?, +: %s; to see it: %s\n", word_text(unknown_reasons, why),
                   *word_label(unknown_reasons, why) ? word_label(unknown_reasons, why) : "-");
}

static void print_text(const struct vmmap_arguments *a, const struct mappings *m)
{
    heading(a, m);
    if (!a->summary) {
        if (!a->writable)
            section(a, m, false);
        if (!a->non_writable)
            section(a, m, true);
    }
    summary(a, m);
    if (!a->summary)
        printf(
            "\nSM: COW copy-on-write, PRV private, NUL empty, SHM shared, LPG large pages. REFS: "
            "how many processes map it;\n~ concluded from the mappings that may be read and from "
            "map "
            "counts; + at least, by smaps.\nPURGE: N purgeable memory of a Mach program, V with "
            "pages that the kernel may drop (MADV_FREE);\n~ concluded from where it lies. The "
            "process ran on meanwhile.\n");
    reasons(m);
}

/* -- JSON ------------------------------------------------------------------------------- */

static void put(cJSON *o, const char *key, struct value v)
{
    if (value_is_known(v))
        cJSON_AddNumberToObject(o, key, (double)v.n);
    else
        cJSON_AddNullToObject(o, key);
}

static void put_quantity(cJSON *o, int q, struct value v)
{
    const struct quantity *row = &region_quantities[q];
    char prot[4];

    if (!value_is_known(v) && v.why != WHY_NOT_APPLICABLE)
        cJSON_AddNullToObject(o, row->column);
    else if (value_is_known(v) && row->type == QT_PROTECTION)
        cJSON_AddStringToObject(o, row->column, protection_text((int)v.n, prot));
    else if (value_is_known(v) && quantity_words(row->type))
        cJSON_AddStringToObject(o, row->column, word_text(quantity_words(row->type), (int)v.n));
    else if (value_is_known(v))
        cJSON_AddNumberToObject(o, row->column, (double)v.n);
}

static cJSON *region_json(const struct mappings *m, const struct mapping *r)
{
    struct sizes s = sizes_of(m, r);
    cJSON *o = cJSON_CreateObject(), *unknown = NULL, *inferred = NULL;
    char text[32], prot[4];

    cJSON_AddStringToObject(o, "type", word_text(region_kinds, (int)r->kind));
    cJSON_AddStringToObject(o, "detail", r->entry->name);
    snprintf(text, sizeof text, "0x%llx", (unsigned long long)r->entry->start);
    cJSON_AddStringToObject(o, "start", text);
    snprintf(text, sizeof text, "0x%llx", (unsigned long long)r->entry->end);
    cJSON_AddStringToObject(o, "end", text);
    cJSON_AddBoolToObject(o, "writable", writable(r));
    put(o, "virtual_kb", s.virt);
    put(o, "resident_kb", pages_kb(r->region->q[RQ_RESIDENT]));
    put(o, "rss_kb", s.rss);
    put(o, "private_kb", s.private);
    put(o, "shared_kb", s.shared);
    put(o, "hugetlb_kb", s.hugetlb);
    put(o, "dirty_kb", s.dirty);
    put(o, "swapped_kb", s.swapped);
    put(o, "lazy_free_kb", s.lazy);
    if (r->max_prot >= 0)
        cJSON_AddStringToObject(o, "max_protection", protection_text(r->max_prot, prot));
    for (int q = 0; q <= RQ__COUNT; q++) {
        const struct value v = q < RQ__COUNT ? r->region->q[q] : purge_of(m, r);
        const char *column = q < RQ__COUNT ? region_quantities[q].column : "purge";

        if (q < RQ__COUNT)
            put_quantity(o, q, v);
        else if (value_is_known(v))
            cJSON_AddStringToObject(o, column, v.n == 'V' ? "volatile" : "nonvolatile");
        else if (v.why != WHY_NOT_APPLICABLE)
            cJSON_AddNullToObject(o, column);
        if (value_is_known(v) && v.inferred) {
            if (!inferred)
                inferred = cJSON_AddArrayToObject(o, "inferred");
            cJSON_AddItemToArray(inferred, cJSON_CreateString(column));
        }
        if (value_is_known(v) || v.why == WHY_NOT_APPLICABLE)
            continue;
        if (!unknown)
            unknown = cJSON_AddObjectToObject(o, "unknown");
        cJSON_AddStringToObject(unknown, column, word_text(unknown_reasons, v.why));
    }
    return o;
}

static int print_json(const struct vmmap_arguments *a, const struct mappings *m, struct err *e)
{
    cJSON *o = cJSON_CreateObject(), *list, *fp;
    char *text;

    cJSON_AddNumberToObject(o, "pid", atoi(a->pid));
    cJSON_AddNumberToObject(o, "parent", m->fp.ppid);
    cJSON_AddStringToObject(o, "name", m->fp.comm);
    cJSON_AddStringToObject(o, "path", m->exe);
    cJSON_AddNumberToObject(o, "page_size", (double)machine_caps()->page_size);
    fp = cJSON_AddObjectToObject(o, "footprint");
    put(fp, "physical_kb", physical_footprint(m));
    put(fp, "peak_rss_kb", m->fp.peak_kb);
    put(fp, "rss_kb", m->fp.rss_kb);
    put(fp, "pss_kb", m->fp.pss_kb);
    put(fp, "uss_kb", m->fp.uss_kb);
    put(fp, "swap_kb", m->fp.swap_kb);
    put(fp, "pagetable_kb", m->fp.pagetable_kb);
    list = cJSON_AddArrayToObject(o, "regions");
    for (size_t i = 0; i < m->n; i++)
        if (wanted(a, m, &m->list[i]))
            cJSON_AddItemToArray(list, region_json(m, &m->list[i]));
    text = json_text(o, false);
    if (!text)
        return err_no_memory(e);
    printf("%s\n", text);
    free(text);
    return 0;
}

int cmd_vmmap(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse_option,
        "PID",
        "Prints the regions of a live process: what they are, what of them is in memory, how they "
        "are shared and with how many.\vRSDNT is what is in memory behind a region, RSS what of it "
        "the process maps; where the former may not be seen, the latter is the least of it (+). "
        "Explicit huge pages are in no RSS, but in the footprint. Exit status: 2 for something "
        "that is no process number, 3 "
        "if the process may not be looked at, 4 if it is not there.",
        NULL,
        NULL,
        NULL};
    struct vmmap_arguments a = {.pid = NULL};
    struct mappings m;
    struct err e;
    pid_t pid;
    int code, rc;

    cli_parse(&argp, argc, argv, &a);
    code = cli_parse_pid(a.pid, &pid, &e);
    if (code != EXIT_DONE)
        return cli_fail(code, &e);
    rc = mappings_look(pid, machine_caps(), &m, &e);
    if (rc < 0)
        return cli_process_failure(rc, &e);
    if (a.json)
        rc = print_json(&a, &m, &e);
    else
        print_text(&a, &m);
    mappings_release(&m);
    return rc < 0 ? cli_fail(EXIT_RUNNING, &e) : EXIT_DONE;
}
