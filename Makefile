# nextscan: `make demo`, `make check` and `make test` need Python 3.11 and make, and install the rest into .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
WORKERS ?= 2
OUT ?= demo
BIN := .venv/bin
# A file is a worker's own: what its tests share is made once.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# Each worker and each command that a test starts imports hundreds of files: compiled once, they stay so.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo check test lint format bench clean

help:  ## Show what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/installed  ## Simulate a cohort, compare methods on it, impute it and write a report
	OMP_NUM_THREADS=1 $(BIN)/nextscan demo --out $(OUT) --jobs $(WORKERS)

check: lint  ## Run lint, types, import contracts and the tests that take no minutes
	$(PYTEST) -m "not minutes"

test: lint  ## Run lint, types, import contracts and all tests
	$(PYTEST)

lint: .venv/installed-dev  ## Check style, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/installed-dev  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed-dev  ## Measure speed against the plain training loop
	$(BIN)/python benchmarks/training_speed.py

clean:  ## Remove the environment, caches and the demo
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks build dist $(OUT)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Editable: the environment is made anew only when what it holds changes, not when the code does.
.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nextscan needs Python 3.11 or newer: make PYTHON=...")'
	@echo "installing nextscan into .venv (a few minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) -e .
	@touch $@

.venv/installed-dev: .venv/installed
	$(INSTALL) -e '.[dev,volumes]'
	@touch $@
