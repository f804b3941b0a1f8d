# Each target makes .venv where it is missing, installs what it needs, and does its job.
# A machine needs Python 3.11 or newer, git and make.

PYTHON ?= python3
VENV ?= .venv
VENV_LOWEST ?= .venv-lowest

# What `make search` searches, and where its run folder lies.
SPACE ?= rnn
TEXT ?= python-docs
TRIALS ?= 300
BUDGET ?= 4
RECIPE ?= $(if $(filter rnn,$(SPACE)),--set epochs=6)
WORKERS ?= 2
RUN ?= runs/$(if $(filter-out rnn,$(SPACE)),$(SPACE)-)$(notdir $(TEXT:%/=%))

# How many processes test at once, and more arguments for pytest:
# make test TEST_PROCESSES=0 PYTEST_ARGS='-m "not slow"'
TEST_PROCESSES ?= 2
PYTEST_ARGS ?=

BIN := $(VENV)/bin
# What is imported is compiled when it first is: pip would take longer for all of it than for the rest.
INSTALL := $(BIN)/python -m pip install --no-compile --constraint constraints.txt
INPUTS := pyproject.toml constraints.txt

BASE := $(VENV)/.installed-base
DEV := $(VENV)/.installed-dev
DOCS := $(VENV)/.installed-docs
LOWEST := $(VENV_LOWEST)/.installed-lowest

.DEFAULT_GOAL := help
.PHONY: help search test test-lowest check benchmark docs clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

search: $(BASE) ## score recurrent cells on English prose, train the best by halving; goes on where it was stopped
	$(BIN)/archscout search $(SPACE) --text $(TEXT) --trials $(TRIALS) --budget $(BUDGET) $(RECIPE) \
		--workers $(WORKERS) --out $(RUN) $(if $(wildcard $(RUN)/run.json),--resume)

test: $(DEV) $(DOCS) ## check, build the documentation, then run every test
	@$(MAKE) --no-print-directory --jobs=2 --output-sync check docs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadscope $(PYTEST_ARGS)

test-lowest: $(LOWEST) ## run the quick tests with the lowest versions of the dependencies
	OMP_NUM_THREADS=1 $(VENV_LOWEST)/bin/python -m pytest -n $(TEST_PROCESSES) --dist loadscope -m "not slow" $(PYTEST_ARGS)

check: $(DEV) ## lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

benchmark: $(DEV) ## run every script in benchmarks/
	@set -e; for script in $(filter-out benchmarks/plain%,$(sort $(wildcard benchmarks/*.py))); do \
		echo "== $$script"; $(BIN)/python $$script; \
	done

docs: $(DOCS) ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean: ## remove the environments, caches and built files; keeps runs/
	rm -rf $(VENV) $(VENV_LOWEST) build dist site .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache

# pip is the last thing that venv writes: without it, making the environment was interrupted.
$(BIN)/pip $(VENV_LOWEST)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "archscout needs Python 3.11 or newer, and $(PYTHON) is `$(PYTHON) --version 2>&1`;" \
		"name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(@:/bin/pip=)

$(BASE): $(INPUTS) | $(BIN)/pip
	$(INSTALL) --editable .
	@touch $@

$(DEV): $(INPUTS) | $(BIN)/pip
	$(INSTALL) --editable '.[dev]'
	@touch $@ $(BASE)

$(DOCS): $(INPUTS) | $(BIN)/pip
	$(INSTALL) --editable '.[docs]'
	@touch $@ $(BASE)

$(LOWEST): $(INPUTS) .ci/lowest.py | $(VENV_LOWEST)/bin/pip
	$(VENV_LOWEST)/bin/python .ci/lowest.py > $(VENV_LOWEST)/lowest.txt
	$(VENV_LOWEST)/bin/python -m pip install --requirement $(VENV_LOWEST)/lowest.txt --editable .
	@touch $@
