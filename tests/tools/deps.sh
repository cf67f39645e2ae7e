#!/bin/sh
# Installs what cowlab needs: deps.sh build (to build and run it), test (for 'make test' too) or all (for
# every test: servers as oracles, sanitizers, lint). With apt-get where this user may, otherwise it prints
# the one command to run and fails. Does nothing when all of it is there.
set -eu

build="gcc make libsqlite3-dev libcjson-dev libmd4c-dev libmd4c-html0-dev sqlite3 qemu-system-x86"
test="libcmocka-dev jq util-linux procps"
all="shellcheck clang clang-format cppcheck libclang-rt-dev valgrind librsvg2-bin libxml2-utils
strace redis-server postgresql python3 python3-jsonschema man-db libcap2-bin chromium chromium-driver"
fedora_build="gcc make sqlite sqlite-devel cjson-devel md4c-devel qemu-system-x86-core"
fedora_test="libcmocka-devel jq"
fedora_all="ShellCheck clang clang-tools-extra cppcheck valgrind librsvg2-tools strace redis postgresql-server python3 python3-jsonschema libcap chromium chromedriver"

headers() {
    printf '#include <%s>\n' "$@" | ${CC:-cc} -E -x c - >/dev/null 2>&1
}

# Not a Debian or Ubuntu: we can only look, and say.
without_apt() {
    if headers sqlite3.h cjson/cJSON.h md4c-html.h; then
        [ "$1" = build ] && exit 0
        headers stdarg.h stddef.h setjmp.h stdint.h cmocka.h && exit 0
    fi
    echo "cowlab needs a few packages. On Fedora:" >&2
    echo "  sudo dnf install $fedora_build $fedora_test $fedora_all" >&2
    exit 1
}

missing() {
    for p in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed || printf '%s ' "$p"
    done
}

what=${1:-all}
case $what in
build) test='' all='' fedora_test='' fedora_all='' ;;
test) all='' fedora_all='' ;;
esac
command -v apt-get >/dev/null 2>&1 || without_apt "$what"
# Old releases name the sanitizers' package by clang's version (libclang-rt-14-dev).
if [ -n "$all" ] && [ -n "$(missing libclang-rt-dev)" ]; then
    [ "$(id -u)" -ne 0 ] || apt-cache show clang >/dev/null 2>&1 || apt-get update -qq
    if ! apt-cache show libclang-rt-dev >/dev/null 2>&1; then
        version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
        all=$(echo "$all" | sed "s/libclang-rt-dev/libclang-rt-${version:-14}-dev/")
    fi
fi

# shellcheck disable=SC2086 # the lists are meant to split
want=$(missing $build $test $all)
[ -n "$want" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "cowlab needs a few packages. Run:" >&2
    echo "  sudo apt-get install --no-install-recommends $want" >&2
    exit 1
fi
echo "installing: $want" >&2
export DEBIAN_FRONTEND=noninteractive
# An old package list names versions that are gone: try, refresh, try again.
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $want >/dev/null 2>&1 || {
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends $want >/dev/null
}
