#!/bin/sh
# The report as a page in a real browser: its sliders, links and keys, names that are markup, narrow and dark, without scripts;
# no word on the console, no request.
. "$(dirname "$0")/lib.sh"

# Names that end strings, attributes, scripts, comments and lines, in all places where a scenario's words are shown.
hostile() {
    cp t.db hostile.db && sqlite3 hostile.db "CREATE TEMP TABLE n AS SELECT '<script>document.title=1</script><img src=x onerror=\"document.title=2\">\"'']]><!--{{' || char(8232) || '\`|*x' AS n;
        UPDATE run SET scenario = scenario || (SELECT n FROM n), title = (SELECT n FROM n), question = (SELECT n FROM n), kernel = (SELECT n FROM n), twin = twin || (SELECT n FROM n);
        UPDATE step SET actor = actor || (SELECT n FROM n), region = region || (SELECT n FROM n), case_name = (SELECT n FROM n);
        UPDATE region SET observed = observed || (SELECT n FROM n), region = region || (SELECT n FROM n), case_name = (SELECT n FROM n);
        UPDATE process SET actor = actor || (SELECT n FROM n);" &&
        cp "$(command -v sleep)" './<img src=x>' &&
        cowlab watch --db hostile.db --every 100ms -- './<img src=x>' 0.5 && cowlab report --db hostile.db -o hostile.html
}

ok "runs" exits 0 cowlab run fork-write ool-write --db t.db
ok "larger ones" sh -c 'cowlab run fork-write-many --db large.db && cowlab run fork-write --param pages=1000 --db large.db'
ok "their page" exits 0 cowlab report --db t.db -o page.html
ok "and once more, as .htm" exits 0 cowlab report --db t.db -o again.htm
ok "the same, byte for byte" cmp page.html again.htm
in_one_file() { ! [ -e page.assets ] && [ "$(wc -c <page.html)" -lt 2000000 ]; }
ok "all in one file" in_one_file
ok "another of large regions" exits 0 cowlab report --db large.db -o large.html
ok "another with names that are markup" hostile

too_large() {
    echo earlier >full.html
    (ulimit -f 8; says "cannot write 'full.html': File too large" cowlab report --db t.db -o full.html) &&
        (ulimit -f 8; exits 4 cowlab report --db t.db -o full.html) &&
        [ "$(cat full.html)" = earlier ] && [ -z "$(find . -name '*cowlab-new*')" ]
}
ok "one that has no room leaves what was there" too_large

needs "the page in a browser" chromium chromedriver python3 jq
for need in frames kpagecount; do
    has_cap $need || { skip "the page in a browser" $need; finish; }
done
mkdir browser
timeout 600 python3 "$TOP/tests/e2e/page_in_browser.py" "$TMP/browser" "$TMP/page.html" "$TMP/hostile.html" "$TMP/large.html" >checks 2>errors
came_to_its_end() { cat errors && [ -s checks ] && [ ! -s errors ]; }
ok "the browser came to its end" came_to_its_end
verdict() { echo "$1" && [ "$1" = ok ]; }
while IFS='	' read -r said name; do
    ok "$name" verdict "$said"
done <checks
finish
