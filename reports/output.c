#include "reports/output.h"

#include "probes/stream.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MOST_LINKS 40   /* as the kernel follows (path_resolution(7)) */
#define MOST_WRITERS 10 /* at once to the same place */
#define READER_MS 10000

static int cannot(const struct output *o, int code, struct err *e)
{
    return err_sys(e, code, "cannot write '%s'", o->path);
}

/* Malloc'd; NULL without memory. */
static char *directory_of(const char *path)
{
    char *copy = strdup(path), *dir = copy ? strdup(dirname(copy)) : NULL;

    free(copy);
    return dir;
}

/* -- where it goes ----------------------------------------------------------------------- */

/* The rule of proc(5) for protected_symlinks and protected_regular, which open(2) keeps where it is
 * switched on, and a new file's rename(2) does not ask for. */
bool output_is_foreign(const char *path)
{
    char *dir = directory_of(path);
    struct stat in, own;
    bool foreign = dir && stat(dir, &in) == 0 && in.st_mode & S_ISVTX && in.st_mode & S_IWOTH &&
                   lstat(path, &own) == 0 && own.st_uid != geteuid() && own.st_uid != in.st_uid;

    free(dir);
    return foreign;
}

/* One symbolic link further: 1; there is none: 0. The links of /proc/PID/fd lead to what is open,
 * which need not have a name: they are ends. */
static int follow(char **path)
{
    char to[PATH_MAX], *dir = directory_of(*path), *next;
    struct statfs fs;
    ssize_t n = dir ? readlink(*path, to, sizeof to - 1) : -1;
    bool open_file = n > 0 && statfs(dir, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
    int rc = !dir ? -ENOMEM : output_is_foreign(*path) ? -EACCES : 0;

    if (rc == 0 && n > 0 && !open_file) {
        to[n] = '\0';
        rc = asprintf(&next, "%s%s%s", *to == '/' ? "" : dir, *to == '/' ? "" : "/", to) < 0
                 ? -ENOMEM
                 : 1;
        if (rc == 1) {
            free(*path);
            *path = next;
        }
    }
    free(dir);
    return rc ? rc : open_file ? -EXDEV : 0;
}

/* Of this process, so that what is written goes behind what was written there before. */
static int open_own(const char *path)
{
    char *dir = directory_of(path), *end = NULL;
    const char *slash = strrchr(path, '/');
    long number = slash ? strtol(slash + 1, &end, 10) : -1;
    struct stat a, b;
    bool own = dir && end && !*end && stat(dir, &a) == 0 && stat("/proc/self/fd", &b) == 0 &&
               a.st_ino == b.st_ino && a.st_dev == b.st_dev;

    free(dir);
    return own ? fcntl((int)number, F_DUPFD_CLOEXEC, 3)
               : open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
}

static int open_straight(struct output *o, int fd, struct err *e)
{
    free(o->target);
    o->target = NULL;
    o->file = fd < 0 ? NULL : fdopen(fd, "w");
    if (o->file)
        return 0;
    if (fd >= 0)
        close(fd);
    return cannot(o, errno, e);
}

/* -- the new file ------------------------------------------------------------------------ */

/* So few are left that a report with hundreds of pictures would run out of them. */
static bool scarce(int fd)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)fd >= limit.rlim_cur / 2;
}

/* Takes away what a kill left under this name; who lives has his locked. */
static void clear_left(const char *name)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat mine, now;

    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &mine) == 0 && lstat(name, &now) == 0 &&
        mine.st_ino == now.st_ino && mine.st_dev == now.st_dev)
        unlink(name);
    close(fd);
}

/* Made and locked; whoever clears away what was left may have been between the two. */
static int make_named(const char *name)
{
    int fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
    struct stat st;

    if (fd < 0 || ((flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) &&
                   fstat(fd, &st) == 0 && st.st_nlink > 0))
        return fd;
    close(fd);
    errno = EEXIST;
    return -1;
}

/* The new file takes the name that it has until it is placed: the first that nobody has who writes
 * to the same place now. Where there is no file without a name, it is made with one. */
