# `make` alone lists what there is. `make run` and `make test` need nothing but Python and make:
# both set up .venv first. Written for GNU make 3.81, the one that macOS has.

.DEFAULT_GOAL := help
.NOTPARALLEL: # style errors are read before test failures
SHELL := /bin/sh
BIN := .venv/bin
UNIT := tests --ignore=tests/integration --ignore=tests/faults

# The first Python that works: a pyenv shim may exist for a version that is not there.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$python && break; done)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: .venv/installed ## make .venv and install everything into it; instant when nothing changed

# Two stamps, so that an edit of pyproject.toml does not install all the dependencies again.
.venv/dependencies: requirements-dev.txt
	@test -n "$(PYTHON)" || { echo "Rapport needs Python 3.11, 3.12 or 3.13; name one with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "This Python cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

.venv/installed: .venv/dependencies pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@echo "compiling, once on this machine"; $(BIN)/python -c 'import streams.step'
	@touch $@

.PHONY: run
run: setup ## start everything in this one process, with a simulated shop
	$(BIN)/rapport up --demo

.PHONY: test
test: setup machine lint types unit services tenth fuzzed ## everything that CI runs

.PHONY: machine
machine: ## fetch what the integration tests need (in CI: install it)
	@.ci/setup

.PHONY: lint
lint: setup ## style: ruff, and its formatter
	$(BIN)/ruff check
	$(BIN)/ruff format --check

.PHONY: types
types: setup ## types: mypy strict on source, tests and benchmarks
	$(BIN)/mypy

.PHONY: unit
unit: setup ## the tests that need no server
	$(BIN)/python -m pytest $(UNIT)

.PHONY: services
services: setup ## the tests that need a real Kafka or Redis
	$(BIN)/python -m pytest tests/integration tests/faults

.PHONY: integration
integration: setup machine ## the tests against a real Kafka and Redis
	$(BIN)/python -m pytest tests/integration

SCALE ?= 1
FAULTS = $(BIN)/python -m tests.faults

.PHONY: faults
faults: setup machine ## break it 18 ways, 75 minutes; SCALE=0.1, ONLY=kill_workers, SEED=42
	$(FAULTS) --scale $(SCALE) $(if $(ONLY),--only $(ONLY)) $(if $(SEED),--seed $(SEED)) $(if $(OUT),--out $(OUT))

# A tenth of it, in CI only, from one seed, so that a change is judged and not the draw: 12 minutes are too
# long for a laptop, whose people ask for it by name.
.PHONY: tenth
tenth: setup machine
ifeq ($(CI),true)
	$(FAULTS) --scale 0.1 --seed 5 --out .cache/faults.json
else
	@echo "The fault experiments run in CI; here with: make faults SCALE=0.1 OUT=.cache/faults.json"
endif

FUZZ_SECONDS ?= 300

.PHONY: fuzz
fuzz: setup ## throw bytes at all that reads rules, 5 minutes; FUZZ_SECONDS=60
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

.PHONY: fuzzed
fuzzed: setup
ifeq ($(CI),true)
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)
else
	@echo "Fuzzing runs in CI; here with: make fuzz"
endif

.PHONY: bench
bench: setup ## the benchmarks, each against its rival in the same run
	$(BIN)/rapport bench

# uv resolves for all platforms at once; it lives in a throw-away environment.
.PHONY: requirements
requirements: ## pin the newest dependencies that pyproject.toml allows
	rm -rf .cache/uv && $(PYTHON) -m venv .cache/uv && .cache/uv/bin/python -m pip install --quiet uv
	.cache/uv/bin/uv pip compile $(COMPILE) --upgrade pyproject.toml -o requirements.txt
	.cache/uv/bin/uv pip compile $(COMPILE) --upgrade -c requirements.txt --group dev pyproject.toml -o requirements-dev.txt
	rm -rf .cache/uv

COMPILE := --quiet --universal --fork-strategy fewest --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links --no-annotate

.PHONY: clean
clean: ## remove everything that a build or a test has made
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
