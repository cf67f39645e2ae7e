#!/bin/sh
# Installs what building and testing cowlab needs: with apt-get where this user may, otherwise
# prints the one command to run and fails. Does nothing when all of it is there.
set -eu

build="gcc make libsqlite3-dev libcjson-dev sqlite3"
tests="libcmocka-dev shellcheck clang clang-format cppcheck libclang-rt-dev valgrind librsvg2-bin libxml2-utils
jq strace redis-server postgresql python3 python3-jsonschema qemu-system-x86 util-linux procps"

missing() {
    for p in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed || printf '%s ' "$p"
    done
}

if ! command -v apt-get >/dev/null 2>&1; then
    echo 'int main(void){return 0;}' >/dev/null
    if printf '#include <sqlite3.h>\n#include <cjson/cJSON.h>\n#include <stdarg.h>\n#include <stddef.h>\n#include <setjmp.h>\n#include <stdint.h>\n#include <cmocka.h>\n' |
        ${CC:-cc} -E -x c - >/dev/null 2>&1; then
        exit 0
    fi
    echo "cowlab needs SQLite, cJSON and cmocka with their development files. On Fedora:" >&2
    echo "  sudo dnf install gcc make sqlite sqlite-devel cjson-devel libcmocka-devel ShellCheck clang clang-tools-extra cppcheck valgrind librsvg2-tools jq strace redis postgresql-server python3 python3-jsonschema qemu-system-x86-core" >&2
    exit 1
fi

# libclang-rt-dev exists from Debian 13 and Ubuntu 22.10 on; before, the package carries clang's version.
if ! apt-cache show libclang-rt-dev >/dev/null 2>&1; then
    tests=$(echo "$tests" | sed 's/libclang-rt-dev/libclang-rt-14-dev/')
fi

# shellcheck disable=SC2086 # the lists are meant to split
want=$(missing $build $tests)
[ -n "$want" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "cowlab needs a few packages. Run:" >&2
    echo "  sudo apt-get install $want" >&2
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
