# The two commands: `make run` and `make test`. Everything else is a convenience.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: run test engine-test lint format bench chaos rehearse soak lock schema docs audit release clean
.DEFAULT_GOAL := run
# Tests and benches start a hundred processes: each of them would compile the sources anew.
unexport PYTHONDONTWRITEBYTECODE

# `venv` needs ensurepip, which some distributions split off; virtualenv carries its own pip.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); $(PYTHON) -m pip install --quiet --target .boot virtualenv && PYTHONPATH=.boot $(PYTHON) -m virtualenv --quiet $(VENV); }

$(VENV)/.run: requirements/run.txt pyproject.toml | $(BIN)/python
	$(PIP) --require-hashes -r requirements/run.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: requirements/test.txt $(VENV)/.run
	$(PIP) --require-hashes -r requirements/test.txt
	@touch $@

run: $(VENV)/.run  ## set up, precompute everything, serve on 127.0.0.1:8000
	@exec $(BIN)/fitgraph up

# One worker more than there are cores: tests of servers and leases wait much of their time.
test: $(VENV)/.test  ## set up, lint, type-check and run every test
	@$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -n $$(($$($(BIN)/python -c "import os; print(os.cpu_count())") + 1)) --dist loadfile --no-loadscope-reorder

# Compiled here (about ten minutes on two cores), so it is no part of `make test`, which runs these tests once it is there.
$(VENV)/.engine: requirements/engine.txt $(VENV)/.test
	CMAKE_ARGS="-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF" $(PIP) --require-hashes -r requirements/engine.txt
	@touch $@

engine-test: $(VENV)/.engine  ## compare recipes and buffers with the engine itself (needs cmake)
	$(BIN)/python -m pytest tests/estimator/structure/test_engine_recipes.py tests/estimator/structure/test_engine_buffers.py

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/fitgraph catalog compare
	$(BIN)/fitgraph schema-diff docs/reference/schema.released.graphql schema.graphql

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test  ## side-by-side benchmarks, each prints its ratio
	$(BIN)/python -m bench

chaos: $(VENV)/.test  ## kill, restart and fill everything in mid-run, many times; prints what was lost
	$(BIN)/python -m bench.chaos

rehearse: $(VENV)/.test  ## upgrade and downgrade between two commits under clients, on both databases
	$(BIN)/python -m bench.upgrade

soak: $(VENV)/.test  ## an hour of updates beside clients; fails when memory, disk, files or times grow
	$(BIN)/python -m bench.soak

schema: $(VENV)/.run  ## rewrite the documents that the code generates
	$(BIN)/fitgraph schema > schema.graphql
	$(BIN)/fitgraph settings > docs/reference/settings.md

# The generator has an environment of its own: nothing else needs it.
.docs/bin/mkdocs: requirements/docs.txt | $(BIN)/python
	$(BIN)/python -m venv .docs || $(BIN)/python -m virtualenv --quiet .docs
	.docs/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/docs.txt
	@touch $@

docs: .docs/bin/mkdocs  ## build the documentation site into build/docs; a broken link is an error
	NO_MKDOCS_2_WARNING=1 .docs/bin/mkdocs build --strict --quiet

# The tools of a release have an environment of their own, too.
RELEASE := build/release
TOOLS   := build/release-tools/bin
$(TOOLS)/cyclonedx-py: requirements/release.txt | $(BIN)/python
	$(BIN)/python -m venv build/release-tools || $(BIN)/python -m virtualenv --quiet build/release-tools
	$(TOOLS)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/release.txt
	@touch $@

# All that a release may depend on, by classifier and by SPDX name: copyleft of a library binds its own files alone.
LICENCES := MIT;MIT License;Apache-2.0;Apache Software License;BSD License;3-Clause BSD License;BSD-2-Clause;BSD-3-Clause;ISC;ISC License (ISCL);PSF-2.0;LGPL-3.0-only;MPL-2.0;Mozilla Public License 2.0 (MPL 2.0);Apache-2.0 AND BSD-2-Clause;Apache-2.0 OR BSD-2-Clause;MIT AND PSF-2.0;MPL-2.0 AND (Apache-2.0 OR MIT);BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0

audit: $(TOOLS)/cyclonedx-py $(VENV)/.run  ## look for licences that forbid a release, and for known vulnerabilities (needs a network)
	$(TOOLS)/pip-licenses --python $(BIN)/python --packages $$(sed -n 's/^\([a-z0-9-]*\)==.*/\1/p' requirements/run.txt) \
		--from=mixed --allow-only "$(LICENCES)" > /dev/null
	$(TOOLS)/pip-audit --strict --require-hashes --disable-pip --requirement requirements/run.txt

release: audit  ## from the tagged, clean checkout: wheel, list of parts (SBOM) and checksums in build/release
	@test -z "$$(git status --porcelain)" || { echo "the checkout has changes: commit or remove them"; exit 1; }
	@test "$$(git describe --exact-match --match 'v*')" = "v$$($(BIN)/python -c 'from importlib.metadata import version; print(version("fitgraph"))')" \
		|| { echo "the commit needs a tag v<version of pyproject.toml>"; exit 1; }
	rm -rf $(RELEASE)
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir $(RELEASE) .
	$(TOOLS)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --output-file $(RELEASE)/fitgraph.cdx.json requirements/run.txt
	cd $(RELEASE) && sha256sum * > SHA256SUMS

lock:  ## resolve and pin every dependency with its hash
	$(PIP) uv
	$(BIN)/uv pip compile pyproject.toml --extra build --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet --upgrade -o requirements/run.txt
	$(BIN)/uv pip compile pyproject.toml --extra build --extra test --extra calibrate --extra mcp --constraint requirements/run.txt --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet -o requirements/test.txt
	$(BIN)/uv pip compile pyproject.toml --extra build --extra test --extra engine --constraint requirements/test.txt --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet -o requirements/engine.txt
	printf 'mkdocs-material\ngraphql-core\n' | $(BIN)/uv pip compile - --constraint requirements/run.txt --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet -o requirements/docs.txt
	printf 'cyclonedx-bom\npip-audit\npip-licenses\n' | $(BIN)/uv pip compile - --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet -o requirements/release.txt

clean:
	rm -rf $(VENV) .boot .docs build .fitgraph .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
