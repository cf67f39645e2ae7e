/* actions: what a step can do, each in one row:
 *
 *   X(ENUM, code, "key", region, message, "what it does", FIELDS)
 *
 * key is the key in a scenario's JSON; what it does is said so in LANGUAGE.md. region: NONE, OLD
 * (it names one that the actor has) or NEW (one that the actor gets). message: SILENT (there is
 * none), SENDS, RECEIVES or ANSWERS (the one received last). What an action does is found by ENUM:
 * on paper world_ENUM in lab/plan/world/, in a backend likewise; lab/README.md has the list. Shared
 * with the actor program and with the GNU Mach guest: no libc. Codes go over the wire between lab
 * and actor and into the guest's plan; they are never renumbered. */
#pragma once

#define ACTIONS(X)                                                                                 \
    X(ACT_MAP, 1, "map", NEW, SILENT,                                                              \
      "maps a new region of so many `pages`, or of so many `bytes`", MAP_FIELDS)                   \
    X(ACT_WRITE, 2, "write", OLD, SILENT,                                                          \
      "stamps the chosen pages with a letter (`W` without `stamp`)", TOUCH_FIELDS)                 \
    X(ACT_READ, 3, "read", OLD, SILENT,                                                            \
      "reads the chosen pages; with `stamp` each must carry that letter, which is an expectation " \
      "like any other",                                                                            \
      TOUCH_FIELDS)                                                                                \
    X(ACT_FORK, 4, "fork", NONE, SILENT,                                                           \
      "forks; the child is actor `as`, with every region that is inherited", FORK_FIELDS)          \
    X(ACT_EXEC, 5, "exec", NONE, SILENT, "executes the actor program anew: all regions are gone",  \
      NO_FIELDS)                                                                                   \
    X(ACT_EXIT, 6, "exit", NONE, SILENT, "exits, with status 0 unless given", EXIT_FIELDS)         \
    X(ACT_WAIT, 7, "wait", NONE, SILENT,                                                           \
      "reaps a child that has exited; with `status` it must be that one", WAIT_FIELDS)             \
    X(ACT_UNMAP, 8, "unmap", OLD, SILENT, "unmaps the region", REGION_FIELDS)                      \
    X(ACT_MOVE, 9, "move", OLD, SILENT,                                                            \
      "moves the region to another address (`mremap`); not memory of `malloc`", REGION_FIELDS)     \
    X(ACT_PROTECT, 10, "protect", OLD, SILENT,                                                     \
      "changes the region's protection to `\"r--\"`, `\"rw-\"`, `\"---\"`, ...", PROTECT_FIELDS)   \
    X(ACT_LOCK, 11, "lock", OLD, SILENT,                                                           \
      "locks the region in memory (`mlock`), or with `\"on\": false` unlocks it", LOCK_FIELDS)     \
    X(ACT_INHERIT, 12, "inherit", OLD, SILENT, "says what a later fork does with the region",      \
      INHERIT_FIELDS)                                                                              \
    X(ACT_MADVISE, 13, "madvise", OLD, SILENT,                                                     \
      "advises the kernel (`madvise`): `DONTNEED`, `FREE` and `PAGEOUT` not for locked memory, "   \
      "`FREE` and `WIPEONFORK` only for private anonymous memory",                                 \
      MADVISE_FIELDS)                                                                              \
    X(ACT_CHECKPOINT, 14, "checkpoint", NONE, SILENT,                                              \
      "looks and does nothing; with `\"settle\": true` it may wait for counters that lag",         \
      CHECKPOINT_FIELDS)                                                                           \
    X(ACT_OOL_SEND, 15, "ool_send", OLD, SENDS,                                                    \
      "sends a region, or `bytes` of it from `offset`, out of line", OOL_SEND_FIELDS)              \
    X(ACT_OOL_RECEIVE, 16, "ool_receive", NEW, RECEIVES,                                           \
      "receives the region that the oldest waiting message carries", REGION_FIELDS)                \
    X(ACT_SEND, 17, "send", NONE, SENDS,                                                           \
      "sends a message; `\"reply\": true` sends a reply port along", SEND_FIELDS)                  \
    X(ACT_RECEIVE, 18, "receive", NONE, RECEIVES,                                                  \
      "receives the oldest waiting message; or, with `expect_timeout`, none must come",            \
      RECEIVE_FIELDS)                                                                              \
    X(ACT_REPLY, 19, "reply", NONE, ANSWERS,                                                       \
      "answers the message received last; without a reply port nothing is sent", REPLY_FIELDS)     \
    X(ACT_HAND_OVER, 20, "hand_over", OLD, SILENT,                                                 \
      "hands the whole region to actor `to`, whose `take` comes next, by one of the ways below",   \
      HAND_OVER_FIELDS)                                                                            \
    X(ACT_TAKE, 21, "take", NEW, SILENT,                                                           \
      "takes what was handed over: into `fresh` memory, a new region; or into one that is `used`", \
      TAKE_FIELDS)                                                                                 \
    X(ACT_SNAPSHOT, 22, "snapshot", OLD, SILENT,                                                   \
      "copies the region as it is at one moment, by one of the ways below, and reads the copy, "   \
      "while a thread of the actor goes on writing it",                                            \
      SNAPSHOT_FIELDS)

