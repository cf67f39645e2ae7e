"""Opens pages of the report in a real browser: page_in_browser.py FOLDER PAGE HOSTILE LARGE

Prints a line per check: "ok", or "not" and why, a tab, its name. PAGE has fork-write and ool-write, HOSTILE the same with
names that are markup, LARGE fork-write-many of 256 pages and fork-write of 1000."""
import os
import re
import sys
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
from browser import Browser

folder, page, hostile, large = sys.argv[1:]
checks = []

HELP = """
const walk = (n = 0) => document.querySelectorAll('.walk')[n];
const at = (n = 0) => walk(n).querySelector('input[type=range]').value;
const heads = (n = 0) => [...walk(n).querySelectorAll('.pane h4')].map((h) => h.textContent);
const choose = (name, text, n = 0) => {
    const select = [...walk(n).querySelectorAll('label')].find((l) => l.textContent.startsWith(name)).querySelector('select');
    select.value = [...select.options].find((o) => o.text.includes(text)).value;
    select.dispatchEvent(new Event('change'));
};
"""


def check(function):
    checks.append(function)
    return function


def same(got, want):
    assert got == want, f"got {got!r}, expected {want!r}"


def run(b, script, *arguments):
    return b.run(HELP + script, *arguments)


@check
def each_scenario_has_its_slider_at_its_first_step(b):
    b.open(page)
    same(run(b, "return [...document.querySelectorAll('.walk')].map((w) => w.dataset.scenario)"), ["fork-write", "ool-write"])
    same(run(b, "return [at(0), at(1), heads(0)[0], heads(1)[0]]"), ["0", "0", "parent maps r", "sender maps r"])
    same(run(b, "return location.hash"), "")
    same(run(b, "return walk().querySelector('.map').innerText.replaceAll('\\u00a0', '').split('\\n').filter(Boolean)"),
         ["parent.r", "SM_EMPTY", "0 refs", ".", "Frames", "of real memory", "none"])


@check
def arrow_keys_walk_and_the_address_follows(b):
    b.open(page + "#fork-write/linux/1")
    for _ in range(4):
        b.key("ArrowRight")
    same(run(b, "return [at(), location.hash]"), ["4", "#fork-write/linux/5"])
    b.key("ArrowLeft")
    same(run(b, "return [heads()[0], location.hash]"), ["child writes r", "#fork-write/linux/4"])
    run(b, "walk(1).querySelector('input').focus()")
    b.key("ArrowRight")
    same(run(b, "return [at(0), at(1), location.hash]"), ["3", "1", "#ool-write/linux/2"])
    b.key("ArrowLeft")
    b.key("ArrowLeft")
    same(run(b, "return at(1)"), "0")


@check
def a_link_leads_to_its_step(b):
    b.open(page + "#ool-write/linux/5")
    same(run(b, "return heads(1)"), ["receiver writes r"])
    top = run(b, "return walk(1).getBoundingClientRect().top")
    assert 0 <= top < 300, f"the slider is at {top}"
    run(b, "location.hash = '#fork-write/linux/4'")
    b.cdp("Runtime.evaluate", expression="new Promise((r) => setTimeout(r))", awaitPromise=True)
    same(run(b, "return heads(0)"), ["child writes r"])
    for odd in ("#fork-write/linux/99", "#fork-write/nowhere/1", "#%/%/%", "#++//", "#fork-write/linux/4+x/y/z"):
        b.open(page + odd)
        same(run(b, "return document.querySelectorAll('.pane').length"), 2)


@check
def links_in_the_page_lead_somewhere(b):
    b.open(page)
    same(run(b, """return [...document.querySelectorAll('a[href^="#"]')].map((a) => decodeURIComponent(a.hash.slice(1)))
        .filter((id) => !document.getElementById(id))"""), [])
    same(run(b, """const ids = [...document.querySelectorAll('[id]')].map((n) => n.id);
        return ids.filter((id, i) => ids.indexOf(id) !== i)"""), [])


@check
def what_changed_is_marked_and_said(b):
    b.open(page + "#fork-write/linux/4")
    cards = "return [...walk().querySelectorAll('.card')].map((c) => [c.querySelector('b').textContent, "
    same(run(b, cards + "c.querySelectorAll('.cell.new').length, c.querySelector('.mode').classList.contains('new')])"),
         [["parent.r", 1, False], ["child.r", 1, True]])
    same(run(b, "return [...walk().querySelectorAll('.band')].map((f) => [f.querySelector('b').textContent, "
                "f.querySelector('small').textContent, f.classList.contains('new')])"),
         [["F1", "parent.r", False], ["F2", "child.r", True]])
    said = run(b, "return walk().querySelector('[aria-live=polite]').textContent")
    for part in ("step 4", "child writes r", "1 copied", "1 cow → 1 debt", "SM_COW → SM_PRIVATE"):
        assert part in said, f"'{part}' is not in '{said}'"
    assert "receiver_wrote" in run(b, "return walk().querySelector('input').getAttribute('aria-valuetext')")
    b.key("ArrowRight")
    same(run(b, "return walk().querySelectorAll('.panes .new').length"), 0)


