"""compare: one stored run against the model, step by step, through the documented views (db/README.md). The first
disagreement is told with its step, region, page and both values."""

import sqlite3

import kernel as k
import mach
import words

ROW = ("pages", "entry_pages", "mapped", "resident", "huge", "outside", "at_risk", "share_mode", "ref_count",
       "protection", "inheritance") + words.OUTCOMES + ("write_outcome",)
STATES = ("none", "zero", "exclusive", "cow", "debt", "object", "shared", "swapped")


class Disagrees(Exception):
    def __init__(self, kind, text):
        super().__init__(text)
        self.kind = kind


class Stored:
    """A run's rows, by step."""

    def __init__(self, db, scenario):
        self.db = sqlite3.connect(f"file:{db}?mode=ro", uri=True)
        self.db.row_factory = sqlite3.Row
        runs = self.db.execute("SELECT run_id, status, message FROM runs WHERE scenario = ?", (scenario,)).fetchall()
        if not runs or runs[-1]["status"] != "complete":
            raise Disagrees("run", "the run did not end: " + (runs[-1]["message"] or "?" if runs else "nothing stored"))
        self.run = runs[-1]["run_id"]
        self.timeline = self._by_step("SELECT * FROM timeline WHERE run_id = ?")
        self.pages = self._by_step("SELECT * FROM page_runs WHERE run_id = ?")
        self.checks = self._by_step("SELECT * FROM checks WHERE run_id = ?")
        self.sharing = self._by_step("SELECT * FROM sharing WHERE run_id = ?")
        self.footprint = self._by_step("SELECT * FROM footprint_vs_system WHERE run_id = ?")
        self.unknown = {(u["step"], u["observed"], u["region"], u["quantity"]): u["reason"] for u in
                        self.db.execute("SELECT * FROM unknowns WHERE run_id = ?", (self.run,))}
        self.db.close()

    def _by_step(self, sql):
        rows = {}
        for row in self.db.execute(sql, (self.run,)):
            rows.setdefault(row["step"], []).append(row)
        return rows