enum region_use { REGION_NONE, REGION_OLD, REGION_NEW };
enum message_use { MESSAGE_SILENT, MESSAGE_SENDS, MESSAGE_RECEIVES, MESSAGE_ANSWERS };

/* The keys that an action has: F("key", NEEDED or OPTIONAL, TYPE, min, max, member of struct step).
 * lab/plan/text/step.c knows the types; min and max are for numbers. Only lab/plan expands these.
 */
#define LIMIT_PAGES (INT64_C(1) << 30)
#define LIMIT_BYTES (INT64_C(1) << 42)
#define LIMIT_TIMEOUT_MS 60000
#define LIMIT_PARTS 16
#define LIMIT_RIGHTS 64

#define NO_FIELDS(F)
#define REGION_FIELDS(F) F("region", NEEDED, REGION, 0, 0, region)
#define MAP_FIELDS(F)                                                                              \
    REGION_FIELDS(F)                                                                               \
    F("pages", OPTIONAL, U64, 1, LIMIT_PAGES, pages)                                               \
    F("bytes", OPTIONAL, U64, 1, LIMIT_BYTES, bytes)                                               \
    F("kind", NEEDED, KIND, 0, 0, kind)
#define TOUCH_FIELDS(F)                                                                            \
    REGION_FIELDS(F)                                                                               \
    F("pages", NEEDED, SELECT, 0, 0, select)                                                       \
    F("stamp", OPTIONAL, STAMP, 0, 0, stamp)                                                       \
    F("count", OPTIONAL, COUNT, 0, 0, number)                                                      \
    F("latency", OPTIONAL, BOOL, 0, 0, latency)
#define FORK_FIELDS(F) F("as", NEEDED, NAME, 0, 0, as)
#define EXIT_FIELDS(F) F("status", OPTIONAL, I32, 0, 255, status)
#define WAIT_FIELDS(F) F("child", NEEDED, NAME, 0, 0, child) EXIT_FIELDS(F)
#define PROTECT_FIELDS(F) REGION_FIELDS(F) F("protection", NEEDED, PROTECTION, 0, 0, protection)
#define LOCK_FIELDS(F) REGION_FIELDS(F) F("on", OPTIONAL, BOOL, 0, 0, lock)
#define INHERIT_FIELDS(F) REGION_FIELDS(F) F("inheritance", NEEDED, INHERITANCE, 0, 0, inherit)
#define MADVISE_FIELDS(F) REGION_FIELDS(F) F("advice", NEEDED, ADVICE, 0, 0, advice)
#define CHECKPOINT_FIELDS(F) F("settle", OPTIONAL, BOOL, 0, 0, settle)
#define OOL_SEND_FIELDS(F)                                                                         \
    REGION_FIELDS(F)                                                                               \
    F("to", NEEDED, NAME, 0, 0, to)                                                                \
    F("copy", NEEDED, COPY, 0, 0, physical)                                                        \
    F("deallocate", OPTIONAL, BOOL, 0, 0, deallocate)                                              \
    F("offset", OPTIONAL, U64, 0, LIMIT_BYTES, offset_bytes)                                       \
    F("bytes", OPTIONAL, U64, 0, LIMIT_BYTES, bytes)
