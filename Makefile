# Everything a newcomer needs: make, and Python 3.11 or newer. See README.md.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
export PYTHONSAFEPATH := 1
# Tests and benches are no part of the distribution: they are found from here.
export PYTHONPATH := $(CURDIR)

.PHONY: setup demo test check bench sim docs dashboards lock clean

setup: $(STAMP)

# Compiled at set-up: without .pyc files the exchange library takes seconds to import, every time.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("fundarb needs Python 3.11 or newer (set PYTHON=...)" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the pinned packages ..." >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@echo "compiling ..." >&2
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -q -j 0 $(VENV)/lib libs services
	@touch $(STAMP)

demo: setup
	@$(BIN)/fundarb demo $(ARGS)

test: setup
	@$(BIN)/python -m pytest $(ARGS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	@$(BIN)/python -m tests.bench $(if $(ONLY),--only $(ONLY)) $(if $(JSON),--json) $(ARGS)

sim: setup
	@$(BIN)/python -m tests.sim --seeds $(or $(SEEDS),100) --start $(or $(SEED_START),0)

dashboards: setup
	@$(BIN)/python -m deploy.dashboards

docs: setup
	@$(BIN)/python -m libs.console.docs

lock:
	uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 --extra dev pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 pyproject.toml -c requirements.lock -o deploy/requirements.lock

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
