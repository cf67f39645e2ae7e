# Common part of the end-to-end tests: sourced, not run. Each script prints TAP; BUILD is the build
# directory, TOP the source tree (set by tests/run.sh; both have defaults for running one by hand).
# shellcheck shell=sh
TOP=${TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
BUILD=${BUILD:-build/release}
case $BUILD in /*) ;; *) BUILD=$TOP/$BUILD ;; esac
TMP=$(mktemp -d /tmp/cowlab-e2e-XXXXXX)
chmod 755 "$TMP"
trap 'rm -rf "$TMP"' EXIT
# A deadline that ends the script must still run what the script set up for its end.
trap 'exit 143' TERM INT HUP
test_count=0 test_failed=0
export NO_COLOR=1
unset COWLAB_DB
PATH=$BUILD:$PATH
cd "$TMP" || exit 1

# ok NAME COMMAND...: the command's success is the test's; its output is shown on failure.
ok() {
    name=$1
    shift
    test_count=$((test_count + 1))
    if "$@" >"$TMP/.out" 2>&1; then
        echo "ok $test_count - $name"
    else
        echo "not ok $test_count - $name"
        echo "#   $*"
        sed 's/^/#   /' "$TMP/.out"
        test_failed=$((test_failed + 1))
    fi
}

# skip NAME CAPABILITY: named, counted, printed.
skip() {
    test_count=$((test_count + 1))
    echo "ok $test_count - $1 # SKIP $2"
}

# exits CODE COMMAND...: for ok.
exits() {
    want=$1
    shift
    "$@"
    got=$?
    [ "$got" -eq "$want" ] || { echo "exit status $got, expected $want"; return 1; }
}

# equals EXPECTED COMMAND...: for ok: standard output is exactly EXPECTED.
equals() {
    want=$1
    shift
    got=$("$@") || { echo "exit status $?"; return 1; }
    [ "$got" = "$want" ] || { printf 'got:\n%s\nexpected:\n%s\n' "$got" "$want"; return 1; }
}

# says PATTERN COMMAND...: for ok: standard output or error matches the extended regular expression.
says() {
    pattern=$1
    shift
    "$@" 2>&1 | tee "$TMP/.said" | grep -Eq -- "$pattern" || { echo "nothing matches: $pattern"; cat "$TMP/.said"; return 1; }
}

# without PROGRAM...: names the first that is not installed, and what installs it; needs TITLE PROGRAM...: the whole
# script is skipped by that name.
without() {
    for program in "$@"; do
        [ -x "$(command -v "$program")" ] || { echo "$(basename "$program") (make deps)"; return 0; }
    done
    return 1
}
needs() {
    title=$1
    shift
    what=$(without "$@") || return 0
    skip "$title" "$what"
    finish
}

has_cap() {
    cowlab doctor --json | jq -e --arg c "$1" '.capabilities[] | select(.name == $c) | .have' >/dev/null
}

# lacks SCENARIO: names the first capability that the shipped scenario needs and this machine has not.
lacks() {
    for need in $(jq -r '.needs[]?' "$TOP/lab/scenarios/$1.json"); do
        has_cap "$need" || { echo "$need"; return 0; }
    done
    return 1
}

# The programs where an ordinary user can start them, and a way to be one.
nobody_setup() {
    mkdir -p "$TMP/nobody/bin" "$TMP/nobody/work"
    for program in cowlab cowprobe cowlab-actor cowlab-nameserver; do
        [ ! -x "$BUILD/$program" ] || cp "$BUILD/$program" "$TMP/nobody/bin/"
    done
    chown -R 65534:65534 "$TMP/nobody/work"
}
as_nobody() {
    (cd "$TMP/nobody/work" && PATH="$TMP/nobody/bin:$PATH" setpriv --reuid=65534 --regid=65534 --clear-groups "$@")
}

# Swap space of 16 MiB of the script's own, for as long as it runs; false where that may not be: no
# root, no file system that carries a swap file (tmpfs, overlayfs).
swap_setup() {
    for dir in "$TMP" /var/tmp; do
        swap_file=$dir/cowlab-swap-$$
        trap 'swap_away; rm -rf "$TMP"' EXIT
        dd if=/dev/zero of="$swap_file" bs=1M count=16 2>/dev/null && chmod 600 "$swap_file" &&
            mkswap "$swap_file" >/dev/null 2>&1 && swapon "$swap_file" 2>/dev/null && return 0
        rm -f "$swap_file"
    done
    return 1
}
# Explicit huge pages of the test's own, where none are reserved and it may; the test's EXIT trap calls huge_away.
huge_setup() {
    huge_before=$(cat /proc/sys/vm/nr_hugepages 2>/dev/null)
    if [ "$huge_before" = 0 ] && [ -w /proc/sys/vm/nr_hugepages ]; then echo 8 >/proc/sys/vm/nr_hugepages; fi
}
huge_away() {
    if [ "$huge_before" = 0 ] && [ -w /proc/sys/vm/nr_hugepages ]; then echo 0 >/proc/sys/vm/nr_hugepages; fi
}
swap_away() {
    swapoff "$swap_file" 2>/dev/null
    rm -f "$swap_file"
}

# hold_run STEP COMMAND...: starts a run with --pause and holds it before that step, with the steps before
# it stored. Its pid is in $lab, what it prints in the files out and err.
hold_run() {
    last_step=$1
    shift
    rm -f keys out err
    mkfifo keys
    "$@" --pause <keys >out 2>err &
    lab=$!
    exec 3>keys
    for step in $(seq "$last_step"); do
        for _ in $(seq 3000); do
            grep -qs "step $step of" err && break
            sleep 0.02
        done
        grep -q "step $step of" err || { echo "not ok - the run does not come to step $step"; cat err; exit 1; }
        [ "$step" -eq "$last_step" ] || echo >&3
    done
}
# go_on: lets it do that step; end_run: its input ends, or it was killed. Its exit status is in $status.
go_on() {
    echo >&3
    end_run
}
end_run() {
    exec 3>&-
    wait "$lab" 2>/dev/null
    # shellcheck disable=SC2034 # for the script
    status=$?
}

finish() {
    echo "1..$test_count"
    exit $((test_failed > 0))
}

# whole_report DB FILE: all that is stored of every run of it
whole_report() {
    # shellcheck disable=SC2046 # a list of ids
    cowlab report $(sqlite3 "$1" "SELECT run_id FROM run") --db "$1" -o "$2"
}