#define WORDS_FIELDS(F)                                                                            \
    F("id", OPTIONAL, I32, INT32_MIN, INT32_MAX, message_id)                                       \
    F("text", OPTIONAL, LINES, 0, 0, text)
#define PARTS_FIELD(F) F("parts", OPTIONAL, PARTS, 0, LIMIT_PARTS, parts)
#define REPLY_FIELDS(F) WORDS_FIELDS(F) PARTS_FIELD(F)
#define TIMEOUT_FIELD(F) F("timeout_ms", OPTIONAL, I64, 0, LIMIT_TIMEOUT_MS, timeout_ms)
#define SEND_FIELDS(F)                                                                             \
    F("to", NEEDED, NAME, 0, 0, to)                                                                \
    WORDS_FIELDS(F)                                                                                \
    F("reply", OPTIONAL, BOOL, 0, 0, want_reply)                                                   \
    TIMEOUT_FIELD(F) PARTS_FIELD(F)
#define HAND_OVER_FIELDS(F)                                                                        \
    REGION_FIELDS(F) F("to", NEEDED, NAME, 0, 0, to) F("way", NEEDED, WAY, 0, 0, way)
#define TAKE_FIELDS(F) REGION_FIELDS(F) F("into", OPTIONAL, INTO, 0, 0, used)
#define RECEIVE_FIELDS(F) TIMEOUT_FIELD(F) F("expect_timeout", OPTIONAL, BOOL, 0, 0, expect_timeout)

#define LIMIT_RATE 10000000
#define LIMIT_LEAD_MS 10000
#define SNAPSHOT_LEAD_MS 200 /* unless given */
#define SNAPSHOT_FIELDS(F)                                                                         \
    REGION_FIELDS(F)                                                                               \
    F("way", NEEDED, SNAPSHOT_WAY, 0, 0, snapshot_way)                                             \
    F("rate", OPTIONAL, U64, 0, LIMIT_RATE, rate)                                                  \
    F("lead_ms", OPTIONAL, I64, 0, LIMIT_LEAD_MS, lead_ms)                                         \
    F("seed", OPTIONAL, U64, 0, INT64_MAX, seed)

/* Kinds of memory that map can make. */
#define MAP_KINDS(X)                                                                               \
    X(MK_ANONYMOUS, 1, "anonymous", "private anonymous memory")                                    \
    X(MK_SHARED, 2, "shared", "shared anonymous memory")                                           \
    X(MK_MEMFD_SHARED, 3, "memfd-shared", "a memfd, mapped shared")                                \
    X(MK_MEMFD_PRIVATE, 4, "memfd-private", "a memfd with content, mapped private")                \
    X(MK_FILE_PRIVATE, 5, "file-private", "a file with content, mapped private")                   \
    X(MK_HUGETLB, 6, "hugetlb", "private memory of explicit huge pages")                           \
    X(MK_ORDINARY, 7, "ordinary", "`vm_allocate` of the message layer")                            \
    X(MK_PURGEABLE, 8, "purgeable", "the same with `VM_FLAGS_PURGABLE`")                           \
    X(MK_MALLOC, 9, "malloc", "memory that the message layer did not allocate")                    \
    X(MK_SHMEM_HUGE, 10, "shmem-huge",                                                             \
      "a file of a tmpfs of its own with huge pages, mapped shared")

