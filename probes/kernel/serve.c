/* serve: the privileged side of helper.h. The client is taken for hostile: nothing of its requests
 * or of the shared memory is believed or read twice, frame numbers stay in memory of its own, and
 * no descriptor goes out or comes in (without room for any the kernel closes those of a packet). */
#include "probes/kernel/helper.h"
#include "probes/kernel/pagemap.h"
#include "probes/kernel/wire.h"
#include "probes/list.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* From this many pages on a second thread pays. */
#define SPLIT_PAGES 2048
/* Page numbers this near are read as one range, no longer than RANGE. */
#define PAGE_GAP 8
#define RANGE 1024
#define PAGE_LIMIT (1ULL << 52) /* page numbers are below */
/* The flags that somebody asks for; those of large folios are told as one (see take). */
#define FLAGS_TOLD                                                                                 \
    (KPF_LRU | KPF_WRITEBACK | KPF_ANON | KPF_SWAPCACHE | KPF_SWAPBACKED | KPF_KSM |               \
     KPF_ZERO_PAGE | KPF_MLOCKED | KPF_ANON_EXCLUSIVE)

struct server {
    int socket, proc, count_fd, flags_fd;
    struct wire_memory *shared;
    uint64_t key[2];
    bool two;      /* CPUs for two threads */
    int *pagemaps; /* by number; -1: free */
    size_t n;
    /* of one request */
    uint64_t pages[WIRE_PAGES], words[WIRE_PAGES], frames[WIRE_PAGES], answers[WIRE_PAGES],
        again[WIRE_PAGES];
};

/* -- rights ----------------------------------------------------------------------------- */

/* Of the permitted capabilities only these are effective. */
static int set_effective(uint32_t mask)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &header, data) < 0)
        return -errno;
    data[0].effective = data[0].permitted & mask;
    data[1].effective = 0;
    return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

/* Dumpable again, because the memory of this process holds nothing that its user may not see. */
int helper_drop_privileges(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};

    if (!getauxval(AT_SECURE))
        return 0;
    if (syscall(SYS_capset, &header, none) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0)
        return -errno;
    return 0;
}

/* Would the kernel let the asking user look at this process without our capabilities? Then it
 * opens the file: same user and group, dumpable, no more capabilities, and whatever else it rules.
 */
