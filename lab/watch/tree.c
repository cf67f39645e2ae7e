#include "lab/watch/tree.h"

#include "probes/caps.h"
#include "probes/footprint.h"
#include "probes/list.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COMMAND_SHOWN 200 /* bytes of the arguments that are kept */

void tree_init(struct tree *t, bool children)
{
    *t = (struct tree){.children = children};
}

static void forget(struct tree_process *p)
{
    if (p->pidfd >= 0)
        close(p->pidfd);
    free(p->name);
    free(p->command);
}

void tree_release(struct tree *t)
{
    for (size_t i = 0; i < t->n; i++)
        forget(&t->list[i]);
    free(t->list);
    free(t->numbers);
    slurp_release(&t->text);
    *t = (struct tree){0};
}

static int open_pidfd(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);

    return fd < 0 ? -errno : fd;
}

/* Readable once the process has ended. */
static bool pidfd_ended(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};

    return fd >= 0 && poll(&p, 1, 0) > 0;
}

static int read_stat(struct tree *t, pid_t pid, struct footprint *f)
{
    char path[64];
    int rc;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    rc = slurp_path(&t->text, path);
    return rc < 0 ? rc : footprint_from_stat(f, &t->text);
}

/* Of a number that was in the tree before the name says which of all its processes this one is. */
static char *unique_name(struct tree *t, const char *comm, pid_t pid)
{
    size_t word = (size_t)pid / 64, had = t->numbers_room;
    char name[96];

    if (word >= had &&
        LIST_ROOM(t->numbers, t->numbers_room, word + 1 > 2 * had ? word + 1 : 2 * had) < 0)
        return NULL;
    if (t->numbers[word] >> pid % 64 & 1)
        snprintf(name, sizeof name, "%s[%d]#%zu", *comm ? comm : "?", (int)pid, t->ever + 1);
    else
        snprintf(name, sizeof name, "%s[%d]", *comm ? comm : "?", (int)pid);
    t->numbers[word] |= 1ULL << pid % 64;
    return strdup(name);
}

/* Its arguments with spaces between, printable, cut. NULL: it has none, or they are not ours to
 * read. */
static char *command_of(struct tree *t, pid_t pid)
{
    char path[64], *text;
    size_t n;

    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    if (slurp_path(&t->text, path) < 0 || t->text.len == 0)
        return NULL;
    n = t->text.len < COMMAND_SHOWN ? t->text.len : COMMAND_SHOWN;
    text = malloc(n + 1);
    if (!text)
        return NULL;
    for (size_t i = 0; i < n; i++)
        text[i] = (unsigned char)t->text.text[i] < ' ' ? ' ' : t->text.text[i];
    while (n && text[n - 1] == ' ')
        n--;
    text[n] = '\0';
    return text;
}

static int cannot_look(pid_t pid, int code, struct err *e)
{
    return err_sys(e, code, "cannot look at process %d", (int)pid);
}

/* The pidfd first, then who the number belongs to: if it still is alive by the pidfd after that,
 * what was read is about it. */
static int append(struct tree *t, pid_t pid, int parent, struct err *e)
{
    struct footprint f = {0};
    struct tree_process *p = NULL;
    int pidfd = open_pidfd(pid), rc;
    char *name = NULL;

    if (pidfd == -ESRCH || pidfd == -EINVAL)
        return err_set(e, ESRCH, "there is no process %d", (int)pid);
    rc = is_exhausted(pidfd) ? pidfd : read_stat(t, pid, &f);
    if (is_exhausted(rc))
        rc = cannot_look(pid, rc, e);
    else if (rc < 0 || f.state == 'Z' || f.state == 'X' || pidfd_ended(pidfd))
        rc = err_set(e, ESRCH, "there is no process %d%s", (int)pid,
                     rc < 0 ? "" : " any more: it has ended");
    else if (!(name = unique_name(t, f.comm, pid)) || !(p = LIST_ADD(t->list, t->n)))
        rc = err_no_memory(e);
    if (!p) {
        free(name);
        if (pidfd >= 0)
            close(pidfd);
        return rc;
    }
    *p = (struct tree_process){.id = (int)t->ever++,
                               .at = -1,
                               .stime = UINT64_MAX,
                               .minflt = -1,
                               .majflt = -1,
                               .pid = pid,
                               .first_parent = f.ppid,
                               .start_time = f.start_time,
                               .pidfd = pidfd < 0 ? -1 : pidfd,
                               .parent = parent,
                               .alive = true,
                               .fresh = true,
                               .name = name,
                               .command = command_of(t, pid)};
    snprintf(p->comm, sizeof p->comm, "%s", f.comm);
    return 0;
}