/* madvise advice: X(ENUM, code, "JSON word", "constant of madvise(2)"). */
#define ADVICES(X)                                                                                 \
    X(ADV_DONTNEED, 1, "DONTNEED", MADV_DONTNEED)                                                  \
    X(ADV_FREE, 2, "FREE", MADV_FREE)                                                              \
    X(ADV_PAGEOUT, 3, "PAGEOUT", MADV_PAGEOUT)                                                     \
    X(ADV_DONTFORK, 4, "DONTFORK", MADV_DONTFORK)                                                  \
    X(ADV_WIPEONFORK, 5, "WIPEONFORK", MADV_WIPEONFORK)                                            \
    X(ADV_HUGEPAGE, 6, "HUGEPAGE", MADV_HUGEPAGE)                                                  \
    X(ADV_NOHUGEPAGE, 7, "NOHUGEPAGE", MADV_NOHUGEPAGE)

/* Ways for memory to change hands, beside fork: X(ENUM, code, "JSON word", KIND, "what it does").
 * STREAM: nothing is done before the take, which both sides carry out at the same time. CALL: the
 * same, but one side's system call does it. OBJECT: a memory object waits for the receiver.
 * MESSAGE: a message of the layer does. */
#define WAYS(X)                                                                                    \
    X(WAY_SOCKET, 1, "socket", STREAM, "through a stream socket")                                  \
    X(WAY_PACKET, 2, "packet", STREAM, "through a socket of packets, 64 KiB each")                 \
    X(WAY_PIPE, 3, "pipe", STREAM, "through a pipe, by `write` and `read`")                        \
    X(WAY_VMSPLICE, 4, "vmsplice", STREAM,                                                         \
      "through a pipe that holds the sender's own pages, from which the receiver reads")           \
    X(WAY_VMSPLICE_GIFT, 5, "vmsplice_gift", STREAM, "the same with `SPLICE_F_GIFT`")              \
    X(WAY_READV, 6, "process_vm_readv", CALL, "the receiver reads the sender's memory")            \
    X(WAY_WRITEV, 7, "process_vm_writev", CALL, "the sender writes the receiver's memory")         \
    X(WAY_MEMFD_SHARED, 8, "memfd_shared", OBJECT,                                                 \
      "the object behind a region of kind `memfd-shared` or `shmem-huge` is passed, and mapped "   \
      "shared: nothing is copied, nothing isolated")                                               \
    X(WAY_MEMFD_SEALED, 9, "memfd_sealed", OBJECT,                                                 \
      "the contents are put into a memfd that is sealed, passed, and mapped private")              \
    X(WAY_POSIX_SHM, 10, "posix_shm", OBJECT,                                                      \
      "the contents are put into shared memory that has a name (`shm_open`), and mapped shared")   \
    X(WAY_OOL_VIRTUAL, 11, "ool_virtual", MESSAGE, "out of line, by virtual copy")                 \
    X(WAY_OOL_PHYSICAL, 12, "ool_physical", MESSAGE, "out of line, by physical copy")
enum way_kind { WAY_STREAM = 1, WAY_CALL, WAY_OBJECT, WAY_MESSAGE };
/* Ways to a copy of one moment: X(ENUM, code, "JSON word", "what it does"). */
#define SNAPSHOT_WAYS(X)                                                                           \
    X(SNAP_PLAIN, 1, "plain", "the writer is stopped until all is copied")                         \
    X(SNAP_FORK, 2, "fork", "a child reads what it has from the fork")                             \
    X(SNAP_USERFAULTFD, 3, "userfaultfd",                                                          \
      "the region is write-protected; a page that is to be written is copied before, by a "        \
      "handler")                                                                                   \
    X(SNAP_OOL_VIRTUAL, 4, "ool_virtual", "the actor sends it out of line to itself")              \
    X(SNAP_RUNNING, 5, "running",                                                                  \
      "copied in two halves while the writer goes on: no one moment, to show that this is found")

/* Descriptors that a message carries: X(ENUM, code, "JSON key", TYPE, member of message_part). */
#define MESSAGE_PARTS(X)                                                                           \
    X(PART_PORT, 1, "port", DISPOSITION, disposition)                                              \
    X(PART_OOL, 2, "ool", PART_REGION, region)                                                     \
    X(PART_OOL_VOLATILE, 4, "ool_volatile", PART_REGION, region)                                   \
    X(PART_OOL_PORTS, 3, "ool_ports", DISPOSITION, disposition)

