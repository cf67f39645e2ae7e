/* words: the vocabulary of cowlab, each word in exactly one row.
 * Every list below is a table X(ENUM, code, "text", ...). The enum, the JSON and
 * SQL spelling, report labels and help text all expand from the row. Those
 * of the reasons are stored in databases: codes are written out and never renumbered.
 *
 * Owns the words and nothing else; no libc. Conversions to and from text are in words.c. */
#pragma once

#include <stdbool.h>

/* Share modes: numbers and names are Mach's (osfmk/mach/vm_region.h). The short
 * form is what vmmap(1) prints behind "SM=". */
#define SHARE_MODES(X)                                                                             \
    X(SM_COW, 1, "SM_COW", "COW")                                                                  \
    X(SM_PRIVATE, 2, "SM_PRIVATE", "PRV")                                                          \
    X(SM_EMPTY, 3, "SM_EMPTY", "NUL")                                                              \
    X(SM_SHARED, 4, "SM_SHARED", "SHM")                                                            \
    X(SM_TRUESHARED, 5, "SM_TRUESHARED", "TSH")                                                    \
    X(SM_PRIVATE_ALIASED, 6, "SM_PRIVATE_ALIASED", "P/A")                                          \
    X(SM_SHARED_ALIASED, 7, "SM_SHARED_ALIASED", "S/A")                                            \
    X(SM_LARGE_PAGE, 8, "SM_LARGE_PAGE", "LPG")

/* State of one page of a region, on Linux. The last field is the legend text. */
#define PAGE_STATES(X)                                                                             \
    X(PS_NONE, 0, "none", "not in the page table")                                                 \
    X(PS_ZERO, 1, "zero", "the shared zero page")                                                  \
    X(PS_EXCLUSIVE, 2, "exclusive", "anonymous, this process's alone")                             \
    X(PS_COW, 3, "cow",                                                                            \
      "anonymous, mapped elsewhere too (or held in swap): the next write copies")                  \
    X(PS_DEBT, 4, "debt", "mapped here alone, still write-protected from an earlier fork")         \
    X(PS_OBJECT, 5, "object", "a private mapping showing its memory object's page")                \
    X(PS_SHARED, 6, "shared", "a page of a shared mapping")                                        \
    X(PS_SWAPPED, 7, "swapped", "in swap")                                                         \
    X(PS_ANON_UNKNOWN, 8, "anon?", "anonymous, but exclusive, cow and debt cannot be told apart")

/* Phases: the vocabulary that lays fork and OOL side by side. */
#define PHASES(X)                                                                                  \
    X(PH_MAPPED, 1, "mapped")                                                                      \
    X(PH_POPULATED, 2, "populated")                                                                \
    X(PH_IN_TRANSIT, 3, "in_transit")                                                              \
    X(PH_TRANSFERRED, 4, "transferred")                                                            \
    X(PH_RECEIVED, 5, "received")                                                                  \
    X(PH_RECEIVER_READ, 6, "receiver_read")                                                        \
    X(PH_RECEIVER_WROTE, 7, "receiver_wrote")                                                      \
    X(PH_SENDER_WROTE, 8, "sender_wrote")                                                          \
    X(PH_SETTLED, 9, "settled")                                                                    \
    X(PH_RELEASED, 10, "released")

/* What a write cost, counted in pages; `mixed` is a step's word when several apply. */
#define WRITE_OUTCOMES(X)                                                                          \
    X(WO_FIRST_TOUCH, 1, "first_touch", "the page did not exist")                                  \
    X(WO_COPIED, 2, "copied", "a new frame")                                                       \
    X(WO_REUSED, 3, "reused", "the same frame, after a fault")                                     \
    X(WO_NO_FAULT, 4, "no_fault", "the same frame, no fault")                                      \
    X(WO_MIXED, 5, "mixed", "more than one of these")                                              \
    X(WO_SWAPPED_IN, 6, "swapped_in", "back from swap")

/* vm_inherit of a region across fork; numbers are Mach's. */
#define INHERITS(X)                                                                                \
    X(INH_SHARE, 0, "share")                                                                       \
    X(INH_COPY, 1, "copy")                                                                         \
    X(INH_NONE, 2, "none")                                                                         \
    X(INH_ZERO, 3, "zero") /* Linux only: MADV_WIPEONFORK */

