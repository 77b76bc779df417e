# Needs Python 3.11 or newer and git; everything else is installed into .venv from PyPI.
# Another Python: make PYTHON=/path/to/python3.12 test

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Twice as many as there are cores: about a third of the time a test waits for what it started.
WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) * 2)))
GROOVY_LINT := $(VENV)/groovy-lint/.installed
# Where these are set, each of the tests' thousands of processes compiles all that it imports, and the demo's are not forked.
unexport PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED

.DEFAULT_GOAL := help
.PHONY: help install demo test test-oldest test-oldest-quick coverage lint types bench fuzz properties lock libraries audit reference site pictures release

help:
	@echo "make demo    the whole story on real data, in a new folder ./mlbutler-demo"
	@echo "make test    all tests that this machine can run"
	@echo "make lint    style, complexity, dead code"
	@echo "make types   mypy"
	@echo "make bench   speed against DVC, cp and curl; errors of gates: half an hour, some gigabytes; needs nginx, curl, rclone"
	@echo "make fuzz         a million hostile inputs: hours; FUZZ='--inputs 20000 logs' for fewer"
	@echo "make properties   the tests of properties with other examples, ten times; ROUNDS=100 for more"
	@echo "make coverage     the tests, with the lines and branches that they reach"
	@echo "make test-oldest  the tests that work on DVC, with the oldest DVC that is supported"
	@echo "make test-oldest-quick  those of them that use most of its private names, as CI does"
	@echo "make lock         resolve requirements.lock and constraints.txt again, from pyproject.toml"
	@echo "make libraries    bundles what the page of experiments has of others; needs npm"
	@echo "make audit        known vulnerabilities of what requirements.lock names, where one can ask"
	@echo "make reference    verbs, options and settings in docs/, as the program has them"
	@echo "make site         build/site: the documentation as web pages and manual pages; every link is checked"
	@echo "make pictures     draw the README's pictures again, from the demo"
	@echo "make release      dist/: wheel and sdist, each checked and tried in a fresh environment"

install: $(INSTALLED)

# uv where it works: pip tries old releases of the S3 libraries for many minutes. Like pip it is to trust the system's
# certificates.
$(INSTALLED): pyproject.toml requirements.lock
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "mlbutler needs Python 3.11 or newer. Name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV) || \
		{ echo "'$(PYTHON) -m venv' failed. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@{ sed -n '/^uv==/,/[^\]$$/p' requirements.lock >$(VENV)/uv.txt && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $(VENV)/uv.txt && \
		UV_SYSTEM_CERTS=true UV_NATIVE_TLS=true $(BIN)/python -m uv pip install --quiet --python $(BIN)/python \
			--link-mode copy --require-hashes --requirement requirements.lock; } || \
		{ echo "uv did not do it; pip takes longer." >&2; \
		$(BIN)/python -m pip install --disable-pip-version-check --require-hashes --requirement requirements.lock; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# The extras whose versions constraints.txt names, for people who install mlbutler with pip.
FOR_USERS := s3 ssh parquet keyring search mlflow plots demo

# Every version and hash that `make install` takes, for every Python and system that is supported; and the same versions,
# without hashes, as constraints for people who install with pip.
lock: $(INSTALLED)
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --python-version 3.11 \
		--extra dev --output-file requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --no-annotate --no-header --python-version 3.11 --constraint requirements.lock \
		$(addprefix --extra ,$(FOR_USERS)) --output-file constraints.txt pyproject.toml

# The linter of tests/groovy/test_lint.py, pinned with all that it needs. That test skips where this cannot be had.
$(GROOVY_LINT): tests/groovy/npm/package.json tests/groovy/npm/package-lock.json | $(INSTALLED)
	@mkdir -p $(@D) && cp $^ $(@D)
	@if ! command -v npm >/dev/null; then echo "npm is not installed: no Jenkinsfile is linted with npm-groovy-lint."; \
	elif cd $(@D) && timeout 120 npm ci --engine-strict --ignore-scripts --no-audit --no-fund --loglevel=error --fetch-timeout=30000 --fetch-retries=1; \
	then touch $(@F); else echo "npm could not install npm-groovy-lint: no Jenkinsfile is linted with it." >&2; fi

demo: $(INSTALLED)
	@folder=mlbutler-demo; number=2; \
	while [ -e "$$folder" ]; do folder=mlbutler-demo-$$number; number=$$((number + 1)); done; \
	$(BIN)/mlbutler demo "$$folder"

test: $(INSTALLED) $(GROOVY_LINT)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -q

# What a new minor version of DVC would break first; and of that what uses most of its private names: half a minute.
ON_DVC := tests/project tests/remotes tests/reproduce tests/steps tests/store
ON_PRIVATE_NAMES := tests/remotes tests/store/test_other.py tests/reproduce/test_worker.py tests/reproduce/test_whole_files.py \
	$(addprefix tests/project/test_,$(addsuffix .py,committed directory_hash dvc_state dvc_yaml opened overrides plain_paths stage_order))

test-oldest: TESTS := $(ON_DVC)
test-oldest-quick: TESTS := $(ON_PRIVATE_NAMES)
test-oldest test-oldest-quick: $(INSTALLED)
	$(BIN)/python -m venv $(VENV)-oldest
	sed -n 's/.*"dvc>=\([0-9.]*\),.*/dvc==\1/p' pyproject.toml >$(VENV)-oldest/dvc.txt
	UV_SYSTEM_CERTS=true UV_NATIVE_TLS=true $(BIN)/uv pip install --quiet --python $(VENV)-oldest/bin/python \
		--override $(VENV)-oldest/dvc.txt --editable '.[dev]'
	$(VENV)-oldest/bin/python -m pytest -n $(WORKERS) --dist worksteal -q $(TESTS)

coverage: $(INSTALLED) $(GROOVY_LINT)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -q --cov --cov-report term:skip-covered --cov-report html

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check --quiet
	$(BIN)/vulture

types: $(INSTALLED)
	$(BIN)/mypy

bench: $(INSTALLED)
	$(BIN)/python -m bench.start $(BENCH)
	$(BIN)/python -m bench.store $(BENCH)
	$(BIN)/python -m bench.s3 $(BENCH)
	$(BIN)/python -m bench.compare $(BENCH)
	$(BIN)/python -m bench.board $(BENCH)
	$(BIN)/python -m bench.train $(BENCH)
	$(BIN)/python -m bench.gates $(BENCH)

fuzz: $(INSTALLED)
	$(BIN)/python -m bench.fuzz $(FUZZ)

# `make test` tries the same examples each time.
ROUNDS := 10

properties: $(INSTALLED)
	for round in $$(seq $(ROUNDS)); do \
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -q -m hypothesis --hypothesis-profile random || exit 1; done

# What the page of experiments has in it of others, in the versions of libraries/package-lock.json.
libraries:
	cd libraries && npm ci --no-audit --no-fund && npm run build

audit: $(INSTALLED)
	$(BIN)/python .ci/audit $(BIN)

reference: $(INSTALLED)
	$(BIN)/python website/reference.py

site: $(INSTALLED)
	$(BIN)/python website/build.py build/site

# The README's; Chromium draws them.
pictures: $(INSTALLED)
	$(BIN)/python website/pictures.py

release: $(INSTALLED)
	bash .ci/release $(BIN)
