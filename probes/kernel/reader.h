/* reader: the page files, as this user may have them: opened directly (root), or asked of the
 * helper. Who reads pages need not know which.
 *
 *     reader_open -> [ reader_attach -> [ reader_words, reader_ask ]* -> reader_detach ]*
 *                 -> reader_close
 *
 * With the helper a label stands where the kernel has the frame number (PM_LABEL): good for telling
 * frames apart, and for nothing else. */
#pragma once

#include "probes/kernel/helper.h"
#include "probes/kernel/pagemap.h"

struct page_reader {
    struct helper *helper;
    int count_fd, flags_fd;
    int no_counts, no_flags; /* errno why they cannot be asked; 0: they can */
};

/* The page table of a process; zeroed it is not one: begin with READER_NONE. */
struct page_file {
    int fd;      /* its pagemap, opened by this process; negative: none */
    int number;  /* at the helper; negative: none */
    bool frames; /* its words tell frames */
};
#define READER_NONE ((struct page_file){.fd = -1, .number = -1})

/* What cannot be had is not there to be asked. 0, or -EMFILE or -ENFILE. */
int reader_open(struct page_reader *r, bool via_helper);
void reader_close(struct page_reader *r);
/* The helper has gone since: what it told is told no more. */
bool reader_lost(struct page_reader *r);

/* Of the address space that pid has now. frames: if they can be had. 0, or a negative errno and
 * READER_NONE. */
int reader_attach(struct page_reader *r, pid_t pid, bool frames, struct page_file *out);
void reader_detach(struct page_reader *r, struct page_file *p);

/* As pagemap_read. */
int64_t reader_words(struct page_reader *r, const struct page_file *p, uint64_t page_size,
                     uint64_t start, uint64_t npages, uint64_t *out, int threads,
                     struct probe_cost *cost);
/* As kpage_read, of n frames that the process has (had) at these page numbers (address / page
 * size). KPAGE_NONE also when the helper has gone. */
int reader_ask(struct page_reader *r, const struct page_file *p, bool counts, const uint64_t *pages,
               const uint64_t *frames, uint64_t *out, size_t n, int threads,
               struct probe_cost *cost);