#define ACTION_ENUM(e, code, ...) e = (code),
#define KIND_ENUM(e, code, text, help) e = (code),
#define ADVICE_ENUM(e, code, text, constant) e = (code),
#define PART_ENUM(e, code, ...) e = (code),
#define WAY_ENUM(e, code, ...) e = (code),
#define WAY_KIND(e, code, text, kind, help) [e] = WAY_##kind,
#define SNAPSHOT_ENUM(e, code, ...) e = (code),
enum action { ACTIONS(ACTION_ENUM) };
enum map_kind { MAP_KINDS(KIND_ENUM) };
enum advice { ADVICES(ADVICE_ENUM) };
enum part_kind { MESSAGE_PARTS(PART_ENUM) };
enum way { WAYS(WAY_ENUM) };

static inline enum way_kind way_kind(enum way way)
{
    static const unsigned char kinds[] = {WAYS(WAY_KIND)};

    return way < sizeof kinds ? (enum way_kind)kinds[way] : 0;
}

static inline int map_kind_is_shared(enum map_kind kind)
{
    return kind == MK_SHARED || kind == MK_MEMFD_SHARED || kind == MK_SHMEM_HUGE;
}
enum snapshot_way { SNAPSHOT_WAYS(SNAPSHOT_ENUM) };

/* Which pages of a region a read or write touches. */
enum select_kind { SEL_ALL = 1, SEL_FIRST = 2, SEL_EVERY = 3, SEL_RANGE = 4, SEL_SHARE = 5 };

struct page_select {
    unsigned int kind;       /* enum select_kind */
    unsigned long long a, b; /* EVERY: a = n (page 0, n, 2n, ...); RANGE: first a, count b;
                                SHARE: a = parts per million of the pages, b = seed */
};

/* The generator behind SEL_SHARE: splitmix64 (Steele, Lea, Flood, 2014), by page index, so
 * that lab, actor and guest pick the same pages without telling each other. */
static inline unsigned long long select_splitmix64(unsigned long long x)
{
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

/* Is this page touched? page counts from 0. */
static inline int page_selected(const struct page_select *s, unsigned long long page)
{
    switch (s->kind) {
    case SEL_ALL:
        return 1;
    case SEL_FIRST:
        return page == 0;
    case SEL_EVERY:
        return page % s->a == 0;
    case SEL_RANGE:
        return page >= s->a && page - s->a < s->b;
    case SEL_SHARE:
        return select_splitmix64(s->b ^ select_splitmix64(page)) % 1000000 < s->a;
    default:
        return 0;
    }
}

/* What write puts at the start of each page, and read checks: who wrote which page when. */
struct page_stamp {
    unsigned int magic; /* STAMP_MAGIC */
    unsigned int letter;
    unsigned long long page; /* index in the region that was mapped first */
};
#define STAMP_MAGIC 0xc0313b57u

/* Writes what falls into [from, to), all in one page, of the stamps of a region whose first byte
 * lay at origin in the region that was mapped: a page that was sent from within has its stamp
 * further on, and two may share it. Where none falls the page's first byte stands for the write: it
 * is no stamp's. Nothing of a sanitizer's, whose faults would be counted as the write's. */
__attribute__((no_sanitize_address, no_sanitize_undefined)) static inline void
stamp_page(volatile char *base, unsigned long long from, unsigned long long to,
           unsigned long long origin, unsigned int page_size, unsigned int letter)
{
    int any = 0;

    for (unsigned long long at = from, in; at < to; at += page_size - in) {
        struct page_stamp stamp = {STAMP_MAGIC, letter, (origin + at) / page_size};

        in = (origin + at) % page_size;
        for (unsigned long long i = in; i < sizeof stamp && at + (i - in) < to; i++) {
            base[at + (i - in)] = ((const char *)&stamp)[i];
            any = 1;
        }
    }
    if (!any)
        base[from] = (char)letter;
}
