/* objects: the memory objects that the processes of a look map, hold or send.
 *
 * Tracked are shared memory (memfd, tmpfs, shared anonymous), because it exists for the run's
 * sake and stays as long as anybody holds it, and any file behind an observed region. All are
 * collected before the pages are walked, so that pointers into the list stay valid.
 *
 * No descriptor of an object stays open. */
#include "probes/list.h"
#include "probes/look/look.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of a larger file only the observed parts are asked for, not all of it. */
#define WHOLE_FILE (4ULL << 30)

struct seen_object *object_find(struct observer *o, uint64_t dev, uint64_t inode)
{
    const struct object_number *number = PLACES_FIND(&o->number_places, o->numbers, dev, inode);

    return number && number->met ? &o->objects[number->met - 1] : NULL;
}

static struct object_number *number_of(struct observer *o, uint64_t dev, uint64_t inode)
{
    struct object_number *number = PLACES_FIND(&o->number_places, o->numbers, dev, inode);

    if (!number && (number = PLACES_ADD(&o->number_places, o->numbers, o->nnumbers, dev, inode)))
        number->number = ++o->next_object;
    return number;
}

/* The kernel names what has no name (any more) like this in maps; a descriptor's count of links
 * says it too. */
static bool ends_as_deleted(const char *name)
{
    size_t n = strlen(name), end = strlen(" (deleted)");

    return n >= end && strcmp(name + n - end, " (deleted)") == 0;
}

/* The lab's own standard input, output and error, which its actors have too. */
static bool is_standard(uint64_t dev, uint64_t inode)
{
    struct stat st;

    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fstat(fd, &st) == 0 && st.st_dev == dev && st.st_ino == inode)
            return true;
    return false;
}

/* Tracked from now on. nameless: nothing but the run holds it, so that its memory is the run's.
 * NULL without memory. */
static struct seen_object *track(struct observer *o, uint64_t dev, uint64_t inode, const char *name,
                                 bool nameless, struct err *e)
{
    struct object_number *number = number_of(o, dev, inode);
    struct seen_object *s;

    if (number && number->met)
        return &o->objects[number->met - 1];
    s = number ? LIST_ADD(o->objects, o->nobjects) : NULL;
    if (!s) {
        err_no_memory(e);
        return NULL;
    }
    number->met = o->nobjects;
    *s = (struct seen_object){.dev = dev, .inode = inode, .number = number->number};
    s->shmem = is_shmem_dev(o, dev);
    s->own = s->shmem && nameless && !is_standard(dev, inode);
    s->why = s->why_resident = WHY_NO_OBJECT_ACCESS;
    s->kind = mapping_object_kind(name, s->shmem);
    s->elsewhere = mappers_of(o, dev, inode);
    return s;
}

static struct seen_object *track_file(struct observer *o, const struct stat *st, struct err *e)
{
    return track(o, st->st_dev, st->st_ino, "/memfd:", st->st_nlink == 0, e);
}

/* Without access the object stays unknown. */
static int no_access(int rc, const struct watched *w, struct err *e)
{
    return is_exhausted(rc)
               ? err_sys(e, rc, "cannot open a memory object of process %d", (int)w->pid)
               : 0;
}

/* Size, and room for the bit sets. */
static int make_room(struct observer *o, struct seen_object *s, const struct object *object,
                     struct err *e)
{
    uint64_t words;

    s->why = WHY_KNOWN;
    s->npages = (object->info.bytes + o->page_size - 1) / o->page_size;
    words = s->npages / 64 + 1;
    if (!(s->mapped = calloc(words, 4 * sizeof *s->mapped)))
        return err_set(e, ENOMEM, "out of memory for an object of %llu pages",
                       (unsigned long long)s->npages);
    s->visible = s->mapped + words;
    s->resident_bits = s->visible + words;
    s->swapped_bits = s->resident_bits + words;
    return 0;
}

/* The whole object where that is cheap. A large file: not, and nobody asks. */
static int measure(struct observer *o, struct seen_object *s, const struct object *object,
                   struct err *e)
{
    int rc;

