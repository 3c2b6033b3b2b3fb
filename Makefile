# Everything a newcomer needs: make, and Python 3.11 or newer. See README.md.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
export PYTHONSAFEPATH := 1
# Tests and benches are no part of the distribution: they are found from here.
export PYTHONPATH := $(CURDIR)

.PHONY: setup demo test check bench sim chaos soak rows docs dashboards tools lock clean

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

chaos: setup
	@$(BIN)/python -m tests.chaos --cycles $(or $(CYCLES),3) --seed $(or $(SEED),0) $(if $(ONLY),--only $(ONLY))

soak: setup
	@$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),10) --seed $(or $(SEED),0) $(if $(OUT),--out $(OUT))

rows: setup
	@FUNDARB_TEST_ROWS=1 $(BIN)/python -m pytest tests/integration/test_risk_rows.py tests/integration/test_risk_rows_venue.py $(ARGS)

dashboards: setup
	@$(BIN)/python -m deploy.dashboards
	@$(BIN)/python -m deploy.alerts

# What some tests need and pip does not have. Where they are missing those tests are skipped, and say so.
tools:
	@for tool in promtool amtool prometheus; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	if [ -z "$$missing" ]; then echo "promtool, amtool and prometheus are here"; \
	elif command -v apt-get >/dev/null; then \
	  $$(test "$$(id -u)" = 0 || echo sudo) apt-get install -y --no-install-recommends prometheus prometheus-alertmanager; \
	else echo "missing:$$missing. Install Prometheus (2.42 or newer) and Alertmanager (0.25 or newer) so that they are" \
	  "in PATH: brew install prometheus alertmanager, or the archives of https://prometheus.io/download" >&2; exit 1; fi

docs: setup
	@$(BIN)/python -m libs.console.docs

lock:
	uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 --extra dev pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 pyproject.toml -c requirements.lock -o deploy/requirements.lock

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