static int find_alive(const struct tree *t, pid_t pid)
{
    for (size_t i = t->n; i-- > 0;) /* the living tend to be the latest */
        if (t->list[i].alive && t->list[i].pid == pid)
            return (int)i;
    return -1;
}

/* May its memory be looked at? The kernel's answer to opening smaps, which is only given when it
 * is read. */
static int may_look(pid_t pid, struct err *e)
{
    int fd = proc_open(pid, "smaps"), rc = fd;
    char byte;

    if (fd >= 0) {
        rc = pread(fd, &byte, 1, 0) < 0 ? -errno : 0;
        close(fd);
    }
    if (is_exhausted(rc))
        return cannot_look(pid, rc, e);
    if (rc == -EACCES || rc == -EPERM)
        return caps_refuse(pid, e);
    return rc == -ESRCH ? err_set(e, ESRCH, "there is no process %d any more", (int)pid) : 0;
}

/* The last of the list is new: it has its parent there, or is one, and parents stand first. */
static void adopt(struct tree *t)
{
    size_t last = t->n - 1;
    pid_t new = t->list[last].pid;
    bool all = false; /* anybody may have lost its parent */

    for (size_t i = 0; i < t->n; i++) {
        const struct tree_process *p = &t->list[i];
        int parent;

        if (p->parent >= 0 || !p->alive || !(all || i == last || p->first_parent == new))
            continue;
        parent = find_alive(t, p->first_parent);
        if (parent < 0)
            continue;
        if ((size_t)parent > i) {
            struct tree_process swap = t->list[i];

            /* Only among roots just added, before anything refers to them by index. */
            t->list[i] = t->list[parent];
            t->list[parent] = swap;
            i = (size_t)-1;
            all = true;
            for (size_t j = 0; j < t->n; j++)
                t->list[j].parent = -1;
            continue;
        }
        t->list[i].parent = parent;
    }
}

int tree_add(struct tree *t, pid_t pid, struct err *e)
{
    int rc;

    if (find_alive(t, pid) >= 0)
        return 0;
    rc = append(t, pid, -1, e);
    rc = rc ? rc : may_look(pid, e);
    if (rc < 0)
        return rc;
    t->list[t->n - 1].root = true;
    adopt(t);
    return 0;
}

/* Without a pidfd: it has, unless nothing can be opened to see that. */
static bool stat_ended(struct tree *t, const struct tree_process *p)
{
    struct footprint f = {0};
    int rc = read_stat(t, p->pid, &f);

    return rc < 0 ? !is_exhausted(rc) : f.start_time != p->start_time || f.state == 'Z';
}

static void note_ends(struct tree *t)
{
    for (size_t i = 0; i < t->n; i++) {
        struct tree_process *p = &t->list[i];

        if (!p->alive)
            continue;
        if (p->pidfd >= 0 ? pidfd_ended(p->pidfd) : stat_ended(t, p)) {
            p->alive = false;
            p->gone_now = true;
            if (p->pidfd >= 0)
                close(p->pidfd);
            p->pidfd = -1;
        }
    }
}

/* A child that is gone before it could be added is none of our business, and neither are we: a
 * shell that is watched may have started us. */
static int add_child(struct tree *t, pid_t pid, int parent, struct err *e)
{
    struct err gone;
    int rc;

    if (find_alive(t, pid) >= 0 || pid == getpid())
        return 0;
    rc = append(t, pid, parent, &gone);
    if (is_exhausted(rc))
        *e = gone;
    return is_exhausted(rc) ? rc : 0;
}

/* Children by the kernel's own list, thread by thread (CONFIG_PROC_CHILDREN). -ENOENT: the kernel
 * has none. */