    s->why_resident = !s->shmem && object->info.bytes > WHOLE_FILE ? WHY_TOO_LARGE
                      : object->info.hugetlb                       ? WHY_NO_INTERFACE
                                                                   : WHY_KNOWN;
    if (s->why_resident != WHY_KNOWN)
        return 0;
    rc = object_residency(object, 0, s->npages, o->caps.have[CAP_SWAP], s->resident_bits,
                          s->swapped_bits, &s->resident, &o->cost[COST_OBJECT]);
    if (is_exhausted(rc))
        return err_sys(e, rc, "cannot read what is resident of an object of %llu pages",
                       (unsigned long long)s->npages);
    s->why_resident = rc == 0 ? WHY_KNOWN : rc == -EACCES ? WHY_FOREIGN_FILE : WHY_READ_FAILED;
    return 0;
}

/* All that it tells; then it is closed: there may be more objects than descriptors can be had. */
static int adopt(struct observer *o, struct seen_object *s, struct object object, struct err *e)
{
    int rc = make_room(o, s, &object, e);

    if (rc == 0)
        rc = measure(o, s, &object, e);
    object_close(&object);
    return rc;
}

static int object_of_entry(struct observer *o, struct watched *w, const struct map_entry *entry,
                           struct err *e)
{
    struct seen_object *s =
        track(o, entry->dev, entry->inode, entry->name, ends_as_deleted(entry->name), e);
    struct object object;
    int rc;

    if (!s)
        return -ENOMEM;
    if (s->why == WHY_KNOWN || s->tried == w)
        return 0;
    s->tried = w;
    rc = object_open(&object, w->pid, entry, o->reader.helper, &o->files);
    return rc < 0 ? no_access(rc, w, e) : adopt(o, s, object, e);
}

static int object_of_message(struct observer *o, const struct target_message *m, struct err *e)
{
    struct object object;
    struct seen_object *s;
    struct stat st;
    int rc;

    if (m->fd < 0 || fstat(m->fd, &st) < 0)
        return 0;
    if (!(s = track_file(o, &st, e)))
        return -ENOMEM;
    s->carriers += m->carriers > 0 ? (uint64_t)m->carriers : 0;
    if (s->why == WHY_KNOWN)
        return 0;
    rc = object_take(&object, object_reopen(m->fd));
    if (rc < 0)
        return is_exhausted(rc) ? err_sys(e, rc, "cannot open what a message carries") : 0;
    return adopt(o, s, object, e);
}

