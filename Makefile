# `make help` lists the targets. They need only Python >= 3.11, git and make. Everything else they install into this
# folder: .venv (library and tests), .venv-sam (SAM CLI, which pins a boto3 of its own), .venv-checkov (checkov, which
# pins a hundred packages), .venv-ministack (an emulator of AWS), .venv-bench (what we are compared with), .local (data).

PYTHON ?= python3
SHELL  := bash
BIN    := .venv/bin
CLI    := $(BIN)/cacheaside
SAM    := .venv-sam/bin/sam
CHECKOV := .venv-checkov/bin/checkov

export PYTHONPATH := layers/cacheaside:functions:.
export SAM_CLI_TELEMETRY := 0
# Bytecode beside the code of functions/ would look to `sam build` like a change of its sources.
export PYTHONPYCACHEPREFIX := $(CURDIR)/.local/bytecode

.DEFAULT_GOAL := help
.PHONY: help run psql demo test check e2e secrets audit sbom consistency ddl outages soak fuzz chaos mutants bench simulate lint format template build validate doctor deploy-local invoke api explore lock clean .venv .venv-sam .venv-checkov .venv-ministack .venv-bench

help: ## list the targets
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } /^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Run

run: .venv ## the whole stack on this machine, http://127.0.0.1:3000 (PORT=, SAMPLE_SIZE=, DATABASE_URL=, CACHE_URL=)
	@$(CLI) run

demo: .venv ## every query cold and warm, as a table
	@$(CLI) demo

# SQL reaches psql as it was typed: neither make nor the shell may expand it.
override SQL := $(value SQL)
export SQL
psql: .venv ## a prompt in the database of `make run`; SQL='…' runs one statement
	@$(CLI) psql $(if $(SQL),-- --command "$$SQL")

##@ Check

# Tests mostly wait, for servers to start and for limits to pass: two workers for each core of a small machine.
WORKERS ?= 4
test: ## every check and test; those in containers are skipped where no Docker engine runs (TESTS=files or folders)
	@$(MAKE) --no-print-directory --jobs 4 lint check .venv-sam .venv-checkov .venv-ministack .venv-bench && echo "installed, lint and check: $$SECONDS s"
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --durations 20 --durations-min 3 $(TESTS)

lint: .venv ## ruff, mypy, and the rules about imports in pyproject.toml
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports --no-cache

check: .venv ## ask PostgreSQL whether each statement can run, and whether its tags are right (CATALOGUE=folder, DATABASE_URL=)
	@$(CLI) check

template: .venv .venv-sam .venv-checkov ## all tests of the template, in all its modes
	@$(BIN)/python -m pytest --quiet tests/template

e2e: .venv ## the HTTP contract of STACK=cacheaside-dev, of API_URL=…, or of a stack of its own; SMOKE=1 only reads
	@$(BIN)/python -m pytest $(if $(SMOKE),-m "not writes") tests/e2e

##@ What others wrote

secrets: .venv ## look for keys and passwords in every commit
	@$(BIN)/python -m proofs.supply_chain.secrets

audit: .venv ## look up every pinned package for known vulnerabilities
	@$(BIN)/python -m proofs.supply_chain.advisories

SBOM ?= .local/sbom.cdx.json
sbom: .venv ## the bill of materials of what is deployed (SBOM=file, ARCHITECTURE=arm64|x86_64)
	@mkdir -p $(dir $(SBOM)) && $(BIN)/python -m proofs.supply_chain.sbom $(or $(ARCHITECTURE),arm64) $(SBOM)

##@ Prove

explore: .venv ## every interleaving of a few readers, writers and faults on the production read path: ten minutes or more
	@$(BIN)/python -m proofs.explorer

consistency: MINUTES ?= 2
consistency: .venv ## writes of every kind while servers are killed and messages are lost; no answer may be stale (MINUTES=2, CACHE=node|cluster|pair|unnamed-pair)
	@$(BIN)/python -m proofs.consistency $$(($(MINUTES) * 60)) --cache $(or $(CACHE),node)

fuzz: MINUTES ?= 5
fuzz: .venv ## hostile input to every parser, driver and handler, at random (MINUTES=5, SEED=, GUIDED=1: guided by the code that a case makes run, CASE= of a TARGET, TARGET=parameters|entry|catalogue|postgres|valkey|sql|events)
	@$(BIN)/python -m proofs.fuzz --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(if $(TARGET),--target $(TARGET)) $(if $(GUIDED),--guided) $(if $(CASE),--case $(CASE))

chaos: MINUTES ?= 5
chaos: .venv ## the stack under load and faults of every kind, and a checker of each answer (MINUTES=5, SEED=, CACHE=node|cluster|pair, REPORT=1)
	@$(BIN)/python -m proofs.chaos $$(($(MINUTES) * 60)) $(if $(CACHE),--cache $(CACHE)) $(if $(SEED),--seed $(SEED)) $(if $(REPORT),--report)

