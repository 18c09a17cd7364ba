# Everything starts here. Needs Python 3.11 to 3.13, Java 17 or newer and Maven; no Docker, no root.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help install install-stack demo test test-deploy lint types bench bench-quick chaos docs-check deploy-check audit chart-docs up down clean

BIN := .venv/bin
STARTED := $(shell date +%s)
# What pytest is given: make test ARGS="-k founder"; with ARGS="-n 0" nothing runs side by side, and --pdb works
ARGS ?=
# On two workers, as tests/side_by_side.py shares tests out: what needs a Kafka runs one by one on the first.
SIDE_BY_SIDE := -n 2
# What chaos is given: make chaos ROUNDS=100 SEED=7 KINDS=freeze,net-cut REPORT=report.json
ROUNDS ?= 20
SEED ?=
KINDS ?=
REPORT ?=

help: ## show the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null || grep '##' $(MAKEFILE_LIST)

install: ## make .venv from requirements.lock, with the project in it
	@scripts/install

install-stack:
	@scripts/install stack

demo: install-stack ## run the pipeline on sample records and show who came out and why
	@scripts/timed "make demo" $(STARTED) $(BIN)/nexus demo

test: install-stack ## run all tests on a local stack of their own
	@scripts/timed "make test" $(STARTED) $(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

test-deploy: install-stack ## run the tests with servers as in production: TLS, SASL, ACLs, Prometheus
	@scripts/install-prometheus
	@scripts/timed "make test-deploy" $(STARTED) $(BIN)/python -m pytest -m deploy tests/deploy $(ARGS)

lint: install ## check style with ruff
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: install ## check types with mypy --strict
	@$(BIN)/mypy

bench: install-stack ## measure events per second, end to end and by stage
	@scripts/timed "make bench" $(STARTED) $(BIN)/nexus bench

bench-quick: install-stack ## a small run of it, which fails when a ratio is far worse than it should be
	@scripts/timed "make bench-quick" $(STARTED) $(BIN)/nexus bench --quick --guard

chaos: install-stack ## break a pipeline at random and judge it: ROUNDS=20 SEED= KINDS= REPORT=
	@scripts/timed "make chaos" $(STARTED) $(BIN)/python -m tests.chaos --rounds $(ROUNDS) \
		$(if $(SEED),--seed $(SEED)) $(if $(KINDS),--kinds $(KINDS)) $(if $(REPORT),--report $(REPORT))

docs-check: install ## check that documents link to files that exist and name every dependency
	@$(BIN)/python -m pytest tests/unit/test_documents.py

deploy-check: install-stack ## check image, chart, compose.yaml, workflows and guide without an engine or a cluster
	@tools=$$(scripts/deploy-tools) && NEXUS_DEPLOY_TOOLS=$$tools scripts/timed "make deploy-check" $(STARTED) \
		$(BIN)/python -m pytest deploy/checks $(ARGS)

audit: install ## ask for known vulnerabilities of what is locked, and write build/sbom.cdx.json: part of deploy-check
	@tools=$$(scripts/deploy-tools) && NEXUS_DEPLOY_TOOLS=$$tools $(BIN)/python -m pytest deploy/checks -k "vulnerability or materials"

chart-docs: install ## write what is made of the chart: its golden files, its table of values, the example's topics
	@tools=$$(scripts/deploy-tools) && NEXUS_DEPLOY_TOOLS=$$tools $(BIN)/python -m deploy.checks.write

up: install-stack ## start the local Kafka and Redis
	@$(BIN)/nexus up

down: install ## stop the local Kafka and Redis
	@$(BIN)/nexus down

clean: ## stop the local stack and remove its data, the environment and caches
	@if [ -x $(BIN)/nexus ]; then $(BIN)/nexus down --wipe; fi
	@rm -rf .venv .venv.lock .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info
	@find streams resolvers tests -name __pycache__ -prune -exec rm -rf {} +