@check
def a_run_and_its_twin_walk_by_phase(b):
    b.open(page + "#fork-write/linux/1")
    run(b, "choose('beside', 'ool-write')")
    phases = "return [...walk().querySelectorAll('.pane')].map((p) => p.classList.contains('waits') ? null : p.querySelector('small + small').textContent)"
    seen = [run(b, phases)]
    for _ in range(7):
        b.key("ArrowRight")
        seen.append(run(b, phases))
    same([s for s in seen if s[0] != s[1]], [[None, "in_transit"], ["transferred", "received"]])
    same([sum(s[side] is not None for s in seen) for side in (0, 1)], [7, 8])
    same(run(b, "return walk().querySelectorAll('.ticks button').length"), 8)
    run(b, "walk().querySelectorAll('.ticks button')[4].click()")
    where, heads = run(b, "return [location.hash, heads()]")
    same(heads, ["child writes r", "receiver writes r"])
    b.open(page + where)
    same(run(b, "return [location.hash, heads()]"), [where, heads])


@check
def words_explain_themselves(b):
    b.open(page + "#fork-write/linux/4")
    for word, meaning in (("debt", "write-protected"), ("SM_COW", "shared until written"), ("copied", "new frame")):
        run(b, "[...walk().querySelectorAll('.word')].find((w) => w.textContent === arguments[0]).focus()", word)
        told = run(b, "const t = document.querySelector('[role=tooltip]'); return [t.hidden, t.textContent, document.activeElement.getAttribute('aria-describedby') === t.id]")
        assert not told[0] and meaning in told[1] and told[2], f"{word}: {told}"
    b.key("Escape")
    same(run(b, "return document.querySelector('[role=tooltip]').hidden"), True)
    b.open(page)  # one that the focus brings into sight
    run(b, "[...walk(1).querySelectorAll('.word')].pop().focus()")
    b.cdp("Runtime.evaluate", expression="new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))", awaitPromise=True)
    gap = run(b, "const t = document.querySelector('[role=tooltip]').getBoundingClientRect(), w = document.activeElement.getBoundingClientRect();"
                 "return t.height && Math.min(Math.abs(t.top - w.bottom), Math.abs(w.top - t.bottom))")
    assert 0 < gap < 10, f"the box is {gap} pixels away"


@check
def light_and_dark(b):
    colours = "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
    b.open(page)
    light = run(b, colours)
    b.open(page, dark=True)
    dark = run(b, colours)
    brightness = [[sum(map(int, re.findall(r"\d+", c)[:3])) for c in pair] for pair in (light, dark)]
    assert brightness[0][0] > 600 > 300 > brightness[0][1] and brightness[1][0] < 100 and brightness[1][1] > 500, (light, dark)


@check
def four_hundred_pixels_are_enough(b):
    for file in (page, hostile, large):
        b.open(file, width=400)
        wide = """const wide = () => document.documentElement.scrollWidth > innerWidth;
            if (wide()) return 'the page';
            document.querySelectorAll('details').forEach((d) => d.open = true);
            if (wide()) return 'open sections';
            for (const w of document.querySelectorAll('.walk'))
                for (let i = 0; i < 20; i++, w.querySelectorAll('.steps button')[1].click())
                    if (wide()) return w.dataset.scenario + ' ' + location.hash;
            return ''"""
        same(b.run(wide), "")
    b.open(page + "#fork-write/linux/4+ool-write/linux/5", width=400)
    same(run(b, "return [heads().length, document.documentElement.scrollWidth]"), [2, 400])
    b.open(page + "#fork-write/linux/slides", width=400)
    same(b.run("return document.documentElement.scrollWidth"), 400)


@check
def names_stay_text(b):
    b.open(hostile)
    same(b.run("return [document.title, document.querySelectorAll('script, img, iframe, object, main [onclick]').length]"), ["cowlab report", 2])
    same(run(b, "return document.querySelectorAll('.walk').length"), 2)
    assert b.run("return document.querySelector('main').textContent.includes('<img src=x>')"), "the process is not in the page"
    run(b, "walk().querySelector('input').focus()")
    for _ in range(3):
        b.key("ArrowRight")
    where, heads, card = run(b, "return [location.hash, heads(), walk().querySelector('.card b').textContent]")
    for text in (heads[0], card, b.run("return document.querySelector('h2[id*=script]').textContent")):
        for part in ("<script>", "</script>", "\"'", "]]>", "<!--", "<img src=x"):
            assert part in text, f"'{part}' is not in '{text}'"
    b.open(hostile + where)
    same(run(b, "return [at(), heads()]"), ["3", heads])


