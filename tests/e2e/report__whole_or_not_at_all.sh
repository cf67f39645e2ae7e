#!/bin/sh
# What report and export write appears whole or not at all, whatever stops the writing, and never
# over the database that is read.
. "$(dirname "$0")/lib.sh"

nobody_setup
cowlab run fork-write --db w.db >/dev/null
cowlab report --db w.db -o good.md 2>/dev/null
mkdir place
report() { cowlab report --db w.db -o "$@"; }

# -- onto the database: refused, by whatever name
cp w.db kept.db
ln -s w.db link.md
ln w.db hard.md
mkdir r.assets
picture=$(basename "$(find good.assets -name '*.svg' | sort | head -n 1)")
untouched() { # COMMAND...: exit 2, and nothing changed
    before=$(ls -A . r.assets)
    exits 2 "$@" && cmp w.db kept.db && [ "$before" = "$(ls -A . r.assets)" ]
}
for onto in w.db ./w.db "$TMP/w.db" link.md hard.md w.db-wal w.db-shm w.db-journal; do
    ok "report onto $onto: refused" untouched report "$onto"
    ok "export onto $onto: refused" untouched cowlab export --db w.db -o "$onto"
done
ok "and said so" says "cannot write 'link.md': it is the database" report link.md
ok "the database of \$COWLAB_DB" untouched env COWLAB_DB="$TMP/w.db" cowlab report -o w.db
ok "through a descriptor" untouched sh -c 'exec cowlab report --db w.db -o /proc/self/fd/7 7<w.db'
ln w.db "r.assets/$picture"
ok "a picture onto it" untouched report r.md
rm "r.assets/$picture"
ln -s ../w.db "r.assets/$picture"
ok "a picture onto it, by a link" untouched report r.md
rm -r r.assets hard.md link.md
cp w.db cowlab.db
ok "the default name" exits 2 cowlab report -o cowlab.db
ok "standard output is the database: no run" exits 2 sh -c 'cowlab run fork-write --db out.db >>out.db'
ok "and it is as it was" test ! -s out.db
ok "what is shown does not go into it either" sh -c '! cowlab show --db w.db >>w.db 2>/dev/null && cmp w.db kept.db'