/* Why a value is not there. text: the reason; unlock: what would give it. */
#define UNKNOWN_REASONS(X)                                                                         \
    X(WHY_KNOWN, 0, "", "")                                                                        \
    X(WHY_NOT_APPLICABLE, 1, "does not apply", "")                                                 \
    X(WHY_NO_FRAMES, 2, "page frame numbers need CAP_SYS_ADMIN",                                   \
      "run as root, or give cowprobe cap_sys_admin and cap_dac_read_search (see cowlab doctor)")   \
    X(WHY_NO_KPAGE, 3, "/proc/kpagecount and /proc/kpageflags cannot be read",                     \
      "run as root, or give cowprobe cap_sys_admin and cap_dac_read_search (see cowlab doctor)")   \
    X(WHY_NO_ANON_EXCLUSIVE, 4, "this kernel does not tell an exclusive page from one in debt",    \
      "Linux 5.19 or later, as root")                                                              \
    X(WHY_LARGE_FOLIO, 5, "the kernel's answer for a page of a large folio is ambiguous",          \
      "transparent huge pages off for this memory")                                                \
    X(WHY_NO_PAGE_MAPCOUNT, 6, "this kernel keeps no map count per page of a large folio",         \
      "a kernel without CONFIG_NO_PAGE_MAPCOUNT")                                                  \
    X(WHY_PERMISSION, 7, "permission denied", "run as the process's user or as root")              \
    X(WHY_NO_INTERFACE, 8, "this kernel has no interface for it", "")                              \
    X(WHY_GONE, 9, "the process was gone", "")                                                     \
    X(WHY_NO_CGROUP, 10, "no memory cgroup of the run's own could be made",                        \
      "run as root, or in a delegated cgroup")                                                     \
    X(WHY_TOO_LARGE, 11, "too large for the kernel to list its pages", "a smaller region")         \
    X(WHY_NOT_REPORTED, 12, "the backend does not report it", "")                                  \
    X(WHY_MOVED, 13, "the frame moved while it was being read", "run again")                       \
    X(WHY_READ_FAILED, 14, "reading it failed", "")                                                \
    X(WHY_NO_OBJECT_ACCESS, 15, "the memory object's descriptor cannot be opened from here",       \
      "run as root, or give cowprobe cap_sys_admin and cap_dac_read_search (see cowlab doctor)")   \
    X(WHY_ZERO_UNTOLD, 16, "the zero page cannot be told from a shared page here",                 \
      "Linux 6.7 or later, or root")                                                               \
    X(WHY_SWAP_HOLDERS, 17, "the kernel does not tell who else holds a page in swap", "")          \
    X(WHY_KERNEL_DECIDES, 18,                                                                      \
      "whether the kernel keeps or copies the page is decided when it is written", "")             \
    X(WHY_BORROWED_MEMORY, 19,                                                                     \
      "the process still runs in its parent's memory (vfork), until it executes a program", "")    \
    X(WHY_HIDDEN_REFERENCE, 20, "something holds a reference to the page that shows nowhere", "")  \
    X(WHY_NOT_ASKED, 21, "a sample does not ask for it", "cowlab vmmap")                           \
    X(WHY_PARENT_UNWATCHED, 22, "the parent is not watched", "watch the parent with --children")   \
    X(WHY_PAGED_OUT, 23, "pages were paged out between the write and the look", "more memory")     \
    X(WHY_FOREIGN_FILE, 24, "what of a file that others own is in memory is not told",             \
      "run as root")                                                                               \
    X(WHY_FRAMES_OFF, 25, "page frames were not asked for", "without --no-frames")                 \
    X(WHY_NO_NAMES, 26, "this kernel keeps no names of anonymous memory",                          \
      "a kernel with CONFIG_ANON_VMA_NAME")

/* What kind of text or number a quantity is. */
enum quantity_type {
    QT_PAGES = 1,
    QT_COUNT,
    QT_KB,
    QT_NS,
    QT_SHARE_MODE,
    QT_OUTCOME,
    QT_PROTECTION, /* VM_PROT bits 1 read, 2 write, 4 execute; text "rw-" */
    QT_INHERIT
};

/* Quantities of one observed region: X(ENUM, column, type). The columns of the
 * `timeline` view and the keys of an expectation on actor.region. */
