# On a machine with Python 3.11 to 3.13, make and bash: `make up` installs everything and brings a deployment up.
#
# STACK=gpu|cpu|mocker  the stack to install, instead of the one that suits the machine
# VENV=…  PYTHON=…      where it is installed, and with which interpreter
# ARGS='…'              more arguments for dynkv (up, down), pytest (test, unit, stack) or the benchmark (bench)

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help install up down test check lint types unit coverage versions stack chaos fuzz bench docs dashboards schema man dist release requirements clean

ifndef STACK
STACK := $(shell timeout 20 nvidia-smi -L 2>/dev/null | grep -q '^GPU ' && echo gpu || echo cpu)
endif
ifeq ($(filter $(STACK),gpu cpu mocker),)
$(error STACK is gpu, cpu or mocker, not "$(STACK)")
endif
VENV ?= .venv
ARGS ?=
export PYTHON UPGRADE

# The tests run the CPU stack. It provides the same `vllm` module as the GPU stack, so the two live apart.
CPU_VENV := $(if $(filter cpu,$(STACK)),$(VENV),.venv-cpu)
BIN := $(VENV)/bin
CPU_BIN := $(CPU_VENV)/bin
DOCS_VENV := .venv-docs
# The tests of what decides and does nothing, whose files [tool.coverage.run] of pyproject.toml has.
DECIDING := $(addprefix tests/,bash doctor init metrics observe plan profile render stacks) \
	$(addprefix tests/cluster/test_,instances.py nodes.py upkeep.py) \
	$(addprefix tests/probes/test_,streak.py text.py) \
	$(addprefix tests/supervisor/test_,diagnosis.py histories.py inbox.py last_words.py occasions.py progress.py restart.py \
	scaling.py states.py) tests/test_documents.py tests/test_readable.py tests/test_secret_rule.py
SCRIPTS := requirements/compile.sh requirements/install.sh .ci/run .ci/versions .ci/release

help: ## List the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1\t\2/p' Makefile | expand -t 20
	@sed -nE '/^# (On|$$)/d; s/^# (.*)/\1/p; /^$$/q' Makefile

install: $(VENV)/.installed-$(STACK) $(VENV)/.installed-dynkv ## Install dynkv and its stack, for GPUs if there are any, else for CPU
	@echo "Installed with the $(STACK) stack: $(BIN)/dynkv"

up: install ## Install, then bring up agg, on the GPUs if there are any, else on CPU with a tiny model
	@case $(STACK) in \
	gpu) why="GPUs (nvidia-smi lists them, or STACK=gpu)"; set -- ;; \
	cpu) why="no GPU (nvidia-smi lists none, or STACK=cpu)"; set -- --device cpu --model tiny ;; \
	mocker) why="STACK=mocker, workers without an engine"; set -- --engine mocker --model tiny --no-lmcache ;; \
	esac; \
	echo "$$why: dynkv up agg$${*:+ $$*}"; \
	"$(BIN)/dynkv" up agg "$$@" $(ARGS)
	@echo "To take it down: make down"

down: ## Take it down again
	@if [ ! -x "$(BIN)/dynkv" ]; then echo "$(VENV) has no dynkv: nothing to take down"; exit; fi; \
	"$(BIN)/dynkv" down $(ARGS) || [ $$? = 3 ]  # 3: nothing runs, which is what is wanted

test: $(CPU_VENV)/.installed-cpu $(CPU_VENV)/.installed-dynkv $(CPU_VENV)/.installed-dev ## Install, then run all tests, the real stack on CPU included
	@"$(CPU_BIN)/python" -m pytest $(ARGS)

check: lint unit coverage ## Format, lint, types, the tests that need no stack, and what those of the deciding parts cover

lint: $(CPU_VENV)/.installed-dynkv $(CPU_VENV)/.installed-dev ## Format, lint and types
	@"$(CPU_BIN)/ruff" format --check --quiet .
	@"$(CPU_BIN)/ruff" check --quiet .
	@"$(CPU_BIN)/shellcheck" $(SCRIPTS)
	@"$(CPU_BIN)/mypy"

types: $(CPU_VENV)/.installed-dynkv $(CPU_VENV)/.installed-dev ## Types alone
	@"$(CPU_BIN)/mypy"

unit: $(CPU_VENV)/.installed-dynkv $(CPU_VENV)/.installed-dev ## The tests that need no stack
	@"$(CPU_BIN)/python" -m pytest --ignore=tests/stack --ignore=tests/chaos -m 'not stack' $(ARGS)