EXAMPLES ?= 400
ddl: .venv ## DDL and DML at random on a real PostgreSQL; no answer may be stale (EXAMPLES=400, each of up to 40 transactions)
	@DDL_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest --quiet --capture=no tests/component/migrate/test_ddl_model.py

outages: .venv ## what callers feel while servers and processes fail: six minutes (PART=holder|cache|restart|timeout|lock)
	@$(BIN)/python -m bench.outages $(PART)

soak: MINUTES ?= 60
soak: .venv ## an hour of mixed load; status 1 if memory, connections, files, keys or rows grow (MINUTES=60, REPORT=1 writes docs/, SAMPLES=file)
	@$(BIN)/python -m proofs.soak $$(($(MINUTES) * 60)) $(if $(REPORT),--report) $(if $(SAMPLES),--samples $(SAMPLES))

simulate: .venv ## a fleet of up to thousands of sandboxes on the production read path, on a virtual clock (PART=known|incidents|growth)
	@$(BIN)/python -m proofs.simulator $(PART)

mutants: .venv ## change the core in one place at a time; a unit test must fail each time (ROOM=reading; AGAIN=1: only those that were not killed)
	@$(BIN)/python -m proofs.mutation $(ROOM) $(if $(AGAIN),--again)

##@ Measure

bench: .venv-bench ## all figures about speed in docs/benchmarks.md, beside other libraries: ten minutes on a quiet machine
	@.venv-bench/bin/python -m bench

##@ Deploy

validate: .venv-sam .venv-checkov ## sam validate --lint, and checkov
	@$(SAM) validate --lint && $(CHECKOV) --config-file .checkov.yaml --file template.yaml

build: .venv-sam ## sam build
	@$(SAM) build

doctor: .venv ## what AWS would refuse minutes after `sam deploy`, known before (CONFIG_ENV=prod)
	@$(CLI) doctor $(if $(CONFIG_ENV),--config-env $(CONFIG_ENV))

deploy-local: .venv .venv-sam .venv-ministack ## sam build, sam deploy, the e2e suite, an update and sam delete, in an emulator of AWS (CONFIG_ENV=dev|prod)
	@$(CLI) deploy-local $(if $(CONFIG_ENV),--config-env $(CONFIG_ENV))

invoke: .venv .venv-sam ## one event in a Lambda container: EVENT=events/query_health.json, or REQUEST='/queries/NAME?PARAMETER=VALUE'
	@$(BIN)/python -m local.containers.sam invoke $(EVENT)

api: .venv .venv-sam ## sam local start-api against the local servers
	@$(BIN)/python -m local.containers.sam api

##@ Look after

format: .venv ## ruff rewrites what it can
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

lock: .venv ## pin the newest versions that the .in files allow, with hashes
	@$(call pin,layers/dependencies/requirements,3.13)
	@$(call pin,requirements/dev,3.11)
	@$(call pin,requirements/sam,3.11)
	@$(call pin,requirements/checkov,3.11)
	@$(call pin,requirements/ministack,3.11)
	@$(call pin,requirements/stand_in,3.13)
	@$(call pin,requirements/servers,3.13)
	@$(call pin,requirements/bench,3.11)

clean: ## remove everything that can be made again, and the local data
	rm -rf .venv .venv-sam .venv-checkov .venv-ministack .venv-bench .local .aws-sam .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv: .venv/installed .venv/bin/cacheaside
.venv/installed: requirements/dev.txt
	$(call environment,.venv,$<)

# The command line, for every folder and shell. -P: the folder that it is called in holds no modules of ours.
.venv/bin/cacheaside: .venv/installed Makefile
	@printf '#!/bin/sh\nexport PYTHONPATH="%s" PYTHONPYCACHEPREFIX="%s"\nexec "%s" -P -m local "$$@"\n' \
	  '$(CURDIR)/layers/cacheaside:$(CURDIR)/functions:$(CURDIR)' '$(PYTHONPYCACHEPREFIX)' '$(CURDIR)/$(BIN)/python' >$@ && chmod +x $@

.venv-sam: .venv-sam/installed
.venv-sam/installed: requirements/sam.txt
	$(call environment,.venv-sam,$<)

.venv-checkov: .venv-checkov/installed
.venv-checkov/installed: requirements/checkov.txt
	$(call environment,.venv-checkov,$<)

.venv-ministack: .venv-ministack/installed
.venv-ministack/installed: requirements/ministack.txt
	$(call environment,.venv-ministack,$<)

.venv-bench: .venv-bench/installed
.venv-bench/installed: requirements/bench.txt
	$(call environment,.venv-bench,$<)

# $(1): folder, $(2): requirements, each with all that it needs in turn. A half-made environment is made again.
define environment
@echo "installing $(2) into $(1) …"
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, this is " + sys.version.split()[0])'
@$(PYTHON) -m venv --clear $(1) && $(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(2)
@touch $(1)/installed
endef

# $(1): requirements without suffix, $(2): the oldest Python that installs them. pip comes with each environment.
pin = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version $(2) --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-emit-package pip --no-header $(1).in --output-file $(1).txt
