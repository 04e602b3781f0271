# The two commands of the README are `make report` and `make test`.
# TIER=smoke|cpu|gpu|paper   SOURCE=runs|reference   PYTHON=the interpreter that makes .venv (3.11 or newer)

TIER ?= smoke
SOURCE ?= runs
PYTHON ?= python3
BIN := .venv/bin
DERIVED := results/$(if $(filter reference,$(SOURCE)),from-reference,$(TIER))
SNAKEMAKE := $(BIN)/snakemake --config tier=$(TIER) source=$(SOURCE)

# Many containers tell Python to keep no compiled files. Every job would then compile all it imports anew, for seconds each.
unexport PYTHONDONTWRITEBYTECODE

# Environment modules of a cluster name packages of another Python here, which would be imported in place of those in .venv.
unexport PYTHONPATH
unexport PYTHONHOME

# A container's user may have no home folder that can be written, where Snakemake, uv and pip then fail in their own ways.
ifneq ($(shell test -w "$$HOME/.cache" || test -w "$$HOME" && echo yes),yes)
export HOME := $(CURDIR)/.snakemake/home
endif
# Nor an account, where Snakemake asks for its name and fails.
ifeq ($(LOGNAME)$(USER)$(shell id -un >/dev/null 2>&1 && echo known),)
export LOGNAME := $(shell id -u)
endif

.PHONY: report figures test test-units test-pipeline test-cluster test-cluster-papers lint types hooks install-hooks docs bench clean help

report: .venv/.complete ## Train, measure, judge and report: results/<tier>/report/
	@if [ -t 1 ]; then $(BIN)/replications follow $(if $(filter reference,$(SOURCE)),--source reference,--tier $(TIER)) --log logs/make-report.log -- $(SNAKEMAKE); else $(SNAKEMAKE); fi
	@cat $(DERIVED)/report/answers.txt
	@echo "Report: $(DERIVED)/report/index.html; beside it report.pdf and exports.zip"

figures: .venv/.complete ## Figures and tables only
	@$(SNAKEMAKE) -- figures

test: lint types report ## Everything that CI checks, the whole smoke pipeline included
	$(BIN)/python -m pytest -n 2 --dist worksteal --durations=10 -m "not cluster and not cluster_papers"

test-units: .venv/.complete ## The tests that need no finished pipeline
	$(BIN)/python -m pytest -n auto --dist worksteal --durations=10

test-pipeline: report ## The smoke pipeline, and the tests of what it made
	$(BIN)/python -m pytest -n 2 --durations=10 -m pipeline

test-cluster: .venv/.complete ## The workflow on a Slurm that is running on this machine
	timeout -k 30 900 $(BIN)/python -m pytest -m cluster tests/cluster

test-cluster-papers: report ## The smoke tier of every paper through that Slurm, beside the local one
	timeout -k 30 4000 $(BIN)/python -m pytest -m cluster_papers tests/cluster/test_five_papers.py

lint: .venv/.complete ## Style of the code and of the workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

types: .venv/.complete ## Types of the whole code
	$(BIN)/mypy

hooks: .venv/.complete ## The hooks of .pre-commit-config.yaml on all files, actionlint among them (needs a network once)
	$(BIN)/uv tool run pre-commit@4.7.0 run --all-files --show-diff-on-failure

install-hooks: .venv/.complete ## The same before every commit in this clone
	$(BIN)/uv tool install pre-commit@4.7.0
	$(BIN)/uv tool run pre-commit@4.7.0 install

docs: .venv/.complete .venv-docs/.packages ## The documentation site, warnings as errors: results/docs/index.html
	$(BIN)/python -m documentation
	.venv-docs/bin/zensical build --clean --strict
	@echo "Documentation: results/docs/index.html"

bench: .venv/.complete ## Our speed beside a baseline's, in one process
	$(BIN)/replications bench

clean: ## Remove made results; .venv and results/reference/ stay
	rm -rf results/smoke results/cpu results/gpu results/paper results/from-reference results/docs docs/generated logs .snakemake

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The suite itself, as the command .venv/bin/replications; an edit of the code needs no second installation.
.venv/.complete: .venv/.packages pyproject.toml
	@$(BIN)/uv pip install --quiet --offline --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# uv itself is taken from the lock, with its hashes; it then installs everything else, in seconds where pip takes minutes.
.venv/.packages: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@awk '/^[^ ]/ {wanted = /^uv==/} wanted' requirements.lock > .venv/uv-from-lock.txt
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv-from-lock.txt
	@echo "Installing requirements.lock into .venv"
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@touch $@

# The site's generator has an environment of its own, so that requirements.lock, which is part of every run's provenance, does not name it.
.venv-docs/.packages: docs/requirements.lock | .venv/.complete
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-docs
	@$(BIN)/uv pip sync --quiet --python .venv-docs/bin/python --require-hashes docs/requirements.lock
	@touch $@
