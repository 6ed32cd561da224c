.DEFAULT_GOAL := help

# The first Python that works, since a name on the path may be a shim without a Python behind it.
SUPPORTED := import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
CANDIDATES := python3.13 python3.12 python3.11 python3
PYTHON ?= $(shell for p in $(CANDIDATES); do \
	$$p -c '$(SUPPORTED)' >/dev/null 2>&1 && { echo $$p; break; }; done)

BIN := .venv/bin
READY := .venv/.ready
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
COMPILE := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-strip-extras --custom-compile-command 'make lock'

EPOCHS ?= 2
SOURCE ?= official
DATA ?= sample

.PHONY: help run full serve test test-slow test-newest test-mlflow lint types lock bench clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(READY) ## Try it: draw sample photos, train all models for a few epochs, compare them
	$(BIN)/catdog run --source sample --epochs $(EPOCHS)

full: $(READY) ## The whole job on the official photos, or on yours: make full SOURCE=FOLDER
	$(BIN)/catdog run --source "$(SOURCE)"

serve: $(READY) ## Start a Prefect server with its UI, and run the deployments when due
	$(BIN)/catdog serve --client-config prefect.toml

test: $(READY) ## Run the fast tests and show the coverage
	$(BIN)/pytest -m "not slow" --cov --numprocesses auto --maxprocesses 4 --dist loadfile

test-slow: $(READY) ## Run the slow tests; those on real photos need REAL_PHOTOS=ARCHIVE
	$(BIN)/pytest -m "slow or hypothesis" -rs --hypothesis-profile=searching

test-newest: $(READY) ## Run the fast tests on the newest versions that pyproject.toml allows
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/newest
	$(BIN)/uv pip install --quiet --python build/newest --upgrade --editable '.[dask,parquet]' --group dev
	build/newest/bin/pytest -m "not slow" --numprocesses auto --maxprocesses 4 --dist loadfile

test-mlflow: $(READY) ## Run the tests of trackers against a real MLflow server
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/mlflow
	$(BIN)/uv pip install --quiet --python build/mlflow --editable '.[dask,mlflow]' --group dev mlflow
	build/mlflow/bin/pytest tests/flows/test_trackers.py -rs

lint: $(READY) ## Check style, formatting and the import rules of the layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: $(READY) ## Check the types
	$(BIN)/mypy

lock: $(READY) ## Renew the locked versions from pyproject.toml
	$(COMPILE) pyproject.toml --output-file requirements.txt
	$(COMPILE) --group api --constraints requirements.txt --output-file requirements-api.txt
	$(COMPILE) pyproject.toml --extra dask --extra onnx --extra parquet --group dev --constraints requirements.txt --output-file requirements-dev.txt

bench: $(READY) ## Measure against the notebook's own way: make bench DATA=FOLDER or ARCHIVE
	$(BIN)/python -m benchmarks --data "$(DATA)"

clean: ## Remove the environment and caches; stored artifacts (.catdog) stay
	rm -rf .venv build dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache \
		.import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Without resolving again: the lock is complete, which 'pip check' confirms, and older pips
# stumble over its extras.
$(READY): requirements-dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 with venv is needed;" \
		"name yours: make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Installing the locked packages into .venv (once; 3 GB on disk)"
	@$(PYTHON) -m venv .venv
	@$(PIP) --no-deps --require-hashes --requirement requirements-dev.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m pip check
	@touch $@
