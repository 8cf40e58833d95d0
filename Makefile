# `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
REQUIREMENTS := deploy/requirements
TIME ?=
ARGS ?=
UPGRADE ?=

.PHONY: help setup run web screenshots test test-together test-alone thorough lint format bench bench-peers campaigns audit lock docs example clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/ready: pyproject.toml $(REQUIREMENTS)/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, $(PYTHON) is " + sys.version.split()[0])'
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(REQUIREMENTS)/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# What peers and plots need goes on top, and only where figures are asked for.
$(VENV)/bench-ready: $(VENV)/ready $(REQUIREMENTS)/bench.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(REQUIREMENTS)/bench.txt
	@touch $@

setup: $(VENV)/ready ## Make .venv with everything in it

run: $(VENV)/ready ## Start a local server and the client on it; TIME="0 0 5" asks nothing
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python deploy/run_local.py $(TIME)

web: $(VENV)/ready ## Start a local server and its page at http://127.0.0.1:8080
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python deploy/run_local.py --web

screenshots: $(VENV)/ready ## Draw the page anew for docs/screenshots
	@$(BIN)/python tools/page_screenshots.py
	@$(BIN)/python tools/readme_picture.py

# Without stored bytecode each of the processes that the tests start would compile the services, and pytest the tests.
unexport PYTHONDONTWRITEBYTECODE

test: test-together test-alone ## Run the tests; container tests where a Docker engine answers

# Otherwise each of the workers would compile all tests for itself, at the same time. Whoever runs them is told what is
# wrong with them.
$(VENV)/tests-compiled: $(VENV)/ready
	@echo "compiling the tests, once"
	@ls -d tests/*/ | xargs --max-args=6 --max-procs=0 $(BIN)/python -m pytest --collect-only --quiet >/dev/null || true
	@touch $@

# Where ARGS chooses tests, one of the two may have none of them, which pytest tells by 5.
NO_TESTS := $(if $(ARGS),5,0)

test-together: $(VENV)/tests-compiled
	@$(BIN)/python -m pytest -m "not alone and not thorough" --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS) || [ $$? -eq $(NO_TESTS) ]

# What judges time would judge the other tests as well. To read all files takes as long as to run these few tests.
test-alone: $(VENV)/ready
	@$(BIN)/python -m pytest -m alone $(or $(ARGS),$$(grep --recursive --files-with-matches pytest.mark.alone tests)) \
	  || [ $$? -eq $(NO_TESTS) ]

# Searches wait for nothing, so there is one of them a core.
thorough: $(VENV)/tests-compiled ## Run what takes long: planted faults, and every search with more examples
	@$(BIN)/python -m pytest -m "(thorough or search or hypothesis) and not alone" --hypothesis-profile=thorough \
	  --numprocesses logical --dist loadfile --no-loadscope-reorder $(ARGS) || [ $$? -eq $(NO_TESTS) ]

lint: $(VENV)/ready ## Check style, types and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/mypy docs/examples
	@$(BIN)/lint-imports

format: $(VENV)/ready ## Format the code
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

bench: $(VENV)/bench-ready ## Measure a real server process on this machine; ARGS="starts lateness --repeats 5"
	@PYTHONPATH=tools $(BIN)/python -m bench $(ARGS)

bench-peers: $(VENV)/bench-ready ## The same, with Redis, beanstalkd and APScheduler in the same run
	@PYTHONPATH=tools $(BIN)/python -m bench --peers $(ARGS)

campaigns: $(VENV)/ready ## Run the fault campaigns; ARGS="crash clock --short --seed 7"
	@PYTHONPATH=tools $(BIN)/python -m campaigns $(ARGS)

audit: $(VENV)/ready ## Look the pinned requirements up among known vulnerabilities, where that can be done
	@$(BIN)/python deploy/audit.py $(REQUIREMENTS)/*.txt

# The index that the machine is set up with is used; no address goes into the files.
lock: $(VENV)/ready ## Pin what pyproject.toml asks for, with hashes; UPGRADE=--upgrade takes the newest of all
	@for extra in server client gateway webhooks dev bench; do \
	  $(BIN)/uv pip compile --quiet --universal $(UPGRADE) --generate-hashes --no-header --no-annotate \
	    --no-emit-index-url --no-emit-find-links --no-emit-package timer-service --python-version 3.11 \
	    --extra $$extra --output-file $(REQUIREMENTS)/$$extra.txt pyproject.toml || exit 1; \
	done

docs: $(VENV)/ready ## Write docs/methods and docs/openrpc.json from the table of methods
	@PYTHONPATH=tools $(BIN)/python -m method_pages

example: $(VENV)/ready ## Write .env.example from the table of settings
	@$(BIN)/python deploy/env_example.py >.env.example

clean: ## Remove what the other targets made
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build bench-results artifacts
