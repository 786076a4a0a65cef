# One recipe per thing a person does; CI runs the same ones. `make` lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help check fmt lint test unit browser system build sam sbom reproducible dev demo tools fuzz bench bench-verify load mutants budget advisories clean-tools
# cargo and the test command use all cores themselves.
.NOTPARALLEL:

TOOLS := $(or $(LATCHKEY_TOOLS),$(CURDIR)/target/tools)
LAMBDA := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/lambda
# Flags for cargo lambda: `make build LAMBDA_FLAGS=--arm64`.
LAMBDA_FLAGS ?=
# The same for SAM: `make sam SAM_FLAGS='--parameter-overrides Architecture=arm64'`.
SAM_FLAGS ?=
# Which fuzz target, if not all of them one after the other, and for how long each.
TARGET ?= $(basename $(notdir $(sort $(wildcard tests/fuzz/fuzz_targets/*.rs))))
SECONDS ?= 60

help: ## list what there is
	@grep -hE '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:[^#]*## */\t/' | while IFS=$$'\t' read -r name what; do printf '  make %-13s %s\n' "$$name" "$$what"; done

check: ## compile everything, tests included, without building it
	cargo check --workspace --all-targets --locked

fmt: ## format the Rust code
	cargo fmt --all

lint: ## formatting, shellcheck, clippy, licences, sources, the walls between crates
	tests/run tools fmt shell deny clippy

unit: ## only the tests within the crates
	tests/run unit

browser: ## only the demo portal in Chromium; RECORD=1 writes docs/images
	$(if $(RECORD),LATCHKEY_SCREENSHOTS=1 )tests/run tools browser

system: ## only the whole-system tests, on a fresh build of the Lambda
	tests/run tools bootstrap system

test: ## THE test command: lint, every test, the Lambda under its emulator
	tests/run

build: ## the functions as they ship: target/lambda/broker/bootstrap, target/lambda/jwks-refresher/bootstrap
	@tests/tools/install python >/dev/null
	LATCHKEY_TOOLS="$(TOOLS)" deploy/reproducibly cargo lambda build --release --locked --package broker --package jwks-refresher $(LAMBDA_FLAGS)

sam: ## the same functions as `sam deploy` takes them, in .aws-sam/build: `sam build` (wants the SAM CLI)
	@tests/tools/install python >/dev/null
	LATCHKEY_TOOLS="$(TOOLS)" deploy/reproducibly sam build $(SAM_FLAGS)

sbom: build ## what each function is made of, as CycloneDX: target/lambda/broker/bootstrap.cdx.json, and the refresher's
	deploy/sbom broker jwks-refresher

reproducible: ## build the functions of HEAD twice, in two folders and for two homes: the same bytes? (a quarter of an hour)
	@tests/tools/install python >/dev/null
	LATCHKEY_TOOLS="$(TOOLS)" LAMBDA_FLAGS="$(LAMBDA_FLAGS)" tests/tools/reproducible

dev: ## the whole service on this machine, until Ctrl-C
	cargo run --locked --package latchkey -- dev

demo: ## one launch and one refusal on this machine, step by step
	cargo run --locked --package latchkey -- demo

tools: ## install the tools that the tests stand on, into target/tools
	tests/tools/install

# In a folder of its own: what a build depends on differs with RUSTC_BOOTSTRAP, and all else would be compiled again after it.
fuzz: ## every fuzz target for SECONDS, or TARGET=token and so on alone; fails where one finds something (wants `cargo install cargo-fuzz`)
	found=; for target in $(TARGET); do \
		RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir tests/fuzz --target-dir "$${CARGO_TARGET_DIR:-target}/fuzz" \
			--dev --sanitizer none --features fuzzing "$$target" \
			"$$(mktemp -d)" "tests/fuzz/corpus/$$target" -- -max_total_time=$(SECONDS) -print_final_stats=1 || found="$$found $$target"; \
	done; if [ -n "$$found" ]; then echo "these do not hold, or could not be run:$$found" >&2; exit 1; fi

mutants: ## does a test fail when the verifier or a grant rule is changed? What is new, and a sample; RECORD=1 writes it down, ALL=1 all of it
	@tests/tools/install cargo-mutants >/dev/null
	tests/mutants/run $(if $(ALL),--all) $(if $(RECORD),--record)

bench: build ## what the broker costs, beside an empty handler and a Python broker: ten minutes; RECORD=1 writes docs/performance.md
	@tests/tools/install python valgrind strace >/dev/null
	LATCHKEY_TOOLS="$(TOOLS)" deploy/reproducibly cargo lambda build --release --locked --package empty-handler
	tests/bench/run table $(if $(RECORD),--record)

load: build ## many users at once, ten minutes; RECORD=1 writes table and plots of docs/reliability.md
	@tests/tools/install rie >/dev/null
	LATCHKEY_TOOLS="$(TOOLS)" LATCHKEY_BOOTSTRAP="$(LAMBDA)/broker/bootstrap" LATCHKEY_LOAD_RECORD="$(CURDIR)/target/load" \
		cargo test --locked --package latchkey-tests --test load -- --include-ignored --nocapture --test-threads=1
	@tests/tools/install plots >/dev/null
	"$(TOOLS)/plots/bin/python" tests/bench/load target/load $(if $(RECORD),--record)

budget: build ## the shipped functions against tests/bench/budget.json; RECORD=1 writes it anew
	@tests/tools/install python valgrind strace >/dev/null
	tests/bench/run budget $(if $(RECORD),--record)

bench-verify: ## the instructions for one token, beside those for its bare signature (wants valgrind)
	cargo bench --locked --package latchkey-oidc --bench verify

advisories: ## known vulnerabilities of the dependencies (fetches the RustSec database)
	@tests/tools/install cargo-deny >/dev/null
	"$(TOOLS)/bin/cargo-deny" --locked check advisories

clean-tools: ## remove those tools
	rm -rf "$(TOOLS)"
