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
    """Of an address map, or in a message; inherited for sharing it is one entry of both tasks. first: in the object."""

    def __init__(self, pages, obj=None, first=0):
        self.pages, self.object, self.first, self.needs_copy = pages, obj, first, obj is not None
        self.was_shared = False  # then it is copied in other ways: not modelled

    def copy(self, first, pages):
        """Lazily: the next writer of either makes an object of its own."""
        self.needs_copy = self.object is not None
        return Entry(pages, self.object, self.first + first)

    def put(self, page, write):
        """The frame for a new page, in the object that takes it."""
        frames = self.top(write).frames
        return frames.setdefault(page + self.first, k.Frame())

    def top(self, write):
        """The object that takes a new page."""
        if self.object is None or (write and self.needs_copy):
            self.object, self.needs_copy = MachObject(self.object), False
        return self.object

    def find(self, page):
        return self.object.find(page + self.first) if self.object else None


class MachRegion:
    locked = False  # not in this model

    def __init__(self, entry, inherit="copy"):
        self.entry, self.inherit, self.protection, self.start = entry, inherit, "rw-", 0
        self.object, self.shared = None, False

    @property
    def ptes(self):
        return [self.entry.find(page) for page in range(self.entry.pages)]

    def inheritance(self):
        return self.inherit


class Mach(k.Kernel):
    def __init__(self, roots):
        super().__init__(roots)
        self.mail = {}  # receiver -> [(region, entry)]

    def entries(self):
        mapped = [r.entry for p in self.processes.values() for r in p.regions.values()]
        return {id(e): e for e in mapped + [e for mail in self.mail.values() for _, e in mail]}.values()

    def viewers(self, frame):
        return sum(any(e.find(page) is frame for page in range(e.pages)) for e in self.entries())

    def aliases(self, region):
        return sum(r.entry is region.entry for p in self.processes.values() for r in p.regions.values())

    def write(self, region, page, letter):
        frame = region.entry.find(page)
        others = frame and self.viewers(frame) > 1
        region.entry.put(page, True).letter = letter
        return "copied" if others else "sole" if frame else "first_touch"

    def read(self, region, page):
        if not region.entry.find(page):
            # Of what others may see too: whether they see this page hangs on how far chains have collapsed.
            k.need(not region.entry.needs_copy)
            region.entry.put(page, False)

    def do_map(self, _, process, a):
        k.need(a["region"] not in process.regions)
        process.regions[a["region"]] = MachRegion(Entry(a["pages"]), "share" if a["kind"] == "shared" else "copy")

    def do_fork(self, name, process, a):
        k.need(a["as"] not in self.processes)
        child = self.processes[a["as"]] = k.Process(name)
        for key, r in process.regions.items():
            if r.inherit == "none":
                continue
            if r.inherit == "share":
                r.entry.top(r.entry.needs_copy)
                r.entry.was_shared = True
            entry = r.entry if r.inherit == "share" else r.entry.copy(0, r.entry.pages)
            copy = child.regions[key] = MachRegion(entry, r.inherit)
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
        k.need(region.protection[0] == "r" and not region.entry.was_shared)
        first, pages = a["offset"] // 4096, a["bytes"] // 4096
        self.mail[a["to"]] = mail + [(a["region"], region.entry.copy(first, pages))]

    def do_ool_receive(self, name, process, a):
        k.need(self.mail.get(name) and self.mail[name][0][0] == a["region"] and a["region"] not in process.regions)
        process.regions[a["region"]] = MachRegion(self.mail[name].pop(0)[1])

    def do_inherit(self, _, process, a):
        region = self._region(process, a)
        k.need(a["inheritance"] != "copy" or not region.entry.was_shared)
        region.inherit = a["inheritance"]


def state(world, region, _, frame):
    if not frame:
        return {"none"}
    if world.viewers(frame) > 1:
        return {"cow"}
    return {"shared" if world.aliases(region) > 1 else "exclusive", "cow"}  # cow: a write copies it, though nobody else sees it


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
