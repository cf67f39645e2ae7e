#!/usr/bin/env python3
"""run: random programs through the lab, each compared with the model (README.md). See --help.

    run.py --seconds 60                 a minute of programs; ends with 1 at the first disagreement
    run.py --seed plain-17              one program, and what is said of it
    run.py --seed plain-17 --print      its scenario"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import compare
import programs

BATCH = 24  # programs in one call of cowlab, which costs a start


class Lab:
    def __init__(self, args, where):
        self.args, self.where, self.calls = args, where, 0

    def run(self, batch):
        """Runs all of a list of programs; returns how each can be read."""
        self.calls += 1
        db, files = f"{self.where}/{self.calls}.db", []
        for i, program in enumerate(batch):
            files.append(f"{self.where}/m{i}.json")
            with open(files[-1], "w", encoding="utf-8") as f:
                f.write(program.text(f"m{i}"))
        command = ["cowlab", "run", *files, "--db", db, "--backend", self.args.backend]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=600)
        results = []
        for i, program in enumerate(batch):
            try:
                if not os.path.exists(db):
                    raise compare.Disagrees("run", done.stderr.strip())
                comparison = compare.Comparison(program, compare.Stored(db, f"m{i}"), self.args.sees_all)
                comparison.run()
                results.append(comparison)
            except compare.Disagrees as d:
                if d.kind == "run" and len(batch) > 1:  # another program may have ended the command
                    results += self.run([program])
                    continue
                if d.kind == "run":
                    d.args = (d.args[0] + "\n" + done.stderr[-2000:],)
                results.append(d)
        for path in files + [db]:
            if os.path.exists(path):
                os.unlink(path)
        return results


def shrink(lab, program, kind):
    """Leaves steps out while the program still disagrees in the same way."""
    size = max(1, len(program.steps) // 2)
    while size:
        steps, tries = program.steps, []
        for at in range(0, len(steps), size):
            smaller = program.with_steps(steps[:at] + steps[at + size:])
            if smaller and smaller.steps:
                tries.append(smaller)
        results = zip(tries, lab.run(tries)) if tries else []
        found = next((t for t, r in results if isinstance(r, compare.Disagrees) and r.kind == kind), None)
        if found:
            program = found
        else:
            size //= 2
    return program


def tell(lab, program, d):
    print(f"# seed {program.name()} disagrees: {d}")
    if lab.args.shrink:
        small = shrink(lab, program, d.kind)
        result = lab.run([small])[0]
        print(f"# smallest, {len(small.steps)} steps: {result if isinstance(result, compare.Disagrees) else d}")
        print(small.text("smallest"))
    print(f"# again: PATH=$PWD/build:$PATH python3 tests/model/run.py --seed {program.name()}"
          + (f" --backend {lab.args.backend}" if lab.args.backend != "linux" else ""), flush=True)


class Swap:
    """A swap file of the test's own, as long as it runs; not there where the machine does not allow one."""

    def __init__(self, where, mib=16):
        self.path, self.on = f"{where}/swap", False
        try:
            with open(self.path, "wb") as f:
                f.write(bytes(mib << 20))
            os.chmod(self.path, 0o600)
            for command in (["mkswap", self.path], ["swapon", self.path]):
                subprocess.run(command, capture_output=True, check=True)
            self.on = True
        except (OSError, subprocess.CalledProcessError):
            pass

    def off(self):
        if self.on:
            subprocess.run(["swapoff", self.path], check=True)
            self.on = False


def campaign(lab, families):
    """Programs of each family in turn until the time is over."""
    end, seed, ran, bad = time.monotonic() + lab.args.seconds, lab.args.base, 0, 0
    values = declined = unknown = 0
    while time.monotonic() < end and bad < lab.args.most and (not lab.args.count or ran < lab.args.count):
        batch = [programs.program(seed + i // len(families), families[i % len(families)]) for i in range(BATCH)]
        seed += BATCH // len(families)
        for program, result in zip(batch, lab.run(batch)):
            ran += 1
            if isinstance(result, compare.Disagrees):
                bad += 1
                if bad <= lab.args.most:
                    tell(lab, program, result)
            else:
                values, declined, unknown = (values + result.values, declined + result.declined,
                                             unknown + result.unknown)
    print(f"# {ran} programs ({', '.join(families)}), seeds {lab.args.base} to {seed - 1}: {values} values, {unknown} unknown, "
          f"{declined} pages that the kernel declined to page out; {bad} programs disagree")
    return bad


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seconds", type=float, default=float(os.environ.get("MODEL_SECONDS", 60)))
    p.add_argument("--count", type=int, default=0, help="no more programs than this, about")
    p.add_argument("--base", type=int, default=1, help="first seed")
    p.add_argument("--families", default="plain,lock,fate,swap", help="kinds of program (programs.py)")
    p.add_argument("--most", type=int, default=1, help="disagreements before it stops")
    p.add_argument("--seed", help="one program: FAMILY-NUMBER")
    p.add_argument("--print", action="store_true", help="print the scenario of --seed, run nothing")
    p.add_argument("--backend", default="linux")
    p.add_argument("--no-shrink", dest="shrink", action="store_false")
    args = p.parse_args()
    args.sees_all = os.geteuid() == 0 and args.backend == "linux"
    one = args.seed and programs.program(int(args.seed.split("-")[1]), args.seed.split("-")[0])
    if args.print:
        print(one.text(one.name()))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    families = [one.family] if one else args.families.split(",")
    where = tempfile.mkdtemp(prefix="cowlab-model-", dir=os.environ.get("TMPDIR", "/tmp"))
    swap = None
    try:
        swap = Swap(where) if "swap" in families else None
        if swap and not swap.on:
            families.remove("swap")
            print("# SKIP swap: no swap file can be made here")
        lab = Lab(args, where)
        if not one:
            return int(bool(families) and campaign(lab, families) > 0)
        result = lab.run([one])[0]
        if isinstance(result, compare.Disagrees):
            tell(lab, one, result)
            return 1
        print(f"{one.name()}: {len(one.steps)} steps, {result.values} values agree")
        return 0
    finally:
        if swap:
            swap.off()
        shutil.rmtree(where, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
