#!/bin/sh
# clang-format, cppcheck and shellcheck over what git tracks, and the rule of the house over the
# sources and the objects of a build: lint.sh [BUILD]. Any finding fails.
set -eu
for tool in clang-format cppcheck shellcheck; do
    command -v $tool >/dev/null 2>&1 || { echo "lint needs $tool: run 'make deps'" >&2; exit 1; }
done
git ls-files '*.c' '*.h' | xargs -r clang-format --dry-run -Werror
# uninitvar does not see through a cast of an output argument, as Mach calls have them in the tests.
# ctuuninitvar takes an output argument that is written only on failure for one that is read.
git ls-files '*.c' | xargs -r cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr \
    --error-exitcode=1 --suppress=missingIncludeSystem --suppress=ctuuninitvar '--suppress=uninitvar:tests/*' --suppress=normalCheckLevelMaxBranches -I. -D_GNU_SOURCE
git ls-files '*.sh' .ci/run | xargs -r shellcheck -x
sh tests/tools/house.sh . "${1:-build/release}"
