/* look: what the parts of the observer share. Nothing outside this folder includes this.
 *
 * One look:
 *
 *     mappers_read   where asked for: who else maps what                     (mappers.c)
 *     watched_read   each process: mappings and counters                     (watched.c)
 *     objects_begin  memory objects: who maps them, what is resident         (objects.c)
 *     walk           each process: pages -> frames, sums per entry, records  (walk.c)
 *     region_finish  each region: map counts, debt, outcomes, quantities     (region.c, parts.c,
 *                                                                             tell.c)
 *     totals, checks                                               (totals.c, checks.c)
 *
 * All processes are walked before the first region is finished, because how often the run itself
 * maps a frame is known only then. Pages whose pagemap word is that of the last look are passed
 * over in the walk: their frames are counted already. */
#pragma once

#include "probes/footprint.h"
#include "probes/kernel/frames.h"
#include "probes/kernel/object.h"
#include "probes/kernel/reader.h"
#include "probes/maps.h"
#include "probes/observer.h"
#include "probes/places.h"
#include "probes/rules.h"

/* Pages per window of the walk: half a MiB of pagemap entries. */
#define WALK_PAGES (64 * 1024)
/* Pages per pass through the kpage files. */
#define FINISH_PAGES (16 * 1024)
#define DEFAULT_MAX_RUNS 4096

#define PROBE_COSTS(X)                                                                             \
    X(COST_SMAPS, "smaps")                                                                         \
    X(COST_MAPS, "maps")                                                                           \
    X(COST_STATUS, "status")                                                                       \
    X(COST_STAT, "stat")                                                                           \
    X(COST_PAGEMAP, "pagemap")                                                                     \
    X(COST_SCAN, "pagemap_scan")                                                                   \
    X(COST_KPAGECOUNT, "kpagecount")                                                               \
    X(COST_KPAGEFLAGS, "kpageflags")                                                               \
    X(COST_OBJECT, "object")                                                                       \
    X(COST_MEMINFO, "meminfo")                                                                     \
    X(COST_CGROUP, "cgroup")
#define COST_ENUM(e, name) e,
enum cost_index { PROBE_COSTS(COST_ENUM) COST__COUNT };

/* What another thread spent. */
static inline void cost_add(struct probe_cost *to, const struct probe_cost *from)
{
    to->ns += from->ns; /* of both threads: processor time, not the time that passed */
    to->calls += from->calls;
    to->bytes += from->bytes;
}

/* What is remembered of one page, beside its pagemap word and its frame's slot. */
#define REC_STATE 0x0f  /* enum page_state */
#define REC_HUGE 0x10   /* mapped by one huge entry */
#define REC_FRESH 0x20  /* changed since the last look in a way that asks for the frame's flags */
#define REC_BACKED 0x40 /* the memory object behind has this page in memory */
#define REC_INFERRED 0x80
#define REC_OBJECT 0x100 /* in swap: the memory object behind has this page there */

/* Kept in bits of the remembered pagemap words that the kernel does not use, so that a page whose
 * mapping became another kind does not look unchanged. */
#define WORD_SHARED (1ULL << 59)
#define WORD_OWN (1ULL << 60)

struct records {
    uint64_t n;        /* pages; 0: none yet */
    uint64_t *word;    /* pagemap, with WORD_*; not in a copy */
    uint64_t *touched; /* a bit per block that is not all zero: reserved terabytes of which little
                         is used cost little; not in a copy */
    uint32_t *slot;
    uint16_t *rec;
};

/* Pages compared with the last look at once, and the grain of records.touched. */
#define BLOCK_PAGES 512

/* The first block from `block` on that has anything in it; the number of blocks if none has. */
static inline uint64_t next_touched(const struct records *r, uint64_t block)
{
    uint64_t end = (r->n + BLOCK_PAGES - 1) / BLOCK_PAGES;

    while (block < end) {
        uint64_t word = r->touched[block / 64] >> (block % 64);

        if (word)
            return block + (uint64_t)__builtin_ctzll(word);
        block = (block / 64 + 1) * 64;
    }
    return end;
}

/* Pages [*first, *end) of the next touched block behind *end; false when there is none. Begin with
 * *end == 0. */
static inline bool next_pages(const struct records *r, uint64_t *first, uint64_t *end)
{
    uint64_t block = next_touched(r, (*end + BLOCK_PAGES - 1) / BLOCK_PAGES);

    *first = block * BLOCK_PAGES;
    *end = *first + BLOCK_PAGES < r->n ? *first + BLOCK_PAGES : r->n;
    return *first < r->n;
}

/* A region through the looks of a run. Every nonzero slot in now counts as a mapping in
 * frames.own, except in a shadow. */
