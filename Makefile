# cowlab: one Makefile, no recursion, no configure step. `make help` lists the targets.
# Objects go to build/$(VARIANT)/; a variant changes only flags. The release programs are
# linked at build/cowlab, build/cowprobe.

.DEFAULT_GOAL := all
.SECONDARY:
VARIANT ?= release
PREFIX  ?= /usr/local
CC      ?= gcc
B       := build/$(VARIANT)
G       := build/gen

CFLAGS_release := -O2 -g
CFLAGS_debug   := -O0 -g3
CFLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
CFLAGS_cov     := -O0 -g --coverage
ifeq ($(CFLAGS_$(VARIANT)),)
$(error VARIANT=$(VARIANT) is not one of release, debug, asan, cov)
endif

WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror=implicit-function-declaration
CPPFLAGS += -D_GNU_SOURCE -I. -I$(G) -MMD -MP
CFLAGS   += -std=gnu11 $(WARN) $(CFLAGS_$(VARIANT))
LDFLAGS  += $(CFLAGS_$(VARIANT))
LDLIBS   := -lsqlite3 -lcjson -lmd4c-html -lmd4c -lpthread -lm
# The message layer and everything that speaks it; never the GNU Mach guest.
MACH_CPPFLAGS := -Ilab/machmsg/include

# As many jobs as there are processors, unless the caller says how many.
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 1)
endif

# V=1 shows whole commands.
Q := $(if $(V),,@)

src = $(sort $(shell find $(1) -name '*.c'))
obj = $(patsubst $(G)/%.c,$(B)/gen/%.o,$(filter $(G)/%,$(1))) $(patsubst %.c,$(B)/%.o,$(filter-out $(G)/%,$(1)))

