"""mach: the same for GNU Mach: what a write copies follows from entries and their chains of objects (Rashid et al., Machine-
Independent Virtual Memory Management, 1987, section 3; The GNU Mach Reference Manual, vm_inherit and task_create). A frame
that only one entry sees may be copied or kept: whether a chain has collapsed yet is the kernel's own affair."""

import kernel as k
import words

OUTCOMES = words.OUTCOMES[:4]  # nothing is swapped


class MachObject:
    """shadow: where pages that are not here are looked for."""

    def __init__(self, shadow=None):
        self.frames, self.shadow = {}, shadow

    def find(self, page):
        return self.frames.get(page) or (self.shadow.find(page) if self.shadow else None)


class Entry:
    """Of an address map; inherited for sharing it is one entry of both tasks."""

    def __init__(self, pages, obj=None, needs_copy=False):
        self.pages, self.object, self.needs_copy = pages, obj, needs_copy

    def top(self, write):
        """The object that takes a new page."""
        if self.object is None or (write and self.needs_copy):
            self.object, self.needs_copy = MachObject(self.object), False
        return self.object

    def find(self, page):
        return self.object.find(page) if self.object else None


class MachRegion:
    def __init__(self, entry, inherit="copy"):
        self.entry, self.inherit, self.protection, self.start = entry, inherit, "rw-", 0
        self.object, self.shared = None, False

    @property
    def ptes(self):
        return [self.entry.find(page) for page in range(self.entry.pages)]

    def inheritance(self):
        return self.inherit


class Mach(k.Kernel):
    def entries(self):
        return {id(r.entry): r.entry for p in self.processes.values() for r in p.regions.values()}.values()

    def viewers(self, page, frame):
        return sum(e.pages > page and e.find(page) is frame for e in self.entries())

    def write(self, region, page, letter):
        frame = region.entry.find(page)
        others = frame and self.viewers(page, frame) > 1
        top = region.entry.top(True)
        if page not in top.frames:
            top.frames[page] = k.Frame()
        top.frames[page].letter = letter
        return "copied" if others else "sole" if frame else "first_touch"

    def read(self, region, page):
        if not region.entry.find(page):
            region.entry.top(False).frames[page] = k.Frame()

    def do_map(self, _, process, a):
        k.need(a["region"] not in process.regions)
        process.regions[a["region"]] = MachRegion(Entry(a["pages"]), "share" if a["kind"] == "shared" else "copy")

    def do_fork(self, name, process, a):
        k.need(a["as"] not in self.processes)
        child = self.processes[a["as"]] = k.Process(name)
        for key, r in process.regions.items():
            if r.inherit == "none":
                continue
            entry = r.entry
            if r.inherit == "share":
                entry.top(entry.needs_copy)
            elif entry.object is None:
                entry = Entry(entry.pages)
            else:
                entry.needs_copy = True
                entry = Entry(entry.pages, entry.object, True)
            copy = child.regions[key] = MachRegion(entry, r.inherit)
            copy.protection = r.protection

    def do_unmap(self, _, process, a):
        self._region(process, a)
        del process.regions[a["region"]]

    def do_exit(self, name, process, _):
        k.need(sum(p.alive for p in self.processes.values()) > 1)
        process.regions, process.alive = {}, False

    def do_inherit(self, _, process, a):
        region = self._region(process, a)
        aliases = sum(r.entry is region.entry for p in self.processes.values() for r in p.regions.values())
        k.need(a["inheritance"] != "copy" or aliases == 1)  # a copy of what is shared: not modelled
        region.inherit = a["inheritance"]


def state(world, region, page, frame):
    if not frame:
        return {"none"}
    if world.viewers(page, frame) > 1:
        return {"cow"}
    aliases = sum(r.entry is region.entry for p in world.processes.values() for r in p.regions.values())
    return {"shared" if aliases > 1 else "exclusive", "cow"}  # cow: a write copies it, though nobody else sees it


def expected(world, region):
    frames = [f for f in region.ptes if f]
    may = {"pages": {region.entry.pages}, "resident": {len(frames)}, "protection": {region.protection},
           "inheritance": {region.inherit}}
    if region.entry.object is None:
        may["share_mode"] = {"SM_EMPTY"}
    return may, False


def outcome(outcomes):
    counts = {w: sum(o == w for o in outcomes.values()) for w in OUTCOMES + ("sole",)}
    sole = counts.pop("sole")
    return {w: (n, n + (sole if w in ("copied", "reused", "no_fault") else 0)) for w, n in counts.items()}
