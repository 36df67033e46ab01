# Crosspoint: everything a person runs. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Built once, kept outside the clone: RocksDB's C++ alone takes about a quarter of an hour on two cores.
CROSSPOINT_CACHE ?= $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/crosspoint
export CROSSPOINT_CACHE
export CARGO_TARGET_DIR ?= $(CROSSPOINT_CACHE)/target
# What scripts/setup found or installed (the place of libclang, if it is not where bindgen looks).
-include $(CROSSPOINT_CACHE)/env.mk
ARGS ?=

.PHONY: help
help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## install all that is missing (libclang, node packages, CometBFT); can be run again
	@scripts/setup

.PHONY: build
build: setup ## build the crosspoint binary
	@echo "==> building (the first build compiles RocksDB and takes about 25 minutes on 2 cores; later ones are quick)"
	@$(MAKE) --no-print-directory compile

.PHONY: compile
compile:
	@cargo build --locked --workspace --bins

.PHONY: demo
demo: build ## the main job on one machine: native chain, Ethereum chain, relayer; ARGS=--exit to end by itself
	@echo "==> crosspoint demo $(ARGS)"
	@"$(CARGO_TARGET_DIR)/debug/crosspoint" demo $(ARGS)

.PHONY: test
test: setup ## every test: Rust, Solidity, end to end
	@scripts/test

.PHONY: model
model: setup ## model checks of the protocol with larger bounds: states explored, mutants caught
	@scripts/model $(ARGS)

.PHONY: bench
bench: setup ## benchmarks: criterion for functions, one command for the whole path
	@scripts/bench $(ARGS)

.PHONY: fuzz
fuzz: setup ## long fuzzing of every decoder and verifier; ARGS="TARGET SECONDS" for one, ARGS=list for their names
	@scripts/fuzz $(ARGS)

.PHONY: lint
lint: setup ## formatting, lints, generated files
	@scripts/lint

.PHONY: generate
generate: setup ## write again what is generated and checked in (contract artifacts, gas snapshot, command-line reference)
	@scripts/generate
