#!/bin/sh
# File capabilities on cowprobe give an ordinary user the frames of their own processes, and of
# nobody else's; cowlab uses it as its helper.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || { skip "the helper" "root (to give capabilities)"; finish; }
needs "the helper" setcap
nobody_setup
probe=$TMP/nobody/bin/cowprobe
setcap cap_sys_admin,cap_dac_read_search=ep "$probe" || { skip "the helper" "file capabilities"; finish; }
sleep 300 &
root=$!
setpriv --reuid=65534 --regid=65534 --clear-groups sleep 300 &
own=$!
trap 'kill $root $own 2>/dev/null; rm -rf "$TMP"' EXIT
until grep -q heap /proc/$own/maps 2>/dev/null; do sleep 0.01; done
until grep -qz sleep /proc/$own/cmdline; do sleep 0.01; done
holds() { [ "$(jq "$1" "$TMP/out.json")" = true ] || { jq -c . "$TMP/out.json" | head -c 2000; return 1; }; }

ok "one's own process" sh -c "cd / && setpriv --reuid=65534 --regid=65534 --clear-groups $probe $own >$TMP/out.json"
ok "map counts are known" holds '[.regions[] | .runs[] | .mapcount != null] | all'
ok "frames are told apart" holds '[.regions[] | .runs[] | select(.frame)] | length > 0'
ok "debt is known" holds '[.regions[] | .debt != null] | all'
ok "root's process is refused all the same" exits 3 as_nobody cowprobe $root
ok "and init too" exits 3 as_nobody cowprobe 1
ok "fork-write as nobody knows debt" exits 0 as_nobody cowlab run fork-write
ok "no value of a region hangs on missing frames" equals 0 as_nobody sqlite3 cowlab.db \
    "SELECT count(*) FROM timeline WHERE observed <> 'message' AND (debt IS NULL OR share_mode IS NULL OR ref_count IS NULL)"
# Huge pages, zero pages, objects and swap are told through the helper as they are to root.
swap_setup && trap 'kill $root $own 2>/dev/null; swap_away; rm -rf "$TMP"' EXIT
for scenario in fork-thp fork-zero fork-shared fork-file fork-mremap fork-swap ool-thp; do
    missing=$(lacks $scenario)
    if [ -n "$missing" ]; then
        skip "$scenario" "$missing"
        continue
    fi
    ok "$scenario holds as nobody" exits 0 as_nobody cowlab run $scenario --db scenarios.db
done
ok "and no value of it hangs on missing frames" equals 0 as_nobody sqlite3 scenarios.db \
    "SELECT count(*) FROM unknowns WHERE reason LIKE '%CAP_SYS_ADMIN%' OR reason LIKE '%kpage%'"
ok "a watch knows frames" exits 0 as_nobody cowlab watch --lines -e 100ms -f 500ms --db watch.db $own
ok "in each of its samples" equals 0 as_nobody sqlite3 watch.db \
    "SELECT count(*) FROM watch_samples WHERE distinct_kb IS NULL"
# The helper is killed when the parent has been seen and the child not yet: the run goes on, and
# what only the helper can tell is unknown with its reason from there on.
cat >"$TMP/killed.sh" <<'END'
trap '' PIPE
mkfifo in
cowlab run fork-write --pause --db killed.db <in >killed.out 2>&1 &
lab=$!
exec 3>in
echo >&3
steps=0
until [ "$steps" -ge 1 ]; do
    sleep 0.05
    steps=$(sqlite3 killed.db "SELECT count(DISTINCT step) FROM timeline" 2>/dev/null || echo 0)
done
pkill -9 -P $lab -x cowprobe
for step in 2 3 4 5 6 7 8; do echo >&3 2>/dev/null; done
wait $lab
END
ok "the helper dies in mid-run: the run goes on" as_nobody timeout 300 sh "$TMP/killed.sh"
ok "what was told before stays" equals 0 as_nobody sqlite3 killed.db \
    "SELECT count(*) FROM timeline WHERE step = (SELECT min(step) FROM timeline) AND debt IS NULL"
ok "what the page table alone says is told on" equals 0 as_nobody sqlite3 killed.db \
    "SELECT count(*) FROM timeline WHERE observed = 'parent' AND resident IS NULL"
ok "of the child exclusive and debt are not known" equals 1 as_nobody sqlite3 killed.db \
    "SELECT count(*) > 0 FROM timeline WHERE observed = 'child' AND debt IS NULL"
ok "with the reason" equals 1 as_nobody sqlite3 killed.db \
    "SELECT count(*) > 0 FROM unknowns WHERE observed = 'child' AND quantity = 'debt' AND reason LIKE '%CAP_SYS_ADMIN%'"
# A helper that has lost its capabilities: the same command goes on without.
setcap -r "$probe"
ok "without the capabilities it falls back" exits 0 as_nobody cowlab run fork-write
finish