SQL       := $(sort $(wildcard db/schema/*.sql db/queries/*.sql db/published/*.sql db/report/*.sql))
SCENARIOS := $(sort $(wildcard lab/scenarios/*.json))

PROBES  := $(call obj,$(filter-out probes/cowprobe.c,$(call src,probes)))
DB      := $(call obj,$(call src,db) $(G)/embedded_sql.c)
REPORTS := $(call obj,$(call src,reports) $(G)/embedded_page.c)
# All of lab/ but other programs, the message layer and the command itself.
LAB     := $(call obj,$(filter-out lab/cli/% lab/machmsg/% lab/linux/actor/% lab/gnumach/guest/%,$(call src,lab)) $(G)/embedded_scenarios.c)
MACHMSG := $(call obj,$(filter-out lab/machmsg/names/main.c,$(call src,lab/machmsg)))
CLI     := $(call obj,$(call src,lab/cli))
ACTOR   := $(call obj,$(call src,lab/linux/actor) lab/linux/rundir.c lab/linux/moment.c)
TESTS   := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c))
SUPPORT := $(call obj,$(call src,tests/support))

PROGRAMS := $(B)/cowlab $(B)/cowprobe $(B)/cowlab-actor $(B)/cowlab-nameserver $(B)/libmachmsg.a
# The guest of the gnumach backend, where 'make deps-gnumach' has brought its parts.
ifneq ($(wildcard build/gnumach/versions.json),)
PROGRAMS += build/gnumach/guest
endif
build/gnumach/guest: build/gnumach/versions.json $(shell find lab/gnumach/guest -type f) lab/gnumach/protocol.h lab/actions.h
	CC="$(CC)" sh lab/gnumach/guest/build.sh

.PHONY: all
all: libraries $(PROGRAMS) ## build the programs (installs nothing)
ifeq ($(VARIANT),release)
	@for p in cowlab cowprobe; do ln -sfn $(VARIANT)/$$p build/$$p; done
endif

.PHONY: libraries
libraries:
	@printf '#include <sqlite3.h>\n#include <cjson/cJSON.h>\n#include <md4c-html.h>\n' | $(CC) $(CPPFLAGS) -MF /dev/null -E -x c - >/dev/null 2>&1 || \
	  { echo "cowlab needs the SQLite, cJSON and md4c development files: run 'make deps' (Debian: libsqlite3-dev libcjson-dev libmd4c-dev libmd4c-html0-dev)" >&2; exit 1; }

$(B)/cowlab: $(CLI) $(LAB) $(REPORTS) $(DB) $(PROBES)
$(B)/cowprobe: $(call obj,probes/cowprobe.c) $(PROBES)
$(B)/cowlab-actor: $(ACTOR) $(MACHMSG) $(PROBES)
$(B)/cowlab-nameserver: $(call obj,lab/machmsg/names/main.c) $(MACHMSG) $(PROBES)
$(B)/cowlab $(B)/cowprobe $(B)/cowlab-actor $(B)/cowlab-nameserver:
	@echo "  LD  $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LDLIBS)
$(B)/libmachmsg.a: $(MACHMSG) $(PROBES)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(B)/tests/unit/%: $(B)/tests/unit/%.o $(SUPPORT) $(LAB) $(REPORTS) $(DB) $(MACHMSG) $(PROBES)
	@mkdir -p $(@D)
	@echo "  LD  $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LDLIBS) -lcmocka

$(B)/tests/unit/test_machmsg_faults: $(B)/tests/faults/fail_nth.o
$(B)/lab/machmsg/%.o $(B)/lab/linux/actor/%.o $(B)/tests/unit/test_machmsg%.o: CPPFLAGS += $(MACH_CPPFLAGS)
$(B)/gen/%.o: $(G)/%.c | libraries
	@mkdir -p $(@D)
	@echo "  CC  $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
$(B)/%.o: %.c | libraries
	@mkdir -p $(@D)
	@echo "  CC  $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# Text files become C: {path, bytes, length}, one table per kind.
$(G)/embedded_sql.c: $(SQL) db/embed.sh $(wildcard db/schema db/queries db/published)
	@mkdir -p $(@D)
	$(Q)sh db/embed.sh db/embedded.h 'struct embedded_text embedded_sql' '' $(SQL) >$@
$(G)/embedded_scenarios.c: $(SCENARIOS) db/embed.sh $(wildcard lab/scenarios)
	@mkdir -p $(@D)
	$(Q)sh db/embed.sh lab/plan/plan.h 'struct builtin_scenario builtin_scenarios' .json $(SCENARIOS) >$@
# What a page is made of; its script is named in it by its SHA-256 (in base64).
$(G)/page.hash: reports/page/page.js
	@mkdir -p $(@D)
	$(Q)for byte in $$(sha256sum $< | cut -c1-64 | sed 's/../0x& /g'); do printf "\\$$(printf %03o $$byte)"; done | base64 >$@
$(G)/embedded_page.c: $(G)/page.hash reports/page/page.css reports/page/page.js db/embed.sh
	$(Q)sh db/embed.sh reports/write/page.h 'struct embedded_text embedded_page' '' $(filter-out %.sh,$^) >$@

.PHONY: deps deps-build deps-test deps-gnumach
deps: ## install what building and every test need (apt-get, or says what to run)
	sh tests/tools/deps.sh all
deps-build: ## the part of it that building and running need
	sh tests/tools/deps.sh build
deps-test: ## the part of it that 'make test' needs
	sh tests/tools/deps.sh test
deps-gnumach: ## fetch the GNU Mach kernel, headers and stub generator into build/gnumach/
	sh lab/gnumach/deps.sh
	$(MAKE) build/gnumach/guest

.PHONY: demo test test-all test-rest check check-rest memcheck soak bench fuzz lint format
demo: deps-build ## install what is missing, build, run, write build/demo/report.md
	@$(MAKE) -s deps-gnumach || echo "going on without the GNU Mach backend" >&2
	$(MAKE) all
	sh tests/tools/demo.sh
test: deps-test ## install what is missing, build, run the tests; what needs further programs is skipped by their names
	@$(MAKE) -s deps-gnumach || echo "going on without the GNU Mach backend" >&2
	MODEL_SECONDS=$${MODEL_SECONDS:-20} $(MAKE) check
test-all: test ## every oracle: also Redis, PostgreSQL, the sanitizers, fuzzing, lint; installs what they need
	$(MAKE) test-rest
# What test-all adds: a program that is missing after 'make deps' is a failure, not a skip. One failure does not hide another.
test-rest: export ALL := 1
test-rest: deps
	$(MAKE) all
	$(MAKE) -k check-rest fuzz lint
check-rest:
	@status=0; ALL=missed $(MAKE) check || status=1; \
	MODEL_SECONDS=$${MODEL_SECONDS:-20} $(MAKE) check VARIANT=asan || status=1; exit $$status
check: all $(TESTS) ## run every test that can run here, installing nothing
	sh tests/run.sh $(B)
soak: all $(TESTS) ## the long versions, hours: 500 kills, every single fault, random programs
	KILLS=500 FAULT_STRIDE=1 TEST_DEADLINE=7200 sh tests/run.sh $(B) run__killed run__faults
	COMPACT=1 sh tests/run.sh $(B) test_observer
	MODEL_SECONDS=3600 TEST_DEADLINE=7200 sh tests/run.sh $(B) model__random
bench: all ## speed, as ratios against named peers in one run
	sh tests/bench/run.sh $(B)
memcheck: all $(TESTS) ## the test programs under valgrind
	WRAP=valgrind sh tests/run.sh $(B)
fuzz: ## libFuzzer on the parsers, FUZZ_SECONDS each (60)
	sh tests/fuzz/run.sh
lint: all ## clang-format, cppcheck, shellcheck, and the rule of the house (lab/README.md)
	sh tests/tools/lint.sh $(B)
format: ## rewrite the sources in the project's format
	git ls-files '*.c' '*.h' | xargs clang-format -i

.PHONY: install clean help
install: all ## install under PREFIX (/usr/local), honours DESTDIR
	sh tests/tools/install.sh $(B) "$(DESTDIR)$(PREFIX)"
clean: ## remove build/
	rm -rf build
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+( [a-z-]+)*:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  VARIANT=release|debug|asan|cov chooses the flags (now $(VARIANT))"

-include $(shell find $(B) -name '*.d' 2>/dev/null)
