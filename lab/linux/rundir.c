#include "lab/linux/rundir.h"

#include "lab/run/clock.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define PREFIX "cowlab-run-"
#define CGROUP_LINK "cgroup"
#define CGROUP_V1 0x27e0eb
#define CGROUP_V2 0x63677270

static const char *temporary(void)
{
    const char *tmp = getenv("TMPDIR");

    if (!tmp || !*tmp || strlen(tmp) > RUN_DIR_MAX - sizeof "/" PREFIX "1234567-12345678/bootstrap")
        return "/tmp";
    return tmp;
}

void run_dir_name(char path[RUN_DIR_MAX])
{
    uint32_t salt = 0;

    if (getrandom(&salt, sizeof salt, 0) < 0)
        salt = (uint32_t)time(NULL);
    snprintf(path, RUN_DIR_MAX, "%s/" PREFIX "%d-%08x", temporary(), getpid(), salt);
}

static bool is_there(int dir, const char *path)
{
    struct stat held, there;

    return fstat(dir, &held) == 0 && lstat(path, &there) == 0 && held.st_ino == there.st_ino &&
           held.st_dev == there.st_dev;
}

static int open_dir(const char *path)
{
    return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Who tidies up looks at it for a moment, and may be stopped in that. On a file system without
 * locks nobody gets one. */
static bool lock_within(int dir, int64_t allowed_ms)
{
    const struct timespec pause_1ms = {0, 1000000};
    int64_t until = now_ms() + allowed_ms;
    bool busy;

    while ((busy = flock(dir, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) && now_ms() < until)
        nanosleep(&pause_1ms, NULL);
    return !busy;
}

int run_dir_make(const char *path, const char *cgroup, int64_t allowed_ms, struct err *e)
{
    int dir;

    /* Until it has the lock, another run that tidies up may take it for one that was left. */
    do {
        if (mkdir(path, 0700) < 0)
            return err_sys(e, errno, "cannot create the run's directory '%s'", path);
        dir = open_dir(path);
        if (dir < 0 && errno != ENOENT)
            return err_sys(e, errno, "cannot open the run's directory '%s'", path);
        if (dir >= 0 && !lock_within(dir, allowed_ms)) {
            close(dir);
            rmdir(path);
            return err_set(e, ETIMEDOUT,
                           "another process kept the run's directory '%s' locked for %lld ms", path,
                           (long long)allowed_ms);
        }
        if (dir >= 0 && !is_there(dir, path)) {
            close(dir);
            dir = -1;
        }
    } while (dir < 0);
    if (*cgroup && symlinkat(cgroup, dir, CGROUP_LINK) < 0) {
        int rc = err_sys(e, errno, "cannot write to the run's directory '%s'", path);

        run_dir_remove(path, dir);
        close(dir);
        return rc;
    }
    return dir;
}

/* Who is still in it belongs to a run that is over, and may be stopped. 0: of another pid
 * namespace. */
static void kill_members(const char *cgroup)
{
    char path[4300];
    FILE *f;
    int pid;

    snprintf(path, sizeof path, "%s/cgroup.procs", cgroup);
    f = fopen(path, "re");
    while (f && fscanf(f, "%d", &pid) == 1)
        if (pid > 0)
            kill(pid, SIGKILL);
    if (f)
        fclose(f);
}

/* The cgroup that the link names, if it is one and the run's. */
static int remove_cgroup(int dir, const char *path)
{
    const struct timespec pause_5ms = {0, 5000000};
    const char *name = strrchr(path, '/');
    char cgroup[4200];
    struct statfs fs;
    ssize_t n = readlinkat(dir, CGROUP_LINK, cgroup, sizeof cgroup - 1);
    size_t tail = strlen(name);

    cgroup[n > 0 ? n : 0] = '\0';
    if (n < (ssize_t)tail || strcmp(cgroup + n - tail, name) != 0 || statfs(cgroup, &fs) < 0 ||
        (fs.f_type != CGROUP_V1 && fs.f_type != CGROUP_V2))
        return 0;
    for (int i = 0; rmdir(cgroup) < 0 && errno == EBUSY; i++) {
        if (i == 200)
            return -EBUSY;
        kill_members(cgroup);
        nanosleep(&pause_5ms, NULL); /* who was killed is still on the way out */
    }
    return 0;
}

/* With the lock. Only what a run makes: the link, the name server's socket and lock, and shared
 * memory that has the directory's name (until it is taken). */
static int remove_all(int dir, const char *path)
{
    static const char *const files[] = {CGROUP_LINK, "bootstrap", "bootstrap.lock"};
    int rc = remove_cgroup(dir, path);

    for (size_t i = 0; rc == 0 && i < sizeof files / sizeof *files; i++)
        unlinkat(dir, files[i], 0);
    if (rc == 0)
        shm_unlink(strrchr(path, '/'));
    if (rc == 0 && rmdir(path) < 0 && errno != ENOENT)
        rc = -errno;
    return rc;
}

/* Opens and locks a directory that has no owner: private to a user, and no link. -1: it has one, or
 * is none of ours. */
static int take_over(const char *path, uid_t *user)
{
    int dir = open_dir(path);
    struct stat st;

    if (dir >= 0 && (fstat(dir, &st) < 0 || (st.st_mode & 077) ||
                     flock(dir, LOCK_EX | LOCK_NB) < 0 || !is_there(dir, path))) {
        close(dir);
        return -1;
    }
    if (dir >= 0)
        *user = st.st_uid;
    return dir;
}

int run_dir_remove(const char *path, int lock)
{
    uid_t user = geteuid();
    int dir = lock < 0 ? take_over(path, &user) : lock, rc = -EBUSY;

    if (dir < 0)
        return access(path, F_OK) < 0 ? 0 : -EBUSY;
    if (user == geteuid())
        rc = remove_all(dir, path);
    if (lock < 0)
        close(dir);
    return rc;
}

/* As run_dir_name() makes it: others begin a name of theirs like that. */
static bool is_ours(const char *name)
{
    char salt[9] = "";
    int end = 0;

    sscanf(name, PREFIX "%*[0-9]-%8[0-9a-f]%n", salt, &end);
    return strlen(salt) == 8 && !name[end];
}

static void visit_place(const char *place, run_dir_visit *visit, void *arg)
{
    DIR *d = opendir(place);
    struct dirent *entry;

    while (d && (entry = readdir(d))) {
        char path[4096];
        uid_t user;
        int dir;

        if (!is_ours(entry->d_name) ||
            snprintf(path, sizeof path, "%s/%s", place, entry->d_name) >= (int)sizeof path)
            continue;
        dir = take_over(path, &user);
        if (dir < 0)
            continue;
        close(dir);
        visit(arg, path, user);
    }
    if (d)
        closedir(d);
}

void run_dirs_left(run_dir_visit *visit, void *arg)
{
    const char *tmp = temporary();

    visit_place(tmp, visit, arg);
    if (strcmp(tmp, "/tmp") != 0)
        visit_place("/tmp", visit, arg);
}

static void remove_left(void *arg, const char *path, uid_t user)
{
    (void)arg;
    (void)user;
    run_dir_remove(path, -1);
}

void run_dirs_tidy(void)
{
    run_dirs_left(remove_left, NULL);
}
