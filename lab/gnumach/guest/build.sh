#!/bin/sh
# Builds the guest program out of this folder and the parts that deps.sh brought:
#   build.sh [DIR]     DIR: build/gnumach unless told; writes DIR/guest
set -eu
dir=${1:-build/gnumach}
here=$(dirname "$0")
top=$here/../../..
include=$dir/root/usr/include/x86_64-linux-gnu
gen=$dir/gen
CC=${CC:-gcc}

mkdir -p "$gen"
stubs=
for subsystem in mach/mach mach/mach_port mach/mach_host mach_debug/mach_debug; do
    name=$(basename $subsystem)
    # migcom reads what the C preprocessor makes of the definitions; the wrapper script around it
    # does the same but wants Perl.
    $CC -E -x c -undef -nostdinc -D__x86_64__ -D__LP64__ -I"$include" "$include/$subsystem.defs" |
        "$dir/root/usr/lib/mig/x86_64-gnu-migcom" \
            -user "$gen/$name.c" -header "$gen/$name.h" -server /dev/null
    stubs="$stubs $gen/$name.c"
done

flags="-std=gnu11 -O2 -g -ffreestanding -nostdlib -static -fno-pie -no-pie -mno-red-zone
-mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns
-fcf-protection=none -isystem $include -I$here/include -I$gen -I$top"
# The stubs are not ours: no warnings there.
# shellcheck disable=SC2086 # the lists are meant to split
{
    objects=
    for source in $stubs; do
        $CC $flags -w -c -o "${source%.c}.o" "$source"
        objects="$objects ${source%.c}.o"
    done
    for source in "$here"/*.c "$here"/*.S; do
        object=$gen/guest-$(basename "$source").o
        $CC $flags -Wall -Wextra -Wshadow -Wstrict-prototypes -c -o "$object" "$source"
        objects="$objects $object"
    done
    $CC $flags -Wl,-T,"$here/guest.ld" -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
        -Wl,--no-warn-rwx-segments -o "$dir/guest.new" $objects
}
mv "$dir/guest.new" "$dir/guest"
