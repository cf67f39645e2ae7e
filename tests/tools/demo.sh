#!/bin/sh
# make demo, after the build: runs the central scenarios into build/demo/cowlab.db and writes
# build/demo/report.md. A demo starts afresh each time.
set -eu
cd "$(dirname "$0")/../.."
out=${DEMO:-build/demo}
cowlab=${COWLAB:-build/cowlab}
rm -rf "$out"
mkdir -p "$out"
run() {
    "$cowlab" run --db "$out/cowlab.db" "$@"
}

status=0
run fork-write || status=$?
# A name and its settings. What this machine cannot is said, with the capability (3).
try() {
    code=0
    # shellcheck disable=SC2086 # words
    run $1 >>"$out/${1%% *}.txt" || code=$?
    case $code in
    0 | 3) ;;
    *) echo "$1: exit status $code" >&2; status=1 ;;
    esac
}
for more in fork-debt fork-zero fork-write-many ool-write-many "ool-options --param memory=ordinary" ool-options \
    "ool-large --param memory=ordinary" ool-large ool-two-large; do
    try "$more"
done
if [ -f build/gnumach/guest ]; then
    # Sizes that fit a guest of 128 MiB.
    for more in "fork-write fork-write-many ool-write-many ool-options" "ool-large --param bytes=33554432" \
        "ool-two-large --param bytes=16777216"; do
        try "$more --backend gnumach"
    done
fi
"$cowlab" report --db "$out/cowlab.db" -o "$out/report.md"
"$cowlab" report --db "$out/cowlab.db" -o "$out/report.html"
cat <<END

The runs are in          $out/cowlab.db
The report is            $out/report.md   (pictures beside it)
The same as one page     $out/report.html (for a browser: the steps of each run to walk through)

Its first page answers what the published experiments left open (among it: why did the receiver of
256 MB show 1 MB, and what is copy-on-write debt?), who copied what (under each scenario), and fork or
message at 1 MiB (fork-write-many and ool-write-many, in "Fork against out of line"). In the page
strips of fork-write the child's write copies (a new frame), the parent's later write does not.
The same in SQL:

  sqlite3 -box $out/cowlab.db "SELECT step, phase, observed, share_mode, ref_count, cow, debt, write_outcome
                               FROM timeline WHERE scenario = 'fork-write'"
END
exit $status