struct memory {
    char *actor, *region, *case_name;
    uint32_t number; /* its anonymous layer's object number, 0: not given yet */
    uint64_t start, end;
    int inherit;
    const struct target_region *target;
    bool written;
    struct records now;
    struct records
        before;         /* slot and rec of the last look, if the region was written in this one */
    bool valid;         /* now.word is that of the last look */
    bool backed;        /* some record has REC_BACKED or REC_OBJECT */
    unsigned int freed; /* target->freed of the last look */
    bool shadow;        /* overlaps a region before it, which counts the pages */
    uint64_t walked;    /* pages before this one are done in this look */
    bool seen;          /* in this look */
};

/* Has the step written this page, as far as that is told? */
static inline bool is_written(const struct memory *m, uint64_t page)
{
    return m->written &&
           (!m->target->page_written || m->target->page_written(m->target->writer, page));
}

/* What some pages add to PSS by the run's own mappings of their frames, and how many of them the
 * run maps once. */
struct own_sums {
    uint64_t pss, alone;
};

/* Sums over the pages of one entry. */
struct entry_sums {
    bool walked, summed;
    struct word_sums words;
    size_t loose_first, loose_end; /* its part of watched.loose */
    struct own_sums own;           /* once summed (checks.c) */
};

/* A process through the looks of a run. */
struct watched {
    pid_t pid;
    char *actor;
    int maps_fd, status_fd, stat_fd;
    struct page_file pagemap;
    bool no_smaps; /* maps_fd is maps, not smaps */
    struct maps maps;
    struct entry_sums *entry_sums; /* one per entry */
    size_t nentry_sums;
    struct footprint now;
    struct value minflt_before, majflt_before; /* totals at the last look */
    bool quiet; /* took no fault since the last look: it has written to no page in debt */
    uint64_t start_time;
    int64_t minflt_at_start; /* of this look; -1 unknown */
    struct frame_set frames, region_frames;
    uint32_t *loose; /* slots of the pages outside regions, each a mapping in frames.own */
    size_t nloose, loose_cap;
    bool changed; /* some page: the sets are to be made anew */
    const struct target *target;
    struct memory **memories; /* its regions in this look, in the caller's order */
    struct memory **by_start; /* the same, by address */
    size_t nmemories, memories_cap, by_start_cap;
    bool shadows; /* some of them overlap */
    bool seen;
};

/* A memory object met in this look. */
struct seen_object {
    uint64_t dev, inode;
    uint32_t number; /* O number */
    const char *kind;
    enum why why; /* WHY_KNOWN: it could be opened */
    uint64_t resident;
    enum why why_resident;
    uint64_t processes; /* targets that map it */
    size_t counted;     /* the last of these, from 1 on */
    uint64_t elsewhere; /* and other processes: those whose mappings were read */
    uint64_t carriers;  /* messages that carry it */
    bool descriptor;    /* an actor holds a descriptor of it */
    bool shmem;
    bool own;          /* it exists for the run alone: memory without a name in a file system */
    uint64_t npages;   /* room of the bit sets below, all in one; 0 if it could not be opened */
    uint64_t *mapped;  /* in the page table of an actor */
    uint64_t *visible; /* an actor's mapping shows it, or would when touched */
    uint64_t *resident_bits;
    uint64_t *swapped_bits;      /* in swap */
    const struct watched *tried; /* through whom it could not be opened last */
};

/* Who maps the object besides. */
struct mappers {
    uint64_t dev, inode;
    pid_t last; /* of these processes */
    uint64_t n;
};

struct object_number {
    uint64_t dev, inode;
    uint32_t number;
    size_t met; /* in this look: it is observer.objects[met - 1]; or 0 */
};

/* For tests: a reader that lies, so that the checks can be seen to notice. */
enum corrupt { CORRUPT_NONE, CORRUPT_PAGEMAP, CORRUPT_SMAPS, CORRUPT_KPAGECOUNT };

struct observer {
    struct caps caps;
    struct observer_options opt;
    char *cgroup;
    size_t max_runs;
    int threads;
    enum corrupt corrupt;
    struct page_reader reader;
    uint64_t page_size;
    uint64_t zero_frame; /* of the small zero page; 0 unknown */
    uint64_t *shmem_devs;
    size_t nshmem_devs;
    struct frames frames;
    struct watched **watched;
    size_t nwatched;
    struct memory **memories;
    size_t nmemories;
    struct places memory_places;
    struct object_number *numbers;
    size_t nnumbers;
    struct places number_places;
    uint32_t next_object;
    /* of one look */
    struct seen_object *objects;
    size_t nobjects;
    struct mappers *mappers; /* of this look, where it was asked for everybody */
    size_t nmappers;
    struct places mapper_places;
    bool mappers_known;      /* the mappings of every process were read */
    bool descriptors_unseen; /* of some process: it may hold objects that nobody maps */
    bool one_cpu;            /* all processes run on the same one */
    bool swap_in_view;       /* one of them has pages in swap */
    bool locked_in_view;     /* one of them has, or had, locked memory */
    bool outsiders;          /* a frame in such an entry is mapped by another process too */
    struct probe_cost cost[COST__COUNT];
    uint64_t samples, samples_agreed;
    /* buffers */
    uint64_t *words, *ahead;    /* WALK_PAGES each: the window that is walked, and the next */
    struct lookups *lookups[2]; /* of each thread (tell.h) */
    struct scan_range *scans;
    size_t nscans, scans_cap;
    struct slurp text;
    struct open_files files; /* of one look */
};

