#!/bin/sh
# Names and arguments may hold any bytes. What is printed and stored of them is valid UTF-8, JSON
# and XML.
. "$(dirname "$0")/lib.sh"

needs "bytes that are no text" python3

cat >odd.py <<'END'
import ctypes, mmap, os, time
f = os.open(b'a\xff\xfe"\n\x1b]\xed\xa0\x80\xc0\x80x', os.O_RDWR | os.O_CREAT)
os.ftruncate(f, 65536)
shared = mmap.mmap(f, 65536)
private = mmap.mmap(f, 65536, flags=mmap.MAP_PRIVATE)
shared[0] = private[4096] = 1
ctypes.CDLL(None).prctl(15, b'c\xff\x01"\n\\)\xe2\x82', 0, 0, 0)
child = os.fork()
if child == 0:
    private[8192] = 2
    time.sleep(600)
print(os.getpid(), child, flush=True)
time.sleep(600)
END
cat >valid.py <<'END'
import json, sys
text = sys.stdin.buffer.read().decode('utf-8')
json.loads(text)
sys.exit(0 if '�' in json.dumps(json.loads(text), ensure_ascii=False) else 'no odd name in it')
END
python3 odd.py "$(printf 'arg\377\002"')" >pids 2>err &
odd=$!
trap 'kill $odd $child 2>/dev/null; rm -rf "$TMP"' EXIT
for _ in $(seq 1500); do
    [ ! -s pids ] || break
    sleep 0.02
done
read -r odd child <pids
json() { "$@" | PYTHONUTF8=1 python3 valid.py; }

ok "vmmap --json" json cowlab vmmap --json "$odd"
ok "cowprobe" json cowprobe "$odd"
ok "cowprobe --compact" json cowprobe --compact "$odd"
cowlab watch --children --every 50ms --for 300ms --db w.db "$odd" >shown 2>&1
ok "show --json of a watch" json cowlab show --json --db w.db
ok "its trace" json cowlab export --db w.db
cowlab report --db w.db -o w.md 2>/dev/null
ok "its report and pictures" python3 -c '
import glob, xml.dom.minidom
open("w.md", "rb").read().decode("utf-8")
assert [xml.dom.minidom.parse(f) for f in glob.glob("w.assets/*.svg")]'
ok "what is stored: readers that insist on UTF-8 can" python3 -c '
import sqlite3
db = sqlite3.connect("w.db")
for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type IN (\"table\", \"view\")").fetchall():
    db.execute("SELECT * FROM \"%s\"" % name).fetchall()
assert db.execute("SELECT count(*) FROM watch_processes WHERE name LIKE \"c\ufffd%\"").fetchone()[0] == 2'
# shellcheck disable=SC2016 # patterns
ok "nothing of it moves a terminal's cursor" sh -c '! { cat shown; cowlab show --db w.db; cowlab vmmap "$1"; } | LC_ALL=C grep -q "$(printf "\033\\|\001\\|\377")"' sh "$odd"
# shellcheck disable=SC2016 # the inner shell expands
ok "in a locale that is not UTF-8 it is ASCII" sh -c 'LC_ALL=C; export LC_ALL
    { cowlab list && cowlab doctor && cowlab run --db a.db fork-write && cowlab show --db a.db && cowlab show --db w.db &&
        cowlab vmmap "$1" && cowlab watch --lines --for 100ms --db a.db "$1"; } >ascii 2>&1 && grep -q " us$" ascii && ! grep -n "[^ -~]" ascii' sh "$odd"
ok "... and in one that is, it is not" says ' µs$' cowlab show --db a.db "$(sqlite3 a.db "SELECT run_id FROM runs WHERE scenario = 'fork-write'")"
cowlab watch --db c.db --for 100ms -- sh -c "$(printf '# \377\001"\nsleep 0.2')" >/dev/null 2>&1
ok "a command's own words" json cowlab show --json --db c.db
sqlite3 c.db "UPDATE run SET title = CAST(x'61ff62' AS TEXT), source = CAST(x'c3' AS TEXT), params = CAST(x'7b2261223a22ff227d' AS TEXT)"
ok "what an older database has" json cowlab show --json --db c.db
for name in -x.db "it's.db" "$(printf 'two\nlines.db')"; do
    cp c.db "./$name"
    ok "a hint can be typed as it stands: $(printf %s "$name" | tr '\n' ' ')" says run_id sh -c "$(cowlab show nosuch --db "$name" 2>&1 | sed -n '/^its runs: /,$ s/^\(its runs: \)*//p')"
done
finish