class Comparison:
    """sees_all: as root on Linux nothing but what the kernel decides may be unknown."""

    def __init__(self, program, stored, sees_all):
        self.world, self.stored, self.sees_all = program.world(), stored, sees_all
        self.words = mach if isinstance(self.world, mach.Mach) else words
        self.program, self.declined, self.values, self.unknown = program, 0, 0, 0
        self.step, self.risk = 0, {}

    def fail(self, kind, text):
        done = self.program.steps[self.step - 1]
        action = next(x for x in done if x not in ("phase", "actor"))
        raise Disagrees(kind, f"step {self.step} ({done['actor']} {action} {done[action]}): {text}")

    def run(self):
        for self.step, step in enumerate(self.program.steps, 1):
            self.world.step(step)
            self.regions(step)
            self.checks()
            if self.sees_all:
                self.totals()
                self.sharing()

    def regions(self, step):
        rows = {(r["observed"], r["region"]): r for r in self.stored.timeline.get(self.step, [])
                if r["observed"] != "message"}
        mine = {(n, key): r for n, p in self.world.processes.items() for key, r in p.regions.items()}
        if set(rows) != set(mine):
            self.fail("regions", f"the lab shows regions {sorted(set(rows) - set(mine))} that are not there, "
                      f"and leaves out {sorted(set(mine) - set(rows))}")
        written = next((step[a]["region"] for a in ("write",) if a in step), None)
        labels = {}
        for (name, key), region in mine.items():
            row = rows[name, key]
            region.start = row["range_start"]
            acted = step["actor"] == name and "madvise" in step and step["madvise"]["region"] == key
            self.page_states(f"{name}.{key}", row, region, acted, labels)
            outcomes = self.world.outcomes if (name, key) == (step["actor"], written) else None
            self.row(f"{name}.{key}", row, region, outcomes)
            if self.words is mach:
                self.kept_risk(name, key, row, outcomes)

    def kept_risk(self, name, key, row, outcomes):
        """What was at risk before all pages were written is what the kernel copied."""
        risk = self.risk.get((name, key))
        if outcomes and len(outcomes) == row["pages"] and risk != row["copied"]:
            self.fail("risk", f"{name}.{key}: at_risk was {risk}, and a write of all copied {row['copied']}")
        self.risk[name, key] = row["at_risk"]

    def runs_of(self, row):
        return [p for p in self.stored.pages.get(self.step, []) if p["nr"] == row["nr"]]

    def page_states(self, at, row, region, acted, labels):
        """Page by page; frames: two pages have the same one here if and only if they do in the model."""
        seen = dict.fromkeys(STATES + ("anon?",), 0)
        for run in self.runs_of(row):
            for i in range(run["count"]):
                page, word = run["first"] + i, run["state"]
                pte = region.ptes[page]
                may = self.words.state(self.world, region, page, pte)
                if word not in may and acted and page in self.world.paged_out:
                    self.world.keep(region, page)
                    self.declined += 1
                    pte = region.ptes[page]
                    may = self.words.state(self.world, region, page, pte)
                seen[word] += 1
                self.values += 1
                if word not in may and not (word == "anon?" and not self.sees_all and self.private(may)):
                    self.fail(f"state {word}", f"{at} page {page} is {word}, in truth {' or '.join(sorted(may))}")
                self.frame(at, page, pte, run, i, labels)
        if sum(seen.values()) != len(region.ptes):
            self.fail("runs", f"{at}: page_runs holds {sum(seen.values())} of {len(region.ptes)} pages")
        for word in STATES:
            if row[word] is None:
                self.unknown_value(at, row, word, seen["anon?"] > 0)
            elif row[word] != seen[word]:
                self.fail(f"sum {word}", f"{at}: {word} is {row[word]}, its pages say {seen[word]}")

    @staticmethod
    def private(may):
        return bool(may & {"exclusive", "debt", "cow", "zero"})

    def frame(self, at, page, pte, run, i, labels):
        if not isinstance(pte, k.Frame):
            return
        if run["mapcount"] is not None and run["mapcount"] != pte.maps:
            self.fail("mapcount", f"{at} page {page} is mapped {run['mapcount']} times, in truth {pte.maps}")
        if run["frame"] is not None:
            label = run["frame"] + i
            if labels.setdefault(("frame", id(pte)), label) != label or labels.setdefault(label, id(pte)) != id(pte):
                self.fail("frame", f"{at} page {page} shows frame F{label}, which is another page's, or had another")

    def unknown_value(self, at, row, name, allowed=False):
        self.unknown += 1
        reason = self.stored.unknown.get((self.step, row["observed"], row["region"], name))
        if not reason or (self.sees_all and not allowed):
            self.fail("unknown", f"{at}: {name} is unknown, reason: {reason}")

    def row(self, at, row, region, outcomes):
        expected, doubt = self.words.expected(self.world, region)
        none = dict.fromkeys(words.OUTCOMES + ("write_outcome",), {None})
        expected |= self.words.outcome(outcomes) if outcomes is not None else none
        for name in ROW:
            if name not in expected:
                continue
            may, value = expected[name], row[name]
            self.values += 1
            if value is None and may != {None}:
                self.unknown_value(at, row, name, doubt)
            elif not (may[0] <= value <= may[1] if isinstance(may, tuple) else value in may):
                truth = " to ".join(map(str, may)) if isinstance(may, tuple) else " or ".join(map(str, may))
                self.fail(name, f"{at}: {name} is {value}, in truth {truth}")

    def checks(self):
        for check in self.stored.checks.get(self.step, []):
            either = sum(o == "either" for o in self.world.outcomes.values())
            pages = (check["right_value"] or 0) - (check["left_value"] or 0)
            if check["name"] == "prediction" and pages <= either and check["detail"].startswith("debt"):
                continue  # what the kernel held besides, nothing shows
            if check["verdict"] == "differs":
                self.fail("check " + check["name"], f"check {check['name']} of {check['observed']} {check['region']} "
                          f"differs: {check['left_value']} and {check['right_value']}: {check['detail']}")

    def totals(self):
        row = self.stored.footprint[self.step][0]
        for name, pages in zip(("object_only_kb", "superseded_kb"), words.objects_beside(self.world)):
            if row[name] != pages * 4:
                self.fail(name, f"{name} is {row[name]}, in truth {pages * 4}")

    def sharing(self):
        for row in self.stored.sharing.get(self.step, []):
            a, b = (self.world.processes[row[x]] for x in ("actor_a", "actor_b"))
            truth = words.common_frames(a, b)
            if row["region_frames"] != truth:
                self.fail("sharing", f"{row['actor_a']}&{row['actor_b']} share {row['region_frames']} frames, "
                          f"in truth {truth}")
