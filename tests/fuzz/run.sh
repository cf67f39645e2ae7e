#!/bin/sh
# Builds every tests/fuzz/fuzz_*.c with libFuzzer and the sanitizers and runs each for FUZZ_SECONDS
# (60) from its corpus: tests/fuzz/corpus/NAME/, and what NAME.seeds lists (paths, one a line, with
# wildcards). NAME.sources lists the sources that it is built from (wildcards too), NAME.flags further
# flags, NAME.libs libraries.
#   run.sh [NAME...]
# A finding fails and stays in build/fuzz/NAME/. Without clang's fuzzer runtime it is skipped; with
# ALL set that is a failure.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top"
seconds=${FUZZ_SECONDS:-60}
out=build/fuzz
passed=0 failed=0 skipped=0
mkdir -p "$out"

cc=${FUZZ_CC:-clang}
if ! printf '#include <stddef.h>\nint LLVMFuzzerTestOneInput(const char *d, size_t n){(void)d;(void)n;return 0;}\n' |
    "$cc" -fsanitize=fuzzer,address,undefined -x c - -o "$out/probe" 2>/dev/null; then
    echo "skipped: fuzzing needs clang with its fuzzer runtime (Debian: clang libclang-rt-dev)"
    [ -z "${ALL:-}" ] || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi

wanted() {
    [ $# -gt 1 ] || return 0
    name=$1
    shift
    for n in "$@"; do
        [ "$n" = "$name" ] && return 0
    done
    return 1
}

fuzz_one() {
    name=$1
    dir=$out/$name
    mkdir -p "$dir/corpus" "$dir/seeds"
    rm -f "$dir"/crash-* "$dir"/leak-* "$dir"/timeout-* "$dir"/oom-* "$dir/seeds"/*
    # shellcheck disable=SC2046 # lists of paths and flags are meant to split
    "$cc" -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
        -D_GNU_SOURCE -I. -Ibuild/gen $(cat "tests/fuzz/$name.flags" 2>/dev/null) -o "$dir/fuzz" \
        "tests/fuzz/fuzz_$name.c" $(cat "tests/fuzz/$name.sources") \
        $(cat "tests/fuzz/$name.libs" 2>/dev/null) || return 1
    # shellcheck disable=SC2046
    [ ! -f "tests/fuzz/$name.seeds" ] || cp $(cat "tests/fuzz/$name.seeds") "$dir/seeds/"
    set -- "$dir/corpus" "$dir/seeds"
    [ ! -d "tests/fuzz/corpus/$name" ] || set -- "$@" "tests/fuzz/corpus/$name"
    [ ! -f "tests/fuzz/$name.dict" ] || set -- "$@" "-dict=tests/fuzz/$name.dict"
    # Naming new functions would start a symbolizer, whose pipes a harness takes for a leak.
    "$dir/fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$dir/" \
        -print_final_stats=1 -print_funcs=0 "$@" >"$dir/log" 2>&1
}

for f in tests/fuzz/fuzz_*.c; do
    name=$(basename "$f" .c)
    name=${name#fuzz_}
    wanted "$name" "$@" || continue
    if fuzz_one "$name"; then
        passed=$((passed + 1))
        echo "$name: no finding in $seconds s," \
            "$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$name/log") inputs"
    else
        failed=$((failed + 1))
        echo "$name: FOUND something; input and log are in $out/$name/"
        tail -40 "$out/$name/log" 2>/dev/null || :
    fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
