# A thin front to Meson. `make help` lists what there is.
BUILD := build

.PHONY: build setup run test test-quick bench lint format clean help

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

bench: build ## the micro-benchmarks of the layers
	@meson test -C $(BUILD) --benchmark --verbose

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
