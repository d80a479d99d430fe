# Every verb of the workshop. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHON
UV := tools/uv
export UV_PYTHON_DOWNLOADS := never
export UV_LINK_MODE ?= copy
ARGS ?=
LOGS ?=
WORKERS ?= 2
# Tests start hundreds of processes, and each would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install install-dev demo test fuzz lint fmt bench docs lock licences clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(BIN)/.runtime ## what running Auditkeep needs, into .venv
install-dev: $(BIN)/.dev $(BIN)/.node $(BIN)/.nginx $(BIN)/.softhsm $(BIN)/.sslyze ## the same, and what tests, lint, benchmarks and docs need

demo: install ## the main job, end to end (ARGS=--exit ends instead of serving; LOGS=DIR uses your CloudTrail files)
	$(BIN)/auditkeep demo $(if $(LOGS),--logs "$(LOGS)") $(ARGS)

test: install install-dev ## all tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

fuzz: install install-dev ## 100,000 valid, invalid and bent requests (ARGS="--on postgres|http --seed N --count N")
	$(BIN)/python -m tests.fuzz $(ARGS)

lint: install install-dev ## format, rules, types, layers, dependencies, licences, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/python tools/check_licences.py
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python tools/generate_models.py --check

fmt: install-dev ## put the code into the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install-dev ## the figures, each beside its limit or baseline (ARGS="api --scale 0.1" for a part)
	$(BIN)/python -m bench $(ARGS)

docs: install-dev ## check that docs and code agree, and every link in docs leads somewhere
	$(BIN)/python tools/check_docs.py

lock: ## resolve the lock files anew
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate pyproject.toml -o requirements/runtime.txt --custom-compile-command "make lock"
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate requirements/build.in -o requirements/build.txt --custom-compile-command "make lock"
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate pyproject.toml requirements/build.in requirements/dev.in -o requirements/dev.txt --custom-compile-command "make lock"
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate requirements/tls.in -o requirements/tls.txt --custom-compile-command "make lock"

clean: ## remove what the other verbs made
	rm -rf .venv .tools .mypy_cache .ruff_cache .hypothesis demo-data bench/results

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Auditkeep needs Python 3.11 or newer, and $(PYTHON) is older. Name another: make PYTHON=python3.12"; exit 1; }
	$(UV) venv -q --python $(PYTHON) $(VENV)

$(BIN)/.runtime: requirements/runtime.txt requirements/build.txt pyproject.toml | $(VENV)/pyvenv.cfg
	$(UV) pip install -q --python $(BIN)/python --require-hashes -r requirements/runtime.txt -r requirements/build.txt
	$(UV) pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(BIN)/.dev: requirements/dev.txt $(BIN)/.runtime
	$(UV) pip install -q --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@

$(BIN)/.node: tests/node/package-lock.json tests/node/package.json $(BIN)/.dev
	cd tests/node && PATH="$(abspath $(BIN)):$$PATH" npm ci --ignore-scripts --silent
	@touch $@

$(BIN)/.nginx: tools/fetch_nginx.sh | $(VENV)/pyvenv.cfg
	tools/fetch_nginx.sh $(VENV)
	@touch $@

$(BIN)/.softhsm: tools/fetch_softhsm.sh | $(VENV)/pyvenv.cfg
	tools/fetch_softhsm.sh $(VENV)
	@touch $@

# a program that tests start, apart from everything else: its licence and its cryptography are its own
$(BIN)/.sslyze: requirements/tls.txt | $(VENV)/pyvenv.cfg
	$(UV) venv -q --python $(BIN)/python $(VENV)/sslyze
	$(UV) pip install -q --python $(VENV)/sslyze/bin/python --require-hashes -r requirements/tls.txt
	@touch $@