@check
def many_pages_are_binned(b):
    b.open(large + "#fork-write-many/linux/4")
    cells = "return [...walk(arguments[0]).querySelectorAll('.card')].map((c) => [c.querySelectorAll('.cell').length, "
    got = run(b, cells + "c.querySelectorAll('.mixed').length > 5, c.querySelector('.strip').getAttribute('aria-label')])", 1)
    for count, mixed, label in got:
        numbers = [int(n) for n in re.findall(r"\d+", label)]
        assert count == 64 and mixed and numbers[0] == 256 == sum(numbers[1:]), label
    frames = run(b, "return [...walk(1).querySelectorAll('.band small')].map((s) => s.textContent)")
    shared, kept, new = [int(re.match(r"\d+", f).group()) for f in frames]
    assert shared + kept == 256 and kept == new, frames
    b.open(large + "#fork-write/linux/4")
    got = run(b, cells + "[...c.querySelectorAll('.cell')].pop().title])", 0)
    same(got, [[63, "pages 992–999: 8 debt"], [63, "pages 992–999: 8 exclusive"]])


@check
def motion_only_where_it_is_wanted(b):
    for still in (True, False):
        b.open(page + "#fork-write/linux/3", still=still)
        moving = run(b, "walk().querySelectorAll('.steps button')[1].click(); return document.getAnimations().length")
        assert (moving == 0) == still, f"{moving} animations"


@check
def a_slide_for_each_step(b):
    b.open(page + "#fork-write/linux/2")
    run(b, "[...walk().querySelectorAll('button')].find((b) => b.textContent === 'Slides').click()")
    b.cdp("Runtime.evaluate", expression="new Promise((r) => setTimeout(r))", awaitPromise=True)
    slides = run(b, "return [location.hash, getComputedStyle(document.querySelector('main')).display, ...[...document.querySelectorAll('.slide')].map((s) => "
                    "[s.querySelector('h3').textContent, s.querySelector('h4').textContent, s.offsetWidth / s.offsetHeight > 1.7, s.scrollHeight > s.clientHeight])]")
    same(slides[:2], ["#fork-write/linux/slides", "none"])
    same(slides[5], ["Fork and write, the six published steps", "child writes r", True, False])
    same(len(slides), 2 + 7)
    sizes = re.findall(rb"/MediaBox\s*\[0 0 (\S+) (\S+)\]", b.pdf())
    same([(round(float(w)), round(float(h))) for w, h in sizes], [(960, 540)] * 7)
    b.key("Escape")
    same(run(b, "return [document.querySelectorAll('.slide').length, location.hash]"), [0, "#fork-write/linux/1"])


@check
def a_picture_is_closed_where_a_slider_shows_the_same(b):
    b.open(page)
    same(run(b, "return [...document.querySelectorAll('details.still')].map((d) => [d.open, d.previousElementSibling.className, "
                "d.querySelectorAll('figure svg').length, d.querySelector('figure').checkVisibility()])"), [[False, "walk", 1, False]] * 2)
    run(b, "document.querySelector('.still summary').click()")
    same(run(b, "return document.querySelector('.still figure').checkVisibility()"), True)


@check
def without_scripts_the_text_is_there(b):
    b.open(page, scripts=False)
    nodes = b.cdp("Accessibility.getFullAXTree")["nodes"]
    text = " ".join(n.get("name", {}).get("value", "") for n in nodes)
    for part in ("Who copies and who reuses after a fork", "who wrote first, copied 1 page", "All of run"):
        assert part in text, f"'{part}' is not in the page"
    whole = b.cdp("DOM.getOuterHTML", nodeId=b.cdp("DOM.getDocument")["root"]["nodeId"])["outerHTML"]
    for part in ("SM_COW", "child writes r", "receiver writes r", "What stands behind"):
        assert part in whole.split("<script")[0], f"'{part}' is in no closed section"
    same([n for n in nodes if n.get("role", {}).get("value") == "slider"], [])
    pictures = {n.get("name", {}).get("value", "") for n in nodes}
    same(len([name for name in pictures if name.startswith("Pages: ")]), 2)
    b.open(page)


with Browser(folder) as browser:
    browser.open("about:blank")
    browser.log("browser")
    browser.requests()  # what the browser asks for itself when it starts
    for function in checks:
        name = function.__name__.replace("_", " ")
        try:
            function(browser)
            said = [entry["message"] for entry in browser.log("browser")]
            asked = [url for url in browser.requests() if not url.startswith(("file:", "about:", "data:"))]
            assert not said and not asked, f"console: {said}, requests: {asked}"
            print(f"ok\t{name}")
        except Exception:
            print(f"not: {' '.join(traceback.format_exc(limit=-1).split())}\t{name}")
