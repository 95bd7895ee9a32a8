# giljabi: one target per thing people do here. `make` alone prints the list.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PLATFORM ?= ship
ARGS ?=
PARTS ?=
FUZZ ?= 30
RUNS ?= 1000000
MINUTES ?= 1
VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
EXTRAS := ros,operator,dev

CPP_SOURCES := $(shell find cpp_ext -name '*.cpp' -o -name '*.hpp' -o -name CMakeLists.txt)

.PHONY: help install run test lint fuzz properties soak bench format clean

help:  ## this list
	@echo "usage: make TARGET [PLATFORM=ship] [ARGS='...'] [PARTS='...']"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/built  ## make .venv with everything (system packages by apt when root)

run: $(VENV)/built  ## start the stack, simulated: make run PLATFORM=ship ARGS='--until-done'
	@exec $(BIN)/giljabi run $(PLATFORM) $(ARGS)

test: $(VENV)/built  ## all tests; a choice by PARTS='cpp core sim ros'
	@scripts/test.sh $(PARTS)

lint: $(VENV)/built  ## ruff, mypy, clang-format, stubs, version numbers
	@scripts/lint.sh

fuzz: $(VENV)/built  ## coverage-guided, each target RUNS=1000000 inputs or MINUTES=1; some by ARGS='nmea can_driver'
	@RUNS=$(RUNS) MINUTES=$(MINUTES) scripts/fuzz.sh $(ARGS)

properties: $(VENV)/built  ## the property tests, each with FUZZ=30 times as many examples
	@GILJABI_FUZZ=$(FUZZ) $(BIN)/python -m pytest $(or $(ARGS),tests)

soak: $(VENV)/built  ## start the stack and end it at random moments, 100 times; nothing may be left
	@$(BIN)/python scripts/ctrl_c.py --count 100 $(ARGS)

bench: $(VENV)/built  ## measure speed: every script in benchmarks/, or one by ARGS='latency --seconds 30'
	@if [ -n "$(ARGS)" ]; then set -- $(ARGS); name=$$1; shift; exec $(BIN)/python benchmarks/$$name.py "$$@"; fi; \
	code=0; for b in benchmarks/*.py; do echo "== $$b"; $(BIN)/python "$$b" || code=1; done; exit $$code

format: $(VENV)/built  ## rewrite the sources as lint wants them
	@$(BIN)/ruff check -q --fix . ; $(BIN)/ruff format -q .
	@git ls-files '*.cpp' '*.hpp' | xargs -r $(BIN)/clang-format -i

clean:  ## remove everything that was built, .venv too
	rm -rf .venv build dist install log out .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
	find src hw_drivers sim -name '*.so' -delete
	rm -rf src/*.egg-info *.egg-info

# The environment: made again in place when what it is made from is newer.
$(VENV)/installed: setup.py pyproject.toml scripts/venv.sh
	@scripts/venv.sh $(VENV) '$(EXTRAS)'
	@touch $@

$(VENV)/built: $(VENV)/installed $(CPP_SOURCES)
	@$(BIN)/python setup.py -q build_ext --inplace
	@touch $@