#define REGION_QUANTITIES(X)                                                                       \
    X(RQ_SHARE_MODE, share_mode, QT_SHARE_MODE)                                                    \
    X(RQ_REF_COUNT, ref_count, QT_COUNT)                                                           \
    X(RQ_PAGES, pages, QT_PAGES)                                                                   \
    X(RQ_ENTRY_PAGES, entry_pages, QT_PAGES)                                                       \
    X(RQ_RESIDENT, resident, QT_PAGES)                                                             \
    X(RQ_MAPPED, mapped, QT_PAGES)                                                                 \
    X(RQ_NONE, none, QT_PAGES)                                                                     \
    X(RQ_ZERO, zero, QT_PAGES)                                                                     \
    X(RQ_EXCLUSIVE, exclusive, QT_PAGES)                                                           \
    X(RQ_COW, cow, QT_PAGES)                                                                       \
    X(RQ_DEBT, debt, QT_PAGES)                                                                     \
    X(RQ_OBJECT, object, QT_PAGES)                                                                 \
    X(RQ_SHARED, shared, QT_PAGES)                                                                 \
    X(RQ_SWAPPED, swapped, QT_PAGES)                                                               \
    X(RQ_HUGE, huge, QT_PAGES)                                                                     \
    X(RQ_AT_RISK, at_risk, QT_PAGES)                                                               \
    X(RQ_OUTSIDE, outside, QT_PAGES) /* pages whose frame something outside the run maps too */    \
    X(RQ_WRITE_OUTCOME, write_outcome, QT_OUTCOME)                                                 \
    X(RQ_FIRST_TOUCH, first_touch, QT_PAGES)                                                       \
    X(RQ_COPIED, copied, QT_PAGES)                                                                 \
    X(RQ_REUSED, reused, QT_PAGES)                                                                 \
    X(RQ_NO_FAULT, no_fault, QT_PAGES)                                                             \
    X(RQ_SWAPPED_IN, swapped_in, QT_PAGES)                                                         \
    X(RQ_PROTECTION, protection, QT_PROTECTION)                                                    \
    X(RQ_INHERITANCE, inheritance, QT_INHERIT)

/* Quantities of one process. minflt, majflt, dur_ns and cpu_ns are those of this step;
 * minflt_total and majflt_total since the process began. The last six are a watch's: all memory
 * of the process by its page states; copied_kb: got a new frame since the row before; lost_kb:
 * ceased to be in common with its parent since then because one of them wrote; lost_before_kb: in
 * its first row: at most so much had ceased to be before. */
#define PROCESS_QUANTITIES(X)                                                                      \
    X(PQ_RSS, rss_kb, QT_KB)                                                                       \
    X(PQ_PSS, pss_kb, QT_KB)                                                                       \
    X(PQ_USS, uss_kb, QT_KB)                                                                       \
    X(PQ_PEAK, peak_kb, QT_KB)                                                                     \
    X(PQ_PAGETABLE, pagetable_kb, QT_KB)                                                           \
    X(PQ_VIRTUAL, virtual_kb, QT_KB)                                                               \
    X(PQ_SWAP, swap_kb, QT_KB)                                                                     \
    X(PQ_MINFLT, minflt, QT_COUNT)                                                                 \
    X(PQ_MAJFLT, majflt, QT_COUNT)                                                                 \
    X(PQ_COW_FAULTS, cow_faults, QT_COUNT) /* GNU Mach counts them; Linux does not */              \
    X(PQ_DUR, dur_ns, QT_NS)                                                                       \
    X(PQ_CPU, cpu_ns, QT_NS) /* used by the process within the action */                           \
    X(PQ_MINFLT_TOTAL, minflt_total, QT_COUNT)                                                     \
    X(PQ_MAJFLT_TOTAL, majflt_total, QT_COUNT)                                                     \
    X(PQ_EXCLUSIVE, exclusive_kb, QT_KB)                                                           \
    X(PQ_SHARED_PARENT, shared_parent_kb, QT_KB)                                                   \
    X(PQ_DEBT, debt_kb, QT_KB)                                                                     \
    X(PQ_AT_RISK, at_risk_kb, QT_KB)                                                               \
    X(PQ_COPIED, copied_kb, QT_KB)                                                                 \
    X(PQ_LOST, lost_kb, QT_KB)                                                                     \
    X(PQ_LOST_BEFORE, lost_before_kb, QT_KB)

