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
for more in fork-debt fork-zero ool-write "ool-options --param memory=ordinary" ool-options; do
    code=0
    # shellcheck disable=SC2086 # a name and its settings
    run $more >"$out/${more%% *}.txt" || code=$?
    case $code in
    0) ;;
    3) ;; # this machine cannot: it was said, with the capability
    *) echo "$more: exit status $code" >&2; status=1 ;;
    esac
done
if [ -f build/gnumach/guest ]; then
    run fork-write ool-write ool-options --backend gnumach >"$out/gnumach.txt" || { echo "gnumach: exit status $?" >&2; status=1; }
fi
"$cowlab" report --db "$out/cowlab.db" -o "$out/report.md"
"$cowlab" report --db "$out/cowlab.db" -o "$out/report.html"
cat <<END

The runs are in          $out/cowlab.db
The report is            $out/report.md   (pictures beside it)
The same as one page     $out/report.html (for a browser: the steps of each run to walk through)

Look first at the report's findings, then at the page strips of fork-write: the child's write
copies (a new frame), the parent's later write does not. The same in SQL:

  sqlite3 -box $out/cowlab.db "SELECT step, phase, observed, share_mode, ref_count, cow, debt, write_outcome
                               FROM timeline WHERE scenario = 'fork-write'"
END
exit $status
