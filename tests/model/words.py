"""words: what the lab's words must be for what the kernel has (kernel.py), as db/README.md and the glossary of a report
define them. A word is a set of what may stand there: one, or more where the kernel itself may decide either way."""

from kernel import ZERO, Frame, Swapped


def in_swap_behind(region, page):
    """Not mapped here, and in swap as a page of the memory object."""
    there = region.object.pages[page] if region.object and region.ptes[page] is None else None
    return bool(there and there.in_swap)


def state(_, region, page, pte):
    if pte is None:
        return {"swapped"} if in_swap_behind(region, page) else {"none"}
    if pte is ZERO:
        return {"zero"}
    if isinstance(pte, Swapped):
        return {"swapped"}
    if region.shared:
        return {"shared"}
    if pte.object:
        return {"object"}
    if pte.exclusive:
        return {"exclusive"}
    if pte.maps > 1:
        return {"cow"}
    if pte.slot and pte.slot.refs:
        return {"cow", "anon?"}  # in the swap cache, and another process holds the slot: a write copies
    if pte.was_swapped or pte.freed or (pte.was_locked and not region.locked):
        return {"debt", "anon?"}  # maybe in the swap cache, or on a list of the kernel's (MADV_FREE, unlocking)
    return {"debt"}


def slot_shared(pte):
    """The slot is another's too: swapped by both, or in memory here and swapped there, or the other way round."""
    slot = pte.slot if isinstance(pte, Swapped) else pte.slot if isinstance(pte, Frame) else None
    here = isinstance(pte, Swapped)
    return bool(slot) and slot.refs + slot.frame.maps * (slot.frame.slot is slot) > 1 and (here or slot.refs > 0)


def resident_behind(region, page):
    there = region.object and region.object.pages[page]
    return bool(there and not there.in_swap)


def expected(kernel, region):
    """Values of the timeline's row: name -> set, or a range as a tuple of two; and whether some may be unknown."""
    ptes = region.ptes
    states = [state(kernel, region, i, p) for i, p in enumerate(ptes)]
    frames = [p for p in ptes if isinstance(p, Frame)]
    private = [f for f in frames if not f.object]
    hidden = [p for p in range(len(ptes)) if resident_behind(region, p) and ptes[p] not in frames]
    shares = [p for p in ptes if slot_shared(p)]
    unwritten = region.shared or region.protection[1] != "w"  # no write of its own copies anything
    risk = 0 if unwritten else sum(s in ({"cow"}, {"object"}, {"zero"}) for s in states) + sum(
        (resident_behind(region, p) and ptes[p] is None) or in_swap_behind(region, p) for p in range(len(ptes)))
    maps = max([f.maps for f in private], default=0)
    most = max([maps] + [p.slot.refs + p.slot.frame.maps for p in shares])
    users = len(kernel.over(region.object)) if region.object else 0
    doubt = any(len(s) > 1 for s in states)
    return {
        "pages": {len(ptes)},
        "entry_pages": {len(ptes)},
        "mapped": {len(frames)},
        "resident": {len(frames) + len(hidden)},
        "huge": {0},
        "outside": {0},
        "at_risk": (risk, risk + (0 if unwritten else len(shares) + sum(len(s) > 1 for s in states))),
        "share_mode": {share_mode(kernel, region, states, shares, bool(frames or hidden))},
        "ref_count": (max(maps, users), max(most, users)),
        "protection": {region.protection},
        "inheritance": {region.inheritance()},
    }, doubt


def share_mode(kernel, region, states, shares, resident):
    """Mach's words: SM_COW where the next write of some page would copy it, or it is in debt for a former fork."""
    swapped = {"swapped"} in states
    if region.shared:
        return "SM_SHARED" if len(kernel.over(region.object)) > 1 else "SM_PRIVATE" if resident or swapped else "SM_EMPTY"
    backed = any(resident_behind(region, p) or in_swap_behind(region, p) for p in range(len(region.ptes)))
    if backed or shares or any(s & {"cow", "debt", "object"} for s in states):
        return "SM_COW"
    return "SM_PRIVATE" if resident or swapped else "SM_EMPTY"


OUTCOMES = ("first_touch", "copied", "reused", "no_fault", "swapped_in")


def outcome(outcomes):
    """The columns of a write: counts, and one word."""
    counts = {w: sum(o == w for o in outcomes.values()) for w in OUTCOMES + ("either",)}
    either = counts.pop("either")
    row = {w: (n, n + either if w in ("copied", "reused") else n) for w, n in counts.items()}
    some = [w for w in OUTCOMES if counts[w]]
    words = set(some) | ({"copied", "reused"} if either else set())
    row["write_outcome"] = {some[0]} if len(words) == 1 else {"mixed"} if len(some) > 1 else words | {"mixed"}
    return row


def common_frames(a, b):
    """Frames that two processes both map in their regions."""
    of = [{id(p) for r in x.regions.values() for p in r.ptes if isinstance(p, Frame)} for x in (a, b)]
    return len(of[0] & of[1])


def objects_beside(kernel):
    """Pages of memory objects without a name that nobody maps, and of these the ones that nobody can see."""
    only = hidden = 0
    for obj in kernel.objects:
        over = kernel.over(obj)
        for page, frame in enumerate(obj.pages if over or obj.held else []):
            if frame and not frame.maps and not frame.in_swap:
                only += 1
                hidden += all(r.ptes[page] is not None for r in over)
    return only, hidden
