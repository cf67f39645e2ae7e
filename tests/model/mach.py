"""mach: the same for GNU Mach: what a write copies follows from entries and their chains of objects (Rashid et al., Machine-
Independent Virtual Memory Management, 1987, section 3; The GNU Mach Reference Manual, vm_inherit and task_create). A frame
that only one entry sees may be copied or kept: whether a chain has collapsed yet is the kernel's own affair."""

from collections import Counter

import kernel as k
import words

OUTCOMES = words.OUTCOMES[:4]  # nothing is swapped


class MachObject:
    """shadow: where pages that are not here are looked for."""

    def __init__(self, pages, shadow=None):
        self.frames, self.pages, self.shadow = {}, pages, shadow

    def find(self, page):
        return self.frames.get(page) or (self.shadow.find(page) if self.shadow else None)

    def down(self, page):
        """The objects from here down to the one that has this page."""
        return [self] + ([] if page in self.frames or not self.shadow else self.shadow.down(page))


class Entry:
    """A run of pages with one object; first: in the object."""

    def __init__(self, pages, obj=None, first=0):
        self.pages, self.object, self.first, self.needs_copy = pages, obj, first, obj is not None

    def copy(self):
        """Lazily: the next writer of either makes an object of its own."""
        self.needs_copy = self.object is not None
        return Entry(self.pages, self.object, self.first)

    def clip(self, pages):
        """Cuts this entry behind that many pages; the rest."""
        rest = Entry(self.pages - pages, self.object, self.first + pages)
        self.pages, rest.needs_copy = pages, self.needs_copy
        return rest

    def put(self, page, write):
        """The frame for a new page, in the object that takes it."""
        frames = self.top(write).frames
        return frames.setdefault(page + self.first, k.Frame())

    def top(self, write):
        """The object that takes a new page."""
        if self.object is None or (write and self.needs_copy):
            self.object, self.needs_copy = MachObject(self.pages, self.object), False
        return self.object

    def find(self, page):
        return self.object.find(page + self.first) if self.object else None

    def frames(self):
        return [self.find(page) for page in range(self.pages)]


class Range:
    """Entries in a row: of an address map, or in a message. Inherited for sharing it is one range of both tasks."""

    def __init__(self, entries):
        self.entries = entries
        self.was_shared = False  # then it is copied in other ways: not modelled

    def at(self, page):
        """The entry that holds this page, and which page of the entry it is."""
        for entry in self.entries:
            if page < entry.pages:
                return entry, page
            page -= entry.pages

    def clip(self, page):
        """Sees to it that an entry begins at this page; its place among the entries."""
        for place, entry in enumerate(self.entries):
            if not page:
                return place
            if page < entry.pages:
                self.entries.insert(place + 1, entry.clip(page))
                return place + 1
            page -= entry.pages
        return len(self.entries)

    def copy(self, first, pages):
        """Only the entries copied, cut to what was asked for, need a copy at the next write (vm_map_copyin)."""
        start = self.clip(first)
        return Range([e.copy() for e in self.entries[start:self.clip(first + pages)]])

    def frames(self):
        return [f for e in self.entries for f in e.frames()]


class MachRegion:
    locked = False  # not in this model

    def __init__(self, memory, inherit="copy"):
        self.memory, self.inherit, self.protection, self.start = memory, inherit, "rw-", 0
        self.object, self.shared = None, False

    @property
    def ptes(self):
        return self.memory.frames()

    def inheritance(self):
        return self.inherit