static int allowed(int process)
{
    int fd = openat(process, "pagemap", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

/* Opens a file of a process with CAP_SYS_ADMIN. The process is held by a descriptor of its
 * directory, so that its number cannot be reused in between; the rule is asked before and after;
 * and an exec of a setuid program in between, and of another one, cannot slip through, because its
 * files are root's meanwhile and CAP_SYS_ADMIN opens no file of another user. */
static int open_of_process(const struct server *s, pid_t pid, const char *name, int flags)
{
    char path[16];
    int process, fd, rc;

    if (pid <= 0)
        return -ESRCH;
    snprintf(path, sizeof path, "%d", (int)pid);
    process = openat(s->proc, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (process < 0)
        return -errno;
    fd = allowed(process);
    if (fd == 0) {
        rc = set_effective(1u << CAP_SYS_ADMIN);
        fd = rc < 0 ? rc : openat(process, name, flags | O_CLOEXEC);
        fd = rc == 0 && fd < 0 ? -errno : fd;
        rc = set_effective(0);
        rc = rc < 0 ? rc : allowed(process);
        if (fd >= 0 && rc < 0) {
            close(fd);
            fd = rc;
        }
    }
    close(process);
    return fd;
}

/* -- labels ----------------------------------------------------------------------------- */

static inline uint64_t turn(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void sip_rounds(uint64_t v[4], int n)
{
    while (n--) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = turn(v[1], 13) ^ v[0];
        v[3] = turn(v[3], 16) ^ v[2];
        v[0] = turn(v[0], 32) + v[3];
        v[2] += v[1];
        v[3] = turn(v[3], 21) ^ v[0];
        v[1] = turn(v[1], 17) ^ v[2];
        v[2] = turn(v[2], 32);
    }
}

/* SipHash-2-4 (Aumasson and Bernstein, 2012) of eight bytes, little endian. */
static inline uint64_t siphash(const uint64_t key[2], uint64_t word)
{
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
                     key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};
    const uint64_t blocks[2] = {word, 8ULL << 56};

    for (int i = 0; i < 2; i++) {
        v[3] ^= blocks[i];
        sip_rounds(v, 2);
        v[0] ^= blocks[i];
    }
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The word with a label in the place of what it says of where the page is. */
static inline uint64_t labelled(const struct server *s, uint64_t word)
{
    uint64_t place = PM_FRAME(word);

    if (!place)
        return word;
    place |= pm_present(word) ? 0 : 1ULL << 63;
    return (word & ~PM_FRAME(~0ULL)) | PM_LABEL | (siphash(s->key, place) & (PM_LABEL - 1));
}

/* -- pages ------------------------------------------------------------------------------ */

/* Half of a request, or all of it. */
struct half {
    struct server *s;
    int pagemap, kpage; /* kpage -1: only read */
    bool flags;
    size_t from, n; /* of the request's pages */
    uint64_t first; /* page number of its first one, where only read */
    int64_t result;
};

/* The words of these pages; 0 where there are none. */
static int read_words(const struct half *p, uint64_t *out)
{
    const uint64_t *pages = p->s->pages + p->from;
    uint64_t range[RANGE];

    for (size_t i = 0, end; i < p->n; i = end) {
        int64_t got;

        for (end = i + 1; end < p->n && pages[end] > pages[end - 1] &&
                          pages[end] - pages[end - 1] <= PAGE_GAP && pages[end] - pages[i] < RANGE;)
            end++;
        got = pagemap_read(p->pagemap, 1, pages[i], pages[end - 1] - pages[i] + 1, range, 1, NULL);
        if (got < 0)
            return (int)got;
        for (size_t k = i; k < end; k++)
            out[k] = pages[k] - pages[i] < (uint64_t)got ? range[pages[k] - pages[i]] : 0;
    }
    return 0;
}

static uint64_t told(const struct half *p, uint64_t answer)
{
    if (!p->flags || answer == KPAGE_NONE)
        return answer;
    return (answer & FLAGS_TOLD) | (answer & KPF_LARGE ? KPF_THP : 0);
}

/* A frame is asked about only if the process has it at that page before and after: in between it
 * was nobody else's. */
static int ask_words(struct half *p)
{
    uint64_t *words = p->s->words + p->from, *frames = p->s->frames + p->from;
    uint64_t *answers = p->s->answers + p->from, *again = p->s->again + p->from;
    size_t have = 0, k = 0;
    int rc = read_words(p, again);

    for (size_t i = 0; i < p->n && rc == 0; i++) {
        uint64_t frame = pm_present(again[i]) ? PM_FRAME(again[i]) : 0;
        bool same = frame && PM_FRAME(labelled(p->s, again[i])) == PM_FRAME(words[i]);

        words[i] = same ? frame : 0;
        if (same)
            frames[have++] = frame;
    }
    if (rc == 0)
        rc = kpage_read(p->kpage, frames, answers, have, 1, NULL);
    if (rc == 0)
        rc = read_words(p, again);
    for (size_t i = 0; i < p->n && rc == 0; i++) {
        bool still = words[i] && pm_present(again[i]) && PM_FRAME(again[i]) == words[i];
        uint64_t answer = words[i] ? answers[k++] : KPAGE_NONE;

        words[i] = still ? told(p, answer) : KPAGE_NONE;
    }
    return rc;
}

static int64_t label_words(const struct half *p)
{
    uint64_t *words = p->s->words + p->from;
    int64_t got = pagemap_read(p->pagemap, 1, p->first, p->n, words, 1, NULL);

    for (int64_t i = 0; i < got; i++)
        words[i] = labelled(p->s, words[i]);
    return got;
}

static void *work(void *arg)
{
    struct half *p = arg;

    p->result = p->kpage < 0 ? label_words(p) : ask_words(p);
    return NULL;
}

/* All of a request into s->words; two threads where it is long. */
static int64_t run(struct half p)
{
    struct half parts[2] = {p, p};
    pthread_t thread;

    if (!p.s->two || p.n < SPLIT_PAGES) {
        work(&p);
        return p.result;
    }
    parts[0].n = parts[1].from = p.n / 2;
    parts[1].n -= parts[0].n;
    parts[1].first += parts[0].n;
    if (pthread_create(&thread, NULL, work, &parts[1]) == 0) {
        work(&parts[0]);
        pthread_join(thread, NULL);
    } else {
        work(&parts[0]);
        work(&parts[1]);
    }
    if (parts[0].result < (int64_t)(p.kpage < 0 ? parts[0].n : 0) || parts[1].result < 0)
        return parts[0].result < 0 || parts[1].result >= 0 ? parts[0].result : parts[1].result;
    return parts[0].result + parts[1].result;
}

/* -- requests --------------------------------------------------------------------------- */

static int attach(struct server *s, pid_t pid)
{
    int fd = open_of_process(s, pid, "pagemap", O_RDONLY);
    size_t i = 0;

    if (fd < 0)
        return fd;
    while (i < s->n && s->pagemaps[i] >= 0)
        i++;
    if (i == s->n && !LIST_ADD(s->pagemaps, s->n)) {
        close(fd);
        return -ENOMEM;
    }
    s->pagemaps[i] = fd;
    return (int)i;
}

static int pagemap_of(const struct server *s, int32_t number)
{
    return number >= 0 && (size_t)number < s->n ? s->pagemaps[number] : -1;
}

static int64_t detach(struct server *s, int32_t number)
{
    int fd = pagemap_of(s, number);

    if (fd < 0)
        return -EBADF;
    close(fd);
    s->pagemaps[number] = -1;
    return 0;
}

static int64_t read_pages(struct server *s, const struct wire_request *r)
{
    struct half p = {.s = s, .pagemap = pagemap_of(s, r->process), .kpage = -1, .n = r->n};
    int64_t got;

    if (p.pagemap < 0 || r->n > WIRE_PAGES || r->first >= PAGE_LIMIT)
        return -EINVAL;
    p.first = r->first;
    got = run(p);
    if (got > 0)
        memcpy(s->shared->words, s->words, (size_t)got * sizeof *s->words);
    return got;
}

static int64_t ask_pages(struct server *s, const struct wire_request *r)
{
    bool flags = r->call == WIRE_FLAGS;
    struct half p = {.s = s, .pagemap = pagemap_of(s, r->process), .n = r->n, .flags = flags};
    int64_t rc;

    p.kpage = flags ? s->flags_fd : s->count_fd;
    if (p.pagemap < 0 || r->n > WIRE_PAGES)
        return -EINVAL;
    if (p.kpage < 0)
        return -EACCES;
    memcpy(s->pages, s->shared->pages, r->n * sizeof *s->pages);
    memcpy(s->words, s->shared->words, r->n * sizeof *s->words);
    for (size_t i = 0; i < r->n; i++)
        if (s->pages[i] >= PAGE_LIMIT)
            return -EINVAL;
    rc = run(p);
    if (rc == 0)
        memcpy(s->shared->words, s->words, r->n * sizeof *s->words);
    return rc;
}

/* Which pages of an object of the asking user are in memory; its descriptor stays here, because
 * whoever may look at a process need not be able to open all that it has open. */
static int64_t tell_object(struct server *s, const struct wire_request *r, struct wire_answer *a)
{
    bool which = r->flags & WIRE_WITH_BITS;
    struct object object;
    char name[64];
    struct stat st;
    int found, fd, rc;

    if (r->n > PAGE_LIMIT || r->first > PAGE_LIMIT || (which && r->n > WIRE_BITS))
        return -EINVAL;
    snprintf(name, sizeof name, "map_files/%llx-%llx", (unsigned long long)r->start,
             (unsigned long long)r->end);
    /* Only found with the capability; opened, if it is a file of this user's, with no more rights
     * than the user has. */
    found = open_of_process(s, r->process, name, O_PATH);
    if (found < 0)
        return found;
    fd = fstat(found, &st) == 0 && st.st_uid == geteuid() && S_ISREG(st.st_mode)
             ? object_reopen(found)
             : -EACCES;
    close(found);
    rc = object_take(&object, fd);
    a->info = object.info;
    if (rc == 0 && r->n)
        rc = object_residency(&object, r->first, r->n, r->flags & WIRE_SWAP,
                              which ? s->pages : NULL, which ? s->words : NULL, &a->count, NULL);
    if (rc == 0 && r->n && which) {
        memcpy(s->shared->pages, s->pages, (r->n + 63) / 64 * sizeof *s->pages);
        memcpy(s->shared->words, s->words, (r->n + 63) / 64 * sizeof *s->words);
    }
    object_close(&object);
    return rc;
}

static int64_t serve(struct server *s, const struct wire_request *r, struct wire_answer *a)
{
    switch (r->call) {
    case WIRE_ATTACH:
        return attach(s, r->process);
    case WIRE_DETACH:
        return detach(s, r->process);
    case WIRE_READ:
        return read_pages(s, r);
    case WIRE_COUNTS:
    case WIRE_FLAGS:
        return ask_pages(s, r);
    case WIRE_OBJECT:
        return tell_object(s, r, a);
    default:
        return -EINVAL;
    }
}

/* Only a memfd that can never get shorter: to touch a page of it that is gone would be the end. */
static int map_shared(struct server *s, int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);
    struct statfs fs;
    struct stat st;

    if (seals < 0 || fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!(seals & F_SEAL_SHRINK) || (uint64_t)fs.f_type != TMPFS_MAGIC ||
        st.st_size < (off_t)sizeof *s->shared)
        return -EINVAL;
    s->shared = mmap(NULL, sizeof *s->shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return s->shared == MAP_FAILED ? -errno : 0;
}

/* Nobody traces this process or reads its memory or core. As many processes as the user may open
 * files. */
static int close_doors(void)
{
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        return -errno;
    raise_descriptors();
    return 0;
}

/* The files of the machine; from here on no capability is effective but while a file of a process
 * is opened. What a kernel does not have, or its rights do not open, is told when it is asked. */
static int open_files(struct server *s)
{
    struct statfs fs;
    int rc;

    s->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (s->proc < 0 || fstatfs(s->proc, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
        return s->proc < 0 ? -errno : -ENODEV;
    set_effective(1u << CAP_SYS_ADMIN | 1u << CAP_DAC_READ_SEARCH);
    s->count_fd = openat(s->proc, "kpagecount", O_RDONLY | O_CLOEXEC);
    s->flags_fd = openat(s->proc, "kpageflags", O_RDONLY | O_CLOEXEC);
    rc = set_effective(0);
    if (rc == 0 && getrandom(s->key, sizeof s->key, 0) != sizeof s->key)
        rc = -errno;
    return rc;
}

static int prepare(struct server *s, int memory)
{
    int rc = set_effective(0);

    if (rc == 0)
        rc = close_doors();

    s->two = sysconf(_SC_NPROCESSORS_ONLN) > 1;
    if (rc == 0)
        rc = map_shared(s, memory);
    return rc < 0 ? rc : open_files(s);
}

static int answer_all(struct server *s)
{
    struct wire_request request;

    for (;;) {
        struct wire_answer answer = {0};
        ssize_t n = recv(s->socket, &request, sizeof request, MSG_TRUNC);

        if (n == 0)
            return 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        answer.rc = n == sizeof request ? serve(s, &request, &answer) : -EINVAL;
        /* A client that asks and does not listen is not waited for. */
        if (send(s->socket, &answer, sizeof answer, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            return errno == EPIPE ? 0 : -errno;
    }
}

static void release(struct server *s)
{
    for (size_t i = 0; i < s->n; i++)
        detach(s, (int32_t)i);
    fd_close(&s->proc);
    fd_close(&s->count_fd);
    fd_close(&s->flags_fd);
    if (s->shared != MAP_FAILED)
        munmap(s->shared, sizeof *s->shared);
    free(s->pagemaps);
    free(s);
}

int helper_serve(int socket, int memory, struct err *e)
{
    struct server *s = calloc(1, sizeof *s);
    int rc;

    if (!s)
        return err_no_memory(e);
    s->socket = socket;
    s->proc = s->count_fd = s->flags_fd = -1;
    s->shared = MAP_FAILED;
    rc = prepare(s, memory);
    if (rc < 0)
        err_sys(e, rc, "cannot prepare to serve descriptor %d", socket);
    else if ((rc = answer_all(s)) < 0)
        err_sys(e, rc, "cannot serve descriptor %d", socket);
    release(s);
    return rc;
}
