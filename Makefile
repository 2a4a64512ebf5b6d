# `make run` and `make test` do all of their own set-up. `make` lists the targets.

SHELL := /bin/bash
VENV := .venv
PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,$(shell \
	$(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $(name))))
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq
EXTRAS := formal fuzz fast dev
REPORT := build/report
# Processes that run tests.
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
PACKAGES := spec models targets conformance fuzz cli

# The stamp holds the path of this folder, because an editable install and the scripts of a venv do.
STAMP := $(VENV)/.set-up
MOVED := $(if $(filter $(CURDIR),$(shell cat $(STAMP) 2>/dev/null)),,FORCE)

.NOTPARALLEL:
.PHONY: help run test campaign lint ruff mypy layers generated bench prove sweep qemus setup set-up-run set-up-test typed clean FORCE
.DEFAULT_GOAL := help

help:  ## this list
	@sed -nE 's/^([a-z-]+):.*  ## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

run: set-up-run  ## what can be driven here, then judge all of it; records in build/report
	@$(BIN)/vnethash targets
	@mkdir -p build
	@$(BIN)/vnethash check --all --brief --overwrite --output $(REPORT); code=$$?; \
	case $$code in \
	0) echo "make run: all conform; the records are in $(REPORT)" ;; \
	1) echo "make run: implementations deviate, as shown above; the run is complete, its records are in $(REPORT)" ;; \
	*) echo "make run: vnethash check ended with $$code: not all was judged" >&2; exit $$code ;; \
	esac

test: set-up-test  ## make lint, then all tests; the last line is pytest's
	@lint=0; $(MAKE) --no-print-directory --keep-going lint || lint=$$?; \
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS) || exit $$?; \
	exit $$lint

lint: ruff mypy layers generated  ## ruff, mypy --strict, import-linter, and that generated files are current

ruff: $(STAMP)
	$(BIN)/python -m ruff check --quiet .

mypy: $(STAMP) typed
	MYPYPATH=build/typed $(BIN)/python -m mypy --no-error-summary -p vnethash

layers: $(STAMP)
	@mkdir -p build
	$(BIN)/lint-imports --no-logo >build/lint-imports.txt || { cat build/lint-imports.txt; exit 1; }

generated: $(STAMP)
	$(BIN)/python -m vnethash.spec.generate --check

campaign: $(STAMP)  ## a standard campaign on the steering program of QEMU, ten minutes; ARGS are passed on
	@mkdir -p build
	@$(BIN)/vnethash fuzz qemu-ebpf --time 600 --ledger build/fuzz/ledger.sqlite --corpus build/fuzz/corpus \
		--report build/fuzz/campaign.html $(ARGS); code=$$?; test $$code -le 1 || exit $$code

prove: $(STAMP)  ## everything that is claimed of the model, by solvers; a quarter of an hour on two cores
	@mkdir -p build
	@$(BIN)/vnethash prove model --output build/proof $(ARGS)

sweep: set-up-test  ## identify every planted implementation, and hold it against the whole suite; half an hour
	@VNETHASH_SWEEP=1 $(BIN)/python -m pytest -n $(JOBS) -rP tests/quality/test_identify_all.py $(ARGS)

bench: $(STAMP)  ## how fast things are, as ratios to something simple in the same run
	@$(BIN)/python tests/bench $(ARGS)

qemus: $(STAMP)  ## fetch other versions of QEMU into the user's cache; ARGS="5.2 10.0" for some of them
	@$(BIN)/python -m vnethash.targets.qemu.fetch $(ARGS)

setup: $(STAMP)  ## .venv with vnethash (editable) and everything that it can use

set-up-run: $(STAMP)
	@.ci/system-packages

set-up-test: $(STAMP)
	@.ci/system-packages chromium libdpdk
	@$(BIN)/python tests/needs.py steering

# An editable install is invisible to mypy, so it gets a folder in which the packages have their import names.
typed:
	@mkdir -p build/typed/vnethash
	@for name in $(PACKAGES); do ln -sfn ../../../$$name build/typed/vnethash/$$name; done

$(STAMP): pyproject.toml $(MOVED)
	@test -n "$(PYTHON)" || { echo "set-up: Python 3.11 or later is needed; PYTHON=... names one" >&2; exit 1; }
	@if [ -e $(VENV) ] && ! $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		echo "set-up: $(VENV) is broken or too old, and is made anew"; rm -rf $(VENV); \
	elif [ -e $(STAMP) ] && [ "$$(cat $(STAMP))" != "$(CURDIR)" ]; then \
		echo "set-up: $(VENV) comes from another folder, and is made anew"; rm -rf $(VENV); \
	fi
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
		$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || .ci/system-packages python3-venv; \
		$(PYTHON) -m venv $(VENV) 2>/dev/null || { \
			$(PYTHON) -m venv --clear --without-pip $(VENV) && \
			$(PYTHON) -m pip --python $(VENV) install -qq pip; \
		} || { echo "set-up: $(PYTHON) can make no venv: install python3-venv" >&2; exit 1; }; }
	@echo "set-up: installing vnethash and its dependencies into $(VENV) (a minute or two)"
	@$(PIP) install --editable '.[$(subst $() ,$(comma),$(EXTRAS))]' || { \
		echo "set-up: not everything could be installed at once; now each extra for itself"; \
		$(PIP) install --editable . || exit 1; \
		for extra in $(EXTRAS); do \
			$(PIP) install --editable ".[$$extra]" 2>/dev/null || \
			echo "set-up: the extra '$$extra' is missing, and what needs it is skipped; make -B setup tries again"; \
		done; }
	@printf '%s' "$(CURDIR)" >$(STAMP)

comma := ,

clean:  ## remove what was built here, except .venv
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +

FORCE:
