#!/bin/sh
# Writes C source that holds text files as strings: embed.sh KIND FILE... >out.c
# KIND sql: table embedded_sql {path, text, length}; KIND scenarios: builtin_scenarios {name, text, length}.
set -eu
kind=$1
shift
case $kind in
sql) echo '#include "db/embedded.h"' ;;
scenarios) echo '#include "lab/scenario.h"' ;;
*) echo "embed.sh: unknown kind '$kind'" >&2; exit 2 ;;
esac
i=0
for f in "$@"; do
    # Every byte as an octal escape: no quoting rule to get wrong.
    printf 'static const char text_%d[] =\n' "$i"
    od -An -v -to1 "$f" | sed 's/ \([0-7][0-7][0-7]\)/\\\1/g; s/^/    "/; s/$/"/'
    printf '    "";\n'
    i=$((i + 1))
done
case $kind in
sql) echo 'const struct embedded_text embedded_sql[] = {' ;;
scenarios) echo 'const struct builtin_scenario builtin_scenarios[] = {' ;;
esac
i=0
for f in "$@"; do
    name=$f
    [ "$kind" = sql ] || name=$(basename "$f" .json)
    printf '    {"%s", text_%d, sizeof text_%d - 1},\n' "$name" "$i" "$i"
    i=$((i + 1))
done
echo '    {0, 0, 0}};'
