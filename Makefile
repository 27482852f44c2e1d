# `make help` lists what there is. Nothing but Python >= 3.11, git and make is needed; what else a target needs, it installs
# into this folder: .venv (library and tests), .venv-sam (SAM CLI, which pins a boto3 of its own), .venv-checkov
# (checkov, which pins a hundred packages), .local (data).

PYTHON ?= python3
SHELL  := bash
BIN    := .venv/bin
SAM    := .venv-sam/bin/sam
CHECKOV := .venv-checkov/bin/checkov

export PYTHONPATH := layers/cacheaside:functions:.
export SAM_CLI_TELEMETRY := 0
# functions/ is packaged as it lies there: bytecode in it would be shipped, and make every build a new version.
export PYTHONPYCACHEPREFIX := .local/bytecode

.DEFAULT_GOAL := help
.PHONY: help run psql demo test check e2e consistency lint format template build validate rehearse invoke api explore lock clean .venv .venv-sam .venv-checkov

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv ## the whole stack on this machine, http://127.0.0.1:3000 (PORT=, SAMPLE_PRODUCTS=, DATABASE_URL=, CACHE_URL=)
	@$(BIN)/python -m local run

psql: .venv ## a prompt in the database of `make run`, with the client that came with it; SQL='…' runs one statement
	@test -f .local/endpoints.env || { echo 'make psql: start "make run" in another terminal first' >&2; exit 1; }
	@source .local/endpoints.env && "$$($(BIN)/python -c 'from pathlib import Path; from local.servers.postgres import PostgresServer; \
	  print(PostgresServer(Path()).programs / "psql")')" "$$DATABASE_URL" $(if $(SQL),--command "$(SQL)")

demo: .venv ## the same unattended: every query cold and warm, as a table
	@$(BIN)/python -m local demo

test: lint check .venv-sam .venv-checkov ## every check and test; those in containers are skipped where no Docker engine runs
	@$(BIN)/python -m pytest $(TESTS)
	@$(if $(TESTS),,for server in node-9 cluster-8; do echo "the contract again, on $$server"; \
	  CACHE_SERVER=$$server $(BIN)/python -m pytest --quiet tests/component/{http/test_contract,reading/test_faults,http/test_compression}.py || exit 1; done)

check: .venv ## ask PostgreSQL what each query reads, and compare with its tags (CATALOGUE=folder, DATABASE_URL=)
	@$(BIN)/python -m local check

e2e: .venv ## the HTTP contract, asked of STACK=cacheaside-dev, of API_URL=…, or of a stack of its own; SMOKE=1 only reads
	@$(BIN)/python -m pytest $(if $(SMOKE),-m "not writes") tests/e2e

lint: .venv ## ruff and mypy
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: .venv ## let ruff rewrite what it can
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

template: .venv .venv-sam .venv-checkov ## every test of the template, in all its modes: a minute
	@$(BIN)/python -m pytest --quiet tests/template

validate: .venv-sam .venv-checkov ## sam validate --lint, and checkov
	@$(SAM) validate --lint && $(CHECKOV) --config-file .checkov.yaml --file template.yaml

build: .venv-sam ## sam build
	@$(SAM) build

rehearse: .venv .venv-sam ## a deployment without AWS: packages the build, then the schema is created, upgraded, rolled back
	@$(BIN)/python -m local rehearse

invoke: .venv .venv-sam ## one event in a Lambda container: EVENT=events/query_version.json
	@$(BIN)/python -m local.containers.sam invoke $(EVENT)

api: .venv .venv-sam ## sam local start-api against the same servers
	@$(BIN)/python -m local.containers.sam api

explore: .venv ## every interleaving of three readers and two writers on the production read path, about five minutes
	@$(BIN)/python -m proofs.explorer

MINUTES ?= 2
consistency: .venv ## writers of every kind, servers killed and frozen, no stale answer: MINUTES=2, CACHE=node|cluster|pair
	@$(BIN)/python -m proofs.consistency $$(($(MINUTES) * 60)) --cache $(or $(CACHE),node)

lock: .venv ## pin the newest versions that the .in files allow, with hashes
	@$(BIN)/python -m pip install --quiet uv
	@$(call pin,layers/dependencies/requirements,3.13)
	@$(call pin,requirements/dev,3.11)
	@$(call pin,requirements/sam,3.11)
	@$(call pin,requirements/checkov,3.11)
	@$(call pin,requirements/stand_in,3.13)

clean: ## remove everything that can be made again, and the local data
	rm -rf .venv .venv-sam .venv-checkov .local .aws-sam .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv: .venv/installed
.venv/installed: requirements/dev.txt
	$(call environment,.venv,$<)

.venv-sam: .venv-sam/installed
.venv-sam/installed: requirements/sam.txt
	$(call environment,.venv-sam,$<)

.venv-checkov: .venv-checkov/installed
.venv-checkov/installed: requirements/checkov.txt
	$(call environment,.venv-checkov,$<)

# $(1): folder, $(2): requirements, each with all that it needs in turn. A half-made environment is made again.
define environment
@echo "installing $(2) into $(1) …"
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, this is " + sys.version.split()[0])'
@$(PYTHON) -m venv --clear $(1) && $(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(2)
@touch $(1)/installed
endef

# $(1): requirements without suffix, $(2): the oldest Python that installs them.
pin = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version $(2) --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-header $(1).in --output-file $(1).txt
