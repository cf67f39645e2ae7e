#!/bin/sh
# Runs the test programs (cmocka, in TAP) and the end-to-end scripts (tests/e2e/*.sh, also TAP) of
# one build, each with a deadline, and closes with "N passed, N failed, N skipped".
#   run.sh BUILD_DIR [NAME...]     NAME: only tests whose file name contains it
# WRAP=valgrind runs the cmocka programs under valgrind. After each file: no process may be left
# that carries its mark in its environment.
# A skip that says "(make deps)" is for want of a program that can be installed: such files are listed in
# BUILD_DIR/tests/missed. ALL=1: such a skip is a failure; ALL=missed: and only the files listed are run.
set -u
build=$1
shift
top=$(cd "$(dirname "$0")/.." && pwd)
# For hangs only: on a busy machine a file of a minute may take ten.
deadline=${TEST_DEADLINE:-3600}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0 skipped=0
export BUILD="$build" TOP="$top" CMOCKA_MESSAGE_OUTPUT=TAP
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0}" UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"

# What is printed for people goes by these.
export LC_ALL=C.UTF-8
unset COLUMNS
# Tests that call make do not share this one's jobs.
unset MAKEFLAGS MFLAGS
missed=$build/tests/missed
mkdir -p "$build/tests"
[ -z "${ALL:-}" ] || export ALL
if [ "${ALL:-}" = missed ]; then
    # shellcheck disable=SC2046 # names, one word each
    set -- "$@" $(cat "$missed") nothing-missed
fi
[ $# -gt 0 ] || : >"$missed"

wanted() {
    [ $# -gt 1 ] || return 0
    file=$1
    shift
    for n in "$@"; do
        case $file in *"$n"*) return 0 ;; esac
    done
    return 1
}

# Processes whose environment carries this test's mark.
leftovers() {
    grep -lz "^COWLAB_TEST_MARK=$1\$" /proc/[0-9]*/environ 2>/dev/null | sed 's#/proc/\([0-9]*\)/.*#\1#'
}

run_one() { # NAME COMMAND...
    label=$1
    shift
    mark=$label.$$
    COWLAB_TEST_MARK=$mark timeout -k 10 "$deadline" "$@" >"$log" 2>&1
    rc=$?
    # cmocka 1.1 calls a skipped test "not ok N # SKIP name".
    sed -i -E 's/^not (ok .*# *[Ss][Kk][Ii][Pp])/\1/' "$log"
    if grep -q '^ok .*# SKIP .*(make deps)$' "$log"; then
        if [ -n "${ALL:-}" ]; then sed -i '/# SKIP .*(make deps)$/s/^ok/not ok/' "$log"; else echo "$label" >>"$missed"; fi
    fi
    p=$(grep -c '^ok ' "$log")
    s=$(grep -ciE '^ok .*# *skip' "$log")
    f=$(grep -c '^not ok ' "$log")
    if [ $rc -ne 0 ] && [ "$f" -eq 0 ]; then
        f=1
        echo "not ok - $label ended with status $rc" >>"$log"
    fi
    if [ $((p + f)) -eq 0 ]; then
        f=1
        echo "not ok - $label ran no test" >>"$log"
    fi
    # Who is dying may take its time where others run; who is left is not dying.
    left=$(leftovers "$mark") waited=0
    while [ -n "$left" ] && [ $waited -lt 100 ]; do
        sleep 0.1
        waited=$((waited + 1))
        left=$(leftovers "$mark")
    done
    if [ -n "$left" ]; then
        f=$((f + 1))
        echo "not ok - $label left processes behind: $left" >>"$log"
        # shellcheck disable=SC2086
        kill -9 $left 2>/dev/null
    fi
    passed=$((passed + p - s)) failed=$((failed + f)) skipped=$((skipped + s))
    if [ "$f" -gt 0 ]; then
        printf '== %s: %d failed\n' "$label" "$f"
        cat "$log"
    else
        printf '%-46s %3d passed%s\n' "$label" $((p - s)) "$([ "$s" -eq 0 ] || echo ", $s skipped")"
        # What a cmocka test lacks stands in a comment before its line.
        awk '/^# needs / { needs = " (" substr($0, 3) ")" }
             /^(not )?ok / { if (tolower($0) ~ /# *skip/) { sub(/^(not )?ok [0-9]* *-* */, ""); print "    skipped: " $0 needs }; needs = "" }' "$log"
    fi
}

cd "$top" || exit 1
for t in "$build"/tests/unit/test_*; do
    case $t in *.o | *.d | *.gcno | *.gcda) continue ;; esac
    [ -x "$t" ] && wanted "$t" "$@" || continue
    if [ "${WRAP:-}" = valgrind ]; then
        run_one "$(basename "$t")" valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,indirect --suppressions=tests/valgrind.supp --child-silent-after-fork=yes "$t"
    else
        run_one "$(basename "$t")" "$t"
    fi
done
if [ -z "${WRAP:-}" ]; then
    for t in tests/e2e/*.sh; do
        case $t in */lib.sh) continue ;; esac
        [ -f "$t" ] && wanted "$t" "$@" || continue
        run_one "$(basename "$t" .sh)" sh "$t"
    done
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
