PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCS_VENV := .venv-docs
DOCS_STAMP := $(DOCS_VENV)/.installed
EXTRAS := worker,local,dev
# A file's tests share what they start, so a file is one process's. Many wait for servers, so one more
# than there are cores.
WORKERS := $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) < 4 ? $$(getconf _NPROCESSORS_ONLN) + 1 : 4 )))
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist loadfile

.PHONY: setup hooks demo test coverage test-slow test-all chaos check lint types contracts docs docs-check docs-figures openapi settings errors lock clean

setup: $(STAMP)

$(STAMP): pyproject.toml client/pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo 'Installing into $(VENV), once; of what is downloaded, PyTorch is the largest part.'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --constraint requirements.lock --editable './client[cli]' --editable '.[$(EXTRAS)]'
	touch $@

hooks: setup $(DOCS_STAMP)
	$(BIN)/pre-commit install

demo: setup
	$(BIN)/python -m examples.demo

test: setup
	$(PYTEST) -m 'not slow'

# 95 % of the lines and branches in November 2026. A machine without PostgreSQL covers less.
# `make test` judges the tests; tracing slows what some of them time, so here only the lines count.
coverage: setup
	-$(PYTEST) -m 'not slow' --cov --cov-report=
	$(BIN)/coverage report --fail-under=92

# tests/conftest.py says which file begins; by itself xdist begins with those of the most tests.
test-slow: setup $(DOCS_STAMP)
	$(PYTEST) --no-loadscope-reorder -m slow

test-all: setup $(DOCS_STAMP)
	$(PYTEST)

# 200 jobs on each database among some 350 kills and freezes: half an hour on two quiet cores.
chaos: setup
	$(BIN)/python -m tests.chaos

check: lint types contracts docs-check docs

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

contracts: setup
	$(BIN)/lint-imports

docs-check: setup
	$(BIN)/python -m app.docs --check
	$(BIN)/python -m benchmarks.results --check

# Writes what benchmarks recorded into docs/benchmarks.md.
docs-figures: setup
	$(BIN)/python -m benchmarks.results

# Builds the pages into site/, and fails at a link that leads nowhere. Its libraries have an
# environment of their own: nobody who compresses a model needs them.
docs: $(DOCS_STAMP)
	$(DOCS_VENV)/bin/zensical build --strict --config-file mkdocs.yml

$(DOCS_STAMP): requirements-docs.lock
	test -x $(DOCS_VENV)/bin/python || $(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/pip install --quiet --disable-pip-version-check --requirement requirements-docs.lock
	touch $@

# Writes the pages that are made from the code; CI fails where they differ.
openapi settings errors: setup
	$(BIN)/python -m app.docs

# Resolves pyproject.toml anew in an empty environment and pins what it found.
lock:
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet --disable-pip-version-check 'torch==2.13.0'
	.venv-lock/bin/pip install --quiet --disable-pip-version-check './client[cli]' '.[$(EXTRAS)]'
	.venv-lock/bin/pip freeze --exclude fvt-service --exclude fvt-client | sed 's/+cpu$$//' > requirements.lock
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet --disable-pip-version-check 'zensical==0.0.73'
	.venv-lock/bin/pip freeze > requirements-docs.lock
	rm -rf .venv-lock

clean:
	rm -rf $(VENV) $(DOCS_VENV) site fvt-data demo-output .coverage .coverage.*
