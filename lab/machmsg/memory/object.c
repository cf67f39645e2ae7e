/* object: see object.h. */
#include "lab/machmsg/memory/object.h"
#include "lab/machmsg/memory/descriptor.h"
#include "lab/machmsg/memory/page.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK)

int object_adopt(struct object **out, int fd, uint64_t size, bool sealed)
{
    struct object *o = calloc(1, sizeof *o);
    struct stat st;

    if (!o || fstat(fd, &st)) {
        int rc = o ? -errno : -ENOMEM;

        free(o);
        close(fd);
        return rc;
    }
    *o = (struct object){
        .refs = 1, .fd = fd, .size = size, .dev = st.st_dev, .ino = st.st_ino, .sealed = sealed};
    *out = o;
    return 0;
}

int object_create(struct object **out, uint64_t size)
{
    int fd = memfd_create("mach", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    int rc;

    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
        fd = memfd_create("mach", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)size)) {
        rc = -errno;
        close(fd);
        return rc;
    }
    return object_adopt(out, fd, size, false);
}

struct object *object_ref(struct object *o)
{
    __atomic_add_fetch(&o->refs, 1, __ATOMIC_RELAXED);
    return o;
}

void object_unref(struct object *o)
{
    if (__atomic_sub_fetch(&o->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (object_fd(o) >= 0)
        close(o->fd);
    free(o);
}

int object_fd(struct object *o)
{
    struct stat st;

    if (o->fd >= 0 && (fstat(o->fd, &st) || st.st_ino != o->ino || st.st_dev != o->dev))
        o->fd = -1; /* the program closed it; the number may be a file of its own by now */
    return o->fd;
}

bool object_keep(struct object *o)
{
    o->fd = descriptor_keep(o->fd, KEEP_OBJECT);
    return o->fd >= 0;
}

int object_seal(struct object *o)
{
    const int all = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;

    /* A forked task that has the same object may have sealed it already. */
    if (!o->sealed && fcntl(object_fd(o), F_ADD_SEALS, all) &&
        (errno != EPERM || fcntl(o->fd, F_GET_SEALS) < 0 ||
         (fcntl(o->fd, F_GET_SEALS) & all) != all))
        return -errno;
    o->sealed = true;
    return 0;
}

bool object_is_sealed(int fd, uint64_t size, bool whole_pages)
{
    int seals = fcntl(fd, F_GET_SEALS);
    struct statfs fs;
    struct stat st;

    if (seals < 0 || (seals & SEALS) != SEALS)
        return false;
    /* Huge pages of the explicit kind can fail a page fault with SIGBUS. */
    if (fstatfs(fd, &fs) || fs.f_type != TMPFS_MAGIC || fstat(fd, &st) || !S_ISREG(st.st_mode))
        return false;
    return (uint64_t)st.st_size == (whole_pages ? mem_round(size) : size);
}

static int transfer(int fd, unsigned char *p, uint64_t n, uint64_t at, bool writing)
{
    while (n > 0) {
        ssize_t done = writing ? pwrite(fd, p, n, (off_t)at) : pread(fd, p, n, (off_t)at);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? -errno : -EIO;
        p += done;
        at += (uint64_t)done;
        n -= (uint64_t)done;
    }
    return 0;
}

int object_read(int fd, void *to, uint64_t n, uint64_t at)
{
    return transfer(fd, to, n, at, false);
}

int object_write(int fd, const void *from, uint64_t n, uint64_t at)
{
    return transfer(fd, (void *)from, n, at, true);
}

int object_next_data(int fd, uint64_t at, uint64_t end, uint64_t *from, uint64_t *to)
{
    off_t data = at < end ? lseek(fd, (off_t)at, SEEK_DATA) : (off_t)end, hole;

    if (data < 0)
        return errno == ENXIO ? 0 : -errno;
    if ((uint64_t)data >= end)
        return 0;
    hole = lseek(fd, data, SEEK_HOLE);
    if (hole < 0)
        return -errno;
    *from = (uint64_t)data;
    *to = (uint64_t)hole < end ? (uint64_t)hole : end;
    return 1;
}

int object_clone(struct object **out, const struct object *o, uint64_t offset, uint64_t size)
{
    const uint64_t end = offset + size;
    unsigned char bytes[16384];
    uint64_t from, to;
    int rc = object_create(out, size), more = 0;

    for (uint64_t at = offset; rc == 0 && (more = object_next_data(o->fd, at, end, &from, &to)) > 0;
         at = to) {
        if (to - from > sizeof bytes)
            to = from + sizeof bytes;
        rc = object_read(o->fd, bytes, to - from, from);
        if (rc == 0)
            rc = object_write((*out)->fd, bytes, to - from, from - offset);
        if (rc)
            object_unref(*out);
    }
    if (rc == 0 && more < 0)
        object_unref(*out);
    return rc ? rc : more;
}
