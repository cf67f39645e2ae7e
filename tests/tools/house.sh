#!/bin/sh
# The rule of the house, held against the code: house.sh [TREE [BUILD]]
#
# - A folder's top headers are its contract, its subfolders are private to it: a header is included
#   only from below the folder that its own folder stands in.
# - Dependencies go one way: a room uses the rooms behind its colon and itself, by include and by symbol.
# - No circles: files that call each other in a loop, headers that include each other in a loop.
# - Nobody outside a backend's folder names a backend, but for the line that registers it (and data
#   about them: db/published/, and migrations of what was stored under their names).
#
# Symbols are those of the objects below BUILD (build/release). Prints what breaks the rule, a line
# each, and fails; needs nothing but a shell, awk, nm and tsort.
set -eu
tree=${1:-.} build=${2:-build/release}
cd "$tree"
found=$(mktemp)
trap 'rm -f "$found" "$found".*' EXIT

# Rooms, and those that each may use. `actions` is lab/actions.h, `lab` the list of backends beside it.
cat >"$found.rooms" <<'END'
probes:
db: probes
reports: db probes
lab/machmsg: probes
lab/plan: actions db probes
lab/run: actions lab/plan reports db probes
lab/watch: lab/run reports db probes
lab/cli: lab actions lab/plan lab/run lab/watch reports db probes
lab/linux/actor: lab/linux lab/machmsg actions probes
lab/gnumach/guest: lab/gnumach actions
END
# A backend is a folder with an ability.c.
backends=$(find lab -maxdepth 2 -name ability.c | sed 's/lab\/\(.*\)\/ability.c/\1/' | sort)
[ -n "$backends" ] || { echo 'house.sh: no backend found below lab/' >&2; exit 2; }
elsewhere=
for b in $backends; do
    echo "lab/$b: actions lab/plan lab/run db probes" >>"$found.rooms"
    elsewhere="$elsewhere ! -path lab/$b/*"
done
echo "lab: lab/plan lab/run $(echo "$backends" | sed 's/^/lab\//' | paste -sd' ')" >>"$found.rooms"

# "user used name" a line: files by include (used: a header), then files by symbol (used: a source).
find lab probes db reports -name '*.[chS]' -exec grep -Ho '#include "[^"]*/[^"]*"' {} + |
    sed 's/:#include "/ /; s/"$//; s/ \(.*\)$/ \1 \1/' | sort -u >"$found.includes"
(cd "$build" && find lab probes db reports -name '*.o' -exec nm -gA {} +) | awk '
    { file = $1; sub(/\.o:.*/, ".c", file); name = $NF; type = $(NF - 1) }
    !there(file) { next } # an object of a source that is gone
    type == "U" || type == "w" { user[++n] = file; used[n] = name }
    type ~ /^[TDBR]$/ { giver[name] = file }
    function there(path,   line) {
        if (!(path in known)) known[path] = (getline line < path) >= 0
        close(path)
        return known[path]
    }
    END { for (i = 1; i <= n; i++) {
        to = giver[used[i]]
        if (to != "" && to != user[i]) print user[i], to, used[i] } }' >"$found.calls"

# Rooms, and what is private.
awk -v rooms="$found.rooms" -v includes="$found.includes" '
    function folder(path) { sub(/\/[^\/]*$/, "", path); return path }
    function room(path,   p) {
        if (path == "lab/actions.h") return "actions"
        for (p = folder(path); !(p in uses) && p ~ /\//; ) p = folder(p)
        return p
    }
    BEGIN { while ((getline line < rooms) > 0) { split(line, part, ":"); uses[part[1]] = part[2] " " } }
    {
        from = room($1); to = room($2)
        if (from in uses && from != to && index(" " uses[from], " " to " ") == 0)
            print $1 ": uses " $3 " of " $2 ": " from " may not use " to
    }
    FILENAME == includes {
        above = folder(folder($2))
        if (folder($2) ~ /\// && index($1, above "/") != 1)
            print $1 ": includes " $2 ", which is private to " above "/"
    }' "$found.includes" "$found.calls" >"$found"

# Circles, by the names that tsort gives.
circles() { # WHAT
    awk '{ print $1, $2 }' | sort -u | tsort 2>&1 >/dev/null |
        sed -n "s/^tsort: \([^-].*[./].*\)/\1: in a circle of $1/p" | sort -u
}
circles calls <"$found.calls" >>"$found"
grep '^[^ ]*\.h ' "$found.includes" | circles includes >>"$found"

# Names of backends: as text, as part of a name, as a folder.
names=$(echo "$backends" | paste -sd'|')
set -f
# shellcheck disable=SC2086 # a list of conditions
find lab probes db reports \( -name '*.[ch]' -o -name '*.sql' \) $elsewhere \
    ! -path lab/backends.c ! -path 'db/published/*' ! -path 'db/schema/0*' \
    -exec grep -nHE "[\"']($names)[\"']|\b($names)_[a-z]|_($names)\b|\"lab/($names)/" {} + |
    sed 's/^\([^:]*:[0-9]*\):.*/\1: names a backend/' >>"$found"

[ ! -s "$found" ] || { cat "$found"; exit 1; }
