"""kernel: what Linux does with the pages of a scenario, as its manual pages and documents say, and nothing of how the lab
finds out. Written from fork(2), mmap(2), madvise(2), mprotect(2), mremap(2), mlock(2), proc(5), and the kernel's
Documentation/admin-guide/mm/pagemap.rst and Documentation/mm/. It keeps, by page, which process maps which frame:

    None            not in the page table
    ZERO            the shared zero page
    Frame           anonymous memory, or a page of a memory object (frame.object)
    Swapped         a slot in swap; slots are shared over a fork and copied on write, as frames are
"""

ZERO = "zero"
AROUND = 16  # pages that a read fault of a memory object maps where they are in memory (fault_around_bytes)
SHARED_KINDS = ("shared", "memfd-shared")
FILLED_KINDS = ("memfd-private", "file-private")
KINDS = ("anonymous",) + SHARED_KINDS + FILLED_KINDS
HELD_KINDS = ("memfd-shared", "memfd-private")  # whose descriptor stays open


class Illegal(Exception):
    """The step means nothing here: the language refuses it, or this model leaves it out."""


class Frame:
    def __init__(self, letter=None, obj=False):
        self.letter, self.object = letter, obj
        self.maps, self.exclusive, self.slot = 0, not obj, None
        # The kernel may hold a reference of its own for a while: see _write_private.
        self.freed = self.was_locked = self.was_swapped = False
        self.aside = False    # paged out, and not yet on disk: fault-around leaves it out
        self.in_swap = False  # a page of shared memory


class Slot:
    """Of swap. refs: page tables that hold it; frame: the page that was, or will be, read back from it."""

    def __init__(self, frame):
        self.refs, self.frame = 0, frame


class Swapped:
    def __init__(self, slot, exclusive):
        self.slot, self.exclusive = slot, exclusive
        slot.refs += 1


class Object:
    """A memfd, shared anonymous memory or a file: its pages in memory, and who has it open."""

    def __init__(self, pages, filled, held):
        self.pages = [Frame("O", True) if filled else None for _ in range(pages)]
        self.held = held  # names of processes with a descriptor


class Region:
    def __init__(self, kind, pages):
        self.kind, self.ptes, self.start = kind, [None] * pages, 0
        self.shared = kind in SHARED_KINDS
        self.object = None
        self.protection, self.locked = "rw-", False
        self.no_fork = self.wiped = False
        self.had_private = False  # has an anon_vma: fork copies such page tables, others fill up by faults

    def inheritance(self):
        return "none" if self.no_fork else "zero" if self.wiped else "share" if self.shared else "copy"


class Process:
    def __init__(self, parent=None):
        self.parent, self.regions, self.alive, self.waited = parent, {}, True, False


def chosen(select, n):
    if select == "all":
        return range(n)
    if select == "first":
        return range(1)
    if "every" in select:
        return range(0, n, select["every"])
    first, count = select["range"]
    return range(first, first + count)