/* Shared memory that the process holds by a descriptor, mapped or not. */
static int descriptors_of(struct observer *o, struct watched *w, struct err *e)
{
    uint64_t began = probe_clock();
    char path[64];
    struct dirent *d;
    struct stat st;
    DIR *dir;
    int rc = 0;

    snprintf(path, sizeof path, "/proc/%d/fd", (int)w->pid);
    dir = opendir(path);
    if (!dir) {
        o->descriptors_unseen = true;
        return no_access(-errno, w, e);
    }
    while (rc == 0 && (d = readdir(dir))) {
        struct seen_object *s;

        o->cost[COST_OBJECT].calls++;
        if (d->d_name[0] == '.' || fstatat(dirfd(dir), d->d_name, &st, 0) < 0 ||
            !S_ISREG(st.st_mode) || !is_shmem_dev(o, st.st_dev))
            continue;
        if (!(s = track_file(o, &st, e))) {
            rc = -ENOMEM;
            break;
        }
        s->descriptor = true;
        if (s->why != WHY_KNOWN) {
            struct object object;
            int fd = openat(dirfd(dir), d->d_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

            rc = object_take(&object, fd < 0 ? -errno : fd);
            rc = rc < 0 ? no_access(rc, w, e) : adopt(o, s, object, e);
        }
    }
    closedir(dir);
    o->cost[COST_OBJECT].ns += probe_clock() - began;
    return rc;
}

/* Each process that maps an object counts once, however many entries it has of it. */
static void count_processes(struct observer *o)
{
    for (size_t i = 0; i < o->nwatched; i++)
        for (size_t k = 0; k < o->watched[i]->maps.n; k++) {
            const struct map_entry *e = &o->watched[i]->maps.entries[k];
            struct seen_object *s = e->inode ? object_find(o, e->dev, e->inode) : NULL;

            if (s && s->counted != i + 1) {
                s->counted = i + 1;
                s->processes++;
            }
        }
}

int objects_begin(struct observer *o, const struct target_message *messages, size_t n,
                  struct err *e)
{
    int rc = 0;

    for (size_t i = 0; i < o->nwatched && rc == 0; i++) {
        struct watched *w = o->watched[i];

        for (size_t k = 0; w->seen && k < w->maps.n && rc == 0; k++) {
            const struct map_entry *entry = &w->maps.entries[k];

            if (entry->inode && (is_shmem_dev(o, entry->dev) || watched_observes(w, entry)))
                rc = object_of_entry(o, w, entry, e);
        }
        if (w->seen && rc == 0)
            rc = descriptors_of(o, w, e);
    }
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = object_of_message(o, &messages[i], e);
    count_processes(o);
    return rc;
}

void objects_end(struct observer *o)
{
    for (size_t i = 0; i < o->nnumbers; i++)
        o->numbers[i].met = 0;
    for (size_t i = 0; i < o->nobjects; i++)
        free(o->objects[i].mapped);
    open_files_release(&o->files);
    free(o->objects);
    o->objects = NULL;
    o->nobjects = 0;
}

/* What a message holds is seen as a view of its object that shows no page yet, private unless it
 * says otherwise, because that is what the receiver will have. */
static struct region_facts facts_of_message(const struct seen_object *s, uint64_t pages,
                                            bool shared)
{
    struct region_facts f = {.object = true,
                             .shared = shared,
                             .others = s->processes > 0,
                             .pages = pages,
                             .why_object = s->why_resident};

    for (uint64_t i = 0; s->why_resident == WHY_KNOWN && i < pages && i < s->npages; i++) {
        f.backed += bit_is_set(s->resident_bits, i);
        f.object_swapped += bit_is_set(s->swapped_bits, i);
    }
    f.backed_any = f.backed > 0;
    f.states[PS_SWAPPED] = f.object_swapped;
    f.users = value_known((int64_t)(s->processes + s->carriers));
    return f;
}

struct obs_object *object_report(struct obs_region *r, const struct seen_object *s,
                                 struct value refs)
{
    struct obs_object *object = obs_region_add_object(r);

    if (!object)
        return NULL;
    object->number = s->number;
    object->kind = s->kind;
    object->refs = refs;
    object->size = s->why == WHY_KNOWN ? value_known((int64_t)s->npages) : value_unknown(s->why);
    object->resident = s->why_resident == WHY_KNOWN ? value_known((int64_t)s->resident)
                                                    : value_unknown(s->why_resident);
    object->offset = value_known(0);
    return object;
}

static int report_message(struct observer *o, const struct target_message *m,
                          struct observation *out, struct err *e)
{
    struct obs_region *r = observation_add_region(out, "message", m->region, m->case_name);
    uint64_t pages = (m->len + o->page_size - 1) / o->page_size;
    struct seen_object *s = NULL;
    struct region_facts f;
    struct stat st;

    if (!r)
        return err_no_memory(e);
    r->end = m->len;
    r->q[RQ_PAGES] = value_known((int64_t)pages);
    if (m->fd >= 0 && fstat(m->fd, &st) == 0)
        s = object_find(o, st.st_dev, st.st_ino);
    if (!s) {
        /* Inline bytes lie in a socket buffer of the kernel: no interface shows its pages. */
        r->q[RQ_RESIDENT] = value_unknown(WHY_NO_INTERFACE);
        return 0;
    }
    f = facts_of_message(s, pages, m->shared);
    r->q[RQ_RESIDENT] = region_resident(&f);
    r->q[RQ_MAPPED] = region_mapped(&f);
    r->q[RQ_REF_COUNT] = region_ref_count(&f);
    r->q[RQ_SHARE_MODE] = region_share_mode(&f);
    /* The same O number as behind the sender's region. */
    return object_report(r, s, r->q[RQ_REF_COUNT]) ? 0 : err_no_memory(e);
}

int messages_report(struct observer *o, const struct target_message *messages, size_t n,
                    struct observation *out, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++)
        rc = report_message(o, &messages[i], out, e);
    return rc;
}
