# A thin front to Meson. `make help` lists what there is.
BUILD := build

.PHONY: build setup run test test-quick bench bench-quick bench-paths bench-layers lint format clean help

build: $(BUILD)/build.ninja ## build build/weir, build/libweir.so, build/libweir.a and the guest's parts
	@ninja -C $(BUILD)

$(BUILD)/build.ninja: | setup
	@meson setup $(BUILD)

setup: ## install what is missing, from Debian's packages
	@scripts/setup.sh

run: setup build ## the main job: real programs in the unikernel, three allocators, what the host gets back
	@$(BUILD)/weir bench --out $(BUILD)/run $(RUN_ARGS)

test: setup ## every test: host, sanitizers, guests; ends with `N passed, N failed`
	@scripts/test.py

test-quick: setup ## the tests without the sanitizer builds
	@scripts/test.py --quick

# make keeps only the last ALLOC= of its command line; all of them are wanted.
ALLOCS = $(or $(shell tr '\0' '\n' </proc/$$PPID/cmdline | sed -n 's/^ALLOC=//p'),$(ALLOC))

bench: build ## libweir.so beside other mallocs, programs and applications (ALLOC=/path/to/lib.so adds one; repeatable)
	@scripts/bench.py --build $(BUILD) $(ALLOCS:%=--alloc %) $(BENCH_ARGS)

bench-quick: build ## the same in two minutes
	@scripts/bench.py --build $(BUILD) --quick $(ALLOCS:%=--alloc %) $(BENCH_ARGS)

bench-paths: build ## instructions of malloc and free: disassembled, and counted by callgrind
	@scripts/bench_paths.py --build $(BUILD) $(ALLOCS:%=--alloc %) $(BENCH_ARGS)

bench-layers: build ## the frame layer: nanoseconds per operation, one and two threads
	@$(BUILD)/bench/bench-frames

lint: ## clang-format, clang build and clang-tidy must be silent
	@scripts/setup.sh --lint
	@scripts/lint.sh

format: ## rewrite the sources in the project's format
	@scripts/setup.sh --lint
	@git ls-files '*.c' '*.h' '*.cc' | xargs clang-format -i

clean: ## remove everything built
	@rm -rf $(BUILD)

help:
	@awk 'match($$0, /:.*## /) && /^[a-z]/ { split($$0, name, ":"); printf "  make %-12s %s\n", name[1], substr($$0, RSTART + RLENGTH) }' \
	    $(firstword $(MAKEFILE_LIST))
