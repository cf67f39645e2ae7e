#!/bin/sh
# What the user gave a run to write to is no memory of the run, though it lies in memory and every actor
# holds it: a file in a tmpfs, one without a name any more, another descriptor that was open.
. "$(dirname "$0")/lib.sh"

held() { # the run's totals: nothing of 50 MiB is in them, and its account leaves next to nothing over
    equals 0 sqlite3 "$1" "SELECT count(*) FROM expectations WHERE result = 'failed'" &&
        equals 1 sqlite3 "$1" "SELECT max(object_only_kb) < 4096 AND max(superseded_kb) < 4096
            AND ifnull(max(abs(residual_kb)) < 4096, 1) FROM footprint_vs_system WHERE sum_rss_kb > 0"
}

shm=$(mktemp -d /dev/shm/cowlab-e2e-XXXXXX) || { skip "standard output in memory" "a writable /dev/shm"; finish; }
trap 'rm -rf "$shm" "$TMP"' EXIT
head -c 50M /dev/zero >"$shm/log"
cp "$shm/log" "$shm/gone"
exec 7<>"$shm/gone"
rm "$shm/gone"

# shellcheck disable=SC2016 # the inner shell expands
ok "standard output and error in a tmpfs: the expectations hold" \
    sh -c 'cowlab run ool-write-many --db named.db >>"$1" 2>&1' sh "$shm/log"
ok "and the totals are the run's alone" held named.db
ok "an output that has no name any more: the expectations hold" \
    sh -c 'cowlab run ool-write-many --db gone.db >&7 2>&1'
ok "and the totals are the run's alone" held gone.db
ok "another descriptor that was open: the expectations hold" \
    sh -c 'cowlab run ool-write-many --db other.db'
ok "and the totals are the run's alone" held other.db
mkdir "$shm/bin"
cp "$BUILD"/cowlab "$BUILD"/cowlab-actor "$BUILD"/cowlab-nameserver "$shm/bin/"
# shellcheck disable=SC2016 # the inner shell expands
ok "programs that lie in a tmpfs: the expectations hold" \
    sh -c 'PATH=$1:$PATH cowlab run ool-write-many --db programs.db' sh "$shm/bin"
ok "and the totals are the run's alone" held programs.db
finish
