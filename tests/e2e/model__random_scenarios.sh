#!/bin/sh
# Random programs, each step compared page by page with an independent model of the kernel
# (tests/model/README.md). MODEL_SECONDS in all (60): the same seeds every time, and some of today.
. "$(dirname "$0")/lib.sh"

seconds=${MODEL_SECONDS:-60}
today=$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')
part() { echo $((seconds * $1 / 100)); }
model() { python3 "$TOP/tests/model/run.py" "$@"; }

# The address sanitizer makes mlock do nothing.
families=plain,lock,fate
case $BUILD in */asan) families=plain,fate ;; esac
needs "random programs" python3
echo "# seeds of today from $today"
if [ "$(id -u)" -ne 0 ]; then
    ok "what is known of random programs is right, the rest has a reason" model --seconds "$seconds" --families "$families" --base "$today"
    finish
fi
ok "the lab agrees with the model" model --seconds "$(part 25)" --families "$families"
ok "with seeds of today too" model --seconds "$(part 20)" --families "$families" --base "$today"
if model --families swap --seconds 0 | grep -q SKIP; then
    skip "memory that is swapped out" swap
else
    ok "memory that is swapped out" model --seconds "$(part 25)" --families swap
    ok "with seeds of today too, swapped out" model --seconds "$(part 10)" --families swap --base "$today"
fi
nobody_setup
cp -r "$TOP/tests/model" "$TMP/nobody/model"
ok "as an ordinary user: what is known is right, the rest has a reason" \
    as_nobody sh -c "python3 $TMP/nobody/model/run.py --seconds $(part 10) --families $families --base $today"
if [ -e "$TOP/build/gnumach/guest" ]; then
    ok "on GNU Mach" model --seconds "$(part 10)" --families mach --backend gnumach --base "$today"
else
    skip "on GNU Mach" gnumach
fi
finish
