/* page: the step sliders of a report. Each <div class="walk"> becomes one, from the page's data
 * (db/report/walk.sql); words explain themselves from the page's own table of words.
 *
 * What others chose (names, titles, kernels) goes in as text, never as markup. Without this script
 * the page has the same in its tables and pictures. */
'use strict';
(() => {
    const data = JSON.parse(document.querySelector('script[type="application/json"]').textContent);
    const still = matchMedia('(prefers-reduced-motion: reduce)');
    const UNTOLD = data.states.length; // pages behind the end of a list that was cut
    const OUTCOMES = ['first_touch', 'copied', 'reused', 'no_fault', 'swapped_in'];
    const MOST_WIDE = 16, MOST_REGIONS = 24, MOST_TICKS = 12, MOST_PIECES = 1500;

    const number = (n) => Number(n).toLocaleString('en-US');
    const plural = (n, what) => number(n) + ' ' + what + (n === 1 ? '' : 's');
    const range = (first, count, mark = '') => mark + first + (count > 1 ? '–' + mark + (first + count - 1) : '');

    function set(node, attributes) {
        for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
        return node;
    }
    /* An element with its children: a string is text, what is nothing is left out. */
    function el(what, ...children) {
        const [tag, ...classes] = what.split('.'), node = document.createElement(tag || 'div');
        node.classList.add(...classes);
        node.append(...children.filter(Boolean));
        return node;
    }
    function button(children, attributes, press) {
        const node = set(el('button', ...[children].flat()), { type: 'button', ...attributes });
        node.addEventListener('click', press);
        return node;
    }

    // -- words ------------------------------------------------------------------------------

    const words = new Map();
    for (const [text, letter, label] of data.states) words.set(text, label);
    for (const table of document.querySelectorAll('table')) {
        if (table.querySelector('th')?.textContent.trim() !== 'word') continue;
        for (const row of table.tBodies[0]?.rows ?? []) {
            const name = (row.cells[0].querySelector('code') ?? row.cells[0]).textContent;
            for (const one of name.split(',')) words.set(one.trim(), row.cells[1].textContent);
        }
    }

    /* A word that explains itself on hover and focus, where there is something to say. */
    function word(text, key = text) {
        const meaning = words.get(key.replace(/^~/, ''));
        return meaning ? Object.assign(set(el('span.word', text), { tabindex: 0 }), { meaning }) : el('span', text);
    }

    const tip = set(el('.tip'), { role: 'tooltip', id: 'walk-tip', hidden: '' });
    document.body.append(tip);
    let explained = null;
    function explain(event) {
        explained?.removeAttribute('aria-describedby');
        explained = event.target.closest?.('.word');
        tip.hidden = !explained;
        if (tip.hidden) return;
        explained.setAttribute('aria-describedby', tip.id);
        tip.textContent = explained.meaning;
        place();
    }
    function place() {
        if (tip.hidden) return;
        const box = explained.getBoundingClientRect(), own = tip.getBoundingClientRect();
        const below = box.bottom + 8 + own.height < innerHeight;
        tip.style.left = Math.max(8, Math.min(box.left, innerWidth - own.width - 8)) + 'px';
        tip.style.top = (below ? box.bottom + 6 : box.top - own.height - 6) + 'px';
    }
    for (const event of ['mouseover', 'focusin']) document.addEventListener(event, explain);
    document.addEventListener('focusout', () => (tip.hidden = true));
    addEventListener('scroll', place, { passive: true });

    // -- what a step has, and what is new in it ----------------------------------------------

    const label = (r) => r.in + '.' + r.of;

    /* A value as it is shown: "?" where it is unknown, null where it does not apply, "~" before what was concluded. */
    const value = (of, column, v) => (v === null ? (of.unknown?.split(' ').includes(column) ? '?' : null)
        : (of.inferred?.includes(column) ? '~' : '') + (typeof v === 'number' ? number(v) : v));

    /* Each run gets a name in addresses, each region what it was when it was seen before. */
    function prepare(run) {
        const same = data.runs.filter((r) => r.scenario === run.scenario && r.backend === run.backend);
        const nth = same.indexOf(run), last = new Map();
        run.key = run.backend + (nth ? '-' + (nth + 1) : '');
        run.name = run.scenario + ' on ' + run.backend + (nth ? ' (' + (nth + 1) + ')' : '');
        for (const r of run.steps.flatMap((step) => step.regions)) {
            const key = JSON.stringify([r.in, r.of, r.case]);
            r.inferred = r.inferred?.split(' ') ?? [];
            r.mode = value(r, 'share_mode', r.mode);
            r.refs = value(r, 'ref_count', r.refs);
            r.risk = value(r, 'at_risk', r.risk);
            r.wrote = r.wrote.flatMap((n, i) => (n ? [[n, OUTCOMES[i]]] : []));
            r.before = last.get(key);
            last.set(key, r);
        }
    }
    data.runs.forEach(prepare);

    /* Of a step of one case: the regions of that case, and those that are of none. */
    const regions = (step) => step.regions.filter((r) => !step.case || !r.case || r.case === step.case);

    /* Cells one by one: {parts: [[state, pages], ...], frame}. Pages in no run are in no page table. */
    function cells(r) {
        const all = Array.from({ length: Math.ceil(r.pages / r.per) }, (_, i) =>
            ({ parts: [], frame: 0, rest: Math.min(r.per, r.pages - i * r.per) }));
        for (const [first, count, state, frame] of r.cells)
            for (let i = 0; i < (r.per > 1 ? 1 : count); i++) {
                const cell = all[first / r.per + i], pages = r.per > 1 ? count : 1;
                cell.parts.push([data.states.findIndex((s) => s[0] === state), pages]);
                cell.rest -= pages;
                cell.frame = frame && frame + i;
            }
        all.forEach((c, i) => c.rest && c.parts.push([r.told && (i + 1) * r.per > r.told ? UNTOLD : 0, c.rest]));
        return all;
    }
    const stateName = (s) => (s === UNTOLD ? 'not recorded' : data.states[s][0]);
    const shares = (r, parts) => parts.map(([s, n]) =>
        (r.inferred.includes(stateName(s)) ? '~' : '') + number(n) + ' ' + stateName(s)).join(', ');
    function states(r) {
        const sums = new Map();
        for (const c of cells(r)) for (const [s, n] of c.parts) sums.set(s, (sums.get(s) ?? 0) + n);
        return shares(r, [...sums].sort((a, b) => a[0] - b[0]));
    }

    /* What changed in a region, in words. */
    function changes(r) {
        const b = r.before, is = [];
        if (r.wrote.length) is.push(r.wrote.map(([n, what]) => number(n) + ' ' + what).join(', '));
        const differ = (what, was, now) => was !== now && is.push(`${what}${was ?? '-'} → ${now ?? '-'}`);
        if (!b) return is.concat('seen for the first time, ' + plural(r.pages, 'page') + ' (' + states(r) + ')');
        differ('', states(b), states(r));
        differ('', b.mode, r.mode);
        differ('references ', b.refs, r.refs);
        if (b.needs !== r.needs) is.push(r.needs ? 'needs copy' : 'no copy needed');
        return is;
    }
    /* Regions that the step before had, and this one has not. */
    function gone(run, i) {
        const step = run.steps[i], before = run.steps[i - 1], now = regions(step).map(label);
        return before?.case === step.case && before ? regions(before).filter((r) => !now.includes(label(r))) : [];
    }
    function sentence(run, i) {
        const told = regions(run.steps[i]).map((r) => [label(r), changes(r)]).filter(([, is]) => is.length);
        const parts = told.map(([name, is]) => name + ': ' + is.join(', '));
        parts.push(...gone(run, i).map((r) => label(r) + ' is no longer there'));
        return parts.length ? parts.join('. ') + '.' : 'Nothing changed in what is shown.';
    }

    /* Which frames each region shows: the topmost object that has a page wins; what it hides is
     * there all the same. [{from, to, holder, hidden}], to: behind the last. */
    function holdings(list) {
        const all = [];
        list.forEach((r, holder) => {
            const covered = [];
            for (const o of r.chain) {
                for (const [first, count, frame] of o.runs) {
                    let at = first;
                    const put = (to, hidden) => {
                        if (to > at) all.push({ from: frame + at - first, to: frame + to - first, holder, hidden });
                        at = Math.max(at, to);
                    };
                    for (const [a, b] of covered.filter(([a, b]) => b > first && a < first + count)) {
                        put(a, false);
                        put(Math.min(b, first + count), true);
                    }
                    put(first + count, false);
                }
                for (const [first, count] of o.runs) covered.push([first, first + count]);
                covered.sort((a, b) => a[0] - b[0]);
            }
        });
        return all;
    }

    /* Frames by who shows them and who did before, lost among these: [{ranges, count, holders, behind,
     * fresh, known}] in the order of frames; null where these are too many, or not all written down. */
    function bands(list, lost) {
        const now = holdings(list), was = holdings([...list.map((r) => r.before ?? { chain: [] }), ...lost]);
        if (list.some((r) => r.chain.some((o) => o.more)) || now.length > MOST_PIECES) return null;
        const cuts = [...new Set([...now, ...was].flatMap((h) => [h.from, h.to]))].sort((x, y) => x - y);
        const groups = new Map();
        cuts.forEach((from, i) => {
            const at = (all, hidden) => [...new Set(all.filter((h) =>
                h.from <= from && h.to > from && h.hidden === hidden).map((h) => h.holder))];
            const holders = at(now, false), behind = at(now, true).filter((h) => !holders.includes(h)), before = at(was, false);
            const known = before.length > 0 || at(was, true).length > 0, fresh = holders.filter((h) => !before.includes(h));
            const key = JSON.stringify([holders, behind, known, fresh]), count = cuts[i + 1] - from;
            if (!holders.length && !behind.length) return;
            if (!groups.has(key)) groups.set(key, { ranges: [], count: 0, holders, behind, known, fresh });
            const group = groups.get(key), last = group.ranges[group.ranges.length - 1];
            if (last && last[0] + last[1] === from) last[1] += count;
            else group.ranges.push([from, count]);
            group.count += count;
        });
        return [...groups.values()];
    }

    // -- one step drawn ----------------------------------------------------------------------

    function cellOf(c, i, r, before) {
        const first = i * r.per, pages = c.parts.reduce((sum, p) => sum + p[1], 0);
        const one = c.parts.length === 1 ? c.parts[0][0] : -1;
        const node = el('span.cell' + (one >= 0 ? '.k' + one : '.mixed'), data.states[one]?.[1]);
        for (const [s, n] of one >= 0 ? [] : c.parts) {
            node.append(el('i.k' + s));
            node.lastChild.style.flexGrow = n;
        }
        if (before && JSON.stringify(before) !== JSON.stringify(c)) node.classList.add('new');
        node.title = (pages > 1 ? 'pages ' : 'page ') + range(first, pages) + ': ' + shares(r, c.parts) +
            (c.frame ? ', frame F' + c.frame : '');
        return node;
    }

    function strip(r) {
        const all = cells(r), before = r.before && r.before.per === r.per ? cells(r.before) : [];
        const node = el('.strip' + (all.length <= MOST_WIDE ? '.wide' : ''));
        all.forEach((c, i) => {
            const cell = cellOf(c, i, r, before[i]);
            const moved = before[i] && before[i].frame !== c.frame ? '.new' : '';
            const frame = el('small' + moved, c.frame ? 'F' + c.frame : '\u00a0');
            node.append(all.length <= MOST_WIDE ? el('span.page', cell, frame) : cell);
        });
        return set(node, { role: 'img', 'aria-label': plural(r.pages, 'page') + ': ' + states(r) });
    }

    function chain(r) {
        const known = new Set((r.before?.chain ?? []).map((o) => o.n));
        const node = el('ol.chain');
        for (const o of r.chain) {
            const frames = o.runs.map(([, count, frame]) => range(frame, count, 'F'));
            const facts = [o.refs !== null && plural(o.refs, 'ref'),
                o.resident !== null && number(o.resident) + ' resident' + (o.size ? ' of ' + number(o.size) : '')];
            const item = el('li' + (o.n && r.before && !known.has(o.n) ? '.new' : ''),
                word((o.n ? 'O' + o.n + ' ' : '') + o.kind, o.kind), el('small', facts.filter(Boolean).join(', ')),
                el('small.frames', few(frames) + (o.more ? ' at least' : '')));
            item.dataset.move = 'O' + o.n + label(r);
            node.append(item);
        }
        return node;
    }

    function card(r) {
        const b = r.before, fresh = (key) => (b && b[key] !== r[key] ? '.new' : '');
        const node = el('section.card' + (b ? '' : '.born') + (r.wrote.length ? '.acting' : ''),
            el('header', el('b', label(r)), r.case && el('small', r.case),
                el('span.mode' + fresh('mode'), word(r.mode ?? '-')),
                r.refs && el('span.refs' + fresh('refs'), word(r.refs + (r.refs === '1' ? ' ref' : ' refs'), 'refs')),
                r.risk && r.risk !== '0' && el('span.refs', r.risk + ' ', word('at risk')),
                r.needs && word('needs copy')),
            el('.body', r.pages ? strip(r) : el('small', 'pages unknown'), r.chain.length > 0 && chain(r)),
            r.per > 1 && el('small', 'one cell is ' + number(r.per) + ' pages'),
            r.wrote.length > 0 && el('p.wrote', 'written: ', ...r.wrote.flatMap(([n, what], i) => [(i ? ', ' : '') + number(n) + ' ', word(what)])));
        node.dataset.move = 'R' + label(r);
        return node;
    }

    /* The first of many, and how many more. */
    const few = (texts) => texts.slice(0, 3).join(', ') + (texts.length > 3 ? ` and ${number(texts.length - 3)} more` : '');

    function frames(list, lost) {
        const all = bands(list, lost), unknown = list.some((r) => r.pages && r.resident !== 0);
        const node = el('.bands', el('header', el('b', 'Frames'), el('small', 'of real memory')));
        for (const band of all ?? []) {
            const { holders, behind, known, fresh, ranges, count } = band, several = holders.length > 1;
            const item = el('.band' + (several ? '.several' : holders.length ? '' : '.hidden') + (known ? '' : '.new'),
                el('b', few(ranges.map(([from, n]) => range(from, n, 'F')))), several && el('span.times', '×' + holders.length),
                el('small', (count > 1 ? plural(count, 'frame') + ': ' : '') +
                    (holders.length ? holders.map((i) => label(list[i])).join(', ') : 'hidden by a page above')));
            item.dataset.move = 'F' + ranges[0][0];
            item.holders = (holders.length ? holders : behind).map((i) => ({ i, weak: !holders.length, fresh: fresh.includes(i) }));
            node.append(item);
        }
        if (!all?.length) node.append(el('small', !all ? 'too scattered to be listed' : unknown ? 'not known here' : 'none'));
        return node;
    }

    function memory(step) {
        const rows = step.processes.map((p) => el('tr', el('th', p.name),
            ...['rss', 'pss', 'uss'].map((k) => el('td', value(p, k + '_kb', p[k]) ?? '-'))));
        const heads = ['RSS', 'PSS', 'USS'].map((k) => el('th', word(k)));
        return el('table.memory', el('thead', el('tr', el('th', 'KiB'), ...heads)), el('tbody', ...rows));
    }

    const SVG = 'http://www.w3.org/2000/svg';
    /* Lines from the regions to the frames that they show, where these stand beside each other. */
    function connect(map) {
        const svg = map.querySelector('svg'), own = map.getBoundingClientRect();
        const boxes = [...map.querySelectorAll('.card')].map((c) => c.getBoundingClientRect());
        svg.replaceChildren();
        svg.setAttribute('viewBox', `0 0 ${own.width || 1} ${own.height || 1}`);
        for (const band of map.querySelectorAll('.band')) {
            const to = band.getBoundingClientRect(), x2 = to.left - own.left, y2 = to.top + to.height / 2 - own.top;
            for (const { i, weak, fresh } of band.holders) {
                const from = boxes[i], x1 = from && from.right - own.left;
                if (!from || x2 <= x1) continue;
                const y1 = Math.min(Math.max(y2, from.top - own.top + 22), from.bottom - own.top - 12), mid = (x1 + x2) / 2;
                const d = `M${x1} ${y1}C${mid} ${y1} ${mid} ${y2} ${x2} ${y2}`, kind = (weak ? 'weak' : '') + (fresh ? ' new' : '');
                svg.append(set(document.createElementNS(SVG, 'path'), { d, class: kind }));
            }
        }
    }

    /* A run at one of its steps. waits: it stays there while the run beside it goes on. */
    function pane(run, i, waits) {
        if (i < 0) return el('article.pane.waits', el('h4', run.name), el('p', 'Not begun.'));
        const step = run.steps[i], list = regions(step).slice(0, MOST_REGIONS);
        const svg = set(document.createElementNS(SVG, 'svg'), { 'aria-hidden': 'true', preserveAspectRatio: 'none' });
        const map = el('.map', svg, el('.cards', ...list.map(card)), frames(list, gone(run, i)));
        const more = regions(step).length - list.length;
        if (!list.length) map.firstChild.after(el('p', 'No region is seen in this step.'));
        return el('article.pane' + (waits ? '.waits' : ''),
            el('header', el('h4', step.did), el('small', run.name + ', step ' + step.n), el('small', step.phase),
                step.took && el('small', step.took), waits && el('small.tag', 'waits')),
            el('p.says', waits ? 'Waits: the other has a phase of its own.' : sentence(run, i)),
            map, more > 0 && el('p', plural(more, 'more region')), step.processes.length > 0 && memory(step));
    }

    /* What has moved goes from where it was; what is new appears. */
    function animate(root, before) {
        if (still.matches) return;
        for (const node of root.querySelectorAll('[data-move]')) {
            const pane = node.closest('.pane'), now = node.getBoundingClientRect();
            const was = before.get([...root.children].indexOf(pane) + node.dataset.move);
            const dx = was ? was.left - now.left : 0, dy = was ? was.top - now.top : -6;
            if (!was) node.animate([{ opacity: 0, transform: 'translateY(-6px)' }, {}], 280);
            else if (dx || dy) node.animate([{ transform: `translate(${dx}px,${dy}px)` }, {}], { duration: 320, easing: 'ease-out' });
        }
    }

    // -- two runs side by side ---------------------------------------------------------------

    /* Steps of two runs by their phases, in the longest order that both have; receiving stands beside
     * forking. Rows {i, j}, -1 before a run begins; first, second: which of them moves in it. */
    function rows(run, other) {
        const [a, b] = [run, other].map((r) => (r ? r.steps.map((s) => s.phase.replace('received', 'transferred')) : []));
        const best = a.concat('').map(() => new Array(b.length + 1).fill(0)), out = [];
        for (let i = a.length - 1; i >= 0; i--)
            for (let j = b.length - 1; j >= 0; j--)
                best[i][j] = a[i] === b[j] ? best[i + 1][j + 1] + 1 : Math.max(best[i + 1][j], best[i][j + 1]);
        for (let i = 0, j = 0; i < a.length || j < b.length;) {
            const both = i < a.length && j < b.length && a[i] === b[j];
            const first = both || j >= b.length || (i < a.length && best[i + 1][j] >= best[i][j + 1]);
            const second = both || !first;
            out.push({ i: (i += first) - 1, j: (j += second) - 1, first, second });
        }
        return out;
    }

    // -- the slider --------------------------------------------------------------------------

    const walks = [];
    let current = null; // the one that was used last

    const address = (run, i, other, j) => [[run, i]].concat(other ? [[other, j]] : [])
        .map(([r, at]) => [r.scenario, r.key, r.steps[Math.max(at, 0)].n].map(encodeURIComponent).join('/')).join('+');

    function choice(text, runs, chosen, changed) {
        const node = el('select', ...runs.map((r, i) => set(el('option', r ? r.name : 'nothing'), { value: i })));
        node.value = Math.max(0, runs.indexOf(chosen));
        node.addEventListener('change', () => changed(runs[node.value]));
        return el('label', text + ' ', node);
    }

    class Walk {
        constructor(root, runs) { // what was measured before what was concluded
            const concluded = (run) => run.steps.some((s) => s.regions.some((r) => r.inferred.length));
            Object.assign(this, { root, runs, run: runs.find((r) => !concluded(r)) ?? runs[0], other: null, at: 0 });
            this.build();
            this.go(0, true);
        }
        /* What does not change from step to step. */
        build() {
            const { run, runs, other } = this;
            const beside = data.runs.filter((r) => r !== run && r.steps.length &&
                (r.scenario === run.scenario || r.scenario === run.twin || r.twin === run.scenario));
            this.rows = rows(run, other);
            this.name = run.name + (other ? ' beside ' + other.name : '');
            this.slider = set(el('input'), { type: 'range', min: 0, max: this.rows.length - 1, 'aria-label': 'Step of ' + this.name });
            this.slider.addEventListener('input', () => this.go(+this.slider.value));
            this.count = el('output');
            this.says = set(el('p.heard'), { 'aria-live': 'polite' });
            this.panes = el('.panes' + (other ? '.two' : ''));
            const step = (by, sign, name) => button(sign, { 'aria-label': name }, () => this.go(this.at + by));
            const slides = () => (location.hash = address(run, 0, other, 0).replace(/\/[^/+]*(?=\+|$)/, '/slides'));
            this.root.replaceChildren(
                el('.bar',
                    runs.length > 1 ? choice('Run', runs, run, (r) => this.show(r, null)) : el('b', run.name),
                    beside.length ? choice('beside', [null, ...beside], other, (r) => this.show(run, r)) : '',
                    button('Slides', {}, slides)),
                el('.steps', step(-1, '←', 'Step before'), this.slider, step(1, '→', 'Next step'), this.count),
                this.ticks(), this.says, this.panes, this.legend(),
                run.ended ? el('p.gone', 'This run was cut short: ' + run.ended) : '',
                run.left ? el('p.gone', plural(run.left, 'step') + ' more would be too much for this page.') : '');
            set(this.root, { role: 'group', 'aria-label': 'Step by step: ' + this.name });
            this.root.style.setProperty('--steps', this.rows.length);
            new ResizeObserver(() => this.panes.querySelectorAll('.map').forEach(connect)).observe(this.panes);
        }
        ticks() {
            this.marks = [];
            if (this.rows.length > MOST_TICKS) return '';
            this.marks = this.rows.map(({ i, j, first, second }, at) => {
                const s = first ? this.run.steps[i] : this.other.steps[j];
                const n = (first ? s.n : '–') + (this.other ? ' · ' + (second ? this.other.steps[j].n : '–') : '');
                return button([el('b', n), el('span', s.phase.replaceAll('_', ' '))], { tabindex: -1, title: s.did }, () => this.go(at));
            });
            return el('.ticks', ...this.marks);
        }
        legend() {
            const all = [...this.run.steps, ...(this.other?.steps ?? [])].flatMap((s) => s.regions);
            const seen = new Set(all.flatMap((r) => cells(r).flatMap((c) => c.parts.map((p) => p[0]))));
            const keys = data.states.map(([name, letter], s) =>
                seen.has(s) && el('span', el('span.cell.k' + s, letter), ' ', word(name)));
            return el('p.legend', ...keys, el('span.key', 'changed in this step'));
        }
        show(run, other) {
            const step = this.rows[this.at].i, chosen = [...this.root.querySelectorAll('select')].indexOf(document.activeElement);
            Object.assign(this, { run, other });
            this.build();
            this.root.querySelectorAll('select')[chosen]?.focus();
            this.go(Math.max(0, this.rows.findIndex((r) => r.i === Math.min(step, run.steps.length - 1))));
        }
        draw() {
            const { run, other } = this, { i, j, first, second } = this.rows[this.at];
            const before = new Map();
            [...this.panes.children].forEach((pane, n) => pane.querySelectorAll('[data-move]').forEach((node) =>
                before.set(n + node.dataset.move, node.getBoundingClientRect())));
            this.panes.replaceChildren(...[pane(run, i, !first), other && pane(other, j, !second)].filter(Boolean));
            this.panes.querySelectorAll('.map').forEach(connect);
            if (before.size) animate(this.panes, before);
            this.slider.value = this.at;
            this.count.textContent = this.at + 1 + ' of ' + this.rows.length;
            this.marks.forEach((m, n) => set(m, { 'aria-current': n === this.at ? 'step' : 'false' }));
            const s = first ? run.steps[i] : other.steps[j], moved = [first && [run, i], other && second && [other, j]];
            this.slider.setAttribute('aria-valuetext', `step ${s.n}, ${s.phase}: ${s.did}`);
            this.says.textContent = moved.filter(Boolean).map(([r, at]) =>
                `${r.name}, step ${r.steps[at].n}: ${r.steps[at].did}. ${sentence(r, at)}`).join(' ');
        }
        /* To a row; what the user does goes into the address. */
        go(at, silent) {
            this.at = Math.max(0, Math.min(at, this.rows.length - 1));
            this.draw();
            if (silent) return;
            current = this;
            const { i, j } = this.rows[this.at];
            history.replaceState(null, '', '#' + address(this.run, i, this.other, j));
        }
    }

    // -- addresses, keys, slides -------------------------------------------------------------

    const find = (scenario, key) => data.runs.find((r) => r.scenario === scenario && r.key === key && r.steps.length);
    const slides = set(el('.slides'), { hidden: '' });
    document.body.append(slides);

    /* A run, or two, with every step on a page of 16 to 9. */
    function openSlides(walk) {
        const { run, other } = walk, by = [run, other].filter(Boolean).map((r) => r.name + ', ' + (r.kernel ?? 'kernel unknown'));
        const close = button('Close', {}, () => { closeSlides(); walk.go(walk.at); });
        document.body.classList.add('presenting');
        slides.hidden = false;
        slides.replaceChildren(el('.bar', el('b', 'Slides: ' + walk.name), button('Print', {}, () => print()), close),
            ...walk.rows.map(({ i, j, first, second }) =>
                el('section.slide', el('header', el('h3', run.title ?? run.scenario), el('small', by.join('\n'))),
                    el('.panes' + (other ? '.two' : ''), pane(run, i, !first), other && pane(other, j, !second)))));
        /* As large as the fullest slide allows, all of them alike. */
        const full = (slide) => slide.scrollHeight > slide.clientHeight;
        for (let size = 1.5; size > 0.3; size -= 0.1) {
            slides.style.setProperty('--size', size);
            if (![...slides.querySelectorAll('.slide')].some(full)) break;
        }
        slides.querySelectorAll('.map').forEach(connect);
        slides.style.setProperty('--zoom', Math.min(1, (innerWidth - 24) / 1280));
        scrollTo(0, 0);
        close.focus();
    }
    function closeSlides() {
        document.body.classList.remove('presenting');
        slides.hidden = true;
        slides.replaceChildren();
        current?.root.scrollIntoView({ block: 'start' });
    }

    /* "#scenario/backend/step", and behind a + the same of what stands beside it. */
    function follow() {
        const decode = (s) => { try { return decodeURIComponent(s); } catch { return ''; } };
        const [one, two] = location.hash.slice(1).split('+').map((p) => p.split('/').map(decode));
        const run = one.length === 3 && find(one[0], one[1]), walk = run && walks.find((w) => w.runs.includes(run));
        if (!walk) return;
        const other = (two && find(two[0], two[1])) ?? null;
        const list = rows(run, other), nth = (r, n) => r.steps.findIndex((s) => String(s.n) === n);
        const i = nth(run, one[2]), j = other ? nth(other, two[2]) : -1;
        const exact = list.findIndex((r) => r.i === i && r.j === j), near = list.findIndex((r) => r.i === i);
        if (!slides.hidden) closeSlides();
        current = Object.assign(walk, { run, other });
        walk.build();
        walk.go(other && exact >= 0 ? exact : near, true);
        if (one[2] === 'slides') openSlides(walk);
        else walk.root.scrollIntoView({ block: 'start' });
    }

    document.addEventListener('keydown', (event) => {
        const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key], at = event.target;
        if (event.key === 'Escape' && !tip.hidden) tip.hidden = true;
        else if (event.key === 'Escape' && !slides.hidden) slides.querySelector('.bar button:last-child').click();
        if (!by || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || !slides.hidden) return;
        if (at.matches?.('input, select, textarea')) return;
        const walk = walks.find((w) => w.root.contains(at)) ?? (at === document.body ? current : null);
        const box = walk?.root.getBoundingClientRect();
        if (!walk || box.bottom < 0 || box.top > innerHeight) return;
        event.preventDefault();
        walk.go(walk.at + by);
    });

    const pictures = [];
    for (const root of document.querySelectorAll('.walk')) {
        const all = data.runs.filter((r) => r.scenario === root.dataset.scenario), runs = all.filter((r) => r.steps.length);
        if (runs.length) {
            walks.push(new Walk(root, runs));
            const picture = root.nextElementSibling; // of the same steps
            if (picture?.matches('.still')) pictures.push(picture);
        } else if (all.some((r) => r.left)) root.textContent = 'Its steps would be too much for this page.';
    }
    const open = (is) => () => pictures.forEach((p) => (p.open = is));
    open(false)();
    addEventListener('beforeprint', open(true));
    addEventListener('afterprint', open(false));
    current = walks[0] ?? null;
    addEventListener('hashchange', follow);
    follow();
})();
