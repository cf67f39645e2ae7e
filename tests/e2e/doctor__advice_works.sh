#!/bin/sh
# What cowlab doctor advises works when it is followed, and no row says more than could be tried.
. "$(dirname "$0")/lib.sh"

row() { jq -r --arg c "$2" '.capabilities[] | select(.name == $c) | '"$3" "$1"; } # FILE NAME EXPRESSION
ok "the doctor" sh -c "cowlab doctor --json >root.json"
ok "no self-test ends in doubt" equals "" jq -r '.capabilities[].reason // "" | select(test("not as expected"))' root.json
ok "scenarios run on linux" says "^  linux +yes" cowlab doctor
mkdir alone
cp "$BUILD/cowlab" alone/
ok "not without the program that plays the actors" says "^  linux +no .*'cowlab-actor' in .*'make install' does" alone/cowlab doctor
ok "... nor where it cannot be executed" says "^  linux +no .*Permission denied" env COWLAB_ACTOR=/dev/null alone/cowlab doctor
ok "... as a run finds too" exits 4 alone/cowlab run fork-write --db t.db
ok "where it is otherwise can be said" says "^  linux +yes" env COWLAB_ACTOR="$BUILD/cowlab-actor" alone/cowlab doctor
[ "$(id -u)" -eq 0 ] || { skip "what each user sees" "root (to become nobody)"; finish; }
nobody_setup
sleep 300 &
pid=$!
trap 'kill $pid 2>/dev/null; rm -rf "$TMP"' EXIT

as_nobody cowlab doctor --json >nobody.json
as_nobody cowlab doctor >nobody.txt
for cap in debt page_mapcount; do
    ok "an ordinary user cannot see whether there is $cap" equals "true" row nobody.json $cap .hidden
    ok "... which is said" says "^  $cap +\? " cat nobody.txt
    ok "... with its reason" says "^not visible to you" row nobody.json $cap .reason
    ok "who may see is not told so" equals "false" row root.json $cap .hidden
done

# -- rights to look at another's process
for command in "cowlab vmmap" "cowlab watch" cowprobe; do
    # shellcheck disable=SC2086 # a command of two words
    ok "$command: whom another's process takes" says "permission denied; it takes the process's own user, or root$" as_nobody $command $pid
done
ok "... and root it is" exits 0 cowlab vmmap --summary $pid
# Newer kernels let cap_perfmon and cap_sys_admin look too.
less() { setpriv --bounding-set -sys_ptrace,-perfmon,-sys_admin --inh-caps -sys_ptrace,-perfmon,-sys_admin "$@"; }
if less true 2>/dev/null; then
    ok "root that lacks the right is told which" says "takes root with cap_sys_ptrace" less cowlab vmmap $pid
    ok "cowprobe too" says "takes root with cap_sys_ptrace" less cowprobe $pid
    ok "root is not told how to do without root" sh -c "setpriv --bounding-set -sys_admin cowlab doctor >less.txt; ! grep setcap less.txt"
else
    skip "root that lacks the right" "setpriv"
fi

# -- the command for page frames, in an installed copy, as it is printed
prefix=$TMP/prefix
sh "$TOP/tests/tools/install.sh" "$BUILD" "$prefix" >/dev/null
rm -rf "$prefix/lib/cowlab/gnumach"
in_prefix() { (cd "$TMP/nobody/work" && setpriv --reuid=65534 --regid=65534 --clear-groups env PATH="$prefix/bin:$PATH" "$@"); }
in_prefix cowlab doctor >installed.txt
command=$(sed -n 's/^  sudo \(setcap .*\)/\1/p' installed.txt)
ok "an ordinary user is told how to see frames" test -n "$command"
if what=$(without setcap); then
    skip "the command for page frames" "$what"
elif has_cap kpageflags && sh -c "$command"; then
    in_prefix cowlab doctor --json >given.json
    for cap in frames kpagecount kpageflags debt page_mapcount; do
        ok "then $cap is what it is for root" test "$(row given.json $cap .have)" = "$(row root.json $cap .have)"
    done
    ok "and nothing is hidden" equals "" jq -r '.capabilities[] | select(.hidden) | .name' given.json
else
    skip "the command for page frames" "kpageflags and file capabilities"
fi
# -- a cgroup of one's own
parent=$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup)
group=/sys/fs/cgroup/memory$parent/cowlab-doctor-$$
if [ -n "$parent" ] && has_cap cgroup && mkdir "$group" 2>/dev/null; then
    trap 'kill $pid 2>/dev/null; rmdir "$group"; rm -rf "$TMP"' EXIT
    chown -R 65534 "$group"
    in_group() { (echo 0 >"$group/cgroup.procs" && as_nobody cowlab doctor --json) >grouped.json; }
    ok "in a cgroup of one's own" in_group
    ok "the system's count is there" equals true row grouped.json cgroup .have
else
    skip "a cgroup of one's own" "cgroup (version 1)"
fi

# -- swap space
if swap_setup; then
    trap 'kill $pid 2>/dev/null; [ ! -d "$group" ] || rmdir "$group"; swap_away; rm -rf "$TMP"' EXIT
    ok "swap space made as advised is seen" has_cap swap
    swap_away
else
    skip "swap space made as advised" "swap"
fi

# -- GNU Mach in an installed copy
if command -v qemu-system-x86_64 >/dev/null; then
    ok "without GNU Mach's parts: where to run make" says "gnumach +no .*make deps-gnumach' in cowlab's source folder" cat installed.txt
    if [ -r "$TOP/build/gnumach/guest" ]; then
        cp -r "$TOP/build/gnumach" gnumach && chmod -R a+rX gnumach
        ok "named as advised they are found" says "gnumach +yes" in_prefix env COWLAB_GNUMACH="$TMP/gnumach" cowlab doctor
    else
        skip "named as advised they are found" "GNU Mach kernel (make deps-gnumach)"
    fi
else
    skip "GNU Mach's parts" qemu-system-x86_64
fi
finish
