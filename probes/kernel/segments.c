#include "probes/kernel/segments.h"

#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROT_W 2
/* Programs have about a dozen headers, one or two of them of data. */
#define HEADERS_MAX 64
#define DATA_MAX 4
#define PIECES_MAX 64 /* of what a data segment has beyond its file */
/* More than any address space: no sum of two such numbers and an address wraps round. */
#define SIZE_LIMIT (1ULL << 60)

struct segment_file {
    uint64_t dev, inode;
    bool asked; /* since the last turn */
    size_t n;
    struct {
        uint64_t offset, in_file, in_memory; /* bytes */
    } data[DATA_MAX];
};

static bool is_program(const ElfW(Ehdr) * h)
{
    const int class = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;

    return memcmp(h->e_ident, ELFMAG, SELFMAG) == 0 && h->e_ident[EI_CLASS] == class &&
           h->e_phentsize == sizeof(ElfW(Phdr)) && h->e_phnum <= HEADERS_MAX &&
           h->e_phoff < SIZE_LIMIT;
}

static void take_header(struct segment_file *file, const ElfW(Phdr) * h)
{
    if (h->p_type != PT_LOAD || !(h->p_flags & PF_W) || file->n == DATA_MAX ||
        h->p_offset >= SIZE_LIMIT || h->p_memsz >= SIZE_LIMIT || h->p_filesz > h->p_memsz)
        return;
    file->data[file->n].offset = h->p_offset;
    file->data[file->n].in_file = h->p_filesz;
    file->data[file->n++].in_memory = h->p_memsz;
}

static void read_headers(int fd, struct segment_file *file)
{
    ElfW(Phdr) headers[HEADERS_MAX];
    ElfW(Ehdr) h;
    struct stat st;
    ssize_t len;

    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || pread(fd, &h, sizeof h, 0) != sizeof h ||
        !is_program(&h))
        return;
    len = (ssize_t)(h.e_phnum * sizeof *headers);
    if (pread(fd, headers, (size_t)len, (off_t)h.e_phoff) != len)
        return;
    for (int i = 0; i < h.e_phnum; i++)
        take_header(file, &headers[i]);
}

static const struct segment_file *file_of(struct segments *s, pid_t pid, const struct map_entry *e)
{
    struct segment_file *file = PLACES_FIND(&s->places, s->files, e->dev, e->inode);
    struct object object;
    int rc;

    if (file) {
        file->asked = true;
        return file;
    }
    /* Another process may be able to, if this is not. */
    rc = object_open(&object, pid, e, NULL, &s->open);
    if (rc < 0) {
        s->failed = is_exhausted(rc) ? rc : s->failed;
        return NULL;
    }
    if ((file = PLACES_ADD(&s->places, s->files, s->n, e->dev, e->inode))) {
        file->asked = true;
        read_headers(object.fd, file);
    } else {
        s->failed = -ENOMEM;
    }
    object_close(&object);
    return file;
}

uint64_t segments_end(struct segments *s, pid_t pid, const struct maps *m, size_t index)
{
    const struct map_entry *e = &m->entries[index];
    const struct segment_file *file;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), end = 0;

    /* What mprotect and madvise have cut it into lies in between. */
    for (int i = 0; i < PIECES_MAX && !e->inode && e > m->entries && e[-1].end == e->start; i++)
        e--;
    if (e == &m->entries[index] || !e->inode || e->shared || !(file = file_of(s, pid, e)))
        return 0;
    for (size_t i = 0; i < file->n; i++) {
        uint64_t at = file->data[i].offset, behind = at + file->data[i].in_file;
        uint64_t last = e->offset + (e->end - e->start) - page; /* where its last page begins */

        /* The entry has the segment's last page that the file has anything in. */
        uint64_t to = e->start + (at + file->data[i].in_memory - e->offset) + page - 1;

        if (last < behind && behind <= last + page && at < behind && to > end)
            end = to;
    }
    return end & ~(page - 1);
}

void segments_turn(struct segments *s)
{
    size_t kept = 0;

    open_files_release(&s->open);
    places_clear(&s->places);
    s->failed = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct segment_file *file = &s->files[i];

        if (!file->asked ||
            places_add(&s->places, places_hash_key(PLACES_KEY(file->dev, file->inode)), kept + 1) <
                0)
            continue;
        s->files[kept] = *file;
        s->files[kept++].asked = false;
    }
    s->n = kept;
}

void segments_release(struct segments *s)
{
    open_files_release(&s->open);
    free(s->places.at);
    free(s->files);
    *s = (struct segments){0};
}