static int give_name(struct output *o)
{
    char own[40], *number = o->name + strlen(o->name) - 1;
    bool made = o->fd >= 0;

    snprintf(own, sizeof own, "/proc/self/fd/%d", o->fd);
    for (char n = '0'; n < '0' + MOST_WRITERS; n++) {
        *number = n;
        clear_left(o->name);
    }
    for (char n = '0'; n < '0' + MOST_WRITERS && !o->beside; n++) {
        *number = n;
        if (made)
            o->beside = linkat(AT_FDCWD, own, AT_FDCWD, o->name, AT_SYMLINK_FOLLOW) == 0;
        else
            o->beside = (o->fd = make_named(o->name)) >= 0;
        if (!o->beside && errno != EEXIST)
            break;
    }
    return o->beside ? 0 : -1;
}

/* Without a name where the file system can (open(2), O_TMPFILE): then a kill leaves nothing. */
static int open_beside(struct output *o, const char *ready, struct err *e)
{
    char *dir = ready ? strdup(ready) : directory_of(o->target), *copy = strdup(o->target);
    int rc = -1;

    if (dir && copy)
        rc = asprintf(&o->name, "%s/.%.200s.cowlab-new0", dir, basename(copy));
    if (rc < 0)
        o->name = NULL;
    else if ((o->fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666)) >= 0)
        flock(o->fd, LOCK_EX | LOCK_NB);
    else
        give_name(o);
    rc = !o->name ? -ENOMEM : o->fd < 0 ? -errno : 0;
    free(dir);
    free(copy);
    if (rc == 0 && (!(o->file = fdopen(o->fd, "w"))))
        rc = -errno;
    return rc ? cannot(o, rc, e) : 0;
}

/* Whoever replaces a file that is not his, leaves it to its owner, or to its group at least. */
static int keep_permissions(const struct output *o, const struct stat *old)
{
    if ((old->st_uid != geteuid() || old->st_gid != getegid()) &&
        fchown(o->fd, old->st_uid, old->st_gid) < 0 && errno == EPERM &&
        fchown(o->fd, (uid_t)-1, old->st_gid) < 0 && errno != EPERM)
        return -1;
    return fchmod(o->fd, old->st_mode & 07777);
}

/* -- what is there ----------------------------------------------------------------------- */

/* What rename(2) would refuse when the pictures are in their places already: a file in somebody
 * else's sticky directory, one that may only grow, one that is a mount of its own. */
static int may_replace(const struct output *o, const struct stat *old)
{
    char *name = directory_of(o->target);
    struct stat dir = {0};
    struct statx x = {0};
    int rc = faccessat(AT_FDCWD, o->target, W_OK, AT_EACCESS) < 0 ? -errno : 0;

    if (rc == 0 && name && stat(name, &dir) == 0 && dir.st_mode & S_ISVTX && geteuid() != 0 &&
        dir.st_uid != geteuid() && old->st_uid != geteuid())
        rc = -EPERM;
    if (rc == 0 && statx(AT_FDCWD, o->target, 0, STATX_INO, &x) == 0)
        rc = x.stx_attributes & STATX_ATTR_MOUNT_ROOT ? -EBUSY
             : x.stx_attributes & STATX_ATTR_APPEND   ? -EPERM
                                                      : 0;
    free(name);
    return rc;
}

/* Nobody means to lose one, whichever it is ($COWLAB_DB while --db names another). */
static bool is_database(const char *path)
{
    char magic[16] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    bool is = fd >= 0 && read(fd, magic, sizeof magic) == sizeof magic &&
              memcmp(magic, "SQLite format 3", sizeof magic) == 0;

    if (fd >= 0)
        close(fd);
    return is;
}

/* Its log holds what was written last, and is taken for that by its name, there yet or not. */
static bool is_beside_database(const char *path)
{
    static const char *const suffix[] = {"-wal", "-shm", "-journal"};
    size_t len = strlen(path);
    bool is = false;

    for (size_t i = 0; i < sizeof suffix / sizeof *suffix && !is; i++) {
        size_t end = strlen(suffix[i]);
        char *name =
            len > end && strcmp(path + len - end, suffix[i]) == 0 ? strndup(path, len - end) : NULL;

        is = name && is_database(name);
        free(name);
    }
    return is;
}

