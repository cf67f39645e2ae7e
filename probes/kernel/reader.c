#include "probes/kernel/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int reader_open(struct page_reader *r, bool via_helper)
{
    struct err why = {""};
    int rc;

    *r = (struct page_reader){.count_fd = -1, .flags_fd = -1};
    if (via_helper) {
        r->no_counts = r->no_flags = -helper_start(&r->helper, &why);
        return 0;
    }
    r->count_fd = open("/proc/kpagecount", O_RDONLY | O_CLOEXEC);
    r->no_counts = r->count_fd < 0 ? errno : 0;
    r->flags_fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
    r->no_flags = r->flags_fd < 0 ? errno : 0;
    rc = r->no_flags ? r->no_flags : r->no_counts;
    return rc == EMFILE || rc == ENFILE ? -rc : 0;
}

void reader_close(struct page_reader *r)
{
    helper_stop(r->helper);
    r->helper = NULL;
    fd_close(&r->count_fd);
    fd_close(&r->flags_fd);
}

bool reader_lost(struct page_reader *r)
{
    return r->helper && helper_lost(r->helper);
}

int reader_attach(struct page_reader *r, pid_t pid, bool frames, struct page_file *out)
{
    *out = READER_NONE;
    out->fd = proc_open(pid, "pagemap");
    if (out->fd < 0)
        return out->fd;
    if (frames && r->helper)
        out->number = helper_attach(r->helper, pid);
    if (is_exhausted(out->number)) { /* the helper has no room: that is not "without frames" */
        int rc = out->number;

        reader_detach(r, out);
        return rc;
    }
    out->frames = frames && (!r->helper || out->number >= 0);
    return 0;
}

void reader_detach(struct page_reader *r, struct page_file *p)
{
    if (p->number >= 0)
        helper_detach(r->helper, p->number);
    fd_close(&p->fd);
    *p = READER_NONE;
}

int64_t reader_words(struct page_reader *r, const struct page_file *p, uint64_t page_size,
                     uint64_t start, uint64_t npages, uint64_t *out, int threads,
                     struct probe_cost *cost)
{
    uint64_t began = probe_clock();
    int64_t got;

    if (!p->frames || !r->helper)
        return pagemap_read(p->fd, page_size, start, npages, out, threads, cost);
    got = helper_read(r->helper, p->number, start / page_size, npages, out);
    cost_note(cost, began, 1, got > 0 ? (uint64_t)got * 8 : 0);
    return got;
}

int reader_ask(struct page_reader *r, const struct page_file *p, bool counts, const uint64_t *pages,
               const uint64_t *frames, uint64_t *out, size_t n, int threads,
               struct probe_cost *cost)
{
    uint64_t began = probe_clock();
    int rc;

    if (!r->helper)
        return kpage_read(counts ? r->count_fd : r->flags_fd, frames, out, n, threads, cost);
    rc = helper_ask(r->helper, p->number, counts, pages, frames, out, n);
    cost_note(cost, began, 1, n * 8);
    if (rc != -EPIPE && rc != -ETIMEDOUT)
        return rc;
    memset(out, 0xff, n * sizeof *out); /* nothing more is told */
    return 0;
}