# -- what stops the writing leaves what was there
earlier() { # puts a report of before in place
    rm -rf place
    mkdir place
    echo earlier >place/r.md
    mkdir place/r.assets
    echo earlier >"place/r.assets/$picture"
}
as_before() {
    [ "$(find place -type f | sort | xargs cat)" = "earlier
earlier" ] && [ "$(find place | wc -l)" -eq 4 ]
}
earlier
ok "a limit of the file's size: exit 4" exits 4 sh -c 'ulimit -f 8; cowlab report --db w.db -o place/r.md'
ok "it names the file and the reason" says "cannot write 'place/r.assets/.*': File too large" sh -c 'ulimit -f 8; cowlab report --db w.db -o place/r.md'
ok "and the earlier report is untouched" as_before
ok "so with an export" exits 4 sh -c 'ulimit -f 1; cowlab export --db w.db -o place/r.md'
ok "whose earlier file is untouched" as_before
ok "standard output as well, and no death by a signal" exits 4 sh -c 'ulimit -f 8; cowlab report --db w.db >big'
ok "a full device" says "cannot write '/dev/full': No space left" report /dev/full
ok "which ends with 4" exits 4 report /dev/full
if mkdir small && mount -t tmpfs -o size=16k none small 2>/dev/null; then
    echo earlier >small/r.md
    ok "a full disk: exit 4" exits 4 report small/r.md
    ok "nothing of it stays" equals "small/r.md:earlier" grep -r . small
    umount small
    mount -t tmpfs -o size=300k none small && cp w.db small
    dd if=/dev/zero of=small/fill bs=4k 2>/dev/null
    ok "a database on a full disk, without its log, is read all the same" says "^cowlab: .*read as it lies" cowlab show --db small/w.db
    ok "and shown as it is" sh -c 'cowlab show --json --db small/w.db >there && cowlab show --json --db w.db | cmp - there'
    umount small
else
    skip "a full disk" "a mount of one's own"
fi
mkdir nobody/work/ro
echo earlier >nobody/work/ro/r.md
cp w.db nobody/work/w.db
chown 65534:65534 nobody/work/w.db nobody/work/ro/r.md
ok "a directory that may not be written: exit 4" exits 4 as_nobody cowlab report --db w.db -o ro/r.md
ok "it is said, with the path" says "cannot write 'ro/(r.md|r.assets.*)': Permission denied" as_nobody cowlab report --db w.db -o ro/r.md
ok "and what was there stays" equals "earlier" cat nobody/work/ro/r.md
chmod 400 nobody/work/ro/r.md
chmod 777 nobody/work/ro
ok "a file that may not be written is not replaced" exits 4 as_nobody cowlab report --db w.db -o ro/r.md
killed() { # a kill at many moments: the report of before or the new one, whole, with its pictures
    for i in $(seq 40); do
        earlier
        cowlab report --db w.db -o place/r.md 2>/dev/null &
        sleep "0.0$((i * 7 % 10))$i"
        kill -9 $! 2>/dev/null
        wait $! 2>/dev/null
        cmp -s good.md place/r.md || sed 's/place.r.assets/good.assets/; s/r.assets/good.assets/' place/r.md | cmp -s good.md || {
            [ "$(cat place/r.md)" = earlier ] || { echo "the report is neither"; return 1; }
            continue
        }
        grep -o 'r\.assets/[^)]*\.svg' place/r.md | while read -r p; do
            grep -q '</svg>' "place/$p" || { echo "$p is not whole"; exit 1; }
        done || return 1
    done
    [ -z "$(find place -name '.*')" ] || { find place; return 1; }
}
ok "killed at any moment" killed
in_order() { # all files to the disk, then the pictures' names, their directory, the document, its directory
    earlier
    ASAN_OPTIONS=detect_leaks=0 strace -qq -o calls -y -e trace=fsync,rename "$@" -o place/r.md 2>/dev/null
    order=$(sed -n 's,^fsync(.*/place/r.assets>).*= 0$,P,p; s,^fsync(.*/place>).*= 0$,D,p; s,^fsync(.*= 0$,f,p
        s,^rename(.*r.md").*= 0$,d,p; s,^rename(.*= 0$,p,p' calls | tr -d '\n')
    echo "$order" | grep -Eqx 'f+p+PdD' && [ "$(echo "$order" | tr -cd f | wc -c)" -eq "$(echo "$order" | tr -cd pd | wc -c)" ]
}
if strace -qq -o /dev/null true 2>/dev/null; then
    ok "on the disk before in its place" in_order cowlab report --db w.db
else
    skip "on the disk before in its place" "strace (make deps)"
fi

# -- what is kept, and where it goes
earlier
chmod 604 place/r.md
report place/r.md 2>/dev/null
ok "permissions of an existing file stay" equals 604 stat -c %a place/r.md
ok "those of a new one are the umask's" equals 640 sh -c 'umask 027; cowlab report --db w.db -o place/new.md 2>/dev/null; stat -c %a place/new.md'
ln -s r.md place/l.md
ok "a symbolic link stays" sh -c 'cowlab report --db w.db -o place/l.md && [ -L place/l.md ] && grep -q l.assets place/r.md'
ln -s to-come.md place/dangling.md
ok "one that leads nowhere yet is followed too" sh -c 'cowlab report --db w.db -o place/dangling.md && [ -s place/to-come.md ]'
ok "/dev/stdout is written straight, behind what is there" equals "first
# cowlab report" sh -c '{ echo first; cowlab report --db w.db -o /dev/stdout; } >place/all; head -n 2 place/all'
mkfifo fifo
cat fifo >read.md &
report fifo 2>/dev/null
wait
ok "a FIFO too" grep -q '^# cowlab report' read.md
ok "and neither has pictures beside it" test ! -e fifo.assets -a ! -e /dev/stdout.assets
ok "one that nobody reads is not waited for for ever" says "cannot write 'fifo': nobody reads it" report fifo

# -- beside others, and what the file system would refuse in the end only
several() { # COMMAND...: eight at once to the same name: all end well, and leave a whole report
    rm -rf place/at-once* && pids=
    for i in 1 2 3 4 5 6 7 8; do
        "$@" cowlab report --db w.db -o place/at-once.md 2>/dev/null &
        pids="$pids $!"
    done
    for pid in $pids; do wait "$pid" || return 1; done
    [ -z "$(find place -name '.*')" ] && sed 's/at-once.assets/good.assets/' place/at-once.md | cmp good.md
}
ok "several at once to the same name" several env
mkdir -p place/at-once.assets
# Who is traced cannot be looked through for leaks by a sanitizer.
no_tmpfile="env ASAN_OPTIONS=detect_leaks=0 strace -qq -o /dev/null -e trace=openat -e inject=openat:error=EOPNOTSUPP -P $TMP/place -P $TMP/place/at-once.assets"
if strace -qq -o /dev/null -e trace=openat -e inject=openat:error=EOPNOTSUPP -P /nowhere true 2>/dev/null; then
    # shellcheck disable=SC2086 # a command with its arguments
    ok "the same where a file cannot be made without a name" several $no_tmpfile
    echo left >place/.at-once.md.cowlab-new0
    # shellcheck disable=SC2086
    ok "what a kill left there goes" several $no_tmpfile
else
    skip "where a file cannot be made without a name" "strace (make deps)"
fi
mkdir elsewhere
if mount -t tmpfs none elsewhere 2>/dev/null; then
    ln -s elsewhere/r.md across.md
    ok "a link to another file system" exits 0 report across.md
    umount elsewhere
else
    skip "a link to another file system" "a mount of one's own"
fi
nothing() { # COMMAND...: exit 4, and no picture was put anywhere
    exits 4 "$@" && [ -z "$(find . -name '*.svg' -newer mark)" ]
}
touch mark
ok "no name: nothing is written" nothing report ''
ok "the name of a directory that is not there" nothing report there-is-none/
mkdir -m 1777 sticky
echo earlier >sticky/r.md
chmod 666 sticky/r.md
ok "another's file in a sticky directory" nothing as_nobody cowlab report --db w.db -o "$TMP/sticky/r.md"
if touch grows.md && chattr +a grows.md 2>/dev/null; then
    ok "a file that may only grow" nothing report grows.md
    chattr -a grows.md
else
    skip "a file that may only grow" "chattr +a"
fi
cowlab run fork-write --db other.db >/dev/null
ok "another database is none the less one" exits 2 report other.db
ok "and goes on being one" exits 0 cowlab show --db other.db

# -- the files of another database
cowlab watch $$ --every 20ms --db killed.db >/dev/null 2>&1 &
watcher=$!
for _ in $(seq 3000); do
    [ "$(sqlite3 -readonly killed.db 'SELECT count(*) FROM step' 2>/dev/null || echo 0)" -lt 3 ] || break
    sleep 0.02
done
kill -9 $watcher
wait $watcher 2>/dev/null
ln -s killed.db-wal log.md
for onto in killed.db-wal log.md killed.db-shm killed.db-journal; do
    ok "onto $onto, which belongs to another: refused" exits 2 report $onto
done
ok "and nothing of it is lost" says 'crashed after [0-9]+ samples' cowlab show --db killed.db
ok "a name that only looks like one" exits 0 report fifo-wal

# -- what somebody else has put where everybody may put something
if [ "$(id -u)" = 0 ]; then
    mkdir -m 1777 all
    echo mine >mine
    as_nobody ln -s "$TMP/mine" "$TMP/all/link.md"
    as_nobody ln -s "$TMP/mine-too" "$TMP/all/dangling.md"
    as_nobody mkdir "$TMP/all/r.assets"
    as_nobody ln -s "$TMP/mine" "$TMP/all/r.assets/$picture"
    as_nobody touch "$TMP/all/file.md"
    ln -s "$TMP/mine-too" all/own.md
    touch mark
    for onto in link dangling r file; do ok "somebody else's $onto in a place of all" nothing report all/$onto.md; done
    ok "... does not decide what is written" equals mine cat mine
    ok "... nor what is made" test ! -e mine-too
    ok "a link of one's own there" exits 0 report all/own.md
else
    skip "somebody else's link in a place of all" "root"
fi

ok "eight descriptors are enough" exits 0 sh -c 'ulimit -n 8; cowlab report --db w.db -o place/few.md'
ok "its pictures are there" test "$(find place/few.assets -name '[^.]*.svg' | wc -l)" -eq "$(find good.assets -type f | wc -l)"
ok "and nothing else is" equals "" find place -name '.*'
few() { sh -c "ulimit -n $1; cowlab report --db w.db -o place/none.md"; }
ok "four are not: it says of what there are too few, and where" says "cannot read database 'w.db': Too many open files" few 4
ok "six are enough to read" says "cannot write 'place/none.md': Too many open files" few 6
finish
