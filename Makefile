# Netwright. `make help` lists the targets; each works from a clean clone as root on Debian 12.
PYTHON ?= /usr/bin/python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
CNI    := src/netwright/cni/netwright

.PHONY: help setup cni image kube demo test chaos conformance tempest neutron check bench lab lock clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(READY) cni ## install what is missing: Debian packages, .venv with netwright in it

$(READY): requirements/dev.txt pyproject.toml scripts/install-packages
	@scripts/install-packages
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setup: installing the locked Python packages into $(VENV) (about a minute the first time)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
	@echo "setup: done; $(BIN)/netwright --help"

cni: $(CNI) ## compile the CNI front end; netwright cni install copies it where runtimes look

$(CNI): src/netwright/cni/netwright.c src/netwright/cni/json.c src/netwright/cni/json.h scripts/build-cni | $(READY)
	@scripts/build-cni $@

image: setup ## build the container image of agent and server (BUILDER=docker, BASE=an image with Python 3.11)
	@scripts/build-image

kube: ## build a kube-apiserver, and take an etcd, for the tests: ~6 minutes once, kept in ~/.cache
	@scripts/build-kube

demo: setup ## build a lab data center and show the main job, step by step
	@$(BIN)/netwright demo

lab: setup ## bring the VLAN lab up and leave it up (netwright lab down takes it away)
	@$(BIN)/netwright lab up vlan

test: setup kube ## every test: unit, property, golden, sim, lab, e2e
	@scripts/install-tempest keystone neutron >/dev/null
	@# Labs, where time on the wire counts, have the machine to themselves; the rest shares it.
	@failed=; \
	$(BIN)/pytest -n auto --dist worksteal -m 'not lab' || failed=yes; \
	$(BIN)/pytest -m lab || failed=yes; \
	test -z "$$failed"

chaos: setup ## ten minutes of containers while all that serves them dies (CHAOS_SEED=N: the same again)
	@CHAOS_S=600 $(BIN)/pytest -m lab tests/lab/test_cni_chaos.py

conformance: setup ## check what is announced against neutron-lib, and write docs/conformance.md
	@$(BIN)/python -W ignore -m tests.conformance --write

tempest: setup ## the Networking API's public suite against a real keystone (TEMPEST_SUITE=plugin: Neutron's own)
	@scripts/install-tempest >/dev/null
	@$(BIN)/python -m tests.tempest.run

neutron: setup ## integrations/neutron in a real Neutron: its networks, ports, routers on a Netwright
	@scripts/install-tempest neutron >/dev/null
	@$(BIN)/pytest tests/unit/integrations tests/e2e/test_neutron.py

check: setup ## format, lint, types, import contracts
	@$(BIN)/ruff format --check src tests bench integrations
	@$(BIN)/ruff check src tests bench integrations
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup ## benchmarks: ratios within one run, asserted
	@$(BIN)/python -m bench

lock: ## write requirements/*.txt anew from pyproject.toml (needs pip-tools in .venv)
	@for f in runtime dev; do \
	  $(BIN)/pip-compile --quiet --no-header --no-annotate --strip-extras --allow-unsafe \
	    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	    $$(test $$f = dev && echo --extra dev) -o requirements/$$f.txt pyproject.toml; done
	@cd requirements && for f in keystone neutron tempest; do \
	  ../$(BIN)/pip-compile --quiet --no-header --no-annotate --strip-extras --allow-unsafe \
	    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o $$f.txt $$f.in; done

clean: ## remove what setup and the tools made
	rm -rf $(VENV) $(CNI) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