static int listed_children(struct tree *t, int parent, struct err *e)
{
    char path[300];
    struct dirent *d;
    DIR *tasks;
    int rc = 0;

    snprintf(path, sizeof path, "/proc/%d/task", (int)t->list[parent].pid);
    tasks = opendir(path);
    if (!tasks)
        return is_exhausted(-errno) ? cannot_look(t->list[parent].pid, errno, e) : 0;
    while (rc == 0 && (d = readdir(tasks))) {
        char *at;

        if (!isdigit((unsigned char)d->d_name[0]))
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)t->list[parent].pid,
                 d->d_name);
        rc = slurp_path(&t->text, path);
        if (is_exhausted(rc)) {
            rc = cannot_look(t->list[parent].pid, rc, e);
            break;
        }
        if (rc < 0) {
            rc = rc == -ENOENT && access("/proc/self/task", F_OK) == 0 &&
                         access("/proc/thread-self/children", F_OK) != 0
                     ? -ENOENT
                     : 0;
            continue;
        }
        at = strdup(t->text.text ? t->text.text : ""); /* t->text is used below */
        for (char *word = at, *end; rc == 0 && word; word = end) {
            long pid = strtol(word, &end, 10);

            if (end == word)
                break;
            rc = add_child(t, (pid_t)pid, parent, e);
        }
        free(at);
    }
    closedir(tasks);
    return rc;
}

/* The same from everybody's parent. */
static int search_children(struct tree *t, struct err *e)
{
    struct dirent *d;
    DIR *proc = opendir("/proc");
    int rc = 0;

    if (!proc)
        return is_exhausted(-errno) ? err_sys(e, errno, "cannot list the processes") : 0;
    while (rc == 0 && (d = readdir(proc))) {
        struct footprint f = {0};
        pid_t pid = (pid_t)strtol(d->d_name, NULL, 10);
        int parent, seen = pid > 0 ? read_stat(t, pid, &f) : -ESRCH;

        if (is_exhausted(seen))
            rc = cannot_look(pid, seen, e);
        else if (seen == 0 && (parent = find_alive(t, f.ppid)) >= 0)
            rc = add_child(t, pid, parent, e);
    }
    closedir(proc);
    return rc;
}

int tree_refresh(struct tree *t, struct err *e)
{
    int rc = 0;

    note_ends(t);
    /* The list grows while it is walked: grandchildren are found in the same pass. */
    for (size_t i = 0; t->children && i < t->n && rc == 0; i++)
        if (t->list[i].alive)
            rc = listed_children(t, (int)i, e);
    if (rc == -ENOENT)
        rc = search_children(t, e);
    return rc;
}

size_t tree_alive(const struct tree *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n; i++)
        n += t->list[i].alive;
    return n;
}

bool tree_renamed(struct tree *t, size_t i, const char *comm)
{
    struct tree_process *p = &t->list[i];
    char *command = command_of(t, p->pid);

    if (strcmp(p->comm, comm) == 0 &&
        (!command || (p->command && strcmp(p->command, command) == 0))) {
        free(command);
        return false;
    }
    snprintf(p->comm, sizeof p->comm, "%s", comm);
    if (command) {
        free(p->command);
        p->command = command;
    }
    return true;
}

void tree_told(struct tree *t)
{
    int *moved = malloc(t->n * sizeof *moved + 1); /* where in the list to; -1: nowhere */
    size_t kept = 0;

    for (size_t i = 0; i < t->n; i++) {
        struct tree_process *p = &t->list[i];

        p->fresh = p->gone_now = false;
        if (!moved) /* the next time */
            continue;
        moved[i] = p->alive ? (int)kept : -1;
        if (!p->alive) {
            forget(p);
            continue;
        }
        p->parent = p->parent >= 0 ? moved[p->parent] : -1;
        t->list[kept++] = *p;
    }
    t->n = moved ? kept : t->n;
    free(moved);
}

bool tree_wait(const struct tree *t, int ms)
{
    struct pollfd p[64];
    nfds_t n = 0;

    for (size_t i = 0; i < t->n && n < 64; i++)
        if (t->list[i].root && t->list[i].alive && t->list[i].pidfd >= 0)
            p[n++] = (struct pollfd){t->list[i].pidfd, POLLIN, 0};
    return poll(p, n, ms) > 0;
}
