/* actions: what a step can do, each in one row: X(ENUM, code, "JSON key", wants_region, "help").
 * Shared with the actor program and with the GNU Mach guest: no libc. Codes go over the wire
 * between lab and actor and into the guest's plan; they are never renumbered. */
#ifndef LAB_ACTIONS_H
#define LAB_ACTIONS_H

#define ACTIONS(X)                                                                                 \
    X(ACT_MAP, 1, "map", 1, "map a new region")                                                    \
    X(ACT_WRITE, 2, "write", 1, "stamp pages of a region")                                         \
    X(ACT_READ, 3, "read", 1, "read pages of a region and check their stamps")                     \
    X(ACT_FORK, 4, "fork", 0, "fork; the child is a new actor")                                    \
    X(ACT_EXEC, 5, "exec", 0, "exec the actor program anew: the address space goes")               \
    X(ACT_EXIT, 6, "exit", 0, "exit")                                                              \
    X(ACT_WAIT, 7, "wait", 0, "reap a child that has exited")                                      \
    X(ACT_UNMAP, 8, "unmap", 1, "unmap a region")                                                  \
    X(ACT_MOVE, 9, "move", 1, "move a region to another address (mremap)")                         \
    X(ACT_PROTECT, 10, "protect", 1, "change a region's protection")                               \
    X(ACT_LOCK, 11, "lock", 1, "lock a region in memory (mlock)")                                  \
    X(ACT_INHERIT, 12, "inherit", 1, "what a fork does with a region: copy, share or none")        \
    X(ACT_MADVISE, 13, "madvise", 1, "give the kernel advice about a region")                      \
    X(ACT_CHECKPOINT, 14, "checkpoint", 0, "look, and do nothing")                                 \
    X(ACT_OOL_SEND, 15, "ool_send", 1, "send a region out of line in a Mach message")              \
    X(ACT_OOL_RECEIVE, 16, "ool_receive", 1, "receive a region that was sent out of line")         \
    X(ACT_SEND, 17, "send", 0, "send a Mach message")                                              \
    X(ACT_RECEIVE, 18, "receive", 0, "receive a Mach message")                                     \
    X(ACT_REPLY, 19, "reply", 0, "answer the message received last")

/* Kinds of memory that map can make. */
#define MAP_KINDS(X)                                                                               \
    X(MK_ANONYMOUS, 1, "anonymous", "private anonymous memory")                                    \
    X(MK_SHARED, 2, "shared", "shared anonymous memory")                                           \
    X(MK_MEMFD_SHARED, 3, "memfd-shared", "a memfd, mapped shared")                                \
    X(MK_MEMFD_PRIVATE, 4, "memfd-private", "a memfd with content, mapped private")                \
    X(MK_FILE_PRIVATE, 5, "file-private", "a file with content, mapped private")                   \
    X(MK_HUGETLB, 6, "hugetlb", "private memory of explicit huge pages")                           \
    X(MK_ORDINARY, 7, "ordinary", "vm_allocate of the message layer")                              \
    X(MK_PURGEABLE, 8, "purgeable", "vm_allocate with VM_FLAGS_PURGABLE")                          \
    X(MK_MALLOC, 9, "malloc", "memory that the message layer did not allocate")

/* madvise advice: X(ENUM, code, "JSON word", "constant of madvise(2)"). */
#define ADVICES(X)                                                                                 \
    X(ADV_DONTNEED, 1, "DONTNEED", MADV_DONTNEED)                                                  \
    X(ADV_FREE, 2, "FREE", MADV_FREE)                                                              \
    X(ADV_PAGEOUT, 3, "PAGEOUT", MADV_PAGEOUT)                                                     \
    X(ADV_DONTFORK, 4, "DONTFORK", MADV_DONTFORK)                                                  \
    X(ADV_WIPEONFORK, 5, "WIPEONFORK", MADV_WIPEONFORK)                                            \
    X(ADV_HUGEPAGE, 6, "HUGEPAGE", MADV_HUGEPAGE)                                                  \
    X(ADV_NOHUGEPAGE, 7, "NOHUGEPAGE", MADV_NOHUGEPAGE)

/* Descriptors that a message carries: X(ENUM, code, "JSON key", "help"). */
#define MESSAGE_PARTS(X)                                                                           \
    X(PART_PORT, 1, "port", "a port right")                                                        \
    X(PART_OOL, 2, "ool", "a region, out of line")                                                 \
    X(PART_OOL_PORTS, 3, "ool_ports", "an array of port rights, out of line")                      \
    X(PART_OOL_VOLATILE, 4, "ool_volatile", "a region, out of line as volatile memory")

#define ACTION_ENUM(e, code, key, region, help) e = (code),
#define KIND_ENUM(e, code, text, help) e = (code),
#define ADVICE_ENUM(e, code, text, constant) e = (code),
#define PART_ENUM(e, code, text, help) e = (code),
enum action { ACTIONS(ACTION_ENUM) };
enum map_kind { MAP_KINDS(KIND_ENUM) };
enum advice { ADVICES(ADVICE_ENUM) };
enum part_kind { MESSAGE_PARTS(PART_ENUM) };

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
    unsigned long long page; /* index in the region */
};
#define STAMP_MAGIC 0xc0313b57u

#endif