/* Totals of a step: what the system really uses. distinct counts each frame of the
 * actors once; distinct_file is the part of it that is page cache of files (not charged
 * to the run's cgroup); object_only: resident pages of memory objects that an actor holds but
 * no actor maps; in_transit: the same of objects that only messages hold; superseded: the part
 * of object_only that nobody can see any more: every mapping hides the page behind a private copy,
 * no message carries it, and a descriptor alone shows nothing. system is the machine's own figure.
 */
#define TOTAL_QUANTITIES(X)                                                                        \
    X(TQ_DISTINCT, distinct_kb, QT_KB)                                                             \
    X(TQ_DISTINCT_FILE, distinct_file_kb, QT_KB)                                                   \
    X(TQ_OBJECT_ONLY, object_only_kb, QT_KB)                                                       \
    X(TQ_IN_TRANSIT, in_transit_kb, QT_KB)                                                         \
    X(TQ_SUPERSEDED, superseded_kb, QT_KB)                                                         \
    X(TQ_SYSTEM, system_kb, QT_KB)                                                                 \
    X(TQ_SYSTEM_TOLERANCE, system_tolerance_kb, QT_KB)                                             \
    X(TQ_MEM_FREE, mem_free_kb, QT_KB)                                                             \
    X(TQ_MEM_AVAILABLE, mem_available_kb, QT_KB)                                                   \
    X(TQ_ANON_PAGES, anon_pages_kb, QT_KB)                                                         \
    X(TQ_SHMEM, shmem_kb, QT_KB)                                                                   \
    X(TQ_PAGE_TABLES, page_tables_kb, QT_KB)                                                       \
    X(TQ_COMMITTED_AS, committed_as_kb, QT_KB)                                                     \
    X(TQ_COMMIT_LIMIT, commit_limit_kb, QT_KB)                                                     \
    X(TQ_CGROUP_LIMIT, cgroup_limit_kb, QT_KB)                                                     \
    X(TQ_SWAP_FREE, swap_free_kb, QT_KB)

#define WORDS_ENUM2(e, code, text) e = (code),
#define WORDS_ENUM3(e, code, text, label) e = (code),
#define WORDS_COLUMN(e, column, type) e,

enum share_mode { SHARE_MODES(WORDS_ENUM3) };
enum page_state { PAGE_STATES(WORDS_ENUM3) PS__COUNT };
enum phase { PHASES(WORDS_ENUM2) };
enum write_outcome { WRITE_OUTCOMES(WORDS_ENUM3) };
enum inherit { INHERITS(WORDS_ENUM2) };
enum why { UNKNOWN_REASONS(WORDS_ENUM3) WHY__COUNT };
enum region_quantity { REGION_QUANTITIES(WORDS_COLUMN) RQ__COUNT };
enum process_quantity { PROCESS_QUANTITIES(WORDS_COLUMN) PQ__COUNT };
enum total_quantity { TOTAL_QUANTITIES(WORDS_COLUMN) TQ__COUNT };

/* One row of a word list, for lookups in both directions. label may be NULL. */
struct word {
    int code;
    const char *text;
    const char *label;
};

/* One row of a quantity list. */
struct quantity {
    const char *column;
    enum quantity_type type;
};

/* Word lists end with text NULL; quantity lists are indexed by their enum and
 * end with column NULL. */
extern const struct word share_modes[], page_states[], phases[], write_outcomes[], inherits[],
    unknown_reasons[]; /* label: what unlocks it */
extern const struct quantity region_quantities[], process_quantities[], total_quantities[];

/* Text of a code, or NULL if the list has no such code. */
const char *word_text(const struct word *list, int code);
const char *word_label(const struct word *list, int code);
/* Code of a text, or -1. */
int word_code(const struct word *list, const char *text);
/* Index of a column in a quantity list, or -1. */
int quantity_index(const struct quantity *list, const char *column);
/* The word list behind a quantity type, or NULL for numbers (and QT_PROTECTION). */
const struct word *quantity_words(enum quantity_type type);

/* Are two texts the same? Both may be NULL. */
bool same_text(const char *a, const char *b);

/* "rw-" for VM_PROT bits; buf holds at least 4 bytes. Returns buf. */
char *protection_text(int prot, char *buf);
/* VM_PROT bits of "r-x", or -1. */
int protection_code(const char *text);
