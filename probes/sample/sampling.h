/* sampling: what the parts of the sampler share. Nothing outside this folder includes this.
 *
 *     sampler.c   one sample: the processes read by threads, whatever ends meanwhile left out
 *     pages.c     one process's pagemap words, in chunks that are kept once where they are equal
 *     objects.c   how many pages of a memory object are in memory, and which
 *     users.c     how many processes map it
 *     sums.c      frames joined and asked; facts and words per mapping; totals */
#pragma once

#include "probes/kernel/frames.h"
#include "probes/kernel/object.h"
#include "probes/kernel/reader.h"
#include "probes/kernel/segments.h"
#include "probes/kernel/threads.h"
#include "probes/rules.h"
#include "probes/sampler.h"
#include <pthread.h>
#include <stdatomic.h>

/* Pages per chunk: what one page table of 4 KiB maps on x86-64 and arm64. */
#define CHUNK_PAGES 512
/* Chunks per read of pagemap: 1 MiB of words. */
#define READ_CHUNKS 256

/* Bits that say nothing here and differ between processes that share a page. */
#define WORD_NOISE (PM_SOFT_DIRTY | PM_UFFD_WP)

struct tally {
    uint32_t states[PS__COUNT];
    int32_t anon_count;   /* largest map count of an anonymous page */
    int32_t object_count; /* and of an object's page */
    uint32_t large;       /* of anon?: in large folios */
    uint32_t either;      /* of anon?: the kernel keeps or copies them as it likes */
    bool inferred;        /* pages that were exclusive are taken to be so still */
};

/* What the words of a chunk mean depends on the mapping that they are in. */
enum mapping_sort { IN_PRIVATE, IN_SHARED, IN_ANONYMOUS };

static inline enum mapping_sort sort_of(const struct map_entry *e)
{
    return e->shared                                           ? IN_SHARED
           : mapping_has_object(e) || !mapping_is_own(e, true) ? IN_PRIVATE
                                                               : IN_ANONYMOUS;
}

/* 512 neighbouring words of pagemap, the same for all processes and samples that refer to it. */
struct page_chunk {
    atomic_uint refs;
    uint32_t stamp;   /* sample in which it was joined last */
    uint32_t users;   /* processes that refer to it in that sample */
    uint32_t epoch;   /* of the frames that slots belong to; 0: not looked up */
    uint32_t tallied; /* sample of tally[] ... */
    bool has_tally[3];
    struct tally tally[3]; /* of the whole chunk, by enum mapping_sort */
    uint64_t words[CHUNK_PAGES];
    uint32_t slots[CHUNK_PAGES];
    uint64_t zero[CHUNK_PAGES / 64]; /* bits: the zero page, as tallied last */
};

/* One process's chunks that hold anything, by ascending index (address / chunk size). */
struct page_table {
    struct page_table_row {
        uint64_t index;
        struct page_chunk *chunk;
    } * rows;
    size_t n, cap;
};

struct page_chunk *page_table_find(const struct page_table *t, uint64_t index);
void page_table_release(struct page_table *t);
/* As of a cursor that only moves on: *at is where to look first. */
static inline struct page_chunk *page_table_next(const struct page_table *t, size_t *at,
                                                 uint64_t index)
{
    while (*at < t->n && t->rows[*at].index < index)
        (*at)++;
    return *at < t->n && t->rows[*at].index == index ? t->rows[*at].chunk : NULL;
}

enum sampler_cost {
    SC_STAT,
    SC_STATUS,
    SC_SMAPS,
    SC_PAGEMAP,
    SC_SCAN,
    SC_COUNT,
    SC_FLAGS,
    SC_OBJECT,
    SC_JOIN,
    SC_MEMINFO,
    SC__COUNT
};

/* A private mapping of a memory object, as of one sample. */
struct object_view {
    uint64_t start, end, offset, dev, inode;
    int64_t object; /* index of what that sample asked of it; -1: it did not */
};

struct views {
    struct object_view *list; /* by address */
    size_t n, cap;
};

/* A process from sample to sample. */
struct sampled {
    pid_t pid;
    uint64_t start_time;
    uint32_t seen; /* sample in which it was asked for last */
    int stat_fd, status_fd, smaps_fd;
    struct page_file pagemap;
    enum why why;
    char exe[256];
    uint64_t program; /* tells its program apart, and each execution of it; 0 unknown */
    uint64_t again;   /* and the last of them that only the end of its memory told of */
    bool exec;
    bool fresh;            /* in its first sample */
    int own_program;       /* as in struct sample_process */
    bool had_parent;       /* with memory in common, as long as that was there */
    bool parent_unwatched; /* a fork made it, and whoever forked it is not looked at */
    struct maps maps;
    struct threads threads;
    struct footprint fp;
    struct page_table now, before;
    int64_t *zero; /* without frames: by mapping, its pages that are the zero page; -1: untold */
    size_t zero_cap;
    struct views views, views_before; /* with pages that it did not map */
    struct frame_set set;             /* its frames, made when asked for */
    uint32_t set_in;                  /* sample that the set is of */
    struct sample_region *regions;
    size_t regions_cap;
    const struct sampled *parent;
    struct probe_cost cost[SC__COUNT];
    struct slurp text;
    int failed; /* want of descriptors or memory: a negative errno; or 0 */
};