class Kernel:
    def __init__(self, roots):
        self.processes = {name: Process() for name in roots}
        self.objects = []      # all that were ever made without a name
        self.outcomes = {}     # of the step: page -> word, of the region that was written
        self.paged_out = set()  # of the step: pages that the kernel was asked to page out

    # -- one page ---------------------------------------------------------------------------------

    def _drop(self, region, page):
        pte = region.ptes[page]
        if isinstance(pte, Frame):
            pte.maps -= 1
        elif isinstance(pte, Swapped):
            pte.slot.refs -= 1
        region.ptes[page] = None

    def _set(self, region, page, frame):
        self._drop(region, page)
        frame.maps += 1
        frame.was_locked |= region.locked
        region.ptes[page] = frame

    def _own(self, region, page, letter):
        region.had_private = True
        self._set(region, page, Frame(letter))

    def _object_page(self, region, page):
        pages = region.object.pages
        if pages[page] is None:
            pages[page] = Frame(None, True)
        pages[page].in_swap = False
        return pages[page]

    def _swap_in(self, region, page, write):
        pte = region.ptes[page]
        slot, frame = pte.slot, pte.slot.frame
        alone = pte.exclusive
        self._set(region, page, frame)
        if write and frame.maps == 1 and slot.refs == 0:
            alone, frame.slot = True, None  # nobody needs the slot any more
        frame.exclusive = alone

    def read(self, region, page):
        pte = region.ptes[page]
        if isinstance(pte, Swapped):
            return self._swap_in(region, page, False)
        if pte is not None:
            return None
        if not region.object:
            region.ptes[page] = ZERO
            return None
        at = region.start // 4096 + page
        first = max(0, page - at % AROUND)
        table_ends = page - at % 512 + 512
        for p in range(first, min(len(region.ptes), first + AROUND, table_ends)):
            there = region.object.pages[p]
            if region.ptes[p] is None and there and not there.aside and not there.in_swap:
                self._set(region, p, there)
        if region.ptes[page] is None:
            self._set(region, page, self._object_page(region, page))
            region.ptes[page].aside = False
        return None

    def write(self, region, page, letter):
        """Returns the outcome's word, "either" for reused or copied. letter None: the fault alone."""
        word = self._write_shared(region, page) if region.shared else self._write_private(region, page)
        if letter:
            region.ptes[page].letter = letter
        return word

    def _write_shared(self, region, page):
        if region.ptes[page]:
            return "no_fault"
        had = region.object.pages[page]
        word = "swapped_in" if had and had.in_swap else "reused" if had else "first_touch"
        self._set(region, page, self._object_page(region, page))
        return word

    def _write_private(self, region, page):
        pte = region.ptes[page]
        back = isinstance(pte, Swapped)
        if back:
            self._swap_in(region, page, True)
            pte = region.ptes[page]
        if pte is None and region.object:  # a fault copies straight from the object
            self._object_page(region, page).aside = False
            self._own(region, page, region.object.pages[page].letter)
            return "copied"
        if pte is None or pte is ZERO:
            self._own(region, page, None)
            return "first_touch"
        if pte.object:
            self._own(region, page, pte.letter)
            return "copied"
        if pte.exclusive:
            return "swapped_in" if back else "no_fault"
        # Not only mappings count: the swap cache holds one while the page is written out; MADV_FREE and mlock put pages on lists of the processor's that hold a
        # reference until they are full (mm/swap.c, mm/mlock.c), and a page with one more is copied.
        if pte.maps == 1 and not (pte.slot and pte.slot.refs):
            pte.exclusive, pte.slot = True, None
            return "swapped_in" if back else "either" if pte.freed or pte.was_locked or pte.was_swapped else "reused"
        self._own(region, page, pte.letter)
        return "swapped_in" if back else "copied"

    def _page_out(self, region, page):
        """MADV_PAGEOUT takes what this process alone maps."""
        frame = region.ptes[page]
        if not isinstance(frame, Frame) or frame.maps != 1:
            return
        self.paged_out.add(page)
        if frame.object:
            frame.in_swap = region.kind != "file-private"
            frame.aside = not frame.in_swap  # written and not on disk yet: the page cache keeps it
            self._drop(region, page)
            return
        frame.slot, frame.was_swapped = frame.slot or Slot(frame), True
        self._drop(region, page)
        region.ptes[page] = Swapped(frame.slot, frame.exclusive)

    # -- steps ------------------------------------------------------------------------------------

    def step(self, step):
        """Carries a step of the language out; Illegal, and nothing is changed, where it cannot be."""
        self.outcomes, self.paged_out = {}, set()
        process = self.processes.get(step["actor"])
        action = next(k for k in step if k not in ("phase", "actor"))
        need(process and process.alive)
        getattr(self, "do_" + action)(step["actor"], process, step[action])

    def do_map(self, name, process, a):
        kind, pages = a["kind"], a["pages"]
        need(a["region"] not in process.regions)
        region = process.regions[a["region"]] = Region(kind, pages)
        if kind != "anonymous":
            region.object = Object(pages, kind in FILLED_KINDS, {name} if kind in HELD_KINDS else set())
            self.objects += [region.object] if kind != "file-private" else []

    def _region(self, process, a):
        need(a["region"] in process.regions)
        return process.regions[a["region"]]

    def do_write(self, _, process, a):
        region = self._region(process, a)
        need(region.protection[1] == "w")
        need("range" not in a["pages"] or sum(a["pages"]["range"]) <= len(region.ptes))
        for page in chosen(a["pages"], len(region.ptes)):
            self.outcomes[page] = self.write(region, page, a["stamp"])

    def do_read(self, _, process, a):
        region = self._region(process, a)
        need(region.protection[0] == "r")
        need("range" not in a["pages"] or sum(a["pages"]["range"]) <= len(region.ptes))
        need("stamp" not in a or letters(region, a["pages"]) == {a["stamp"]})
        for page in chosen(a["pages"], len(region.ptes)):
            self.read(region, page)

    def do_fork(self, name, process, a):
        need(a["as"] not in self.processes)
        child = self.processes[a["as"]] = Process(name)
        for obj in self.objects:
            obj.held |= {a["as"]} if name in obj.held else set()
        for key, r in process.regions.items():
            if not r.no_fork:
                child.regions[key] = self._inherit(r)

    def _inherit(self, r):
        copy = Region(r.kind, len(r.ptes))
        copy.object, copy.start, copy.protection = r.object, r.start, r.protection
        copy.wiped = r.wiped
        if r.wiped or not r.had_private:
            return copy
        copy.had_private = True
        for page, pte in enumerate(r.ptes):
            if isinstance(pte, Frame):
                pte.exclusive = False
                self._set(copy, page, pte)
            elif isinstance(pte, Swapped):
                pte.exclusive = False
                copy.ptes[page] = Swapped(pte.slot, False)
            else:
                copy.ptes[page] = pte
        return copy

    def _end_memory(self, name, process):
        for region in process.regions.values():
            for page in range(len(region.ptes)):
                self._drop(region, page)
        for obj in self.objects:
            obj.held.discard(name)
        process.regions = {}

    def do_exit(self, name, process, _):
        need(sum(p.alive for p in self.processes.values()) > 1)
        self._end_memory(name, process)
        process.alive = False

    def do_exec(self, name, process, _):
        self._end_memory(name, process)

    def do_wait(self, name, _, a):
        child = self.processes.get(a["child"])
        need(child and child.parent == name and not child.alive and not child.waited)
        child.waited = True

    def do_unmap(self, _, process, a):
        region = self._region(process, a)
        for page in range(len(region.ptes)):
            self._drop(region, page)
        del process.regions[a["region"]]

    def do_move(self, _, process, a):
        self._region(process, a)  # the page table moves along

    def do_protect(self, _, process, a):
        region = self._region(process, a)
        writable = region.protection[1] != "w" and a["protection"][1] == "w"
        region.protection = a["protection"]
        if writable and region.locked and not region.shared:  # a later write shall not fault (mm/mprotect.c)
            for page in range(len(region.ptes)):
                self.write(region, page, None)

    def do_lock(self, _, process, a):
        """mlock faults every page in, private writable memory for writing."""
        region = self._region(process, a)
        need(region.protection != "---")
        region.locked = a["on"]
        for page in range(len(region.ptes) if region.locked else 0):
            if region.shared or region.protection[1] != "w":
                self.read(region, page)
            else:
                self.write(region, page, None)
            if isinstance(region.ptes[page], Frame):
                region.ptes[page].was_locked = True

    def do_inherit(self, _, process, a):
        region = self._region(process, a)
        need(a["inheritance"] != ("copy" if region.shared else "share"))
        region.no_fork = a["inheritance"] == "none"
        if a["inheritance"] == "copy":
            region.wiped = False

    def do_madvise(self, _, process, a):
        region, advice = self._region(process, a), a["advice"]
        need(advice not in ("FREE", "WIPEONFORK") or region.kind == "anonymous")
        need(advice not in ("FREE", "DONTNEED", "PAGEOUT") or not region.locked)
        for page in range(len(region.ptes)):
            if advice == "DONTNEED" or (advice == "FREE" and isinstance(region.ptes[page], Swapped)):
                self._drop(region, page)
            if advice == "FREE" and isinstance(region.ptes[page], Frame):
                region.ptes[page].freed = True
            if advice == "PAGEOUT":
                self._page_out(region, page)
        region.no_fork |= advice == "DONTFORK"
        region.wiped |= advice == "WIPEONFORK"

    def do_checkpoint(self, *_):
        pass

    def keep(self, region, page):
        """The kernel declined to page this page out, as it may."""
        pte = region.ptes[page]
        frame = pte.slot.frame if isinstance(pte, Swapped) else region.object.pages[page]
        was = pte.exclusive if isinstance(pte, Swapped) else False
        self._set(region, page, frame)
        frame.exclusive, frame.in_swap = was, False

    def over(self, obj):
        """The regions that map an object, one in each process that does."""
        return [r for p in self.processes.values() for r in p.regions.values() if r.object is obj]


def need(fact):
    if not fact:
        raise Illegal


def letter(region, page):
    """What a read of the page would find."""
    pte = region.ptes[page]
    if pte is None and region.object:
        pte = region.object.pages[page]
    if isinstance(pte, Swapped):
        pte = pte.slot.frame
    return pte.letter if isinstance(pte, Frame) else None


def letters(region, select):
    return {letter(region, p) for p in chosen(select, len(region.ptes))}