/* Can nobody but the processes of the look have what is theirs? In a run: its actors were started
 * by exec. Who looks at programs that were there before cannot know. */
static inline bool all_in_view(const struct observer *o)
{
    return o->opt.whole_process && !o->opt.everybody;
}

/* Its frame or PAGEMAP_SCAN tells the zero page from a shared one; both have bit 56 clear. */
static inline bool zero_told(const struct observer *o, const struct watched *w)
{
    return w->pagemap.frames || o->caps.have[CAP_PAGEMAP_SCAN];
}

/* What the page table's word says of an anonymous page: mapped once is taken for exclusive until
 * its flags are asked. */
static inline enum page_state anon_by_word(uint64_t word, bool zero_told)
{
    return page_anon_state((struct anon_facts){.once = word & PM_EXCLUSIVE ? ANSWER_YES
                                                       : zero_told         ? ANSWER_NO
                                                                           : ANSWER_NONE,
                                               .count = -1,
                                               .exclusive = ANSWER_YES});
}

/* watched.c */
int watched_find(struct observer *o, const struct target *t, struct watched **out, struct err *e);
int watched_read(struct observer *o, struct watched *w, struct err *e);
/* Index of the first of its regions, by address, that may reach behind addr. */
size_t first_region(const struct watched *w, uint64_t addr);
/* Does one of its regions lie in this entry? */
bool watched_observes(const struct watched *w, const struct map_entry *e);
/* Faults taken since watched_read began, or unknown. */
struct value watched_induced(struct observer *o, struct watched *w);
void watched_free(struct observer *o, struct watched *w);
bool is_shmem_dev(const struct observer *o, uint64_t dev);

/* walk.c */
int walk_process(struct observer *o, struct watched *w, struct err *e);

/* region.c */
int region_finish(struct observer *o, struct watched *w, struct memory *m, struct observation *out,
                  struct err *e);
/* memory.c */
int memory_begin(struct observer *o, const char *actor, const struct target_region *r,
                 struct memory **out, struct err *e);
void memory_free(struct observer *o, struct memory *m);
/* Those that are not in this look: their pages count no more. 0 or -ENOMEM. */
int memories_forget(struct observer *o);
/* Whether the region counts its pages itself has changed: it begins anew. 0 or -ENOMEM. */
int memory_recount(struct observer *o, struct memory *m, bool shadow);

/* objects.c */
int objects_begin(struct observer *o, const struct target_message *messages, size_t n,
                  struct err *e);
void objects_end(struct observer *o);
/* The object, if this look tracks it. */
struct seen_object *object_find(struct observer *o, uint64_t dev, uint64_t inode);
/* As one more of those behind a region, the topmost as far as is told here; NULL without memory. */
struct obs_object *object_report(struct obs_region *r, const struct seen_object *s,
                                 struct value refs);
int messages_report(struct observer *o, const struct target_message *messages, size_t n,
                    struct observation *out, struct err *e);

/* mappers.c: who but the targets maps what, and how many of them this object */
int mappers_read(struct observer *o, const struct target *targets, size_t n, struct err *e);
uint64_t mappers_of(const struct observer *o, uint64_t dev, uint64_t inode);

/* totals.c */
int totals_fill(struct observer *o, struct observation *out, struct err *e);

/* checks.c. pss: the region's bytes, each page's divided by its map count, << PSS_SHIFT; swap_pss:
 * those in swap, by the holders of their slots; does not apply where nothing is. */
#define PSS_SHIFT 12 /* as in smaps (fs/proc/task_mmu.c): fractions are kept while summing */
int checks_region(struct observer *o, struct watched *w, struct memory *m, struct obs_region *r,
                  const uint64_t *states, struct value pss, struct value swap_pss,
                  struct observation *out, struct err *e);
/* The pages that the step wrote, by the promise of their state. */
int checks_promises(const struct watched *w, const struct memory *m, struct promises *p,
                    const struct obs_region *r, struct observation *out, struct err *e);
int checks_process(struct observer *o, struct watched *w, struct observation *out, struct err *e);
int checks_run(struct observer *o, struct observation *out, struct err *e);
