# Targets for developers and CI; `make help` lists them. .venv holds what the hash-pinned locks name, nothing else.

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
UV := $(VENV)/uv/bin/uv
# Without configuration files and index lines, so that a lock never depends on who made it.
COMPILE := $(UV) pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
LOCK_ARGS ?=
# Tests start hundreds of processes: each would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

# The JavaScript SDK tests take part when there are some and npm is there to install them.
SDK_TESTS := $(wildcard tests/clients/sdk/package.json)
NPM := $(shell command -v npm 2>/dev/null)
SDK_STAMP := $(if $(and $(SDK_TESTS),$(NPM)),tests/clients/sdk/node_modules/.installed)

# What the pictures of the dashboards are drawn with; without npm the target says what is missing.
PREVIEWS := dashboards/previews/web
PREVIEW_STAMP := $(if $(NPM),$(PREVIEWS)/node_modules/.installed)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Two installations at once would spoil .venv; the targets are parallel inside where that saves time.
.NOTPARALLEL:
.PHONY: help demo stack verify load soak test test-all lint format lock drills client-js previews client-pictures verify-grafana bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.runtime ## run a demo backend, the sidecar and a chat page on loopback
	@$(BIN)/sse-sidecar demo $(ARGS)

# FAULT=reset lets something go wrong, FAULT=help lists what can, SPEED=30 makes the rules so much faster.
stack: $(VENV)/.runtime ## run all of it with users, Prometheus and Alertmanager; FAULT=help lists what can go wrong
	@$(BIN)/python -m compose $(if $(FAULT),--fault=$(FAULT)) $(if $(SPEED),--speed=$(SPEED)) $(ARGS)

# As root on Linux the network is a real one; ARGS=--quick takes a minute, ARGS="--compare sidecar,URL" asks another.
verify: $(VENV)/.runtime ## run the six resilience scenarios, without and with the sidecar, into verify-results/
	@$(BIN)/sse-sidecar verify $(ARGS)

# USERS=2000 says how many, STREAMS=5200 or SECONDS=120 for how long, SEED=7 who does what; a minute where nothing is said.
load: $(VENV)/.runtime ## let USERS people use the sidecar under faults, and count it twice, into verify-results/
	@$(BIN)/sse-sidecar verify load --users $(or $(USERS),100) $(if $(STREAMS),--streams $(STREAMS)) \
		$(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) $(ARGS)

# MINUTES=30 plays twenty seeds; SEED=7 plays those from 7 on, else the first is drawn, and printed.
soak: $(VENV)/.dev ## let random misfortunes come over the sidecar for MINUTES, and judge what everybody got
	@$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),5) $(if $(SEED),--seed $(SEED)) $(ARGS)

# With ARGS, one process runs what they choose, of every kind.
test: $(VENV)/.dev ## run the tests that need only Python and make, in parallel; ARGS='-k heartbeat' narrows them
	@$(if $(ARGS),$(BIN)/python -m pytest $(ARGS),$(BIN)/python .ci/lanes.py python)

test-all: $(VENV)/.dev $(SDK_STAMP) ## run everything in parallel lanes, as CI does: browsers, Prometheus, networks, soak
	@$(BIN)/python .ci/lanes.py all

lint: $(VENV)/.dev ## ruff (rules and format), mypy --strict and the prose
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet --diff .
	@$(BIN)/mypy
	@$(BIN)/python .ci/prose.py

format: $(VENV)/.dev ## let ruff format the code and fix what it safely can
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format .

lock: $(VENV)/.runtime ## refresh the locks after pyproject.toml changed; LOCK_ARGS=--upgrade takes newer versions
	@echo "Resolving requirements-uv.lock"
	@$(COMPILE) $(LOCK_ARGS) --group uv --output-file requirements-uv.lock >/dev/null
	@echo "Resolving requirements.lock"
	@$(COMPILE) $(LOCK_ARGS) --group build --output-file requirements.lock pyproject.toml >/dev/null
	@echo "Resolving requirements-dev.lock"
	@$(COMPILE) $(LOCK_ARGS) --group dev --constraint requirements.lock \
		--output-file requirements-dev.lock pyproject.toml >/dev/null

drills: $(VENV)/.dev ## break everything once, follow the runbooks, stamp the times into them (minutes)
	@$(BIN)/python -m tests.monitoring.drills --stamp $(ARGS)

client-js: $(VENV)/.dev $(SDK_STAMP) ## build the browser client's scripts from sidecar/client/js/src; needs npm
	@$(BIN)/python -m tests.clients.js.bundle

previews: $(VENV)/.dev $(PREVIEW_STAMP) ## draw docs/images/sse-*.png: the dashboards with the answers of a run of ten minutes
	@$(BIN)/python -m dashboards.previews $(ARGS)

client-pictures: $(VENV)/.dev ## draw docs/images/client-*.png: the demo's chat in each of its states, in Chromium
	@$(BIN)/python -m tests.docs.client_pictures $(ARGS)

verify-grafana: $(VENV)/.dev ## import the dashboards into a real Grafana (docker), read them back and compare
	@$(BIN)/python -m dashboards.verify $(ARGS)

bench: $(VENV)/.dev ## measure what the sidecar costs on this machine
	@$(BIN)/python -m tests.bench $(ARGS)

clean: ## remove the environment, the caches and the build results
	@rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis tests/clients/sdk/node_modules $(PREVIEWS)/node_modules
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment that has the dev lock keeps it: the dev lock holds all that the runtime lock does.
$(VENV)/.runtime: requirements.lock requirements-uv.lock pyproject.toml .ci/install.py
	@$(PYTHON) .ci/install.py $(if $(wildcard $(VENV)/.dev),dev,runtime)
	@touch $@

$(VENV)/.dev: requirements-dev.lock requirements.lock requirements-uv.lock pyproject.toml .ci/install.py
	@$(PYTHON) .ci/install.py dev
	@touch $(VENV)/.runtime $@

tests/clients/sdk/node_modules/.installed: $(wildcard tests/clients/sdk/package.json tests/clients/sdk/package-lock.json)
	@echo "Installing the JavaScript SDKs into tests/clients/sdk/node_modules"
	@cd tests/clients/sdk && "$(NPM)" ci --silent --no-audit --no-fund
	@touch $@

$(PREVIEWS)/node_modules/.installed: $(PREVIEWS)/package.json $(PREVIEWS)/package-lock.json
	@echo "Installing Grafana's components into $(PREVIEWS)/node_modules"
	@cd $(PREVIEWS) && "$(NPM)" ci --silent --no-audit --no-fund
	@touch $@