/* What is no regular file. A FIFO's reader is waited for, not for ever. */
static int open_special(const char *path, const struct stat *st)
{
    int fd = -1, fifo = S_ISFIFO(st->st_mode) ? O_NONBLOCK : 0;

    for (int ms = 0; fd < 0 && ms < READER_MS; ms += 10) {
        fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | fifo);
        if (fd >= 0 || !fifo || errno != ENXIO)
            break;
        usleep(10000);
    }
    if (fd >= 0 && fifo)
        fcntl(fd, F_SETFL, 0);
    return fd;
}

int output_open(struct output *o, const char *path, const char *ready, struct store *store,
                struct err *e)
{
    struct stat old;
    const char *name;
    bool there;
    int rc = 1;

    *o = (struct output){.fd = -1, .path = strdup(path), .target = strdup(path)};
    if (!o->path || !o->target)
        return err_no_memory(e);
    if (store_has_file(store, path))
        return err_set(e, ETXTBSY, "cannot write '%s': it is the database, or belongs to it", path);
    for (int i = 0; rc == 1; i++)
        rc = i < MOST_LINKS ? follow(&o->target) : -ELOOP;
    if (rc == -EXDEV)
        return open_straight(o, open_own(o->target), e);
    if (rc < 0)
        return cannot(o, rc, e);
    name = strrchr(o->target, '/');
    if (!*(name ? name + 1 : o->target))
        return cannot(o, *path ? EISDIR : ENOENT, e);
    there = stat(o->target, &old) == 0;
    if (!there && errno != ENOENT)
        return cannot(o, errno, e);
    if (there && !S_ISREG(old.st_mode)) {
        rc = open_special(o->target, &old);
        if (rc < 0 && errno == ENXIO && S_ISFIFO(old.st_mode))
            return err_set(e, ENXIO, "cannot write '%s': nobody reads it (waited %d s)", path,
                           READER_MS / 1000);
        return open_straight(o, rc, e);
    }
    if (there && (rc = may_replace(o, &old)) < 0)
        return cannot(o, rc, e);
    if ((there && is_database(o->target)) || is_beside_database(o->target))
        return err_set(e, ETXTBSY, "cannot write '%s': it is a database, or belongs to one", path);
    rc = open_beside(o, ready, e);
    return rc == 0 && there && keep_permissions(o, &old) < 0 ? cannot(o, errno, e) : rc;
}

int output_done(struct output *o, struct err *e)
{
    bool bad, few;
    int rc = stream_end(o->file);

    if (rc < 0)
        return cannot(o, rc, e);
    if (o->target) /* a head start: it goes on while the next one is written */
        sync_file_range(o->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    few = scarce(o->fd);
    if (few && (rc = output_sync(o, e)) < 0)
        return rc;
    if (o->target && !o->beside && few && give_name(o) < 0)
        return cannot(o, errno, e);
    if (!o->target || few) {
        bad = fclose(o->file) != 0;
        o->file = NULL;
        o->fd = -1;
        if (bad)
            return cannot(o, errno, e);
    }
    return 0;
}

int output_sync(struct output *o, struct err *e)
{
    return o->target && o->fd >= 0 && fsync(o->fd) < 0 ? cannot(o, errno, e) : 0;
}

int output_place(struct output *o, bool last, struct err *e)
{
    char *dir;
    int fd;

    if (!o->target)
        return 0;
    if (!o->beside && give_name(o) < 0)
        return cannot(o, errno, e);
    if (rename(o->name, o->target) < 0)
        return cannot(o, errno, e);
    o->beside = false;
    if (!last)
        return 0;
    dir = directory_of(o->target);
    fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(dir);
    return 0;
}

void output_drop(struct output *o)
{
    if (o->file)
        fclose(o->file);
    else if (o->fd >= 0)
        close(o->fd);
    if (o->beside)
        unlink(o->name);
    free(o->path);
    free(o->target);
    free(o->name);
    *o = (struct output){.fd = -1};
}
