#!/bin/sh
# Writes C source that holds text files as strings, a row {name, text, length} each:
#   embed.sh HEADER 'struct TYPE TABLE' STRIP FILE... >out.c
# HEADER declares the table. A row's name is the file's path, without its folder and the ending STRIP
# unless STRIP is empty.
set -eu
header=$1 table=$2 strip=$3
shift 3
echo "#include \"$header\""
i=0
for f in "$@"; do
    # Every byte as an octal escape: no quoting rule to get wrong.
    printf 'static const char text_%d[] =\n' "$i"
    od -An -v -to1 "$f" | sed 's/ \([0-7][0-7][0-7]\)/\\\1/g; s/^/    "/; s/$/"/'
    printf '    "";\n'
    i=$((i + 1))
done
echo "const ${table}[] = {"
i=0
for f in "$@"; do
    [ -z "$strip" ] || f=$(basename "$f" "$strip")
    printf '    {"%s", text_%d, sizeof text_%d - 1},\n' "$f" "$i" "$i"
    i=$((i + 1))
done
echo '    {0, 0, 0}};'
