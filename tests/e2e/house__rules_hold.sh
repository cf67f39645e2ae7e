#!/bin/sh
# The rule of the house (tests/tools/house.sh) holds, and each part of it notices when it is broken: in
# a copy of the tree one include is turned round, a private header is included, two files call each
# other, a backend is named.
. "$(dirname "$0")/lib.sh"

copy=$TMP/tree
mkdir "$copy"
(cd "$TOP" && cp -r --parents lab probes db reports tests/tools "$copy")
mkdir "$copy/objects"
(cd "$BUILD" && find lab probes db reports -name '*.o' -exec cp --parents -t "$copy/objects" {} +)
house() { sh "$copy/tests/tools/house.sh" "$copy" "$copy/objects"; }

ok "the tree keeps the rule" house

# broken WHAT PATTERN FILE LINE: with LINE put at the end of FILE the script names the place.
broken() {
    cp "$copy/$3" "$TMP/kept"
    printf '%s\n' "$4" >>"$copy/$3"
    ok "noticed: $1" says "$2" house
    ok "... by its exit code" exits 1 house
    cp "$TMP/kept" "$copy/$3"
}
broken "an include turned round" '^probes/err.c: uses db/store.h of .*: probes may not use db' probes/err.c '#include "db/store.h"'
broken "a report that includes the lab" '^reports/format.c: .*reports may not use lab/run' reports/format.c '#include "lab/run/exits.h"'
broken "a private header" '^lab/run/runner.c: includes probes/look/look.h, which is private to probes/' lab/run/runner.c '#include "probes/look/look.h"'
broken "headers in a circle" '^probes/err.h: in a circle of includes' probes/err.h '#include "probes/observer.h"'
broken "a backend's name" '^lab/run/runner.c:[0-9]*: names a backend' lab/run/runner.c 'static const char *const where = "gnumach";'

# Symbols: without any include a file of probes calls the store.
object() { # FILE TEXT
    printf '%s\n' "$2" | ${CC:-cc} -x c -c -o "$copy/objects/$1" -
}
cp "$copy/objects/probes/err.o" "$TMP/kept.o"
object probes/err.o 'extern int store_open(void); int err_set(void); int err_set(void) { return store_open(); }'
ok "noticed: a call against the current" says '^probes/err.c: uses store_open of db/.*: probes may not use db' house
cp "$TMP/kept.o" "$copy/objects/probes/err.o"
cp "$copy/objects/probes/words.o" "$TMP/kept.o"
object probes/words.o 'extern int observation_init(void); int word_text(void); int word_text(void) { return observation_init(); }'
object probes/observation.o 'extern int word_text(void); int observation_init(void); int observation_init(void) { return word_text(); }'
ok "noticed: files that call each other" says '^probes/words.c: in a circle of calls' house
finish
