#!/bin/sh
# Brings the parts of the gnumach backend into build/gnumach/: the GNU Mach kernel, its headers and
# .defs files, and the stub generator MIG. They are packages of the distribution: downloaded with
# apt from the mirror that this machine is set up with, signatures checked by apt as ever, with
# apt's lists and state in build/gnumach/apt, and unpacked with dpkg. Nothing is installed, nothing
# outside build/ is written, no privilege is needed.
#
# Debian 12 and older carry a kernel that refuses 64-bit programs: there the parts come from
# Debian 13 (trixie) on the same mirror, whose keys Debian 12's keyring holds.
#
#   deps.sh [DIR]      DIR: build/gnumach unless told
# Exit: 0 the parts are there (at once if they were already); 3 they cannot be had, one line says why.
set -eu

kernel=gnumach-image-1.8-amd64-up
packages="$kernel gnumach-dev mig-x86-64-gnu"
newer=trixie

mkdir -p "${1:-build/gnumach}"
dir=$(cd "${1:-build/gnumach}" && pwd)
apt=$dir/apt

cannot() {
    echo "gnumach parts: $1" >&2
    exit 3
}

if [ -s "$dir/versions.json" ] && [ -s "$dir/kernel" ] && [ -d "$dir/root" ]; then
    exit 0
fi
[ "$(uname -m)" = x86_64 ] || cannot "an x86-64 machine is needed to build the guest"
for tool in apt-get apt-cache dpkg dpkg-deb objcopy; do
    command -v $tool >/dev/null 2>&1 || cannot "no $tool here: the parts are Debian packages"
done

# "CODENAME URI KEYRING" of the distribution's main archive, as apt is set up.
mirror() {
    # shellcheck disable=SC2016 # $(...) is apt's own syntax
    apt-get indextargets --format '$(CREATED_BY) $(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI)' 2>/dev/null |
        awk '$1 == "Packages" && $2 == "Debian" && $3 == "main" && $4 !~ /-/ { print $4, $5; exit }'
}

# apt with lists and state of our own; the rest of its configuration (proxies, ...) is the machine's.
private_apt() {
    tool=$1
    shift
    timeout 300 "$tool" -o Dir::State="$apt/state" -o Dir::State::Lists="$apt/lists" \
        -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" \
        -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=- \
        -o Dir::Etc::Preferences=- -o Dir::Etc::PreferencesParts=- \
        -o APT::Sandbox::User="$(id -un)" -o APT::Update::Error-Mode=any \
        -o Acquire::Languages=none -o Acquire::Retries=1 -o Acquire::http::Timeout=20 \
        -o Acquire::https::Timeout=20 "$@"
}

found=$(mirror)
[ -n "$found" ] || cannot "apt names no Debian archive (no lists yet? run apt-get update)"
suite=${found%% *} uri=${found#* }
case $suite in
buster | bullseye | bookworm) suite=$newer ;;
esac

for keyring in /usr/share/keyrings/debian-archive-keyring.gpg /usr/share/keyrings/debian-archive-keyring.pgp; do
    [ ! -r "$keyring" ] || break
done
[ -r "$keyring" ] || cannot "no $keyring to check signatures with"
mkdir -p "$apt/state" "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/debs"
: >"$apt/status"
printf 'deb [arch=amd64 signed-by=%s] %s %s main\n' "$keyring" "$uri" "$suite" >"$apt/sources.list"

echo "fetching the GNU Mach kernel, headers and MIG from $suite into $dir" >&2
private_apt apt-get update -qq >"$apt/log" 2>&1 ||
    cannot "cannot read the package lists of $suite: no network? ($apt/log says more)"
# shellcheck disable=SC2086 # the list is meant to split
(cd "$apt/debs" && rm -f ./*.deb && private_apt apt-get download -qq $packages >>"$apt/log" 2>&1) ||
    cannot "cannot download $packages from $suite ($apt/log says more)"

rm -rf "$dir/root.new" "$dir/root"
mkdir "$dir/root.new"
version() { dpkg-deb -f "$apt"/debs/"$1"_*.deb Version; }
for package in $packages; do
    dpkg -x "$apt"/debs/"$package"_*.deb "$dir/root.new"
done
mv "$dir/root.new" "$dir/root"

# QEMU loads 32-bit images only: the same bytes in another wrapping.
gzip -dc "$dir"/root/boot/gnumach-*-amd64-up.gz >"$dir/kernel.elf64"
objcopy -O elf32-i386 "$dir/kernel.elf64" "$dir/kernel"
rm -f "$dir/kernel.elf64"
# Lists are large and of no more use.
rm -rf "$apt/lists" "$apt/cache" "$apt/state"

printf '{"suite":"%s","gnumach":"%s","headers":"%s","mig":"%s"}\n' "$suite" \
    "$(version $kernel)" "$(version gnumach-dev)" "$(version mig-x86-64-gnu)" >"$dir/versions.json.new"
mv "$dir/versions.json.new" "$dir/versions.json"
echo "gnumach parts: $(cat "$dir/versions.json")" >&2