/* Pages [first, first + n) of a memory object. */
struct asked_object {
    uint64_t dev, inode, first, n;
    pid_t pid;      /* through whom it was asked last */
    uint64_t count; /* in memory */
    uint64_t *bits; /* which, or NULL: all, none, or not asked ... */
    uint64_t *told; /* ... in these blocks */
    enum why why;   /* WHY_KNOWN, or there is none of these */
};

#define OPEN_OBJECTS 64

/* A memory object that is open during a sample. */
struct open_object {
    uint64_t dev, inode;
    pid_t pid;            /* through whom; 0: nobody */
    struct object object; /* not open: through this one it cannot be */
};

/* Who maps a memory object. */
struct object_users {
    uint64_t dev, inode;
    uint32_t processes; /* of the sample */
    uint32_t last;      /* of these the last one met, from 1 on */
    uint32_t twice;     /* mappings of parts of it that their process maps already */
    int64_t most;       /* processes, also out of view, as far as any mapping tells */
    uint64_t from, to;  /* what the last one maps of it, in bytes */
};

#define INFO_LARGE 0x80   /* part of a large folio */
#define INFO_EITHER 0x10  /* not exclusive, and the next write may find it held, or not */
#define INFO_FILE 0x20    /* page cache of a file: counted in distinct_file */
#define INFO_TRUSTED 0x40 /* exclusive at the last sample, not asked in this one */
#define INFO_STATE 0x0f

/* A page of a process of the sample. */
struct page_place {
    uint64_t page; /* address / page size */
    uint32_t process;
};

/* What is known of a frame that a slot is for. */
struct frame_info {
    uint64_t page;    /* where it was met first in the sample that it was met in last ... */
    uint32_t process; /* ... as in page_place */
    uint32_t met_in;  /* that sample; 0: never met */
    int32_t count;    /* map count, -1 unknown */
    uint8_t info;     /* state of an anonymous page in it, and INFO_* */
    uint8_t ask;      /* which question is open */
};

struct sampler {
    struct caps caps;
    bool frames, frames_off; /* off: they could be seen, and are not asked for */
    int threads;
    uint64_t page_size;
    struct page_reader reader;
    uint32_t number; /* of the sample */
    struct sampled **known;
    size_t nknown;
    struct sampled **now; /* in the order of the targets */
    struct sample_process *processes;
    size_t now_cap, processes_cap;
    /* frames of this sample */
    struct frames join;
    uint32_t epoch;
    uint32_t *met; /* slots in the order of meeting them */
    size_t nmet, met_cap;
    struct frame_info *slots;
    size_t slots_cap;
    bool doubt;        /* a trusted page was found changed */
    bool trusts;       /* some page of this sample was not asked */
    bool swap_in_view; /* one of its processes has pages in swap */
    uint64_t distinct_file;
    struct asked_object *objects, *objects_before; /* of this sample, and of the last one */
    size_t nobjects, nobjects_before;
    struct places places; /* of objects */
    uint64_t ahead;       /* what may still be asked ahead in this sample */
    struct open_object open[OPEN_OBJECTS];
    struct open_files files; /* of one sample */
    int failed;              /* for want of descriptors or memory, in this sample; 0: nothing */
    struct object_users *users;
    size_t nusers;
    struct places user_places;
    struct segments segments;
    struct sample sample;
    struct obs_cost costs[SC__COUNT];
    bool asked[SC__COUNT]; /* so far */
    struct slurp text;
};

/* pages.c: fills w->now from pagemap. words: room for READ_CHUNKS chunks. 0, -ENOMEM, or
 * another negative errno if pagemap could not be read. */
int pages_read(struct sampler *s, struct sampled *w, uint64_t *words, int threads);

/* pages.c: fills w->zero, of the mappings that may show the zero page where smaps counts nothing
 * and whose next write would then cost a frame. 0 or -ENOMEM. */
int zeros_read(struct sampler *s, struct sampled *w);

/* objects.c: the object behind a mapping of w; NULL without memory. Valid until the next one. */
const struct asked_object *objects_ask(struct sampler *s, const struct sampled *w,
                                       const struct map_entry *e);
/* Of the object's pages in memory, those behind private pages of w, in memory or in swap; unknown
 * where it could not be asked through w again. */
struct value objects_hidden(struct sampler *s, const struct sampled *w, const struct map_entry *e);
/* At the end of a sample: an object that is open is kept alive. */
void objects_close(struct sampler *s);
/* This sample's become the last one's. */
void objects_turn(struct sampler *s);
void objects_forget(struct sampler *s);
/* Notes, where w->views has room for all mappings, what was asked (o; or NULL) of a private mapping
 * of w that does not map all its pages. */
void objects_note(struct sampler *s, struct sampled *w, const struct map_entry *e,
                  const struct asked_object *o);
/* Had the object the page at addr in memory at the last sample, where this mapping showed it
 * without having mapped it? ANSWER_NONE: *why that is not told. */
enum answer objects_had(const struct sampler *s, const struct sampled *w, const struct map_entry *e,
                        uint64_t addr, enum why *why);

/* users.c. count: the largest map count of the object's pages here, 0 if none is known. */
int users_find(struct sampler *s);
void users_facts(struct sampler *s, const struct map_entry *e, int64_t count,
                 struct region_facts *f);
/* When all mappings have been told: what one shows of an object holds for the others too. */
void users_conclude(struct sampler *s);

/* sums.c */
int sums_join(struct sampler *s);
int sums_process(struct sampler *s, struct sampled *w, struct sample_process *p);
void sums_totals(struct sampler *s);