class Mach(k.Kernel):
    def __init__(self, roots):
        super().__init__(roots)
        self.mail = {}  # receiver -> [(region, entry)]

    def entries(self):
        mapped = [r.memory for p in self.processes.values() for r in p.regions.values()]
        memory = mapped + [m for mail in self.mail.values() for _, m in mail]
        return {id(e): e for m in memory for e in m.entries}.values()

    def viewers(self, frame):
        return sum(any(f is frame for f in e.frames()) for e in self.entries())

    def references(self):
        """How often each object is referred to, by entries and by objects that it is the shadow of."""
        count, new = Counter(), [e.object for e in self.entries() if e.object]
        while new:
            known = set(count)
            count.update(new)
            new = [o.shadow for o in set(count) - known if o.shadow]
        return count

    def aliases(self, region):
        return sum(r.memory is region.memory for p in self.processes.values() for r in p.regions.values())

    def write(self, region, page, letter):
        entry, page = region.memory.at(page)
        frame = entry.find(page)
        others = frame and self.viewers(frame) > 1
        entry.put(page, True).letter = letter
        return "copied" if others else "sole" if frame else "first_touch"

    def read(self, region, page):
        entry, page = region.memory.at(page)
        if not entry.find(page):
            # Of what others may see too: whether they see this page hangs on how far chains have collapsed.
            k.need(not entry.needs_copy)
            entry.put(page, False)

    def do_map(self, _, process, a):
        k.need(a["region"] not in process.regions)
        process.regions[a["region"]] = MachRegion(Range([Entry(a["pages"])]), "share" if a["kind"] == "shared" else "copy")

    def do_fork(self, name, process, a):
        k.need(a["as"] not in self.processes)
        child = self.processes[a["as"]] = k.Process(name)
        for key, r in process.regions.items():
            if r.inherit == "none":
                continue
            if r.inherit == "share":
                for entry in r.memory.entries:
                    # An entry that was cut off a larger object gets one of its own before it is shared (vm_map_fork).
                    entry.needs_copy |= not r.memory.was_shared and bool(entry.object) and entry.object.pages > entry.pages
                    entry.top(entry.needs_copy)
                r.memory.was_shared = True
            memory = r.memory if r.inherit == "share" else r.memory.copy(0, len(r.ptes))
            copy = child.regions[key] = MachRegion(memory, r.inherit)
            copy.protection = r.protection

    def do_unmap(self, _, process, a):
        self._region(process, a)
        del process.regions[a["region"]]

    def do_exit(self, name, process, _):
        k.need(sum(p.alive for p in self.processes.values()) > 1)
        process.regions, process.alive = {}, False
        self.mail.pop(name, None)

    def do_ool_send(self, name, process, a):
        region, mail = self._region(process, a), self.mail.get(a["to"], [])
        k.need(a["to"] != name and self.processes.get(a["to"]) and self.processes[a["to"]].alive and len(mail) < 5)
        k.need(region.protection[0] == "r" and not region.memory.was_shared)
        first, pages = a["offset"] // 4096, a["bytes"] // 4096
        self.mail[a["to"]] = mail + [(a["region"], region.memory.copy(first, pages))]

    def do_ool_receive(self, name, process, a):
        k.need(self.mail.get(name) and self.mail[name][0][0] == a["region"] and a["region"] not in process.regions)
        process.regions[a["region"]] = MachRegion(self.mail[name].pop(0)[1])

    def whole(self, process, a):
        """The region, if it is one entry: several the kernel may join again, which is not modelled."""
        region = self._region(process, a)
        k.need(len(region.memory.entries) == 1)
        return region

    def do_protect(self, name, process, a):
        self.whole(process, a)
        super().do_protect(name, process, a)

    def do_inherit(self, _, process, a):
        region = self.whole(process, a)
        k.need(a["inheritance"] != "copy" or not region.memory.was_shared)
        region.inherit = a["inheritance"]


def state(world, region, _, frame):
    if not frame:
        return {"none"}
    if world.viewers(frame) > 1:
        return {"cow"}
    return {"shared" if world.aliases(region) > 1 else "exclusive", "cow"}  # cow: a write copies it, though nobody else sees it


def at_risk(world, region):
    """What a write of all pages copies, at least and at most. What others see is copied; of a chain of objects that have no
    other reference the first page (the rest is the writer's then); of other pages one cannot say."""
    references, others, maybe, sole = world.references(), Counter(), 0, {}
    for entry in region.memory.entries if region.protection[1] == "w" else []:
        chain = (entry, None) if entry.needs_copy else (None, entry.object)
        for page, frame in enumerate(entry.frames()):
            below = entry.object.down(page + entry.first)[not entry.needs_copy:] if frame else []
            if below and world.viewers(frame) > 1:
                others[chain] += 1
            elif below and all(references[o] == 1 for o in below):
                sole[chain] = entry.needs_copy  # if not, the kernel may have collapsed it before
            else:
                maybe += bool(below)
    known = sum(others.values())
    return known + sum(sure and chain not in others for chain, sure in sole.items()), known + maybe + len(sole)


def expected(world, region):
    ptes = region.ptes
    may = {"pages": {len(ptes)}, "resident": {len(ptes) - ptes.count(None)}, "protection": {region.protection},
           "inheritance": {region.inherit}, "at_risk": at_risk(world, region)}
    if not any(e.object for e in region.memory.entries):
        may["share_mode"] = {"SM_EMPTY"}
    return may, False


def outcome(outcomes):
    counts = {w: sum(o == w for o in outcomes.values()) for w in OUTCOMES + ("sole",)}
    sole = counts.pop("sole")
    return {w: (n, n + (sole if w in ("copied", "reused", "no_fault") else 0)) for w, n in counts.items()}
