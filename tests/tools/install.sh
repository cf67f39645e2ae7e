#!/bin/sh
# install.sh BUILD_DIR PREFIX: puts what was built under PREFIX.
#   bin/             cowlab, cowprobe
#   libexec/cowlab/  programs that cowlab starts itself
#   include/cowlab/  Mach headers of the message layer (compile with -IPREFIX/include/cowlab)
#   lib/             libmachmsg.a; lib/cowlab/gnumach: the GNU Mach kernel and guest, if they were built
#   share/           man pages, shell completion, scenarios, queries, documentation
set -eu
build=$1
prefix=$2
cd "$(dirname "$0")/../.."

install -d "$prefix/bin" "$prefix/libexec/cowlab" "$prefix/lib" "$prefix/include/cowlab" \
    "$prefix/share/cowlab/scenarios" "$prefix/share/cowlab/queries"
install -m 755 "$build/cowlab" "$build/cowprobe" "$prefix/bin/"
for program in cowlab-actor cowlab-nameserver; do
    [ ! -x "$build/$program" ] || install -m 755 "$build/$program" "$prefix/libexec/cowlab/"
done
# The lab looks for its privileged helper beside its own programs.
ln -sf ../../bin/cowprobe "$prefix/libexec/cowlab/cowprobe"
install -m 644 "$build/libmachmsg.a" "$prefix/lib/"
if [ -r build/gnumach/guest ]; then
    install -d "$prefix/lib/cowlab/gnumach"
    install -m 644 build/gnumach/kernel build/gnumach/guest build/gnumach/versions.json "$prefix/lib/cowlab/gnumach/"
fi
if [ -d lab/machmsg/include ]; then
    (cd lab/machmsg/include && find . -name '*.h') | while read -r header; do
        install -D -m 644 "lab/machmsg/include/$header" "$prefix/include/cowlab/$header"
    done
fi
install -m 644 lab/scenarios/*.json lab/scenarios/LANGUAGE.md "$prefix/share/cowlab/scenarios/"
install -m 644 db/queries/*.sql "$prefix/share/cowlab/queries/"
for page in lab/cli/man/*.1; do
    [ -f "$page" ] || continue
    install -D -m 644 "$page" "$prefix/share/man/man1/$(basename "$page")"
done
if [ -f lab/cli/completion.bash ]; then
    install -D -m 644 lab/cli/completion.bash "$prefix/share/bash-completion/completions/cowlab"
fi