coverage: $(CPU_VENV)/.installed-dynkv $(CPU_VENV)/.installed-dev ## The tests of the parts that decide, and which of their lines they run
	@mkdir -p build
	@"$(CPU_BIN)/python" -m coverage run -m pytest -q $(DECIDING)
	@"$(CPU_BIN)/python" -m coverage report

versions: $(CPU_VENV)/.installed-dev ## The same tests on each Python from 3.11 to 3.13 that there is
	@UV="$(CPU_BIN)/uv" .ci/versions $(DECIDING) $(ARGS)

stack: $(CPU_VENV)/.installed-cpu $(CPU_VENV)/.installed-dynkv $(CPU_VENV)/.installed-dev ## The tests that run the real stack on CPU
	@"$(CPU_BIN)/python" -m pytest tests/stack tests/docs/test_tutorial.py $(ARGS)

chaos: $(CPU_VENV)/.installed-cpu $(CPU_VENV)/.installed-dynkv $(CPU_VENV)/.installed-dev ## Kill at random; DYNKV_CHAOS_KILLS=2000 makes it a long run
	@"$(CPU_BIN)/python" -m pytest tests/chaos --timeout 36000 $(ARGS)

fuzz: $(CPU_VENV)/.installed-dynkv $(CPU_VENV)/.installed-dev ## Try inputs that nobody expects; DYNKV_FUZZ_EXAMPLES=100000 makes it a long run
	@DYNKV_FUZZ_EXAMPLES="$${DYNKV_FUZZ_EXAMPLES:-3000}" "$(CPU_BIN)/python" -m pytest tests/fuzz --timeout 36000 $(ARGS)

bench: $(CPU_VENV)/.installed-cpu $(CPU_VENV)/.installed-dynkv ## Measure dynkv beside others, into tests/bench/results.md; ARGS=--quick only tries it
	@PYTHONPATH=tests "$(CPU_BIN)/python" -m bench $(ARGS)

docs: $(DOCS_VENV)/.installed-docs ## Build the documentation into build/docs
	@NO_MKDOCS_2_WARNING=1 "$(DOCS_VENV)/bin/mkdocs" build --strict
	@echo "Documentation: build/docs/index.html"

dashboards: $(CPU_VENV)/.installed-dynkv $(CPU_VENV)/.installed-dev ## Make the dashboards that `dynkv observe` writes
	@PYTHONPATH=docs "$(CPU_BIN)/python" -m generate.dashboards

schema: $(CPU_VENV)/.installed-dynkv ## Make the JSON Schema of profiles
	@"$(CPU_BIN)/python" docs/schema.py > profiles/schema.json.new
	@mv profiles/schema.json.new profiles/schema.json

man: $(CPU_VENV)/.installed-dynkv ## Write manual pages and completions into build/share
	@rm -rf build/share
	@PYTHONPATH=docs "$(CPU_BIN)/python" -m generate.man build/share

dist: man $(CPU_VENV)/.installed-dev ## Build wheel and sdist into dist/
	@rm -rf dist
	@"$(CPU_BIN)/python" -m hatchling build -t sdist -t wheel

release: check dist ## Tag the version of dynkv/__init__.py, when it is in CHANGELOG.md and nothing is uncommitted
	@.ci/release

requirements: ## Compile requirements/*.txt from pyproject.toml; UPGRADE=1 takes new versions
	@requirements/install.sh "$(CPU_VENV)" uv
	@UV="$(CPU_BIN)/uv" requirements/compile.sh

clean: ## Remove the environments, caches and built files
	rm -rf .venv .venv-cpu $(DOCS_VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find dynkv tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: what is installed where, by the list that it came from.
%/.installed-dynkv: requirements/core.txt pyproject.toml
	@requirements/install.sh "$*" dynkv
	@touch "$@"

%/.installed-cpu: requirements/cpu.txt
	@requirements/install.sh "$*" cpu
	@touch "$@"

%/.installed-gpu: requirements/gpu.txt
	@requirements/install.sh "$*" gpu
	@touch "$@"

%/.installed-mocker: requirements/mocker.txt
	@requirements/install.sh "$*" mocker
	@touch "$@"

%/.installed-dev: requirements/dev.txt
	@requirements/install.sh "$*" dev
	@touch "$@"

%/.installed-docs: requirements/docs.txt
	@requirements/install.sh "$*" docs
	@touch "$@"
