"""programs: random scenarios from a seed, the same ones everywhere. Each step is tried on the model first; what it refuses
is not written."""

import json
import random

import kernel as k
import mach

PHASE = {"map": "mapped", "write": "sender_wrote", "read": "receiver_read", "fork": "transferred", "exit": "released",
         "unmap": "released", "ool_send": "in_transit", "ool_receive": "received"}
# How often each action is tried, by the kind of program. swap: PAGEOUT beside forks and touches; lock: mlock; fate: what a
# fork does with a region; mach: what a Mach kernel can do, whole pages sent out of line among it.
WEIGHTS = {
    "plain": {"map": 4, "write": 10, "read": 6, "fork": 5, "exit": 2, "wait": 1, "madvise": 3, "protect": 2, "inherit": 2,
              "move": 2, "unmap": 1, "exec": 0.5, "checkpoint": 0.3},
    "swap": {"map": 3, "write": 8, "read": 6, "fork": 4, "exit": 1.5, "wait": 0.5, "pageout": 6, "madvise": 0.5, "move": 1,
             "unmap": 0.5},
    "lock": {"map": 3, "write": 8, "read": 4, "fork": 4, "exit": 2, "lock": 4, "madvise": 1, "protect": 1},
    "fate": {"map": 3, "write": 4, "fork": 5, "inherit": 5, "madvise": 5, "exit": 1, "move": 1, "unmap": 1},
    "mach": {"ool_send": 3, "ool_receive": 4, "map": 4, "write": 10, "read": 6, "fork": 5, "exit": 2, "wait": 1, "protect": 1, "inherit": 2, "unmap": 1},
}
KINDS = {"plain": k.KINDS, "swap": ("anonymous", "anonymous", "anonymous", "file-private"), "lock": k.KINDS, "fate": ("anonymous", "anonymous", "shared", "memfd-private"),
         "mach": ("anonymous", "anonymous", "shared")}
ADVICE = {"plain": ("DONTNEED", "FREE", "DONTFORK", "WIPEONFORK", "HUGEPAGE", "NOHUGEPAGE"),
          "swap": ("DONTNEED", "DONTFORK", "WIPEONFORK"), "lock": ("FREE", "DONTFORK", "WIPEONFORK"),
          "fate": ("DONTFORK", "WIPEONFORK")}


class Program:
    """A scenario: where it is from, its actors and steps."""

    def __init__(self, seed, family, roots, steps):
        self.seed, self.family, self.roots, self.steps = seed, family, roots, steps

    def world(self):
        """The kernel of this family, before the first step."""
        return mach.Mach(self.roots) if self.family == "mach" else k.Kernel(self.roots)

    def name(self):
        return f"{self.family}-{self.seed}"

    def text(self, name):
        actors = self.roots + [s["fork"]["as"] for s in self.steps if "fork" in s]
        frame = json.dumps({"scenario": name, "language": 1, "title": f"Seed {self.seed}, {self.family}",
                            "question": "Does the lab see what the model knows?", "no_twin": "a random program",
                            "actors": actors})
        return frame[:-1] + ', "steps": [\n  ' + ",\n  ".join(json.dumps(s) for s in self.steps) + "\n]}"

    def with_steps(self, steps):
        """The program with these steps, or None if one of them means nothing then."""
        used = {s["actor"] for s in steps}
        small = Program(self.seed, self.family, [r for r in self.roots if r in used] or self.roots[:1], steps)
        world = small.world()
        try:
            for step in steps:
                world.step(step)
        except k.Illegal:
            return None
        return small


def pages_of(rng, n):
    kind = rng.random()
    if kind < 0.3:
        return "all"
    if kind < 0.4:
        return "first"
    if kind < 0.55:
        return {"every": rng.randint(2, 5)}
    first = rng.randrange(n)
    return {"range": [first, rng.randint(1, n - first)]}


def alike(rng, memory):
    """A stretch of pages that carry one letter: the read checks it."""
    n, first = len(memory.ptes), rng.randrange(len(memory.ptes))
    carried = [k.letter(memory, page) for page in range(n)]
    end = next((page for page in range(first, n) if carried[page] != carried[first]), n)
    return [first, end - first]


def arguments(rng, world, family, action, name, last):
    """The step's value, or None where there is nothing to do it with. last: the region of the step before, likely again."""
    process = world.processes[name]
    if action == "map":
        return {"region": f"r{rng.randrange(4)}", "pages": rng.choice((1, 2, 5, 16, 23, 40, 70)),
                "kind": rng.choice(KINDS[family])}
    if action == "fork":
        return {"as": f"c{len(world.processes)}"}
    if action in ("exit", "exec", "checkpoint"):
        return {}
    if action == "wait":
        children = [n for n, p in world.processes.items() if p.parent == name and not p.alive and not p.waited]
        return {"child": rng.choice(children)} if children else None
    if action == "ool_receive":
        return {"region": world.mail[name][0][0]} if world.mail.get(name) else None
    if not process.regions:
        return None
    region = last if last in process.regions and rng.random() < 0.4 else rng.choice(list(process.regions))
    memory = process.regions[region]
    value = {"region": region}
    if action in ("write", "read"):
        value["pages"] = pages_of(rng, len(memory.ptes))
        if action == "read" and rng.random() < 0.6:
            value["pages"] = {"range": alike(rng, memory)}
        stamps = k.letters(memory, value["pages"])
        if action == "write":
            value["stamp"] = rng.choice("ABCDEFGH")
        elif len(stamps) == 1 and None not in stamps:
            value["stamp"] = stamps.pop()
    elif action == "ool_send":
        first = rng.randrange(len(memory.ptes))
        value |= {"to": rng.choice([n for n, p in world.processes.items() if p.alive]), "copy": "virtual",
                  "offset": first * 4096, "bytes": rng.randint(1, len(memory.ptes) - first) * 4096}
    elif action == "pageout":
        value["advice"] = "PAGEOUT"
    elif action == "madvise":
        value["advice"] = rng.choice(ADVICE[family])
    elif action == "protect":
        value["protection"] = rng.choice(("rw-", "rw-", "r--", "---"))
    elif action == "inherit":
        value["inheritance"] = rng.choice(("none", "copy", "share"))
    elif action == "lock":
        value["on"] = rng.random() < 0.7
    return value


def program(seed, family):
    rng = random.Random(f"{family}-{seed}")
    roots = ["a", "b"][:rng.choice((1, 1, 1, 2))]
    steps, last = [], None
    made = Program(seed, family, roots, steps)
    world = made.world()
    actions, weights = zip(*WEIGHTS[family].items())
    for _ in range(rng.randint(8, 30)):
        alive = [n for n, p in world.processes.items() if p.alive]
        name = rng.choice(alive)
        action = rng.choices(actions, weights)[0] if world.processes[name].regions or steps else "map"
        if action == "fork" and len(alive) > 5:
            continue
        value = arguments(rng, world, family, action, name, last)
        if value is None:
            continue
        step = {"phase": PHASE.get(action, "settled"), "actor": name,
                "madvise" if action == "pageout" else action: value}
        try:
            world.step(step)
        except k.Illegal:
            continue
        steps.append(step)
        last = value.get("region", last)
    return made
