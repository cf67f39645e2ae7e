/* object: memory objects: memfds that ranges map and messages carry.
 *
 * A new one is not sealed: its owner maps it shared. A sealed one never changes. Lives while a
 * range or a message refers to it; the counts are atomic, a sender holds one without a lock. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct object {
    int refs;
    int fd;        /* for who has just made it; others ask object_fd */
    uint64_t size; /* bytes, whole pages */
    dev_t dev;
    ino_t ino;
    bool sealed;
    bool kin; /* a forked task maps it shared too (inherit share): it can't become immutable */
};

/* An unsealed object of that many bytes (whole pages). 0 or a negative errno. */
int object_create(struct object **out, uint64_t size);
/* Another one, unsealed, with the bytes of [offset, offset + size) of o; holes stay holes. */
int object_clone(struct object **out, const struct object *o, uint64_t offset, uint64_t size);
/* Takes over fd. */
int object_adopt(struct object **out, int fd, uint64_t size, bool sealed);
struct object *object_ref(struct object *o);
void object_unref(struct object *o);
/* Its descriptor; -1: none was kept, or the program closed it: it is only mapped from here on. */
int object_fd(struct object *o);
/* Its descriptor is to stay open for long: where that may not be it is closed, and false. Under
 * mem_lock, before anybody else knows the object. */
bool object_keep(struct object *o);
/* No byte of it will ever change. -EBUSY while somebody maps it shared and writable. */
int object_seal(struct object *o);

/* Of descriptors that may be a peer's: */

/* Is fd memory that can never change, of that many bytes? whole_pages: rounded up to pages. */
bool object_is_sealed(int fd, uint64_t size, bool whole_pages);
/* All n bytes from byte `at` on. 0 or a negative errno; -EIO where there are fewer. */
int object_read(int fd, void *to, uint64_t n, uint64_t at);
int object_write(int fd, const void *from, uint64_t n, uint64_t at);
/* The next run of bytes in [at, end) that is not a hole: 1 and [*from, *to); 0: there is none; or a
 * negative errno. */
int object_next_data(int fd, uint64_t at, uint64_t end, uint64_t *from, uint64_t *to);
